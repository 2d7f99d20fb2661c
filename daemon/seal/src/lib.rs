//! What wraps a root key at rest.
//!
//! A pure brain: it splits and joins keys ([`shamir`]), makes the seal of a new environment ([`Initialised`],
//! [`Inherited`]), replaces it ([`rekey`]) and brings the holders of shares together ([`UnsealProgress`]). It reads no
//! store and writes none: the barrier does, so that seal record, keyring and head change in one commit.
//!
//! What wraps root keys outside the daemon is a [`device::Device`]: a key of an HSM ([`pkcs11`]), a TPM
//! ([`tpm`]), another daemon's transit key ([`transit`]) or a file ([`file`]). Devices alone have hands here, and are asked
//! on threads of their own. A configuration names them ([`devices`]); an environment may have several seals side by side
//! ([`seals`]).
#![forbid(unsafe_code)]

mod ceremony;
pub mod device;
pub mod devices;
mod error;
pub mod file;
mod holders;
mod init;
pub mod pkcs11;
mod private_file;
pub mod rekey;
mod seal;
pub mod seals;
pub mod secret_source;
pub mod shamir;
pub mod tpm;
pub mod transit;

pub use ceremony::{Joined, Offered, UnsealProgress};
pub use error::{SealError, ShareError, ThresholdError};
pub use holders::{HolderError, Holders};
pub use init::{Inherited, Initialised};
pub use seal::{Seal, SealStatus};
pub use shamir::Threshold;
