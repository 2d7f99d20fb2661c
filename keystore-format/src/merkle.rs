//! The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1), by which a log proves that it was only appended to.
//!
//! A writer keeps a [`Frontier`] (at most 64 hashes) and stores each complete node once; proofs are then read
//! from the stored nodes. A node is named by its level (0 = leaf hashes) and its index in the level, and covers
//! the leaves `index << level .. (index + 1) << level`.
use crate::error::{Fault, FormatError};
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// A SHA-256 hash of a leaf, a node or a tree.
pub type Hash = [u8; 32];

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// `SHA-256(0x00 ‖ leaf)`.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// `SHA-256(0x01 ‖ left ‖ right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The right edge of a tree: the roots of its complete subtrees, largest first. Enough to append and to have
/// the root, and small enough to be kept in a record.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        let joined = self.nodes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        joined.unwrap_or_else(empty_root)
    }

    /// Appends a leaf hash and returns the leaf's index. `store` is told of every node that became complete,
    /// the leaf first: (level, index, hash).
    pub fn append(&mut self, leaf: Hash, mut store: impl FnMut(u8, u64, &Hash)) -> u64 {
        let index = self.size;
        let mut node = leaf;
        store(0, index, &node);
        // Each trailing one of the old size is a complete subtree on the left that this leaf completes.
        for level in 1..=index.trailing_ones() {
            let Some(left) = self.nodes.pop() else { break };
            node = node_hash(&left, &node);
            // At most 64 levels.
            store(level as u8, index >> level, &node);
        }
        self.nodes.push(node);
        self.size += 1;
        index
    }

    /// `size u64 ‖ hashes`, largest subtree first; one hash for each bit that is set in the size.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 32 * self.nodes.len());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend(self.nodes.iter().flatten());
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Fault::Truncated`] or [`Fault::TrailingBytes`] when the number of hashes does not fit the size.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let (size, hashes) =
            bytes.split_first_chunk().ok_or(FormatError::new("frontier size", 0, Fault::Truncated))?;
        let size = u64::from_be_bytes(*size);
        let (nodes, rest) = hashes.as_chunks::<32>();
        let expected = size.count_ones() as usize;
        if nodes.len() < expected {
            return Err(FormatError::new("frontier hashes", 8, Fault::Truncated));
        }
        if nodes.len() > expected || !rest.is_empty() {
            return Err(FormatError::new("frontier hashes", 8 + 32 * expected, Fault::TrailingBytes));
        }
        Ok(Self { size, nodes: nodes.to_vec() })
    }
}

/// The root of a complete subtree over these hashes (a power of two of them), such as a full tile.
#[must_use]
pub fn subtree_root(hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for hash in hashes {
        frontier.append(*hash, |_, _, _| ());
    }
    frontier.root()
}

/// Checks that the leaf with hash `leaf` stands at `index` of the tree of `size` leaves with this `root`
/// (RFC 9162 §2.1.3.2).
///
/// # Errors
/// `inclusion proof`: [`Fault::Invalid`] for an index outside the tree, [`Fault::Truncated`] or
/// [`Fault::TrailingBytes`] for a proof of another length, [`Fault::NotAuthentic`] where the root differs.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), FormatError> {
    const FIELD: &str = "inclusion proof";
    if index >= size {
        return Err(FormatError::new(FIELD, 0, Fault::Invalid));
    }
    let (mut at, mut last, mut node) = (index, size - 1, *leaf);
    let mut hashes = proof.iter();
    while last > 0 {
        // A node without a right sibling passes unchanged to the level above.
        if at % 2 == 1 || at < last {
            let sibling = hashes.next().ok_or(FormatError::new(FIELD, 32 * proof.len(), Fault::Truncated))?;
            node = if at % 2 == 1 { node_hash(sibling, &node) } else { node_hash(&node, sibling) };
        }
        (at, last) = (at / 2, last / 2);
    }
    demand_end(FIELD, proof, &hashes)?;
    if node != *root {
        return Err(FormatError::new(FIELD, 0, Fault::NotAuthentic));
    }
    Ok(())
}

/// Checks that the tree of `new_size` leaves continues the tree of `old_size` leaves (RFC 9162 §2.1.4.2).
///
/// # Errors
/// `consistency proof`, with the faults of [`verify_inclusion`].
pub fn verify_consistency(
    old_size: u64,
    new_size: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), FormatError> {
    const FIELD: &str = "consistency proof";
    if old_size > new_size {
        return Err(FormatError::new(FIELD, 0, Fault::Invalid));
    }
    if old_size == 0 || old_size == new_size {
        demand_end(FIELD, proof, &proof.iter())?;
        let fits = if old_size == 0 { *old_root == empty_root() } else { old_root == new_root };
        return if fits { Ok(()) } else { Err(FormatError::new(FIELD, 0, Fault::NotAuthentic)) };
    }
    let short = FormatError::new(FIELD, 32 * proof.len(), Fault::Truncated);
    let mut hashes = proof.iter();
    // The largest complete subtree at the old right edge is where both trees still agree.
    let shared = (old_size - 1).trailing_ones();
    let (mut at, mut last) = ((old_size - 1) >> shared, (new_size - 1) >> shared);
    let start = if at == 0 { old_root } else { hashes.next().ok_or(short)? };
    let (mut old, mut new) = (*start, *start);
    while last > 0 {
        if at % 2 == 1 {
            let left = hashes.next().ok_or(short)?;
            old = node_hash(left, &old);
            new = node_hash(left, &new);
        } else if at < last {
            new = node_hash(&new, hashes.next().ok_or(short)?);
        }
        (at, last) = (at / 2, last / 2);
    }
    demand_end(FIELD, proof, &hashes)?;
    if old != *old_root || new != *new_root {
        return Err(FormatError::new(FIELD, 0, Fault::NotAuthentic));
    }
    Ok(())
}

/// The inclusion proof of the leaf at `index` in the tree of `size` leaves (RFC 6962 §2.1.1), from stored
/// complete nodes: `node(level, index)`.
///
/// # Errors
/// What `node` answers; `inclusion proof` [`Fault::Invalid`] for an index outside the tree.
pub fn prove_inclusion<E: From<FormatError>>(
    index: u64,
    size: u64,
    mut node: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        return Err(FormatError::new("inclusion proof", 0, Fault::Invalid).into());
    }
    let (mut begin, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            proof.push(range_root(middle, end, &mut node)?);
            end = middle;
        } else {
            proof.push(range_root(begin, middle, &mut node)?);
            begin = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The consistency proof between two sizes of one tree (RFC 6962 §2.1.2), from stored complete nodes.
///
/// # Errors
/// What `node` answers; `consistency proof` [`Fault::Invalid`] when the old size is the larger.
pub fn prove_consistency<E: From<FormatError>>(
    old_size: u64,
    new_size: u64,
    mut node: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old_size > new_size {
        return Err(FormatError::new("consistency proof", 0, Fault::Invalid).into());
    }
    let mut proof = Vec::new();
    if old_size == 0 || old_size == new_size {
        return Ok(proof);
    }
    let (mut begin, mut end) = (0, new_size);
    // Descend to the subtree that ends where the old tree ended.
    while end != old_size {
        let middle = begin + split(end - begin);
        if old_size <= middle {
            proof.push(range_root(middle, end, &mut node)?);
            end = middle;
        } else {
            proof.push(range_root(begin, middle, &mut node)?);
            begin = middle;
        }
    }
    // A verifier knows the old root already when that subtree is the old tree.
    if begin != 0 {
        proof.push(range_root(begin, end, &mut node)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root of the tree of `size` leaves, from stored complete nodes.
///
/// # Errors
/// What `node` answers.
pub fn root_of<E>(size: u64, mut node: impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 { Ok(empty_root()) } else { range_root(0, size, &mut node) }
}

/// The hash over leaves `begin..end`, a range as RFC 6962 splits them: it begins at a multiple of its size's
/// power of two and is not empty.
fn range_root<E>(begin: u64, end: u64, node: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let (mut at, mut pieces) = (begin, Vec::new());
    while at < end {
        // Below 64, as the range is not empty.
        let level = (end - at).ilog2() as u8;
        pieces.push(node(level, at >> level)?);
        at += 1 << level;
    }
    let joined = pieces.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
    Ok(joined.unwrap_or_else(empty_root))
}

/// The largest power of two below `count` (which is at least 2).
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

fn demand_end(
    field: &'static str,
    proof: &[Hash],
    rest: &core::slice::Iter<'_, Hash>,
) -> Result<(), FormatError> {
    match rest.len() {
        0 => Ok(()),
        left => Err(FormatError::new(field, 32 * (proof.len() - left), Fault::TrailingBytes)),
    }
}
