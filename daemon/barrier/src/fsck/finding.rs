//! What is found, and how it is told.
use crate::BarrierError;
use coffer_store::StoreError;
use coffer_types::MountId;

/// What is said while it looks.
pub enum Told {
    /// So many records were looked at, of as many as the index has.
    Progress {
        /// Looked at.
        checked: u64,
        /// In the index.
        of: u64,
    },
    /// Something is not as it should be.
    Finding(Finding),
}

/// One thing that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What.
    pub wrong: Wrong,
    /// The record's mount; zeroes are the environment's own tables.
    pub mount: Option<MountId>,
    /// The record's kind, as a number of the format.
    pub kind: Option<u16>,
    /// The record's path, where its name opens.
    pub path: Option<String>,
    /// The record's version, for kinds that have versions.
    pub version: Option<u64>,
    /// Where it lies in the store; of a missing record the hash of that.
    pub store_key: Vec<u8>,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// A record was altered, or moved here from another place.
    Altered,
    /// A record opens and is not the newest: an older copy was put back.
    Replayed,
    /// A record opens and the index knows none: one that was deleted was brought back.
    Returned,
    /// The index knows a record, and there is none.
    Removed,
    /// A node of the index was altered or taken away.
    Node,
    /// A node lies in the store that is no part of the index.
    StrayNode,
    /// A directory has other records than the index counts in it: some were taken away or brought back.
    Directory,
    /// One of the two copies of the head, the keyring or the seal record.
    Copy,
}

/// What it came to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Generation of the state that was looked at.
    pub generation: u64,
    /// Records in the store, the outbox included.
    pub records: u64,
    /// Entries of the index: records, and directories with what lies in them counted.
    pub indexed: u64,
    /// Nodes of the index.
    pub nodes: u64,
    /// Findings.
    pub findings: u64,
}

/// Why it ended early.
#[derive(Debug)]
pub enum FsckStop {
    /// Whoever is told has gone.
    Gone,
    /// The store failed, or the environment was closed.
    Barrier(BarrierError),
}

impl From<BarrierError> for FsckStop {
    fn from(error: BarrierError) -> Self {
        Self::Barrier(error)
    }
}

impl From<StoreError> for FsckStop {
    fn from(error: StoreError) -> Self {
        Self::Barrier(error.into())
    }
}
