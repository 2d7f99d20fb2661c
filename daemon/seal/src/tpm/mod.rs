//! The seal by a TPM 2.0, spoken to directly: no C library stands between.
//!
//! A root key lies in a sealed object under the TPM's storage root key (`object`). Who may have it is said by a policy
//! (`policy`): registers that measure what was started, a PIN, and above both an approval that lies in the TPM
//! (`approval`), so that new firmware is a new approval and no new sealing, and an approval can be withdrawn. Everything
//! secret travels in sessions that only the TPM of that storage root key can follow (`session`): a man on the bus learns
//! nothing, and what he changes is noticed. [`TpmDevice`] puts it together; `counter` is the TPM's defence against an
//! older store.
//!
//! Whatever a TPM answers is read as if an attacker had sent it.
//!
//! Deliberately missing: resource management. Each operation holds two transient objects and one session at most,
//! connects anew and leaves nothing behind, so that a TPM simulator with three slots is enough.

mod approval;
mod capability;
mod command;
mod counter;
mod crypto;
mod device;
mod error;
mod fuzzing;
mod nv;
mod object;
mod policy;
mod session;
mod srk;
mod transport;
mod writer;

pub use approval::{APPROVAL_INDEX, Approval};
pub use device::{OwnerPassword, PinSource, TpmConfig, TpmDevice};
pub use error::Name;
pub use policy::parse_pcrs;
pub use transport::Address;

/// Reads `bytes` as a TPM's answers, one after the other: nothing may panic. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    fuzzing::fuzz(bytes);
}
