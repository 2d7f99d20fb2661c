//! A store that is gone with its process: for tests, and for `dev` without a disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::batch::{Base, Changes, Visit, range_of};
use crate::committer::{Committer, Engine};
use crate::error::StoreError;
use crate::store::{Committed, Entry, Leadership, Snapshot, Store, StoreFuture, Work};
use crate::watch::Watch;

/// A store in memory, with the same committer as the one on disk.
pub struct MemoryStore {
    disk: MemoryDisk,
    committer: Committer,
}

/// What a [`MemoryStore`] holds, for opening it again after the store was dropped.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<RwLock<State>>,
}

#[derive(Default)]
struct State {
    revision: u64,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryStore {
    /// An empty store. Errors: [`StoreError::Io`] when no thread can be started.
    pub fn new() -> Result<Self, StoreError> {
        Self::on(MemoryDisk::default())
    }

    /// A store over what an earlier one left on `disk`.
    pub fn on(disk: MemoryDisk) -> Result<Self, StoreError> {
        Ok(Self { committer: Committer::start(disk.clone())?, disk })
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(std::future::ready(Base::get(&self.disk, key)))
    }

    fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Entry>> {
        Box::pin(std::future::ready(range_of(&self.disk, prefix, after, limit)))
    }

    fn commit(&self, work: Work) -> StoreFuture<'_, Committed> {
        self.committer.commit(work, false)
    }

    fn commit_urgent(&self, work: Work) -> StoreFuture<'_, Committed> {
        self.committer.commit(work, true)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let state = self.disk.read();
        let copy = State { revision: state.revision, entries: state.entries.clone() };
        Ok(Box::new(MemoryDisk { state: Arc::new(RwLock::new(copy)) }))
    }

    fn revision(&self) -> u64 {
        self.disk.read().revision
    }

    fn watch(&self, prefix: &[u8], from: u64) -> Watch {
        self.committer.watch(prefix, from)
    }

    fn leader(&self) -> Leadership {
        Leadership::Alone
    }

    fn compact(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.committer.compact())
    }

    fn failed(&self) -> bool {
        self.committer.failed()
    }
}

impl MemoryDisk {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot for MemoryDisk {
    fn range(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        range_of(self, prefix, after, limit)
    }
}

impl Base for MemoryDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read().entries.get(key).cloned())
    }

    fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.read().entries.contains_key(key))
    }

    fn scan(&self, lower: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        for (key, value) in self.read().entries.range::<[u8], _>((lower, Bound::Unbounded)) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Engine for MemoryDisk {
    fn base(&self) -> Result<Arc<dyn Base + Send + Sync>, StoreError> {
        Ok(Arc::new(self.clone()))
    }

    fn revision(&self) -> u64 {
        self.read().revision
    }

    fn apply(&mut self, revision: u64, changes: &Changes, _urgent: bool) -> Result<(), StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (key, change) in changes {
            match change {
                Some(value) => drop(state.entries.insert(key.clone(), value.clone())),
                None => drop(state.entries.remove(key)),
            }
        }
        state.revision = revision;
        Ok(())
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
