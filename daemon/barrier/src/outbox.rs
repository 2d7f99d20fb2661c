//! Audit leaves that are committed with their effect and not yet appended to the journal.
use crate::{Barrier, BarrierError, Batch, listing::PAGE};
use coffer_types::{Kind, MountId};
use keystore_format::{
    name::{self, SealedPath, StoreKey},
    tables,
};
use zeroize::Zeroizing;

impl Barrier {
    /// All leaves in the outbox, by ascending id.
    ///
    /// # Errors
    /// Where the store fails or a leaf does not open.
    pub async fn outbox(&self) -> Result<Vec<(u64, Zeroizing<Vec<u8>>)>, BarrierError> {
        let prefix = [&[tables::OUTBOX][..], self.environment().as_bytes()].concat();
        let mut leaves = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.place.store.range(&prefix, after.as_deref(), PAGE).await?;
            for entry in &page {
                let id = StoreKey::parse(&entry.key).ok().and_then(|key| key.version);
                let id = id.ok_or_else(|| self.damaged(Kind::Outbox, &entry.key))?;
                leaves.push((id, self.open_record(Kind::Outbox, &entry.key, &entry.value)?.bytes));
            }
            match page.into_iter().nth(PAGE - 1) {
                Some(last) => after = Some(last.key),
                None => return Ok(leaves),
            }
        }
    }

    fn outbox_key(&self, leaf_id: u64) -> Vec<u8> {
        let (mount, path) = (MountId::default(), SealedPath::root());
        name::store_key(tables::OUTBOX, self.environment(), mount, Kind::Outbox as u16, &path, Some(leaf_id))
    }
}

impl Batch<'_> {
    /// A number that no other record or leaf of this environment has, greater than all before it.
    #[must_use]
    pub fn next_revision(&mut self) -> u64 {
        // The head of this batch puts the number on disk, so that it isn't given out again after a restart.
        drop(self.pending());
        self.barrier.reserve()
    }

    /// Keeps a leaf in the outbox, as part of this batch.
    ///
    /// # Errors
    /// Where the store or the generator fails.
    pub fn put_outbox(&mut self, leaf_id: u64, leaf: &[u8]) -> Result<(), BarrierError> {
        drop(self.pending());
        let key = self.barrier.outbox_key(leaf_id);
        let (sealed, _) = self.barrier.seal(Kind::Outbox, &key, leaf)?;
        Ok(self.raw.put(key, sealed).map(drop)?)
    }

    /// Removes leaves that the journal holds durably. An id that is not there is passed over.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn clear_outbox(&mut self, leaf_ids: &[u64]) -> Result<(), BarrierError> {
        drop(self.pending());
        for id in leaf_ids {
            self.raw.delete(&self.barrier.outbox_key(*id))?;
        }
        Ok(())
    }
}
