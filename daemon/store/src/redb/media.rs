//! What a redb store lies on: a folder of the file system, or (in tests) a disk that fails on request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use crate::error::StoreError;

/// The place of a store's file and of its reserve. One per open store.
pub(crate) trait Media: Send + 'static {
    /// The store's file; `None` where there is none yet, or an empty one.
    fn current(&mut self) -> Result<Option<Box<dyn StorageBackend>>, StoreError>;

    /// A new empty file, which [`Media::replace`] puts in the place of the current one.
    fn fresh(&mut self) -> Result<Box<dyn StorageBackend>, StoreError>;

    /// Puts the fresh file in the current one's place, if any, durably. [`StoreError::Failed`] when that is not known.
    fn replace(&mut self) -> Result<(), StoreError>;

    /// Removes the fresh file if there is one.
    fn discard(&mut self);

    /// Takes the reserve's space from the disk, if it isn't held; whether it is held now.
    fn take_reserve(&mut self) -> bool;

    /// Gives the reserve's space back to the disk.
    fn release_reserve(&mut self);

    /// Bytes that can still be written to the disk.
    fn free_bytes(&self) -> u64;
}

/// What went wrong with one opened file. redb answers `PreviousIo` to everything after the first fault, so the kind of
/// that first fault is kept here.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// A write or a growth was refused for want of space.
    pub(crate) full: AtomicBool,
    /// A write failed otherwise, or a sync failed: what is durable is unknown.
    pub(crate) lost: AtomicBool,
}

impl Health {
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire) && !self.lost.load(Ordering::Acquire)
    }

    pub(crate) fn write_failed(&self) -> bool {
        self.full.load(Ordering::Acquire) || self.lost.load(Ordering::Acquire)
    }

    fn note_write<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| match StoreError::from(io::Error::from(error.kind())) {
            StoreError::Full => self.full.store(true, Ordering::Release),
            _ => self.lost.store(true, Ordering::Release),
        })
    }
}

/// A file whose faults are noted.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) file: Box<dyn StorageBackend>,
    pub(crate) health: Arc<Health>,
}

/// Locks are left unsupported: the folder's own lock excludes others before redb sees a file.
impl StorageBackend for Noted {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.health.note_write(self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        // Also for want of space: after a failed sync the kernel may have dropped what was written.
        self.file.sync_data().inspect_err(|_| self.health.lost.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.health.note_write(self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
