//! Why something was not recorded, or a log not opened.
use coffer_barrier::BarrierError;
use std::{fmt, io};

/// Nothing was recorded, so nothing may be answered: 503. Sealing alone goes on regardless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unrecorded {
    /// No space is left for the log. The next request tries again.
    Full,
    /// A write or a sync of the log failed; it takes no more until the daemon is started anew.
    Failed,
    /// The log grows faster than the disk takes it. The next request tries again.
    Behind,
    /// The operating system gave no randomness.
    Entropy,
    /// The store could not keep what the record needs.
    Store,
    /// The record has more fields than a leaf holds.
    TooLarge,
    /// The environment was sealed meanwhile, or the journal is closed.
    Closed,
}

impl Unrecorded {
    /// One sentence for the client.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Full => "the audit log's disk is full; nothing was done",
            Self::Failed => "the audit log cannot be written; nothing was answered",
            Self::Behind => "the audit log's disk is too slow; try again",
            Self::Entropy => "the operating system gave no randomness for the audit record",
            Self::Store => "the store could not keep the audit record; nothing was answered",
            Self::TooLarge => "the request has more to record than an audit leaf holds",
            Self::Closed => "the audit log is closed",
        }
    }
}

impl fmt::Display for Unrecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Unrecorded {}

/// Why the journal does not open.
#[derive(Debug)]
pub enum JournalError {
    /// Another process has it open.
    Locked,
    /// The folder or a file in it can be read or written by others than its owner.
    BroadPermissions,
    /// A frame that is not at the very end is damaged: file and offset in bytes. `coffer audit verify` says more.
    Damaged(String, u64),
    /// A segment of the journal is missing: its number.
    MissingSegment(u64),
    /// The journal has fewer leaves of the node log than its last checkpoint covers.
    Short {
        /// Leaves that the checkpoint covers.
        promised: u64,
        /// Leaves that the journal has.
        present: u64,
    },
    /// The node's key file is not one.
    BadNodeKey,
    /// The host name can't stand in an origin.
    BadHost,
    /// The operating system gave no randomness.
    Entropy,
    /// The operating system refused.
    Io(io::ErrorKind),
    /// The node log could not be begun or continued.
    Unrecorded(Unrecorded),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("the audit log is in use by another process"),
            Self::BroadPermissions => f.write_str(
                "the audit log's folder must have mode 0700 and its files 0600, owned by the daemon's user",
            ),
            Self::Damaged(file, offset) => write!(f, "the audit log is damaged in {file} at byte {offset}"),
            Self::MissingSegment(number) => write!(f, "segment {number} of the audit log is missing"),
            Self::Short { promised, present } => {
                write!(
                    f,
                    "the journal has {present} leaves of the node log where its checkpoint covers {promised}"
                )
            }
            Self::BadNodeKey => f.write_str("the node's key file is damaged"),
            Self::BadHost => f.write_str("the audit log's host must be a host name"),
            Self::Entropy => f.write_str("the operating system gave no randomness"),
            Self::Io(kind) => write!(f, "the audit log could not be opened: {kind}"),
            Self::Unrecorded(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for JournalError {}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

impl From<Unrecorded> for JournalError {
    fn from(error: Unrecorded) -> Self {
        Self::Unrecorded(error)
    }
}

/// Why an environment's log does not open, so that the environment must not open either.
#[derive(Debug)]
pub enum BookError {
    /// The journal has fewer leaves than the store's head promises.
    Missing {
        /// Leaves that the head promises.
        promised: u64,
        /// Leaves that the journal has.
        present: u64,
    },
    /// The journal's leaves are not the ones that the head promises.
    Altered {
        /// Leaves that the head promises.
        promised: u64,
    },
    /// The store is older than the journal's leaves of its changes: it was put back.
    Older {
        /// The store's generation.
        store: u64,
        /// The newest generation that the journal tells of.
        log: u64,
    },
    /// The journal holds another incarnation of this log than the head names: the store was put back or exchanged.
    Foreign,
    /// The log does not go on from a checkpoint that somebody keeps.
    Kept(KeptFault),
    /// What waits in the store to be appended to the journal is damaged.
    DamagedOutbox,
    /// A file of the log is not what it was; `coffer audit verify` names the place.
    DamagedLog,
    /// The records could not be read or written.
    Barrier(BarrierError),
    /// The log could not be written.
    Unrecorded(Unrecorded),
}

/// Why a log does not go on from a checkpoint that somebody keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeptFault {
    /// The log has fewer leaves than the checkpoint covers: store and log were put back together.
    Ahead {
        /// Leaves that the checkpoint covers.
        kept: u64,
        /// Leaves that the log has.
        log: u64,
    },
    /// The log's first leaves are not those that the checkpoint covers.
    Other {
        /// Leaves that the checkpoint covers.
        kept: u64,
    },
    /// It is of an incarnation that this log knows nothing of.
    UnknownIncarnation,
    /// The key of this environment's log did not sign it.
    NotSigned,
}

impl fmt::Display for KeptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ahead { kept, log } => write!(
                f,
                "the store and its audit log are older than a checkpoint that was kept: it covers {kept} leaves, and the log has {log}"
            ),
            Self::Other { kept } => write!(
                f,
                "the audit log is not the one of a checkpoint that was kept: its first {kept} leaves are others"
            ),
            Self::UnknownIncarnation => f.write_str(
                "the store and its audit log are older than a checkpoint that was kept, or of another daemon: the log knows nothing of that checkpoint's incarnation",
            ),
            Self::NotSigned => f.write_str(
                "a checkpoint that was given is not signed by the key of this environment's log: give the file as `coffer` kept it, or leave it away",
            ),
        }
    }
}

impl BookError {
    /// Whether a quorum may accept it, where the store was put back on purpose.
    #[must_use]
    pub const fn is_rollback(&self) -> bool {
        match self {
            Self::Older { .. } | Self::Foreign => true,
            Self::Kept(fault) => !matches!(fault, KeptFault::NotSigned),
            _ => false,
        }
    }
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { promised, present } => {
                write!(
                    f,
                    "the audit log has {present} leaves of this environment where its store promises {promised}"
                )
            }
            Self::Altered { promised } => {
                write!(
                    f,
                    "the first {promised} leaves of this environment's audit log are not those its store promises"
                )
            }
            Self::Older { store, log } => write!(
                f,
                "the store is older than its audit log: it is of generation {store}, and the log tells of changes up to {log}"
            ),
            Self::Foreign => f.write_str(
                "the store is older than its audit log, or of another daemon: the log belongs to another incarnation of this environment",
            ),
            Self::Kept(fault) => fault.fmt(f),
            Self::DamagedOutbox => f.write_str("an audit leaf that waits in the store is damaged"),
            Self::DamagedLog => {
                f.write_str("a file of the audit log was altered; `coffer audit verify` names the place")
            }
            Self::Barrier(error) => error.fmt(f),
            Self::Unrecorded(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BookError {}

impl From<BarrierError> for BookError {
    fn from(error: BarrierError) -> Self {
        Self::Barrier(error)
    }
}

impl From<Unrecorded> for BookError {
    fn from(error: Unrecorded) -> Self {
        Self::Unrecorded(error)
    }
}
