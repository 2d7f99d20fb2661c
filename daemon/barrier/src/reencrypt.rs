//! Moving records to the newest epoch, and deleting old epochs when nothing needs them.
//!
//! Each step looks at the state in the store and does the next piece of work in one commit, so it may be killed
//! anywhere. Records are sealed anew outside the committer and put only where the old bytes are still there. An old
//! epoch's key is deleted only after every header was read once more and none names it: a record that can't be opened
//! keeps its epoch.
use crate::{
    Barrier, BarrierError, Batch,
    barrier::Hex,
    index::{Roots, Verdict, state_of},
    listing::PAGE,
    progress::{self, Phase, Record},
};
use coffer_store::Entry;
use coffer_types::Kind;
use keystore_format::{
    record::Record as Sealed,
    tables::{self, MetaItem, Slot},
};
use std::sync::Arc;

/// Bytes of records after which a step takes no more.
const STEP_BYTES: usize = 4 << 20;

/// How far re-encryption is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The epoch that records move to.
    pub epoch: u32,
    /// Records sealed anew since that epoch began.
    pub moved: u64,
    /// Records that could not be opened, or are not the newest by the replay index, and were left as they are; the log
    /// names them.
    pub damaged: u64,
    /// Records of older epochs found by the last check; their epochs stay.
    pub left: u64,
    /// Whether there is nothing more to do until the next rotation.
    pub done: bool,
}

/// A record to be put if it is still what it was.
struct Move {
    key: Vec<u8>,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Barrier {
    /// Does the next piece of re-encryption, at most `limit` records, and says how far it is. Without a retired epoch
    /// there is nothing to do. To be called one at a time.
    ///
    /// # Errors
    /// Where the store or the generator fails; [`BarrierError::Sealed`].
    pub async fn reencrypt_step(self: &Arc<Self>, limit: usize) -> Result<Progress, BarrierError> {
        let status = self.epoch_status()?;
        let found = match progress::read(self).await {
            Ok(found) => found.filter(|found| found.target == status.number),
            // It says nothing that can't be found out again.
            Err(error) if error.is_of_records() => None,
            Err(error) => return Err(error),
        };
        let epoch_start = self.last_reserved() - self.encryptions();
        let mut record = found.unwrap_or_else(|| Record::starting(status.number, epoch_start));
        if status.retired.is_empty() || record.phase == Phase::Done {
            return Ok(Progress { done: true, ..told(&record) });
        }
        let roots = self.index.roots();
        let page = self.page(record.table, &record.after, limit.max(1)).await?;
        let mut moves = Vec::new();
        for Entry { key, value } in page.entries {
            let epoch = Sealed::parse(&value).map(|sealed| sealed.header().epoch);
            record.after.clone_from(&key);
            if epoch == Ok(status.number) {
                continue;
            }
            match record.phase {
                Phase::Moving => match self.is_newest(&roots, &key, &value).await? {
                    true => match self.seal_anew(&key, &value)? {
                        Some(new) => moves.push(Move { key, old: value, new }),
                        None => record.damaged += 1,
                    },
                    false => record.damaged += 1,
                },
                Phase::Checking | Phase::Done => record.left += 1,
            }
        }
        record.moved += moves.len() as u64;
        let drops_epochs = page.is_last && next_phase(&mut record);
        let commit = record.clone();
        self.commit(move |batch| {
            for Move { key, old, new } in &moves {
                batch.replace(key, old, new)?;
            }
            if drops_epochs && batch.head_is_of(commit.target)? {
                batch.drop_retired_epochs(commit.target)?;
            }
            batch.put_progress(&commit)
        })
        .await?;
        Ok(told(&record))
    }

    /// Whether nothing speaks against `sealed` being the record's newest state.
    async fn is_newest(&self, roots: &Roots, key: &[u8], sealed: &[u8]) -> Result<bool, BarrierError> {
        if key.first() != Some(&tables::RECORDS) {
            return Ok(true);
        }
        match self.compare(roots, key, state_of(sealed)).await {
            Ok(Verdict::Wrong) | Err(BarrierError::Index) => {
                tracing::error!(environment = %self.environment(), store_key = %Hex(key), "not re-encrypted: the replay index does not know it so");
                Ok(false)
            }
            // Written meanwhile: then it is put only where it still lies.
            Ok(Verdict::Right | Verdict::ReadAgain) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// `None` for a record that does not open.
    fn seal_anew(&self, key: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, BarrierError> {
        let opened = self.with_keys(|keys| Ok(keys.open_any(key, sealed)))?;
        let (header, plaintext) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(environment = %self.environment(), store_key = %Hex(key), %error, "not re-encrypted");
                return Ok(None);
            }
        };
        let nonce = self.nonce()?;
        let header = keystore_format::record::Header { rev: self.reserve(), ..header };
        self.with_keys(|keys| keys.reseal(header, key, &nonce, &plaintext)).map(Some)
    }

    async fn page(&self, table: u8, after: &[u8], limit: usize) -> Result<Page, BarrierError> {
        let prefix = [&[table][..], self.environment().as_bytes()].concat();
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        while entries.len() < limit && bytes < STEP_BYTES {
            let after = entries.last().map_or(after, |last| last.key.as_slice());
            let wanted = PAGE.min(limit - entries.len());
            let more = self.place.store.range(&prefix, Some(after), wanted).await?;
            let is_last = more.len() < wanted;
            bytes += more.iter().map(|entry| entry.key.len() + entry.value.len()).sum::<usize>();
            entries.extend(more);
            if is_last {
                return Ok(Page { entries, is_last });
            }
        }
        Ok(Page { entries, is_last: false })
    }
}

struct Page {
    entries: Vec<Entry>,
    is_last: bool,
}

/// Goes on with the next table or phase; whether old epochs may be deleted now.
fn next_phase(record: &mut Record) -> bool {
    record.after.clear();
    if record.table == tables::RECORDS {
        record.table = tables::OUTBOX;
        return false;
    }
    record.table = tables::RECORDS;
    match record.phase {
        Phase::Moving => {
            record.phase = Phase::Checking;
            record.left = 0;
            false
        }
        Phase::Checking | Phase::Done => {
            record.phase = Phase::Done;
            record.left == 0
        }
    }
}

fn told(record: &Record) -> Progress {
    let Record { target, moved, damaged, left, .. } = *record;
    Progress { epoch: target, moved, damaged, left, done: record.phase == Phase::Done }
}

impl Batch<'_> {
    /// Puts `new` where `old` still lies: compare-and-swap on the whole record.
    fn replace(&mut self, key: &[u8], old: &[u8], new: &[u8]) -> Result<(), BarrierError> {
        if self.raw.get(key)?.as_deref() != Some(old) {
            return Ok(());
        }
        if key.first() == Some(&tables::RECORDS) {
            // What was put back on disk must not become the newest by being sealed anew.
            let expected = self.expected(key)?;
            if expected.is_none() || expected != state_of(old) {
                return Ok(());
            }
            self.note_replaced(key, state_of(new));
        }
        self.raw.put(key.to_vec(), new.to_vec())?;
        Ok(())
    }

    /// Whether the newest durable head is sealed under `epoch`. This batch overwrites the older copy.
    fn head_is_of(&mut self, epoch: u32) -> Result<bool, BarrierError> {
        let slot = Slot::of(self.barrier.generation());
        let key = tables::meta_key(self.barrier.environment(), MetaItem::Head, slot);
        let head = self.raw.get(&key)?.ok_or(BarrierError::Damaged(Kind::Head))?;
        let head = Sealed::parse(&head).map_err(|_| BarrierError::Damaged(Kind::Head))?;
        Ok(head.header().epoch == epoch)
    }
}
