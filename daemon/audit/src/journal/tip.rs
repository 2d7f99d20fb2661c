//! The trees as they were at one place of the journal, so that a start reads only what came after it.
//!
//! A cache and no evidence: where it does not read back whole, or does not fit the segments, the journal is read from its
//! first frame. It holds leaves and hashes, as the tiles do.
use super::tree::Tree;
use coffer_types::EnvironmentId;
use keystore_format::cbor::{Reader, Writer};
use keystore_format::error::{Fault, FormatError};
use keystore_format::merkle::{Frontier, Hash, leaf_hash};
use std::collections::BTreeSet;

const VERSION: u64 = 2;

/// The state at a place of the journal.
pub(crate) struct Tip {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    /// Lengths of the segments before.
    pub(crate) lengths: Vec<u64>,
    pub(crate) frames: u64,
    pub(crate) order: Hash,
    pub(crate) trees: Vec<Tree>,
}

impl Tip {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.uint(VERSION);
        out.uint(self.segment);
        out.uint(self.offset);
        out.array(self.lengths.len());
        self.lengths.iter().for_each(|length| out.uint(*length));
        out.uint(self.frames);
        out.bytes(&self.order);
        out.array(self.trees.len());
        for tree in &self.trees {
            out.bytes(tree.environment.as_bytes());
            out.bytes(&tree.incarnation);
            out.bytes(&tree.frontier.encode());
            out.array(tree.levels.len());
            tree.levels.iter().for_each(|hashes| out.bytes(&hashes.concat()));
            out.bytes(&tree.bundle);
            out.uint(tree.last_id);
            out.uint(tree.generation);
            for ids in [&tree.unsettled, &tree.unfinished] {
                out.array(ids.len());
                ids.iter().for_each(|id| out.uint(*id));
            }
            out.bool(tree.is_suspect);
        }
        let mut bytes = out.finish();
        let check = leaf_hash(&bytes);
        bytes.extend_from_slice(&check);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let altered = FormatError::new("tip", 0, Fault::NotAuthentic);
        let (body, check) = bytes.split_last_chunk::<32>().ok_or(altered)?;
        if leaf_hash(body) != *check {
            return Err(altered);
        }
        let mut input = Reader::new(body);
        if input.uint("tip version")? != VERSION {
            return Err(FormatError::new("tip version", 0, Fault::UnknownVersion));
        }
        let (segment, offset) = (input.uint("tip segment")?, input.uint("tip offset")?);
        let lengths = uints(&mut input)?;
        let (frames, order) = (input.uint("tip frames")?, input.fixed("tip order")?);
        let mut trees = Vec::new();
        for _ in 0..input.array("tip trees")? {
            trees.push(tree(&mut input)?);
        }
        input.finish("tip")?;
        Ok(Self { segment, offset, lengths, frames, order, trees })
    }
}

fn tree(input: &mut Reader<'_>) -> Result<Tree, FormatError> {
    let environment = EnvironmentId(input.fixed("tip environment")?);
    let mut tree = Tree::new(environment, input.fixed("tip incarnation")?);
    tree.frontier = Frontier::decode(input.bytes("tip frontier", 8 + 64 * 32)?)?;
    for _ in 0..input.array("tip levels")? {
        let hashes = input.bytes("tip level", 256 * 32)?;
        tree.levels.push(hashes.as_chunks::<32>().0.to_vec());
    }
    tree.bundle = input.bytes("tip bundle", usize::MAX)?.to_vec();
    tree.last_id = input.uint("tip id")?;
    tree.generation = input.uint("tip generation")?;
    tree.unsettled = uints(input)?.into_iter().collect::<BTreeSet<_>>();
    tree.unfinished = uints(input)?.into_iter().collect();
    tree.is_suspect = input.bool("tip suspect")?;
    tree.tiled = tree.size();
    Ok(tree)
}

fn uints(input: &mut Reader<'_>) -> Result<Vec<u64>, FormatError> {
    let mut out = Vec::new();
    for _ in 0..input.array("tip list")? {
        out.push(input.uint("tip list")?);
    }
    Ok(out)
}
