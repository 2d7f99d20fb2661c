//! The replay index: which state of every record is the present one, as a Merkle trie whose root stands in the head.
//!
//! A record that was put back from yesterday opens, because it was once right. So the index keeps `(rev, tag)` of each
//! record under the hash of its store key, in a 16-ary trie. Its shape follows from what it holds and from nothing
//! else: a node is a leaf if and only if there are at most 32 entries below it. Nodes lie in the store in clear, since
//! they say nothing that the store does not show; what makes them right is the way of hashes from the root.
//!
//! Deliberately missing: where nodes are read from and kept. [`update`] takes a [`Source`] and gives what changed.
mod node;
mod update;

pub use node::{Branch, Child, Entry, Leaf, MAX_LEAF_ENTRIES, Node, encode_branch, encode_leaf};
pub use update::{Change, Source, update};

use crate::error::{Fault, FormatError};
use crate::ids::EnvironmentId;
use crate::tables;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// The longest path: as many half bytes as a hash has.
pub const MAX_DEPTH: usize = 64;

/// SHA-256 of a store key: where its entry is in the trie.
#[must_use]
pub fn key_hash(store_key: &[u8]) -> [u8; 32] {
    Sha256::digest(store_key).into()
}

/// `SHA-256("coffer/v1/directory" ‖ 0x00 ‖ prefix)`: where the entry of a directory is in the trie. `prefix` is the store
/// key up to and with the directory's sealed path.
#[must_use]
pub fn directory_hash(prefix: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"coffer/v1/directory\0");
    hash.update(prefix);
    hash.finalize().into()
}

/// `SHA-256("coffer/v1/index" ‖ 0x00 ‖ node)`.
#[must_use]
pub fn node_hash(node: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"coffer/v1/index\0");
    hash.update(node);
    hash.finalize().into()
}

/// The root of an index without an entry: [`node_hash`] of a leaf of none, which is not kept as a node.
pub const EMPTY_ROOT: [u8; 32] = [
    0x8e, 0x09, 0xb7, 0xfb, 0xb9, 0x8f, 0x4f, 0x43, 0xb8, 0xe9, 0xcd, 0x7d, 0xae, 0x9c, 0x47, 0xed, 0xfb,
    0x15, 0x73, 0xaa, 0x1c, 0x38, 0x66, 0x65, 0xc3, 0x06, 0x0b, 0x5b, 0xdf, 0x02, 0x73, 0xdf,
];

/// The way from the root to a node: the first half bytes of the hashes of all that lies below it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Path {
    nibbles: [u8; MAX_DEPTH],
    depth: u8,
}

impl Path {
    /// The root's.
    pub const ROOT: Self = Self { nibbles: [0; MAX_DEPTH], depth: 0 };

    /// How many steps from the root, at most [`MAX_DEPTH`].
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth as usize
    }

    /// The steps, each 0 to 15.
    #[must_use]
    pub fn nibbles(&self) -> &[u8] {
        self.nibbles.get(..self.depth()).unwrap_or_default()
    }

    /// One step further; `None` at the end of a hash.
    #[must_use]
    pub fn child(mut self, nibble: u8) -> Option<Self> {
        let depth = self.depth();
        *self.nibbles.get_mut(depth)? = nibble & 0x0f;
        self.depth += 1;
        Some(self)
    }

    /// The step that the way to `key` takes from here; `None` at the end of the hash.
    #[must_use]
    pub fn step(&self, key: &[u8; 32]) -> Option<u8> {
        nibble(key, self.depth())
    }

    /// Whether the way to `key` goes through here.
    #[must_use]
    pub fn leads_to(&self, key: &[u8; 32]) -> bool {
        self.nibbles().iter().enumerate().all(|(at, step)| nibble(key, at) == Some(*step))
    }

    /// Where the store keeps the node: `table u8 ‖ environment[16] ‖ half the depth u8 ‖ steps, a byte each`.
    ///
    /// So a node of even depth lies beside its children, and the few upper ones beside each other: a commit touches fewer
    /// pages of the store.
    #[must_use]
    pub fn store_key(&self, environment: EnvironmentId) -> Vec<u8> {
        let mut key = Vec::with_capacity(18 + self.depth());
        key.push(tables::INDEX);
        key.extend_from_slice(environment.as_bytes());
        key.push(self.depth / 2);
        key.extend_from_slice(self.nibbles());
        key
    }

    /// Reads what [`Path::store_key`] wrote.
    ///
    /// # Errors
    /// "table", "environment", "half depth" [`Fault::Truncated`]; "table" [`Fault::Invalid`]; "path" [`Fault::Invalid`] for a
    /// step above 15 and [`Fault::TooLong`]; "half depth" [`Fault::Invalid`].
    pub fn parse(store_key: &[u8]) -> Result<(EnvironmentId, Self), FormatError> {
        let mut reader = crate::reader::Reader::new(store_key);
        if reader.u8("table")? != tables::INDEX {
            return Err(FormatError::new("table", 0, Fault::Invalid));
        }
        let environment = EnvironmentId(*reader.array("environment")?);
        let half = reader.u8("half depth")?;
        let mut path = Self::ROOT;
        let first = reader.offset();
        for (at, step) in reader.rest().iter().enumerate() {
            if *step > 0x0f {
                return Err(FormatError::new("path", first + at, Fault::Invalid));
            }
            path = path.child(*step).ok_or(FormatError::new("path", first + at, Fault::TooLong))?;
        }
        if half != path.depth / 2 {
            return Err(FormatError::new("half depth", 17, Fault::Invalid));
        }
        Ok((environment, path))
    }
}

fn nibble(key: &[u8; 32], at: usize) -> Option<u8> {
    let byte = key.get(at / 2)?;
    Some(if at.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}
