//! The trait, and the words it is made of.

use std::future::Future;
use std::pin::Pin;

use crate::error::StoreError;
use crate::watch::Watch;

/// What a [`Store`] answers: boxed, so that `dyn Store` can be passed around.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A change: reads and writes through the transaction, or answers [`Abort`] and leaves nothing.
///
/// It may run more than once before it is answered (a store without room for the batch, or one shared between machines,
/// runs it again on the newer state), so it starts from scratch each time; only its last run counts.
pub type Work = Box<dyn FnMut(&mut dyn Transaction) -> Result<(), Abort> + Send>;

/// A step registered by [`Transaction::at_end`].
pub type AtEnd = Box<dyn FnOnce(&mut dyn Transaction) -> Result<(), StoreError> + Send>;

/// A step registered by [`Transaction::after`].
pub type AfterCommit = Box<dyn FnOnce() + Send>;

/// Longest key in bytes.
pub const MAX_KEY_BYTES: usize = 8 * 1024;

/// Most that one work may write, keys and values together, in bytes.
pub const MAX_WORK_BYTES: usize = 64 * 1024 * 1024;

/// A work's word that nothing of it shall be written; the closure keeps its own reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort;

/// How a work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Everything it wrote is durable, as of this revision. Works of one batch share a revision.
    Durable(u64),
    /// It answered [`Abort`]; nothing of it was written.
    Aborted,
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Who may write to this store at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// The store is this process's alone and can't be shared.
    Alone,
    /// Of several machines, this one writes; the term fences off earlier leaders.
    Leader {
        /// Number of this leadership, greater than every earlier one.
        term: u64,
    },
    /// Of several machines, another one writes.
    Follower {
        /// That machine's address, when it is known.
        leader: Option<String>,
    },
}

/// An ordered map of byte strings whose changes are durable when they are acknowledged.
pub trait Store: Send + Sync + 'static {
    /// The value at `key`, as of the last durable commit.
    fn get<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// The entries whose key begins with `prefix`, in key order: at most `limit`, and strictly after the full key `after`.
    ///
    /// One call sees one committed state; the next page may see a later one.
    fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Entry>>;

    /// Runs `work` on the committer, and resolves when the batch it was in is durable.
    ///
    /// A caller who drops the future does not stop the work. Errors: [`StoreError::Full`] and
    /// [`StoreError::Panicked`] changed nothing; after [`StoreError::Failed`] nobody knows, and the handle is dead.
    fn commit(&self, work: Work) -> StoreFuture<'_, Committed>;

    /// As [`Store::commit`], but may use the space that is kept back for a full disk: for revocation and sealing only.
    fn commit_urgent(&self, work: Work) -> StoreFuture<'_, Committed>;

    /// The last committed state, held still for reading while commits go on: what a backup is made from.
    ///
    /// It costs the store the space of what is replaced meanwhile; drop it when done.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Revision of the last durable commit; 0 in a new store. It survives reopening and never goes back.
    fn revision(&self) -> u64;

    /// The changes of keys that begin with `prefix`, from revision `from` on; `from` 0 means from now on.
    ///
    /// A store that no longer has the changes since `from` says [`WatchError::Lagged`](crate::WatchError::Lagged) first.
    fn watch(&self, prefix: &[u8], from: u64) -> Watch;

    /// Who may write at present.
    fn leader(&self) -> Leadership;

    /// Leaves no removed value in what the store keeps: files are written anew without them, and the old ones unlinked.
    ///
    /// Commits wait meanwhile, reads don't. May need as much space again; [`StoreError::Full`] changes nothing. What the
    /// old file's blocks hold on the device is beyond its reach.
    fn compact(&self) -> StoreFuture<'_, ()>;

    /// Whether a commit failed in a way that ends this handle; the daemon seals when it is true.
    fn failed(&self) -> bool;
}

/// One committed state of a store.
pub trait Snapshot: Send + Sync {
    /// As [`Store::range`], always on the same state.
    fn range(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError>;
}

/// What a [`Work`] sees: everything committed, then the earlier works of its batch, then its own writes.
pub trait Transaction {
    /// The value at `key`.
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// As [`Store::range`], on the transaction's state.
    fn range(&mut self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Writes `value` at `key`; whether there was one before.
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<bool, StoreError>;

    /// Removes `key`; whether it was there.
    fn delete(&mut self, key: &[u8]) -> Result<bool, StoreError>;

    /// Has `finish` run once at the end of the batch, before that is made durable, in the order in which the ids came.
    ///
    /// A later registration under the same `id` replaces the earlier one and keeps its place: heads are written so, once
    /// for all works of a batch. A work that aborts takes back what it registered, and what it had replaced stands again.
    /// When a `finish` errs, the whole batch is refused with that error and nothing of it is written. A `finish` may
    /// write and register [`Transaction::after`], and may register further ends.
    fn at_end(&mut self, id: [u8; 16], finish: AtEnd);

    /// Has `then` run on the committer when the batch is durable, in commit order, before anybody is answered.
    ///
    /// It must not wait for the store. Dropped unrun if the work aborts or the batch is refused.
    fn after(&mut self, then: AfterCommit);
}
