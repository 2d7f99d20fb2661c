//! What is recorded: the transparency log.
//!
//! Every request leaves a leaf in its environment's append-only Merkle tree before it is answered; a change commits its
//! leaf together with its effect. One physical log, the [`Journal`], serves all environments of a node; a [`Book`] is
//! one open environment's tree in it; the [`NodeLog`] holds what comes while sealed, and witnesses all trees.
//!
//! The walk of a request: [`Book::intend`] opens the record of it, [`Book::record`] runs its change and closes the
//! record, and only a [`Recorded`] can be answered. Checking a log offline is `keystore_format::logcheck`.
#![forbid(unsafe_code)]

mod book;
mod error;
mod facts;
mod journal;
mod node;
mod recorded;
#[cfg(test)]
mod tests;

pub use book::{Book, Intent, KeptCheckpoint, Opening};
pub use error::{BookError, JournalError, KeptFault, Unrecorded};
pub use facts::{Facts, PlainField, fault_name, status_of};
pub use journal::{Durability, Journal, Pace, Settings};
pub use node::{NodeCount, NodeEvent, NodeField, NodeLog};
pub use recorded::{Receipt, ReceiptProof, Recorded};

/// Reads `bytes` as what the journal keeps on disk: nothing may panic. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    journal::fuzz(bytes);
}
