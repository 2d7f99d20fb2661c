//! A leaf in its frame, ready to be appended.
use crate::Unrecorded;
use coffer_types::EnvironmentId;
use keystore_format::error::FormatError;
use keystore_format::frame::{self, Frame};
use keystore_format::leaf::{self, Leaf, LeafKind, Plain};
use keystore_format::logcheck;
use keystore_format::merkle::Hash;

/// A leaf in its frame, and what a tree must know of it.
pub(crate) struct Prepared {
    pub(crate) frame: Vec<u8>,
    pub(crate) environment: EnvironmentId,
    pub(crate) leaf: Vec<u8>,
    pub(crate) hash: Hash,
    pub(crate) marks: Marks,
}

/// What a leaf means for the tree that it is appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) id: u64,
    /// Part of a commit: it lies in the outbox until it is durable here.
    pub(crate) is_change: bool,
    /// The generation of the store that the commit made.
    pub(crate) generation: Option<u64>,
    /// An effect outside the store begins.
    pub(crate) opens_intent: bool,
    /// An effect outside the store has ended.
    pub(crate) closes_intent: Option<u64>,
    /// The incarnation that begins with this leaf.
    pub(crate) begins: Option<[u8; 16]>,
    /// A power cut was found: leaves of every tree may be lost.
    pub(crate) tells_power_cut: bool,
}

/// The plain field of a first leaf that says why it is one.
pub(crate) const FIELD_REASON: &str = "reason";
pub(crate) const POWER_CUT: &str = "power_cut";

impl Prepared {
    /// Binds the openings to the leaf and frames both.
    pub(crate) fn new(
        environment: EnvironmentId,
        mut leaf: Leaf,
        openings: &[u8],
    ) -> Result<Self, Unrecorded> {
        if !openings.is_empty() {
            leaf.commitments.insert(logcheck::FIELD_OPENINGS.into(), logcheck::openings_digest(openings));
        }
        let bytes = leaf.encode().map_err(|_| Unrecorded::TooLarge)?;
        let mut framed = Vec::with_capacity(frame::OVERHEAD + bytes.len() + openings.len());
        frame::encode(&Frame { environment, leaf_id: leaf.id, leaf: &bytes, openings }, &mut framed)
            .map_err(|_| Unrecorded::TooLarge)?;
        let hash = leaf::hash(&bytes);
        Ok(Self { frame: framed, environment, leaf: bytes, hash, marks: Marks::of(&leaf) })
    }

    /// Reads the frame at the beginning of `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let (parsed, length) = frame::parse(bytes)?;
        let leaf = Leaf::decode(parsed.leaf)?;
        Ok(Self {
            frame: bytes.get(..length).unwrap_or_default().to_vec(),
            environment: parsed.environment,
            leaf: parsed.leaf.to_vec(),
            hash: leaf::hash(parsed.leaf),
            marks: Marks::of(&leaf),
        })
    }
}

impl Marks {
    fn of(leaf: &Leaf) -> Self {
        let begins = match leaf.plain.get(logcheck::FIELD_INCARNATION) {
            Some(Plain::Text(text)) if leaf.kind == LeafKind::Fork => logcheck::unhex(text),
            _ => None,
        };
        let reason = leaf.plain.get(FIELD_REASON);
        Self {
            id: leaf.id,
            is_change: leaf.state.is_some(),
            generation: leaf.state.as_ref().map(|state| state.generation),
            opens_intent: leaf.kind == LeafKind::Intent,
            closes_intent: leaf.intent,
            begins,
            tells_power_cut: begins.is_some()
                && matches!(reason, Some(Plain::Text(reason)) if reason == POWER_CUT),
        }
    }
}
