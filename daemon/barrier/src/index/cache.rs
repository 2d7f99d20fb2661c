//! Nodes that were checked, under their hashes, in a bounded space: second chance, so that the upper ones stay.
use super::State;
use crate::barrier::lock;
use keystore_format::index::{Child, Node, Path};
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    sync::Mutex,
};

/// Most bytes of nodes that one environment remembers, what the map takes included.
const MAX_BYTES: usize = 512 << 10;
/// What a node takes beside its bytes: two copies of the hash, and the map's own.
const OVERHEAD: usize = 112;

#[derive(Default)]
pub(crate) struct Nodes(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    nodes: HashMap<[u8; 32], Slot, BuildHasherDefault<Prefix>>,
    order: VecDeque<[u8; 32]>,
    bytes: usize,
}

struct Slot {
    node: Box<[u8]>,
    was_used: bool,
}

/// A way down that has come to `path`, where the node `child` must lie.
pub(crate) struct Walk<'k> {
    pub(crate) key: &'k [u8; 32],
    pub(crate) path: Path,
    pub(crate) child: Child,
}

impl Nodes {
    /// Goes on as far as nodes are remembered: the entry's state when the way is at its end, `None` when the node that
    /// `walk` has come to must be fetched.
    pub(crate) fn go(&self, walk: &mut Walk<'_>) -> Option<Option<State>> {
        let mut inner = lock(&self.0);
        loop {
            let slot = inner.nodes.get_mut(&walk.child.hash)?;
            slot.was_used = true;
            match Node::checked_before(&slot.node)? {
                Node::Leaf(leaf) => return Some(leaf.find(walk.key).map(|entry| (entry.rev, entry.tag))),
                Node::Branch(branch) => {
                    let Some(step) = walk.path.step(walk.key) else { return Some(None) };
                    let Some(child) = branch.child(step) else { return Some(None) };
                    let Some(path) = walk.path.child(step) else { return Some(None) };
                    (walk.path, walk.child) = (path, child);
                }
            }
        }
    }

    pub(crate) fn get(&self, hash: &[u8; 32]) -> Option<Box<[u8]>> {
        let mut inner = lock(&self.0);
        let slot = inner.nodes.get_mut(hash)?;
        slot.was_used = true;
        Some(slot.node.clone())
    }

    /// Remembers a node whose hash and shape were checked, or that was made here.
    pub(crate) fn keep(&self, hash: [u8; 32], node: &[u8]) {
        let mut inner = lock(&self.0);
        let inner = &mut *inner;
        let slot = Slot { node: node.into(), was_used: false };
        if inner.nodes.insert(hash, slot).is_some() {
            return;
        }
        inner.order.push_back(hash);
        inner.bytes += node.len() + OVERHEAD;
        while inner.bytes > MAX_BYTES {
            let Some(oldest) = inner.order.pop_front() else { break };
            match inner.nodes.get_mut(&oldest) {
                Some(slot) if slot.was_used => {
                    slot.was_used = false;
                    inner.order.push_back(oldest);
                }
                _ => {
                    let gone = inner.nodes.remove(&oldest).map_or(0, |slot| slot.node.len());
                    inner.bytes -= gone + OVERHEAD;
                }
            }
        }
    }

    /// Forgets all nodes.
    pub(crate) fn forget(&self) {
        *lock(&self.0) = Inner::default();
    }
}

/// Hashes are spread already.
#[derive(Default)]
struct Prefix(u64);

impl Hasher for Prefix {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystore_format::index::{Entry, encode_leaf, node_hash};

    fn node(number: u64) -> ([u8; 32], Vec<u8>) {
        let node = encode_leaf(&[Entry { key: [0; 32], rev: number, tag: [0; 16] }; 30]);
        (node_hash(&node), node)
    }

    #[test]
    fn its_space_is_bounded_and_what_is_used_stays() {
        let nodes = Nodes::default();
        let (first, bytes) = node(0);
        nodes.keep(first, &bytes);
        for number in 1..5000 {
            let (hash, bytes) = node(number);
            nodes.keep(hash, &bytes);
            assert!(nodes.get(&first).is_some(), "{number}");
            let inner = lock(&nodes.0);
            let held: usize = inner.nodes.values().map(|slot| slot.node.len() + OVERHEAD).sum();
            assert_eq!((held, inner.nodes.len()), (inner.bytes, inner.order.len()));
            assert!(held <= MAX_BYTES);
        }
        assert!(nodes.get(&node(1).0).is_none(), "what nobody asked for has gone");
        nodes.keep(first, &bytes);
        nodes.forget();
        assert!(nodes.get(&first).is_none());
    }
}
