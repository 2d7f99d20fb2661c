//! Where sealed bytes rest. The daemon sees one trait, [`Store`]; behind it stand `redb` on disk, a map in memory, and
//! (for tests) stores that lose power or run out of space on request.
//!
//! A change is a closure ([`Work`]) that one committer runs against everything committed before it, so that a
//! read-modify-write needs no lock and no retry, and all who wait share one durable commit. Acknowledged means durable.
//!
//! Deliberately missing: encryption, names, any meaning of a key. Those are the barrier's.
#![forbid(unsafe_code)]

mod batch;
mod committer;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
#[cfg(feature = "faulty")]
pub mod faulty;
mod memory;
mod redb;
mod store;
mod typed;
mod watch;

pub use crate::redb::{Options, RedbStore};
pub use error::StoreError;
pub use memory::{MemoryDisk, MemoryStore};
pub use store::{
    Abort, AfterCommit, AtEnd, Committed, Entry, Leadership, MAX_KEY_BYTES, MAX_WORK_BYTES, Snapshot, Store,
    StoreFuture, Transaction, Work,
};
pub use typed::{CommitError, commit, commit_urgent};
pub use watch::{Change, Watch, WatchError};
