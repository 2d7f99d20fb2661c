//! What wraps a root key at rest.
//!
//! A pure brain: it splits and joins keys ([`shamir`]), makes the seal of a new environment ([`Initialised`],
//! [`Inherited`]) and brings the holders of shares together ([`UnsealProgress`]). It reads no store and writes none:
//! the barrier does, so that seal record, keyring and head change in one commit. Hands are its devices only ([`device`]),
//! which are asked on threads of their own: a TPM ([`tpm`]).
//!
//! Deliberately missing: seals by HSM and transit key, and rekeying; the seal record has room for them.
#![forbid(unsafe_code)]

mod ceremony;
pub mod device;
mod error;
mod init;
mod seal;
pub mod shamir;
pub mod tpm;

pub use ceremony::{Offered, UnsealProgress};
pub use error::{SealError, ShareError, ThresholdError};
pub use init::{Inherited, Initialised};
pub use seal::{Seal, SealStatus};
pub use shamir::Threshold;
