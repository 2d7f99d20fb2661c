//! Makes a batch durable in redb, and decides what a fault means.
//!
//! A full disk shows while pages are written, before the commit: the file is opened anew, which is the state before, and
//! the batch is refused. Any other fault of a write, and every fault of a sync, leaves open what is on the disk: then the
//! handle is done, because a later sync that succeeds would prove nothing about the earlier pages.

use std::io::ErrorKind;
use std::sync::Arc;

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, StorageError, TableDefinition,
};

use super::media::{Health, Media, Noted};
use super::snapshot::{Reading, Snapshot, caught, read_error};
use crate::batch::{Base, Changes};
use crate::committer::Engine;
use crate::error::StoreError;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const FORMAT: u64 = 1;

/// Space that must be free beyond four times a batch's bytes before it is tried on a disk that was full just before: each
/// try that fails costs opening the file anew.
const ROOM_BYTES: u64 = 1024 * 1024;

/// One open store, on the committer's thread.
pub(crate) struct RedbEngine {
    media: Box<dyn Media>,
    cache_bytes: usize,
    file: Option<OpenFile>,
    reading: Arc<Reading>,
    revision: u64,
    /// The disk was full at the last try, and may still be.
    was_full: bool,
}

struct OpenFile {
    database: Database,
    health: Arc<Health>,
}

impl RedbEngine {
    pub(crate) fn open(mut media: Box<dyn Media>, cache_bytes: usize) -> Result<Self, StoreError> {
        let mut was_full = !media.take_reserve();
        let file = match OpenFile::open_or_make(&mut *media, cache_bytes) {
            // Recovery may need a page or two; reading and sealing must work on a full disk.
            Err(StoreError::Full) if !was_full => {
                was_full = true;
                media.release_reserve();
                OpenFile::open_or_make(&mut *media, cache_bytes)?
            }
            opened => opened?,
        };
        let snapshot = file.snapshot()?;
        let revision = snapshot.revision;
        Ok(Self {
            media,
            cache_bytes,
            file: Some(file),
            reading: Arc::new(Reading::of(snapshot)),
            revision,
            was_full,
        })
    }

    pub(crate) fn reading(&self) -> Arc<Reading> {
        Arc::clone(&self.reading)
    }

    fn write(&mut self, revision: u64, changes: &Changes) -> Result<(), StoreError> {
        let file = self.file.as_ref().ok_or(StoreError::Failed)?;
        caught(|| {
            file.write(changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref())), revision)
        })?;
        self.reading.publish(file.snapshot().map_err(|_| StoreError::Failed)?);
        self.revision = revision;
        Ok(())
    }

    /// After a write that failed: whether `revision` is there all the same.
    fn reopen(&mut self, revision: u64) -> Result<bool, StoreError> {
        self.file = None;
        let storage = self.media.current().ok().flatten().ok_or(StoreError::Failed)?;
        let file = OpenFile::open(storage, self.cache_bytes).map_err(|_| StoreError::Failed)?;
        let snapshot = file.snapshot().map_err(|_| StoreError::Failed)?;
        self.revision = snapshot.revision;
        self.reading.publish(snapshot);
        self.file = Some(file);
        Ok(self.revision == revision)
    }

    fn is_full(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.health.is_full())
    }

    fn write_or_stay(&mut self, revision: u64, changes: &Changes, urgent: bool) -> Result<(), StoreError> {
        if !urgent && self.was_full {
            let needed = changes
                .iter()
                .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
                .sum::<usize>();
            if !self.media.take_reserve() || self.media.free_bytes() < ROOM_BYTES + 4 * needed as u64 {
                return Err(StoreError::Full);
            }
        }
        if self.write(revision, changes).is_ok() {
            self.was_full &= urgent;
            return Ok(());
        }
        if !self.is_full() {
            return Err(StoreError::Failed);
        }
        self.was_full = true;
        self.media.release_reserve();
        if self.reopen(revision)? {
            return Ok(());
        }
        if !urgent {
            self.media.take_reserve();
            return Err(StoreError::Full);
        }
        if self.write(revision, changes).is_ok() {
            return Ok(());
        }
        if !self.is_full() {
            return Err(StoreError::Failed);
        }
        if self.reopen(revision)? { Ok(()) } else { Err(StoreError::Full) }
    }

    fn copy(&mut self) -> Result<OpenFile, StoreError> {
        let fresh = OpenFile::start(self.media.fresh()?, self.cache_bytes)?;
        let from = self.reading.current();
        let written = fresh.fill(&from, self.revision);
        if fresh.health.is_full() { Err(StoreError::Full) } else { written.map(|()| fresh) }
    }
}

impl Engine for RedbEngine {
    fn base(&self) -> Result<Arc<dyn Base + Send + Sync>, StoreError> {
        Ok(self.reading.current())
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn apply(&mut self, revision: u64, changes: &Changes, urgent: bool) -> Result<(), StoreError> {
        let applied = self.write_or_stay(revision, changes, urgent);
        if applied == Err(StoreError::Failed) {
            self.reading.end();
        }
        applied
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        let fresh = match self.copy() {
            Ok(fresh) => fresh,
            Err(error) => {
                self.media.discard();
                // The old file is untouched, whatever befell the new one.
                return Err(if error == StoreError::Failed {
                    StoreError::Io(ErrorKind::Other)
                } else {
                    error
                });
            }
        };
        let snapshot = fresh.snapshot()?;
        match self.media.replace() {
            Ok(()) => {}
            Err(error) => {
                if error == StoreError::Failed {
                    self.reading.end();
                } else {
                    self.media.discard();
                }
                return Err(error);
            }
        }
        self.reading.publish(snapshot);
        self.file = Some(fresh);
        Ok(())
    }
}

impl Drop for RedbEngine {
    fn drop(&mut self) {
        self.reading.end();
    }
}

impl OpenFile {
    fn open_or_make(media: &mut dyn Media, cache_bytes: usize) -> Result<Self, StoreError> {
        match media.current()? {
            Some(storage) => Self::open(storage, cache_bytes),
            None => Self::make(media, cache_bytes),
        }
    }

    fn open(storage: Box<dyn StorageBackend>, cache_bytes: usize) -> Result<Self, StoreError> {
        caught(|| {
            let file = Self::start(storage, cache_bytes)?;
            let about = file
                .database
                .begin_read()
                .map_err(|_| StoreError::Failed)?
                .open_table(ABOUT)
                .map_err(table_error)?;
            match about.get("format").map_err(read_error)?.map(|value| value.value()) {
                Some(FORMAT) => Ok(file),
                Some(_) => Err(StoreError::UnknownVersion),
                None => Err(StoreError::Corrupted),
            }
        })
    }

    /// A new store. It takes its place when it is whole, because redb doesn't open a file whose making was cut off.
    fn make(media: &mut dyn Media, cache_bytes: usize) -> Result<Self, StoreError> {
        let file = Self::start(media.fresh()?, cache_bytes)?;
        file.write(std::iter::empty(), 0)?;
        media.replace()?;
        Ok(file)
    }

    fn start(storage: Box<dyn StorageBackend>, cache_bytes: usize) -> Result<Self, StoreError> {
        let health = Arc::new(Health::default());
        let noted = Noted { file: storage, health: Arc::clone(&health) };
        let database =
            Database::builder().set_cache_size(cache_bytes).create_with_backend(noted).map_err(open_error)?;
        Ok(Self { database, health })
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        caught(|| {
            let transaction = self.database.begin_read().map_err(|_| StoreError::Failed)?;
            let about = transaction.open_table(ABOUT).map_err(table_error)?;
            let revision = about.get("revision").map_err(read_error)?.map_or(0, |value| value.value());
            let records = transaction.open_table(RECORDS).map_err(table_error)?;
            Ok(Snapshot { records, revision, health: Arc::clone(&self.health) })
        })
    }

    /// One durable commit.
    fn write<'a>(
        &self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        revision: u64,
    ) -> Result<(), StoreError> {
        self.transact(revision, |records| {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(records.insert(key, value)?),
                    None => drop(records.remove(key)?),
                }
            }
            Ok(())
        })
    }

    fn fill(&self, from: &Snapshot, revision: u64) -> Result<(), StoreError> {
        self.transact(revision, |records| {
            for entry in from.records.iter()? {
                let (key, value) = entry?;
                records.insert(key.value(), value.value())?;
            }
            Ok(())
        })
    }

    fn transact(
        &self,
        revision: u64,
        fill: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>) -> Result<(), StorageError>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().map_err(|_| StoreError::Failed)?;
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        {
            let mut records = transaction.open_table(RECORDS).map_err(table_error)?;
            fill(&mut records).map_err(read_error)?;
            let mut about = transaction.open_table(ABOUT).map_err(table_error)?;
            about.insert("format", FORMAT).map_err(read_error)?;
            about.insert("revision", revision).map_err(read_error)?;
        }
        transaction.commit().map_err(|_| StoreError::Failed)?;
        // redb may have been refused space on the way for pages that it later wrote all the same.
        self.health.full.store(false, std::sync::atomic::Ordering::Release);
        Ok(())
    }
}

fn table_error(error: redb::TableError) -> StoreError {
    match error {
        redb::TableError::Storage(error) => read_error(error),
        _ => StoreError::Corrupted,
    }
}

fn open_error(error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreError::Locked,
        DatabaseError::UpgradeRequired(_) => StoreError::UnknownVersion,
        DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => StoreError::Corrupted,
            _ => error.into(),
        },
        DatabaseError::Storage(error) => read_error(error),
        _ => StoreError::Corrupted,
    }
}
