//! What can go wrong between a share, or a parent's key, and the root key. No variant carries input.
use coffer_types::EntropyError;
use keystore_format::{
    error::{Fault, FormatError},
    share::PREFIX,
};
use std::fmt;

/// Why numbers of shares are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThresholdError {
    /// No share, or more than 255.
    Shares,
    /// A threshold of 0.
    Threshold,
    /// A threshold above the number of shares.
    AboveShares,
    /// A threshold of 1 with several shares: each holder alone could unseal.
    OneOfMany,
}

impl ThresholdError {
    /// One sentence that says what would be right.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Shares => "secret_shares must be at least 1 and at most 255",
            Self::Threshold => "secret_threshold must be at least 1",
            Self::AboveShares => "secret_threshold must not be larger than secret_shares",
            Self::OneOfMany => "secret_threshold must be at least 2 where there are several shares",
        }
    }
}

/// Why a share is refused. The shares offered before it are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShareError {
    /// Not a share in any of its forms.
    Malformed,
    /// A share with a wrong or missing character.
    Typo,
    /// A share of another environment or another store.
    ForeignSet,
    /// A share of this environment that a later rekey has replaced.
    OldSet,
    /// This environment isn't sealed by shares.
    NotByShares,
    /// The shares are right and the seal record is not: it was altered on disk. The ceremony starts over.
    Seal(SealError),
}

impl ShareError {
    /// One sentence for the holder of the share.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Malformed => {
                "'key' must be a share: 82 characters that begin with coffer1, or its hex or base64"
            }
            Self::Typo => "the share is mistyped: some character of it is wrong or missing",
            Self::ForeignSet => "the share belongs to another environment or another store",
            Self::OldSet => "the share was replaced by a rekey: use the newer one",
            Self::NotByShares => "this environment is not sealed by shares",
            Self::Seal(error) => error.message(),
        }
    }

    /// Why a text could not be read as a share: what begins like one is taken for one that was mistyped.
    pub(crate) fn of_text(text: &str, error: FormatError) -> Self {
        let begins_like_one =
            text.trim_ascii().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        match error.fault {
            Fault::NotAuthentic => Self::Typo,
            Fault::UnknownVersion => Self::Malformed,
            _ if begins_like_one => Self::Typo,
            _ => Self::Malformed,
        }
    }
}

/// Why a seal can't be made or opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealError {
    /// No randomness.
    Entropy,
    /// There is no seal record that can be read, or it is of another store or environment.
    NoRecord,
    /// The seal record has no wrap of the kind that was tried.
    NoWrap,
    /// The seal record has wraps of devices that were not made anew.
    OtherWraps,
    /// Two seals of one environment can't have one name.
    NameTaken,
    /// The environment has shares already.
    SharesThere,
    /// Nothing would open the environment any more.
    NoSealLeft,
    /// The key is not the one that the seal record was made with, or the record was altered on disk.
    NotAuthentic,
}

impl SealError {
    /// One sentence for an operator.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Entropy => "the operating system gave no randomness",
            Self::NoRecord => "the store has no readable seal record for this environment",
            Self::NoWrap => "the environment is not sealed in this way",
            Self::OtherWraps => "the environment's seals were changed meanwhile: begin again",
            Self::NameTaken => "the environment has a seal of that name already",
            Self::SharesThere => "the environment has shares already: `coffer operator rekey` replaces them",
            Self::NoSealLeft => {
                "nothing would open the environment any more: add another seal before this one goes"
            }
            Self::NotAuthentic => {
                "the seal record does not match its key: it was altered on disk, or put back from elsewhere, and a backup brings the right one back"
            }
        }
    }
}

impl From<EntropyError> for SealError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}

impl From<SealError> for ShareError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

macro_rules! display {
    ($($error:ty),*) => {$(
        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.message())
            }
        }

        impl std::error::Error for $error {}
    )*};
}

display!(ThresholdError, ShareError, SealError);
