//! The last committed state, open for reading. It is opened once per commit and shared by all readers, so that a read
//! costs one walk down the tree and no transaction of its own.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use redb::{ReadOnlyTable, ReadableTable, StorageError};
use tokio::sync::Notify;

use super::media::Health;
use crate::batch::{Base, Visit};
use crate::error::StoreError;
use crate::store::StoreFuture;

/// One committed state.
pub(crate) struct Snapshot {
    pub(crate) records: ReadOnlyTable<&'static [u8], &'static [u8]>,
    pub(crate) revision: u64,
    pub(crate) health: Arc<Health>,
}

impl Base for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        caught(|| {
            let found = ReadableTable::get(&self.records, key).map_err(read_error)?;
            Ok(found.map(|value| value.value().to_vec()))
        })
    }

    fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        caught(|| Ok(ReadableTable::get(&self.records, key).map_err(read_error)?.is_some()))
    }

    fn scan(&self, lower: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError> {
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (lower, Bound::Unbounded);
        caught(|| {
            for entry in ReadableTable::range::<&[u8]>(&self.records, bounds).map_err(read_error)? {
                let (key, value) = entry.map_err(read_error)?;
                if visit(key.value(), value.value()).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// redb panics where a page of the file is not what its own checks let pass; to us that is a damaged file like any other.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(StoreError::Corrupted))
}

/// What readers share with the committer.
pub(crate) struct Reading {
    current: ArcSwap<Snapshot>,
    // Beside the snapshot, so that asking for it doesn't touch the snapshot's count.
    revision: AtomicU64,
    dead: AtomicBool,
    replaced: Notify,
}

impl Reading {
    pub(crate) fn of(snapshot: Snapshot) -> Self {
        Self {
            revision: AtomicU64::new(snapshot.revision),
            current: ArcSwap::from_pointee(snapshot),
            dead: AtomicBool::new(false),
            replaced: Notify::new(),
        }
    }

    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        let revision = snapshot.revision;
        self.current.store(Arc::new(snapshot));
        self.revision.store(revision, Ordering::Release);
        self.replaced.notify_waiters();
    }

    /// No other snapshot will come.
    pub(crate) fn end(&self) {
        self.dead.store(true, Ordering::Release);
        self.replaced.notify_waiters();
    }

    /// Reads from the current snapshot; answers at once, unless the file is just being opened anew.
    pub(crate) fn read<'a, T: Send + 'a>(
        &'a self,
        read: impl Fn(&Snapshot) -> Result<T, StoreError> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        let snapshot = self.current.load();
        match read(&snapshot) {
            Ok(value) => Box::pin(std::future::ready(Ok(value))),
            Err(error) => {
                let tried = Arc::clone(&snapshot);
                Box::pin(self.read_again(tried, error, read))
            }
        }
    }

    /// A snapshot whose file was replaced, or hit a full disk, fails for no fault of the record's: there is a new one, or
    /// there soon will be.
    async fn read_again<T>(
        &self,
        mut tried: Arc<Snapshot>,
        mut error: StoreError,
        read: impl Fn(&Snapshot) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        loop {
            let replaced = self.replaced.notified();
            tokio::pin!(replaced);
            replaced.as_mut().enable();
            let current = self.current();
            if Arc::ptr_eq(&current, &tried) {
                if self.dead.load(Ordering::Acquire) || !tried.health.write_failed() {
                    return Err(error);
                }
                replaced.await;
                continue;
            }
            match read(&current) {
                Ok(value) => return Ok(value),
                Err(next) => (error, tried) = (next, current),
            }
        }
    }
}

pub(crate) fn read_error(error: StorageError) -> StoreError {
    match error {
        StorageError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => StoreError::Corrupted,
        StorageError::Io(error) => StoreError::Io(error.kind()),
        StorageError::Corrupted(_) => StoreError::Corrupted,
        StorageError::ValueTooLarge(_) => StoreError::TooLarge,
        StorageError::DatabaseClosed => StoreError::Closed,
        _ => StoreError::Failed,
    }
}
