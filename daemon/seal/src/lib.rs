//! What wraps a root key at rest.
//!
//! A pure brain: it splits and joins keys ([`shamir`]), makes the seal of a new environment ([`Initialised`],
//! [`Inherited`]), replaces it ([`rekey`]) and brings the holders of shares together ([`UnsealProgress`]). It reads no store and writes none:
//! the barrier does, so that seal record, keyring and head change in one commit.
//!
//! Deliberately missing: seals by HSM, TPM and transit key; the seal record has room for them.
#![forbid(unsafe_code)]

mod ceremony;
pub mod device;
mod error;
mod init;
pub mod rekey;
mod seal;
pub mod shamir;

pub use ceremony::{Joined, Offered, UnsealProgress};
pub use error::{SealError, ShareError, ThresholdError};
pub use init::{Inherited, Initialised};
pub use seal::{Seal, SealStatus};
pub use shamir::Threshold;
