//! The disk as redb's storage, and as the place of a store.

use std::io;

use redb::StorageBackend;

use super::disk::{BLOCK_BYTES, Disk, DiskFile, Kind, Pending};
use super::trace::Step;
use crate::error::StoreError;
use crate::redb::media::Media;

/// An open store's place on a [`Disk`].
pub(super) struct DiskMedia {
    disk: Disk,
    reserve_bytes: u64,
    fresh: Option<u64>,
}

impl DiskMedia {
    pub(super) fn open(disk: Disk, reserve_bytes: u64) -> Result<Self, StoreError> {
        let mut state = disk.lock();
        if std::mem::replace(&mut state.is_open, true) {
            return Err(StoreError::Locked);
        }
        drop(state);
        Ok(Self { disk, reserve_bytes, fresh: None })
    }

    fn storage(&self, file: u64) -> Box<dyn StorageBackend> {
        Box::new(Storage { disk: self.disk.clone(), file })
    }
}

impl Drop for DiskMedia {
    fn drop(&mut self) {
        self.disk.lock().is_open = false;
    }
}

impl Media for DiskMedia {
    fn current(&mut self) -> Result<Option<Box<dyn StorageBackend>>, StoreError> {
        let mut state = self.disk.lock();
        let file = state.current;
        let is_empty = state.file(file).is_ok_and(|file| file.seen.is_empty());
        drop(state);
        Ok((!is_empty).then(|| self.storage(file)))
    }

    fn fresh(&mut self) -> Result<Box<dyn StorageBackend>, StoreError> {
        self.discard();
        let mut state = self.disk.lock();
        let file = state.files.keys().next_back().map_or(0, |last| last + 1);
        state.files.insert(file, DiskFile::default());
        drop(state);
        self.fresh = Some(file);
        Ok(self.storage(file))
    }

    fn replace(&mut self) -> Result<(), StoreError> {
        let mut state = self.disk.lock();
        state.count(Kind::Sync).map_err(|_| StoreError::Failed)?;
        if let Some(fresh) = self.fresh.take() {
            state.current = fresh;
            state.files.retain(|file, _| *file == fresh);
            if let Some(trace) = &mut state.trace {
                trace.push(Step::Replace { current: fresh });
            }
        }
        Ok(())
    }

    fn discard(&mut self) {
        if let Some(fresh) = self.fresh.take() {
            self.disk.lock().files.remove(&fresh);
        }
    }

    fn take_reserve(&mut self) -> bool {
        let mut state = self.disk.lock();
        let blocks = self.reserve_bytes / BLOCK_BYTES;
        if state.reserve_blocks == 0 && state.free_blocks() >= blocks {
            state.reserve_blocks = blocks;
        }
        state.reserve_blocks == blocks
    }

    fn release_reserve(&mut self) {
        self.disk.lock().reserve_blocks = 0;
    }

    fn free_bytes(&self) -> u64 {
        self.disk.lock().free_blocks() * BLOCK_BYTES
    }
}

#[derive(Debug)]
struct Storage {
    disk: Disk,
    file: u64,
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().file(self.file)?.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.count(Kind::Read)?;
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let seen = state.file(self.file)?.seen.get(from..from + out.len());
        out.copy_from_slice(seen.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.count(Kind::Write)?;
        let file = state.file(self.file)?;
        file.blocks.retain(|block| *block < len.div_ceil(BLOCK_BYTES));
        file.push(Pending::SetLen(len));
        if let Some(trace) = &mut state.trace {
            trace.push(Step::Pending { file: self.file, step: Pending::SetLen(len) });
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let synced = state.count(Kind::Sync);
        let file = state.file(self.file)?;
        if let Err(error) = synced {
            // The kernel takes the pages for clean now: they are seen until the power goes, and never written.
            file.pending.clear();
            return Err(error);
        }
        file.sync();
        if let Some(trace) = &mut state.trace {
            trace.push(Step::Sync { file: self.file });
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.count(Kind::Write)?;
        let free = state.free_blocks();
        let file = state.file(self.file)?;
        let end = offset + data.len() as u64;
        if end > file.seen.len() as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let new: Vec<u64> = (offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES))
            .filter(|block| !file.blocks.contains(block))
            .collect();
        if new.len() as u64 > free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.blocks.extend(new);
        let step = Pending::Write { offset, data: data.to_vec() };
        file.push(step.clone());
        if let Some(trace) = &mut state.trace {
            trace.push(Step::Pending { file: self.file, step });
        }
        Ok(())
    }
}
