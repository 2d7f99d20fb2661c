//! The tables of a store, told apart by the first byte of every store key, and the keys of the one table
//! that must be readable before any keyring is open.
use crate::ids::EnvironmentId;
use alloc::vec::Vec;

/// What is read before a keyring is open: store id and seal records in clear, keyrings and heads sealed.
pub const META: u8 = 1;
/// Records, under sealed names.
pub const RECORDS: u8 = 2;
/// Audit leaves committed with their effect and not yet appended to the journal.
pub const OUTBOX: u8 = 3;
/// Nodes of the replay index.
pub const INDEX: u8 = 4;

/// Which of two copies. A new generation overwrites the older copy, so one valid copy always exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// Even generations.
    A = 0,
    /// Odd generations.
    B = 1,
}

impl Slot {
    /// The slot that `generation` is written to.
    #[must_use]
    pub const fn of(generation: u64) -> Self {
        if generation.is_multiple_of(2) { Self::A } else { Self::B }
    }
}

/// The items of table [`META`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MetaItem {
    /// The store id: 16 bytes in clear, environment all zeroes, slot A.
    StoreId = 1,
    /// An environment's seal record, in clear under its MAC.
    SealRecord = 2,
    /// An environment's keyring, sealed under its root key.
    Keyring = 3,
    /// An environment's head, sealed as a record.
    Head = 4,
}

/// A key of table [`META`]: `table u8 ‖ environment[16] ‖ item u8 ‖ slot u8`, 19 bytes.
#[must_use]
pub fn meta_key(environment: EnvironmentId, item: MetaItem, slot: Slot) -> Vec<u8> {
    let mut key = Vec::with_capacity(19);
    key.push(META);
    key.extend_from_slice(environment.as_bytes());
    key.push(item as u8);
    key.push(slot as u8);
    key
}
