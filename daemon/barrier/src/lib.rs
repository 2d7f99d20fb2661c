//! Below the barrier the store sees only ciphertext.
//!
//! A [`Barrier`] is one open environment's way to its records: it exists only while the environment is open, because
//! it holds the keys. Reads go through a [`View`] of one mount, writes through a [`Batch`] that exists only inside
//! the store's committer. [`Barrier::close`] takes the keys away from everyone who still holds one.
//!
//! A record is given out only in the state that the replay index promises.
//!
//! Deliberately missing: what a record means, and who may read it.
#![forbid(unsafe_code)]

mod barrier;
mod batch;
mod create;
mod error;
mod fsck;
mod head;
mod index;
mod keyring;
mod keys;
mod listing;
mod meta;
mod open;
mod outbox;
mod progress;
mod reencrypt;
mod snapshot;
mod view;

pub use barrier::{Barrier, EpochStatus, Place, ROTATE_AFTER_ENCRYPTIONS};
pub use batch::{Batch, Tx};
pub use create::Created;
pub use error::BarrierError;
pub use fsck::{Checked, Finding, FsckStop, FsckTurn, Told, Wrong};
pub use keystore_format::kdf::Context;
pub use meta::{erase_environment, put_store_id, read_seal_record, read_store_id, store_id_key};
pub use reencrypt::Progress;
pub use snapshot::read_snapshot;
pub use view::{Listed, Plain, View};

/// Reads `bytes` as the record of how far re-encryption is. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let _ = progress::Record::decode(bytes);
}
