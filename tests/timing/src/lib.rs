//! Shamir's scheme as the daemon has it, and variants of it that leak, to see that a check finds them.
#![forbid(unsafe_code)]
pub mod leaky;
#[path = "../../../daemon/seal/src/shamir.rs"]
pub mod shamir;

/// In the place of the daemon's: why numbers of shares are refused. Its words need crates that nothing here does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as in daemon/seal/src/error.rs")]
pub enum ThresholdError {
    Shares,
    Threshold,
    AboveShares,
    OneOfMany,
}
