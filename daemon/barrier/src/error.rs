//! What can go wrong between a record and its plaintext.
use coffer_store::StoreError;
use coffer_types::{EntropyError, Kind, PathError};
use keystore_format::error::{Fault, FormatError};
use std::fmt;

/// Why a record could not be read or written. Never carries content.
#[derive(Debug)]
pub enum BarrierError {
    /// The store failed.
    Store(StoreError),
    /// The record on disk was altered, moved or is of an epoch that is gone.
    Damaged(Kind),
    /// The record opens and is not the newest: an older copy was put back, or one that had been deleted.
    Replayed(Kind),
    /// There should be a record: it was taken away behind the daemon's back.
    Removed(Kind),
    /// A node of the replay index was altered or taken away: what lies below it can't be checked.
    Index,
    /// No randomness for a nonce or a key.
    Entropy,
    /// The path can't be stored.
    Path(PathError),
    /// The value is larger than a record may be.
    TooLarge,
    /// The environment was closed: its keys are no longer in memory.
    Sealed,
    /// The store holds nothing of this environment.
    Absent,
    /// What is named here is not what the newest head promises: an older copy was put back.
    Stale(&'static str),
    /// No copy of the seal record is authentic under the root key.
    BadSealRecord,
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the store failed: {error}"),
            Self::Damaged(kind) => write!(f, "a record of kind {kind:?} was altered on disk or moved"),
            Self::Replayed(kind) => write!(
                f,
                "an older copy of a record of kind {kind:?} was put back on disk, or one that had been deleted"
            ),
            Self::Removed(kind) => write!(f, "a record of kind {kind:?} was taken away on disk"),
            Self::Index => f.write_str("a node of the replay index was altered on disk or taken away"),
            Self::Entropy => f.write_str("the operating system gave no randomness"),
            Self::Path(error) => f.write_str(error.message()),
            Self::TooLarge => f.write_str("the value is larger than a record may be"),
            Self::Sealed => f.write_str("the environment is sealed"),
            Self::Absent => f.write_str("the store holds nothing of this environment"),
            Self::Stale(what) => {
                write!(f, "the {what} in the store is older than it should be: a copy was put back")
            }
            Self::BadSealRecord => {
                f.write_str("the seal record was altered on disk, and a backup brings the right one back")
            }
        }
    }
}

impl std::error::Error for BarrierError {}

impl From<StoreError> for BarrierError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge => Self::TooLarge,
            error => Self::Store(error),
        }
    }
}

impl From<EntropyError> for BarrierError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}

impl BarrierError {
    /// Whether a record, or what stands for it in the index, is not as it should be, and the others may be.
    #[must_use]
    pub const fn is_of_records(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Replayed(_) | Self::Removed(_) | Self::Index)
    }

    /// Why bytes could not be made: sealing fails only where something is too long.
    pub(crate) fn sealing(kind: Kind) -> impl Fn(FormatError) -> Self {
        move |error| match error.fault {
            Fault::TooLong => Self::TooLarge,
            _ => Self::Damaged(kind),
        }
    }
}
