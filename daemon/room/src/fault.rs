//! Why a request fails, in the words of the room where it failed. The gateway gives it status and envelope.
use coffer_barrier::BarrierError;
use coffer_store::StoreError;
use coffer_types::{EntropyError, PathError};
use coffer_wire::{FieldError, ScanError};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Why a request is refused or fails. Sentences are fixed words and names of fields; they never carry a value.
pub enum Fault {
    /// 400, with a sentence that says what would be right.
    BadRequest(Cow<'static, str>),
    /// 403 "permission denied".
    PermissionDenied,
    /// 404 without a sentence: nothing there.
    NotFound,
    /// 404 with `data`: a version that was deleted still has metadata.
    NotFoundWith(Zeroizing<Vec<u8>>),
    /// 404 with a sentence.
    NoRoute(Cow<'static, str>),
    /// 405.
    UnsupportedOperation,
    /// 412, with a sentence.
    Conflict(Cow<'static, str>),
    /// 413, with a sentence.
    TooLarge(&'static str),
    /// 415, with a sentence.
    UnsupportedMediaType(&'static str),
    /// 503: sealed.
    Sealed,
    /// 503, with a sentence.
    Unavailable(Cow<'static, str>),
    /// 507: the disk is full, nothing was changed.
    Full,
    /// 500, with a sentence: what lies on the disk is not what should lie there.
    OnDisk(&'static str),
    /// 500. The cause goes to the daemon's log, never to the client.
    Internal(&'static str),
}

impl Fault {
    /// 400 with a sentence.
    pub fn bad(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::BadRequest(sentence.into())
    }
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self::BadRequest(format!("'{}' {}", error.field, error.must).into())
    }
}

impl From<PathError> for Fault {
    fn from(error: PathError) -> Self {
        Self::bad(error.message())
    }
}

impl From<EntropyError> for Fault {
    fn from(_: EntropyError) -> Self {
        Self::Internal("the operating system gave no randomness")
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            _ => Self::Internal("the store failed"),
        }
    }
}

impl From<BarrierError> for Fault {
    fn from(error: BarrierError) -> Self {
        match error {
            BarrierError::Store(error) => error.into(),
            BarrierError::Damaged(_) => Self::OnDisk(
                "a record was altered on disk: it is not given out; `coffer operator fsck` and the daemon's log name it",
            ),
            BarrierError::Replayed(_) => Self::OnDisk(
                "an older copy of a record was put back on disk, or one that had been deleted: it is not given out; `coffer operator fsck` and the daemon's log name it",
            ),
            BarrierError::Removed(_) => Self::OnDisk(
                "a record was taken away on disk; `coffer operator fsck` and the daemon's log name it",
            ),
            BarrierError::Index => Self::OnDisk(
                "the replay index was altered on disk, so that a record can't be checked: it is not given out; `coffer operator fsck` and the daemon's log say more",
            ),
            BarrierError::Entropy => EntropyError.into(),
            BarrierError::Path(error) => error.into(),
            BarrierError::TooLarge => Self::TooLarge("the value is larger than a record may be"),
            BarrierError::Sealed => Self::Sealed,
            BarrierError::Absent | BarrierError::Stale(_) | BarrierError::BadSealRecord => Self::Internal(
                "the environment's keys in the store are not as they should be; the log says more",
            ),
        }
    }
}

impl From<ScanError> for Fault {
    fn from(error: ScanError) -> Self {
        Self::bad(match error {
            ScanError::TooDeep => "the JSON is nested too deeply".into(),
            ScanError::TooMany => "the JSON has too many values".into(),
            ScanError::Malformed { offset } => Cow::Owned(format!("the body is not JSON at byte {offset}")),
            ScanError::NotAnObject => "the body must be a JSON object".into(),
            ScanError::DuplicateName => {
                Cow::Borrowed("a name stands twice in the same object or in the query")
            }
        })
    }
}
