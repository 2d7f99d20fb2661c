//! All bytes of Coffer.
//!
//! Records, sealed names, keyring, seal record, shares, head, client envelopes, audit leaves, Merkle tree
//! and checkpoints: what is written anywhere is written and read here, and judged by the vectors in
//! `vectors/`. No IO, no clock and no randomness: nonces are arguments. `FORMAT.md` draws every byte.
#![cfg_attr(not(test), no_std)]
#![deny(missing_docs)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod age;
pub mod bech32m;
pub mod cbor;
pub mod checkpoint;
pub mod device_wraps;
pub mod disclosure;
pub mod envelope;
pub mod error;
pub mod fields;
pub mod frame;
pub mod head;
pub mod ids;
pub mod index;
pub mod kdf;
pub mod keyring;
pub mod leaf;
pub mod logcheck;
pub mod mac;
pub mod merkle;
pub mod name;
pub mod note;
pub mod openings;
pub mod reader;
pub mod record;
pub mod seal_record;
pub mod share;
pub mod snapshot;
mod stack;
pub mod stream;
pub mod tables;
pub mod tail;
mod text;
pub mod tile;
pub mod token;
pub mod tpm_wrap;
pub mod transit_wrap;
pub mod wrap_names;
pub mod xaes;
