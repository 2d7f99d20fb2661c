//! What a store can answer instead of doing it. No variant carries a key or a value.

use std::fmt;
use std::io;

/// Why a store did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// No space left; nothing was changed, and later commits are allowed.
    Full,
    /// A durable commit failed, or what is durable is unknown: this handle makes no further commit. Reads may still answer.
    Failed,
    /// The store was closed, or its committer is gone.
    Closed,
    /// Another process, or another handle of this one, has the store open.
    Locked,
    /// The file or its folder can be read or written by others than its owner.
    BroadPermissions,
    /// The file is not a store, or is damaged beyond what recovery can mend.
    Corrupted,
    /// The file was written by a newer or unknown version of the store.
    UnknownVersion,
    /// A key, or the sum of what one work writes, is over [`crate::MAX_KEY_BYTES`] or [`crate::MAX_WORK_BYTES`].
    TooLarge,
    /// The work panicked; it left no trace.
    Panicked,
    /// The operating system refused; nothing was changed.
    Io(io::ErrorKind),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("no space left for the store; nothing was changed"),
            Self::Failed => f.write_str("the store failed while making a commit durable and takes no more"),
            Self::Closed => f.write_str("the store is closed"),
            Self::Locked => f.write_str("the store is in use by another process"),
            Self::BroadPermissions => {
                f.write_str("the store's folder must have mode 0700 and its file mode 0600, both owned by the daemon's user")
            }
            Self::Corrupted => f.write_str("the store's file is damaged or is not a store"),
            Self::UnknownVersion => f.write_str("the store's file was written by a version that this one does not know"),
            Self::TooLarge => f.write_str("a key or a change is too large for the store"),
            Self::Panicked => f.write_str("a change panicked and was not made"),
            Self::Io(kind) => write!(f, "the store could not be reached: {kind}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            kind => Self::Io(kind),
        }
    }
}
