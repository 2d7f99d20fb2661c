//! What can be wrong with bytes, named by field and offset.
use core::fmt;

/// What is wrong, with the field and the offset of its first byte in the input. Never carries input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The field, as `FORMAT.md` names it.
    pub field: &'static str,
    /// Offset of the field in the input, in bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// The kinds of fault that bytes can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The input ends inside the field.
    Truncated,
    /// Bytes follow where the format ends.
    TrailingBytes,
    /// A version that this build does not know.
    UnknownVersion,
    /// An algorithm or kind that this build does not know.
    UnknownAlgorithm,
    /// A mandatory addition of a later build, which this one may not pass over.
    UnknownTag,
    /// A length or count beyond the format's limit.
    TooLong,
    /// A value that the format does not allow there.
    Invalid,
    /// Not the canonical form of its value.
    NotCanonical,
    /// The authentication tag, MAC, signature or checksum does not match.
    NotAuthentic,
}

impl FormatError {
    /// Names a fault.
    #[must_use]
    pub const fn new(field: &'static str, offset: usize, fault: Fault) -> Self {
        Self { field, offset, fault }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            Fault::Truncated => "ends too early",
            Fault::TrailingBytes => "is followed by bytes that do not belong there",
            Fault::UnknownVersion => "has a version that this build does not know",
            Fault::UnknownAlgorithm => "names an algorithm that this build does not know",
            Fault::UnknownTag => "names a mandatory part that this build does not know",
            Fault::TooLong => "is longer than the format allows",
            Fault::Invalid => "has a value that the format does not allow",
            Fault::NotCanonical => "is not in canonical form",
            Fault::NotAuthentic => "is not authentic: altered, moved or under another key",
        };
        write!(f, "{} at byte {} {what}", self.field, self.offset)
    }
}

impl core::error::Error for FormatError {}
