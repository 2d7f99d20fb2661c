//! Writing: inside the store's committer, where what is read is exact.
use crate::{
    Barrier, BarrierError, Listed, Plain,
    head::Pending,
    index::{is_counted, state_of},
    listing::{Child, PAGE, SkipScan},
};
use coffer_store::Transaction;
use coffer_types::{CanonicalPath, EntropyError, Kind, MountId, Timestamp};
use keystore_format::{
    name::{self, SealedPath},
    tables,
};
use std::sync::Arc;

/// Versions stay below this, so that in a directory a name's versions sort before what lies below the name.
const MAX_VERSION: u64 = 1 << 48;

/// One environment's part of an open transaction. Made by the barrier, for the one work that runs in it.
pub struct Batch<'t> {
    pub(crate) barrier: &'t Barrier,
    pub(crate) raw: &'t mut dyn Transaction,
    now: Timestamp,
    /// The promise that this work last wrote into.
    mine: Option<Arc<Pending>>,
}

/// One mount's part of a [`Batch`]: all that an engine can change.
pub struct Tx<'b, 't> {
    batch: &'b mut Batch<'t>,
    mount: MountId,
}

impl<'t> Batch<'t> {
    pub(crate) fn new(barrier: &'t Barrier, raw: &'t mut dyn Transaction) -> Self {
        Self { barrier, raw, now: barrier.now(), mine: None }
    }

    /// The part of one mount. `MountId::default()` is the environment's own tables.
    pub fn mount(&mut self, mount: MountId) -> Tx<'_, 't> {
        Tx { batch: self, mount }
    }

    /// Deletes every record of a mount. Returns how many there were.
    ///
    /// # Errors
    /// Where the store fails; [`BarrierError::TooLarge`] where the mount has more than one commit can take: then
    /// [`Batch::erase_some`] in several.
    pub fn erase_mount(&mut self, mount: MountId) -> Result<u64, BarrierError> {
        self.erase_some(mount, u64::MAX)
    }

    /// Deletes up to `limit` records of a mount. Returns how many; the mount is empty when that is less than `limit`.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn erase_some(&mut self, mount: MountId, limit: u64) -> Result<u64, BarrierError> {
        let environment = self.barrier.environment();
        let prefix = [&[tables::RECORDS][..], environment.as_bytes(), mount.as_bytes()].concat();
        let mut after: Option<Vec<u8>> = None;
        let mut erased = 0;
        while erased < limit {
            let wanted = usize::try_from(limit - erased).unwrap_or(usize::MAX).min(PAGE);
            let page = self.raw.range(&prefix, after.as_deref(), wanted)?;
            for entry in &page {
                self.raw.delete(&entry.key)?;
                self.note(&entry.key, None)?;
            }
            erased += page.len() as u64;
            match page.into_iter().last() {
                Some(last) => after = Some(last.key),
                None => break,
            }
        }
        Ok(erased)
    }

    /// The same transaction as seen by another open environment.
    pub fn within<'s>(&'s mut self, other: &'s Barrier) -> Batch<'s> {
        Batch { barrier: other, raw: &mut *self.raw, now: self.now, mine: None }
    }

    /// The transaction below, for what is written beside records: a store id, a new environment.
    pub fn transaction(&mut self) -> &mut dyn Transaction {
        &mut *self.raw
    }

    /// Begins a new incarnation of the audit log, as a restore does; returns it.
    ///
    /// # Errors
    /// [`BarrierError::Entropy`].
    pub fn begin_incarnation(&mut self) -> Result<[u8; 16], BarrierError> {
        let incarnation = coffer_types::random(&*self.barrier.place.entropy)?;
        self.pending().change(|promise| promise.incarnation = Some(incarnation));
        Ok(incarnation)
    }

    /// Writes into the head what the TPM's counter will be; 0 where there is none any more.
    pub fn set_tpm_counter(&mut self, value: u64) {
        self.pending().change(|promise| promise.tpm_counter = Some(value));
    }

    /// Runs once the batch is durable, in the order of commits, before anybody is answered. For caches.
    pub fn after(&mut self, then: Box<dyn FnOnce() + Send>) {
        self.raw.after(then);
    }

    /// The time of this work.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What the head of this batch will promise, to add to. A work that changes anything asks for it: so a head is
    /// written.
    pub(crate) fn pending(&mut self) -> Arc<Pending> {
        let pending = self.barrier.pending(self.mine.as_ref(), self.raw);
        self.mine = Some(Arc::clone(&pending));
        pending
    }
}

impl Tx<'_, '_> {
    /// The mount that is changed.
    #[must_use]
    pub fn mount(&self) -> MountId {
        self.mount
    }

    /// The record at `path` as of this very transaction.
    ///
    /// # Errors
    /// Where the store fails or the record does not open.
    pub fn get(
        &mut self,
        kind: Kind,
        path: &CanonicalPath,
        version: Option<u64>,
    ) -> Result<Option<Plain>, BarrierError> {
        let key = self.store_key(kind, path, version)?;
        let barrier = self.batch.barrier;
        let expected = self.batch.expected(&key)?;
        let Some(sealed) = self.batch.raw.get(&key)? else {
            return if expected.is_none() {
                Ok(None)
            } else {
                Err(barrier.not_as_indexed(kind, &key, false))
            };
        };
        let plain = barrier.open_record(kind, &key, &sealed)?;
        if expected.is_none() || expected != state_of(&sealed) {
            return Err(barrier.not_as_indexed(kind, &key, true));
        }
        Ok(Some(plain))
    }

    /// Seals and writes a record, whatever is there; returns its revision.
    ///
    /// # Errors
    /// Where the store or the generator fails; [`BarrierError::Index`].
    pub fn put(
        &mut self,
        kind: Kind,
        path: &CanonicalPath,
        version: Option<u64>,
        plaintext: &[u8],
    ) -> Result<u64, BarrierError> {
        if version.is_some_and(|version| version >= MAX_VERSION) {
            return Err(BarrierError::TooLarge);
        }
        let key = self.store_key(kind, path, version)?;
        let (sealed, revision) = self.batch.barrier.seal(kind, &key, plaintext)?;
        // Asks the index for the way too: what the end of the batch needs is then at hand, and a damaged node is this work's
        // fault and no other's.
        self.batch.note(&key, state_of(&sealed))?;
        self.batch.raw.put(key, sealed)?;
        Ok(revision)
    }

    /// Deletes a record; returns whether it was there by the index. One that was put back on disk is deleted and was not
    /// there; one that was taken away was.
    ///
    /// # Errors
    /// Where the store fails; [`BarrierError::Index`].
    pub fn delete(
        &mut self,
        kind: Kind,
        path: &CanonicalPath,
        version: Option<u64>,
    ) -> Result<bool, BarrierError> {
        let key = self.store_key(kind, path, version)?;
        let was_there = self.batch.expected(&key)?.is_some();
        if was_there {
            self.batch.note(&key, None)?;
        }
        if self.batch.raw.delete(&key)? {
            // Also where it was not in the index: then a head is written with what is deleted.
            self.batch.pending();
        }
        Ok(was_there)
    }

    /// The names directly below `directory`, in the order of their bytes, checked as [`crate::View::list`] does.
    ///
    /// # Errors
    /// Where the store fails, a name does not open, or a record was brought back or taken away.
    pub fn list(&mut self, kind: Kind, directory: &CanonicalPath) -> Result<Vec<Listed>, BarrierError> {
        let mount = self.mount;
        let directory = self.batch.barrier.with_keys(|keys| keys.seal_path(mount, directory))?;
        Ok(self.children(kind, &directory)?.into_iter().map(|child| child.listed).collect())
    }

    pub(crate) fn children(
        &mut self,
        kind: Kind,
        directory: &SealedPath,
    ) -> Result<Vec<Child>, BarrierError> {
        let (barrier, mount) = (self.batch.barrier, self.mount);
        let prefix = name::prefix(tables::RECORDS, barrier.environment(), mount, kind as u16, directory);
        let mut scan = SkipScan::new(kind, prefix, directory.clone());
        loop {
            let (prefix, after, limit) = scan.wanted();
            let page = self.batch.raw.range(prefix, after, limit)?;
            let is_last = barrier.take_page(&mut scan, page, mount, directory)?;
            for seen in scan.take_seen() {
                if self.batch.expected(&seen)?.is_none() {
                    return Err(barrier.not_as_indexed(kind, &seen, true));
                }
            }
            if is_last && is_counted(kind) && !self.batch.is_whole(scan.prefix(), scan.counts())? {
                return Err(barrier.not_whole(kind, scan.prefix()));
            }
            if is_last {
                return Ok(scan.finish());
            }
        }
    }

    /// Runs once the batch is durable, in the order of commits, before anybody is answered. For caches.
    pub fn after(&mut self, then: Box<dyn FnOnce() + Send>) {
        self.batch.after(then);
    }

    /// The time of this work.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.batch.now
    }

    /// Fills `bytes` from the generator.
    ///
    /// # Errors
    /// Where the generator fails.
    pub fn random(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.batch.barrier.place.entropy.fill(bytes)
    }

    fn store_key(
        &self,
        kind: Kind,
        path: &CanonicalPath,
        version: Option<u64>,
    ) -> Result<Vec<u8>, BarrierError> {
        self.batch.barrier.with_keys(|keys| keys.store_key(self.mount, kind, path, version))
    }
}
