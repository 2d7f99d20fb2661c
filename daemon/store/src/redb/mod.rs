//! The default store: one redb file on the daemon's own disk.
//!
//! The commits are redb's two-phase ones with quick repair: a torn write can't be taken for a commit, and reopening after
//! a crash doesn't walk the whole file.

mod engine;
mod folder;
pub(crate) mod media;
mod snapshot;

use std::path::Path;
use std::sync::Arc;

use crate::batch::{Base, range_of};
use crate::committer::Committer;
use crate::error::StoreError;
use crate::store::{Committed, Entry, Leadership, Snapshot, Store, StoreFuture, Work};
use crate::watch::Watch;
use engine::RedbEngine;
use folder::Folder;
use media::Media;
use snapshot::Reading;

/// How a [`RedbStore`] is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most memory for pages read and pages waiting to be written, in bytes.
    pub cache_bytes: usize,
    /// Space kept back for [`Store::commit_urgent`] when the disk is full, in bytes; a file beside the store.
    pub reserve_bytes: u64,
}

impl Default for Options {
    /// 16 MiB of cache, 4 MiB of reserve.
    fn default() -> Self {
        Self { cache_bytes: 16 * 1024 * 1024, reserve_bytes: 4 * 1024 * 1024 }
    }
}

/// A store in a redb file. Dropping it blocks until the works in its queue are done and the file is closed.
pub struct RedbStore {
    // Before `reading`: dropping it ends the committer, which closes the file.
    committer: Committer,
    reading: Arc<Reading>,
}

impl RedbStore {
    /// Opens the store in the file at `path`, or makes it; blocks while it recovers from a crash.
    ///
    /// The folder is made with mode 0700 if it is missing (not its parents), the file with 0600. Beside the file stand
    /// `.lock`, held while the store is open, and `.reserve`.
    ///
    /// Errors: [`StoreError::BroadPermissions`], [`StoreError::Locked`], [`StoreError::Corrupted`],
    /// [`StoreError::UnknownVersion`], [`StoreError::Full`], [`StoreError::Io`].
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        Self::on(Box::new(Folder::open(path.as_ref(), options.reserve_bytes)?), options.cache_bytes)
    }

    pub(crate) fn on(media: Box<dyn Media>, cache_bytes: usize) -> Result<Self, StoreError> {
        let engine = RedbEngine::open(media, cache_bytes)?;
        let reading = engine.reading();
        Ok(Self { committer: Committer::start(engine)?, reading })
    }
}

impl Store for RedbStore {
    fn get<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.reading.read(move |snapshot| snapshot.get(key))
    }

    fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Entry>> {
        self.reading.read(move |snapshot| range_of(snapshot, prefix, after, limit))
    }

    fn commit(&self, work: Work) -> StoreFuture<'_, Committed> {
        self.committer.commit(work, false)
    }

    fn commit_urgent(&self, work: Work) -> StoreFuture<'_, Committed> {
        self.committer.commit(work, true)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(Frozen(self.reading.current())))
    }

    fn revision(&self) -> u64 {
        self.reading.revision()
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

/// A state that readers of the newest one have left behind.
struct Frozen(Arc<snapshot::Snapshot>);

impl Snapshot for Frozen {
    fn range(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        range_of(&*self.0, prefix, after, limit)
    }
}
