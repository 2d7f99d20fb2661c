//! Environments: what is open, what hangs where, and who may be asked.
//!
//! An [`Environment`] exists only while it is open: its keys, mounts, policies, tokens and audit book are made
//! together when its root key is there, and go together when it is sealed. The [`Registry`] knows which are open and
//! turns a path into one of them.
#![forbid(unsafe_code)]

mod address;
mod ceremonies;
mod children;
mod counter;
mod environment;
mod identity;
mod init;
mod mounts;
mod node;
mod open;
mod policies;
mod records;
mod registry;
mod sealed;
mod sealing;
mod snapshot;
mod sys;
mod terms;
mod unsealing;
mod work;

pub use coffer_barrier::ROTATE_AFTER_ENCRYPTIONS;

pub use address::{Addressed, Handler};
pub use environment::Environment;
pub use identity::{Credentials, Identified};
pub use mounts::{Class, Mount, MountKind, MountTable};
pub use node::{InitAnswer, NodeFault, SealStatus, Unsealed};
pub use records::MountRecord;
pub use registry::{Means, Registry, Settings, State};
pub use snapshot::Upload;
pub use sys::{Route as SysRoute, routes};
pub use terms::Terms;

/// Reads `bytes` as each record of an environment. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    if let Ok(stored) = serde_json::from_slice::<records::MountsRecord>(bytes) {
        let _ = MountTable::of(&stored.mounts);
        let _ = stored.takes("x");
    }
    let _ = serde_json::from_slice::<records::ChildRecord>(bytes);
    let _ = serde_json::from_slice::<records::BackupRecord>(bytes);
}
