//! Shamir's scheme as the daemon has it, and variants of it that leak, to see that a check finds them.
#![forbid(unsafe_code)]
#[allow(dead_code, missing_docs, reason = "the daemon uses the rest of it")]
#[path = "../../../daemon/seal/src/error.rs"]
mod error;
pub mod leaky;
#[path = "../../../daemon/seal/src/shamir.rs"]
pub mod shamir;

pub use error::ThresholdError;
