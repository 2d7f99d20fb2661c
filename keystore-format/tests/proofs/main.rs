//! Leaves, openings, frames, tree, tiles, notes, checkpoints and disclosures: what an auditor relies on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::ok_expect,
    reason = "a test fails by panicking; secrets have no Debug"
)]
mod cbor;
mod disclosure;
mod frame;
mod leaf;
mod merkle;
mod note;
mod openings;
mod tile;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use keystore_format::ids::{EnvironmentId, MountId};
use keystore_format::leaf::{Leaf, LeafKind, Plain, StateChange};
use keystore_format::merkle::{Frontier, Hash, leaf_hash};
use keystore_format::note::VerifierKey;
use std::collections::HashMap;

/// A log's key, made from a seed that anyone can read.
pub(crate) struct LogKey(Ed25519KeyPair);

impl LogKey {
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(crate) fn named(&self, name: &str) -> VerifierKey {
        VerifierKey::new(name, self.0.public_key().as_ref().try_into().unwrap()).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().unwrap()
    }
}

pub(crate) fn ed25519(public: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

/// A leaf with every field.
pub(crate) fn full_leaf() -> Leaf {
    let mut leaf = Leaf::new(LeafKind::Result, 7_000_000_001, 1_785_000_000_123, "kv2/data", "read", 200);
    leaf.intent = Some(7_000_000_000);
    leaf.actor = Some([0xa1; 16]);
    leaf.caller_environment = Some(EnvironmentId([0xe2; 16]));
    leaf.mount = Some(MountId([0xc3; 16]));
    leaf.commitments.insert("path".into(), [0x51; 32]);
    leaf.commitments.insert("ip".into(), [0x52; 32]);
    leaf.commitments.insert("role".into(), [0x53; 32]);
    leaf.request_digest = Some([0xd4; 32]);
    leaf.state = Some(StateChange { generation: 42, root_before: [0xb5; 32], root_after: [0xb6; 32] });
    leaf.plain.insert("version".into(), Plain::Uint(3));
    leaf.plain.insert("engine".into(), Plain::Text("kv2".into()));
    leaf
}

/// A tree with all its complete nodes.
pub(crate) struct Tree {
    pub(crate) frontier: Frontier,
    nodes: HashMap<(u8, u64), Hash>,
}

impl Tree {
    pub(crate) fn of<'a>(leaves: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut tree = Self { frontier: Frontier::new(), nodes: HashMap::new() };
        for leaf in leaves {
            tree.frontier.append(leaf_hash(leaf), |level, index, hash| {
                let earlier = tree.nodes.insert((level, index), *hash);
                assert!(earlier.is_none(), "a complete node never changes");
            });
        }
        tree
    }

    /// Panics where a node was never complete.
    pub(crate) fn node(&self, level: u8, index: u64) -> Hash {
        self.nodes[&(level, index)]
    }
}
