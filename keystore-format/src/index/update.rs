//! Changing an index: one walk down for all changes of a commit, each node read, hashed and written once.
use super::node::{Child, Entry, MAX_LEAF_ENTRIES, Node, encode_branch, encode_leaf};
use super::{Path, node_hash};
use crate::error::{Fault, FormatError};
use alloc::vec::Vec;

/// What becomes of the entry of a key: its new state, or `None` where it goes.
pub type Change = ([u8; 32], Option<(u64, [u8; 16])>);

/// Where nodes are read from, and where those that changed go.
pub trait Source {
    /// Why a node could not be had.
    type Error: From<FormatError>;
    /// Bytes of a node.
    type Bytes: AsRef<[u8]>;

    /// The node at `path`, whose hash must be `child.hash`.
    ///
    /// # Errors
    /// Where it can't be read or is another.
    fn node(&mut self, path: &Path, child: &Child) -> Result<Self::Bytes, Self::Error>;

    /// Keeps a node.
    ///
    /// # Errors
    /// Where it can't be kept.
    fn put(&mut self, path: &Path, hash: [u8; 32], node: Vec<u8>) -> Result<(), Self::Error>;

    /// Removes the node at `path`.
    ///
    /// # Errors
    /// Where it can't be removed.
    fn remove(&mut self, path: &Path) -> Result<(), Self::Error>;
}

/// The node that there will be at a path. A leaf is not kept yet: it may become part of the one above.
enum New {
    Nothing,
    Leaf(Vec<Entry>),
    Branch(Child),
}

/// Makes `changes`, which ascend by key, to the index below `root` (`None` where it is empty), and gives its new root.
///
/// # Errors
/// As the source; what was kept until then is of no use.
pub fn update<S: Source>(
    source: &mut S,
    root: Option<Child>,
    changes: &[Change],
) -> Result<Option<Child>, S::Error> {
    match below(source, &Path::ROOT, root, changes)? {
        New::Nothing => {
            if root.is_some() {
                source.remove(&Path::ROOT)?;
            }
            Ok(None)
        }
        New::Leaf(entries) => keep_leaf(source, &Path::ROOT, &entries).map(Some),
        New::Branch(child) => Ok(Some(child)),
    }
}

fn below<S: Source>(
    source: &mut S,
    path: &Path,
    old: Option<Child>,
    changes: &[Change],
) -> Result<New, S::Error> {
    let Some(old) = old else {
        let entries = merge(&mut core::iter::empty(), changes);
        return build(source, path, entries);
    };
    let bytes = source.node(path, &old)?;
    let branch = match Node::parse(path, bytes.as_ref())? {
        Node::Leaf(leaf) => {
            let entries = merge(&mut leaf.entries(), changes);
            return build(source, path, entries);
        }
        Node::Branch(branch) => branch,
    };
    let mut children: [Option<Child>; 16] = [None; 16];
    let mut leaves: [Option<Vec<Entry>>; 16] = [const { None }; 16];
    let mut rest = changes;
    for nibble in 0..16_u8 {
        let Some(child_path) = path.child(nibble) else { continue };
        let (mine, others) = rest.split_at(rest.partition_point(|(key, _)| path.step(key) == Some(nibble)));
        rest = others;
        let old = branch.child(nibble);
        let (Some(child), Some(leaf)) =
            (children.get_mut(usize::from(nibble)), leaves.get_mut(usize::from(nibble)))
        else {
            continue;
        };
        if mine.is_empty() {
            *child = old;
            continue;
        }
        match below(source, &child_path, old, mine)? {
            New::Nothing => {
                if old.is_some() {
                    source.remove(&child_path)?;
                }
            }
            New::Leaf(entries) => {
                *child = Some(Child { count: entries.len() as u64, hash: [0; 32] });
                *leaf = Some(entries);
            }
            New::Branch(new) => *child = Some(new),
        }
    }
    if total(&children)? > MAX_LEAF_ENTRIES as u64 {
        for (nibble, (child, leaf)) in (0_u8..).zip(children.iter_mut().zip(leaves)) {
            if let (Some(child_path), Some(entries)) = (path.child(nibble), leaf) {
                *child = Some(keep_leaf(source, &child_path, &entries)?);
            }
        }
        return keep_branch(source, path, &children);
    }
    // A leaf does: what is below comes up. All of it are leaves, changed ones at hand and the others still in the store.
    let mut entries = Vec::with_capacity(MAX_LEAF_ENTRIES);
    for (nibble, (child, leaf)) in (0_u8..).zip(children.into_iter().zip(leaves)) {
        let Some(child_path) = path.child(nibble) else { continue };
        match (leaf, child) {
            (Some(changed), _) => entries.extend(changed),
            (None, Some(child)) => {
                let bytes = source.node(&child_path, &child)?;
                if let Node::Leaf(leaf) = Node::parse(&child_path, bytes.as_ref())? {
                    entries.extend(leaf.entries());
                }
            }
            (None, None) => continue,
        }
        if branch.child(nibble).is_some() {
            source.remove(&child_path)?;
        }
    }
    Ok(if entries.is_empty() { New::Nothing } else { New::Leaf(entries) })
}

/// The canonical node of exactly these entries.
fn build<S: Source>(source: &mut S, path: &Path, entries: Vec<Entry>) -> Result<New, S::Error> {
    if entries.is_empty() {
        return Ok(New::Nothing);
    }
    if entries.len() <= MAX_LEAF_ENTRIES {
        return Ok(New::Leaf(entries));
    }
    let mut children: [Option<Child>; 16] = [None; 16];
    let mut rest = entries.as_slice();
    for (nibble, child) in (0_u8..).zip(&mut children) {
        let Some(child_path) = path.child(nibble) else { continue };
        let (mine, others) =
            rest.split_at(rest.partition_point(|entry| path.step(&entry.key) == Some(nibble)));
        rest = others;
        *child = match build(source, &child_path, mine.to_vec())? {
            New::Nothing => None,
            New::Leaf(entries) => Some(keep_leaf(source, &child_path, &entries)?),
            New::Branch(child) => Some(child),
        };
    }
    keep_branch(source, path, &children)
}

fn keep_leaf<S: Source>(source: &mut S, path: &Path, entries: &[Entry]) -> Result<Child, S::Error> {
    let node = encode_leaf(entries);
    let child = Child { count: entries.len() as u64, hash: node_hash(&node) };
    source.put(path, child.hash, node)?;
    Ok(child)
}

fn keep_branch<S: Source>(
    source: &mut S,
    path: &Path,
    children: &[Option<Child>; 16],
) -> Result<New, S::Error> {
    let node = encode_branch(children);
    let child = Child { count: total(children)?, hash: node_hash(&node) };
    source.put(path, child.hash, node)?;
    Ok(New::Branch(child))
}

/// How many entries lie below.
fn total(children: &[Option<Child>; 16]) -> Result<u64, FormatError> {
    let sum = children.iter().flatten().try_fold(0, |sum: u64, child| sum.checked_add(child.count));
    sum.ok_or(FormatError::new("child count", 0, Fault::TooLong))
}

/// The entries of a node with `changes` made to them, by ascending key.
fn merge(entries: &mut dyn Iterator<Item = Entry>, changes: &[Change]) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(MAX_LEAF_ENTRIES + changes.len());
    let mut changes = changes.iter().peekable();
    let new = |(key, state): &Change| state.map(|(rev, tag)| Entry { key: *key, rev, tag });
    for entry in entries {
        while let Some(change) = changes.next_if(|(key, _)| *key < entry.key) {
            merged.extend(new(change));
        }
        match changes.next_if(|(key, _)| *key == entry.key) {
            Some(change) => merged.extend(new(change)),
            None => merged.push(entry),
        }
    }
    merged.extend(changes.filter_map(new));
    merged
}
