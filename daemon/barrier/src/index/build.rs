//! Building the index from what is in the store: once where an earlier build wrote the environment, and where its holders
//! want a damaged one anew.
//!
//! That is trust on first use: what was put back before this day is taken for right. Nodes are written in pieces and mean
//! nothing until the head promises them, in one commit; a build that was cut off begins anew.
use super::{Counting, Root, State, cache::Walk, state_of};
use crate::{Barrier, BarrierError, barrier::Hex, listing::PAGE};
use coffer_store::{CommitError, Transaction, commit};
use keystore_format::{
    index::{Change, Path, directory_hash, key_hash},
    tables,
};
use std::{collections::BTreeMap, sync::Arc};

/// Records whose entries go into one commit: what is held in memory, about 3 MiB, and written with their nodes.
const AT_ONCE: usize = 20_000;

impl Barrier {
    /// `records` and `high_water` are what the head says: there can be no other number, and no record above.
    pub(crate) async fn build_index(
        self: &Arc<Self>,
        records: u64,
        high_water: u64,
    ) -> Result<(), BarrierError> {
        let environment = self.environment();
        tracing::info!(%environment, records, "building the replay index of what is in the store");
        self.clear_index().await?;
        let prefix = [&[tables::RECORDS][..], environment.as_bytes()].concat();
        let (mut root, mut after): (Root, Option<Vec<u8>>) = (None, None);
        let mut entries: BTreeMap<[u8; 32], Option<State>> = BTreeMap::new();
        let (mut directories, mut counting, mut counted) = (BTreeMap::new(), Counting::default(), 0_u64);
        loop {
            let page = self.place.store.range(&prefix, after.as_deref(), PAGE).await?;
            for entry in &page {
                // What does not even look like a record stays out, and is refused as it was before.
                let Some(state) = state_of(&entry.value) else { continue };
                if state.0 > high_water {
                    return Err(BarrierError::Stale("head"));
                }
                entries.insert(key_hash(&entry.key), Some(state));
                counted += 1;
                counting.record(&entry.key, &mut |directory, counts| -> Result<(), BarrierError> {
                    directories.insert(directory_hash(directory), counts.state());
                    Ok(())
                })?;
            }
            let is_last = page.len() < PAGE;
            if is_last {
                counting.finish(&mut |directory, counts| -> Result<(), BarrierError> {
                    directories.insert(directory_hash(directory), counts.state());
                    Ok(())
                })?;
            }
            entries.append(&mut directories);
            after = page.into_iter().last().map(|entry| entry.key);
            if is_last || entries.len() >= AT_ONCE {
                root = self.add_to_index(root, std::mem::take(&mut entries)).await?;
            }
            if is_last {
                break;
            }
        }
        if counted != records {
            tracing::error!(%environment, records, counted, "the head counts other records than there are: some were taken away or brought back");
        }
        self.commit(move |batch| -> Result<(), BarrierError> {
            batch.pending().change(|promise| {
                promise.built = Some(root);
                promise.records = i64::try_from(counted).unwrap_or(i64::MAX).saturating_sub_unsigned(records);
            });
            Ok(())
        })
        .await
    }

    /// The index below `root` with `entries` in it, committed and promised by nobody yet.
    async fn add_to_index(
        self: &Arc<Self>,
        root: Root,
        entries: BTreeMap<[u8; 32], Option<State>>,
    ) -> Result<Root, BarrierError> {
        let changes: Vec<Change> = entries.into_iter().collect();
        let barrier = Arc::clone(self);
        commit(&*self.place.store, move |transaction| {
            barrier.change_index(transaction, root, &changes).map_err(CommitError::Refused)
        })
        .await
        .map_err(plain)
    }

    /// Removes the records that do not open.
    pub(crate) async fn remove_unreadable(&self) -> Result<(), BarrierError> {
        let environment = self.environment();
        let prefix = [&[tables::RECORDS][..], environment.as_bytes()].concat();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.place.store.range(&prefix, after.as_deref(), PAGE).await?;
            let mut gone = Vec::new();
            for entry in &page {
                if !self.with_keys(|keys| Ok(keys.open_any(&entry.key, &entry.value).is_ok()))? {
                    tracing::error!(%environment, store_key = %Hex(&entry.key), "a record that does not open is removed");
                    gone.push(entry.key.clone());
                }
            }
            if !gone.is_empty() {
                let remove = move |transaction: &mut dyn Transaction| {
                    for key in &gone {
                        transaction.delete(key)?;
                    }
                    Ok::<_, CommitError<BarrierError>>(())
                };
                commit(&*self.place.store, remove).await.map_err(plain)?;
            }
            match page.into_iter().nth(PAGE - 1) {
                Some(last) => after = Some(last.key),
                None => return Ok(()),
            }
        }
    }

    /// Removes what a build that was cut off has left.
    async fn clear_index(&self) -> Result<(), BarrierError> {
        let prefix = [&[tables::INDEX][..], self.environment().as_bytes()].concat();
        loop {
            let prefix = prefix.clone();
            let left =
                commit(&*self.place.store, move |transaction| -> Result<usize, CommitError<BarrierError>> {
                    let page = transaction.range(&prefix, None, AT_ONCE)?;
                    for entry in &page {
                        transaction.delete(&entry.key)?;
                    }
                    Ok(page.len())
                })
                .await
                .map_err(plain)?;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Whether the root in the store is the one that the head promises.
    pub(crate) async fn check_root(&self) -> Result<(), BarrierError> {
        let Some(child) = self.index.durable() else { return Ok(()) };
        let node = self.place.store.get(&Path::ROOT.store_key(self.environment())).await?;
        let walk = Walk { key: &[0; 32], path: Path::ROOT, child };
        if self.believe(&walk, node) { Ok(()) } else { Err(self.index_damaged(&Path::ROOT)) }
    }
}

fn plain(error: CommitError<BarrierError>) -> BarrierError {
    match error {
        CommitError::Refused(error) => error,
        CommitError::Store(error) => error.into(),
    }
}
