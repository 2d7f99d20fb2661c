//! The two kinds of node, and what their shape must be.
use super::{MAX_DEPTH, Path};
use crate::error::{Fault, FormatError};
use crate::reader::Reader;
use alloc::vec::Vec;

/// The only version.
const VERSION: u8 = 1;
const LEAF: u8 = 0;
const BRANCH: u8 = 1;
const ENTRY_LEN: usize = 32 + 8 + 16;
const CHILD_LEN: usize = 8 + 32;

/// Most entries of a leaf; a node with more below it is a branch.
pub const MAX_LEAF_ENTRIES: usize = 32;

/// The present state of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// [`super::key_hash`] of its store key.
    pub key: [u8; 32],
    /// Its revision.
    pub rev: u64,
    /// Its tag.
    pub tag: [u8; 16],
}

/// What a branch says of a node below it, and the head of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Entries below it.
    pub count: u64,
    /// [`super::node_hash`] of it.
    pub hash: [u8; 32],
}

/// A node whose shape is right for its place; nothing of it is believed before its hash was compared.
#[derive(Clone, Copy)]
pub enum Node<'a> {
    /// At most [`MAX_LEAF_ENTRIES`] entries.
    Leaf(Leaf<'a>),
    /// More than that, by their next half byte.
    Branch(Branch<'a>),
}

/// `version u8 ‖ 0 ‖ count u8 ‖ (key[32] ‖ rev u64 ‖ tag[16]) …`, by ascending key.
#[derive(Clone, Copy)]
pub struct Leaf<'a> {
    entries: &'a [[u8; ENTRY_LEN]],
}

/// `version u8 ‖ 1 ‖ children u16 ‖ (count u64 ‖ hash[32]) …`: bit n of `children` is set where child n exists.
#[derive(Clone, Copy)]
pub struct Branch<'a> {
    bitmap: u16,
    children: &'a [[u8; CHILD_LEN]],
}

impl<'a> Node<'a> {
    /// Reads the node at `path` and checks its shape.
    ///
    /// # Errors
    /// "version" [`Fault::UnknownVersion`], "node type" [`Fault::UnknownAlgorithm`]; of a leaf: "entry count"
    /// [`Fault::TooLong`], and [`Fault::Invalid`] for none, "entry" [`Fault::Truncated`], "entry key"
    /// [`Fault::NotCanonical`] where they do not ascend and [`Fault::Invalid`] where it belongs elsewhere; of a branch:
    /// "children" [`Fault::Invalid`] where there are none or no deeper step exists, "child" [`Fault::Truncated`], "child
    /// count" [`Fault::Invalid`] for zero and [`Fault::TooLong`], "children" [`Fault::NotCanonical`] where a leaf would do;
    /// "node" [`Fault::TrailingBytes`].
    pub fn parse(path: &Path, input: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let unknown = reader.fault("node type", Fault::UnknownAlgorithm);
        match reader.u8("node type")? {
            LEAF => Leaf::read(path, reader).map(Self::Leaf),
            BRANCH => Branch::read(path, reader).map(Self::Branch),
            _ => Err(unknown),
        }
    }

    /// Reads a node that [`Node::parse`] took before, and checks nothing of it again.
    #[must_use]
    pub fn checked_before(input: &'a [u8]) -> Option<Self> {
        let (head, rest) = input.split_first_chunk::<3>()?;
        match head {
            [VERSION, LEAF, _] => Some(Self::Leaf(Leaf { entries: rest.as_chunks().0 })),
            [VERSION, BRANCH, high] => {
                let (low, children) = rest.split_first()?;
                let bitmap = u16::from_be_bytes([*high, *low]);
                Some(Self::Branch(Branch { bitmap, children: children.as_chunks().0 }))
            }
            _ => None,
        }
    }

    /// Entries below.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Leaf(leaf) => leaf.entries.len() as u64,
            Self::Branch(branch) => branch.count(),
        }
    }
}

impl<'a> Leaf<'a> {
    fn read(path: &Path, mut reader: Reader<'a>) -> Result<Self, FormatError> {
        let field = |fault| FormatError::new("entry count", 2, fault);
        let count = usize::from(reader.u8("entry count")?);
        if count > MAX_LEAF_ENTRIES {
            return Err(field(Fault::TooLong));
        }
        if count == 0 {
            return Err(field(Fault::Invalid));
        }
        let first = reader.offset();
        let mut last: Option<&[u8; 32]> = None;
        let rest = reader.rest();
        for _ in 0..count {
            let at = reader.fault("entry key", Fault::Invalid);
            let entry: &[u8; ENTRY_LEN] = reader.array("entry")?;
            let Some(key) = entry.first_chunk() else { return Err(at) };
            if last.is_some_and(|last| last >= key) {
                return Err(FormatError { fault: Fault::NotCanonical, ..at });
            }
            if !path.leads_to(key) {
                return Err(at);
            }
            last = Some(key);
        }
        let length = reader.offset() - first;
        reader.end("node")?;
        Ok(Self { entries: rest.get(..length).unwrap_or_default().as_chunks().0 })
    }

    /// The entries, by ascending key.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + use<'a> {
        self.entries.iter().map(entry)
    }

    /// The entry of `key`.
    #[must_use]
    pub fn find(&self, key: &[u8; 32]) -> Option<Entry> {
        let at = self.entries.binary_search_by(|entry| entry.get(..32).cmp(&Some(&key[..]))).ok()?;
        self.entries.get(at).map(entry)
    }
}

impl<'a> Branch<'a> {
    fn read(path: &Path, mut reader: Reader<'a>) -> Result<Self, FormatError> {
        let field = |fault| FormatError::new("children", 2, fault);
        let bitmap = reader.u16("children")?;
        if bitmap == 0 || path.depth() == MAX_DEPTH {
            return Err(field(Fault::Invalid));
        }
        let first = reader.offset();
        let rest = reader.rest();
        let mut total: u64 = 0;
        for _ in 0..bitmap.count_ones() {
            let at = reader.fault("child count", Fault::Invalid);
            let child: &[u8; CHILD_LEN] = reader.array("child")?;
            let count = self::child(child).count;
            if count == 0 {
                return Err(at);
            }
            total = total.checked_add(count).ok_or(FormatError { fault: Fault::TooLong, ..at })?;
        }
        if total <= MAX_LEAF_ENTRIES as u64 {
            return Err(field(Fault::NotCanonical));
        }
        let length = reader.offset() - first;
        reader.end("node")?;
        Ok(Self { bitmap, children: rest.get(..length).unwrap_or_default().as_chunks().0 })
    }

    /// What lies at the step `nibble`.
    #[must_use]
    pub fn child(&self, nibble: u8) -> Option<Child> {
        let bit = 1_u16.checked_shl(nibble.into())?;
        if self.bitmap & bit == 0 {
            return None;
        }
        let at = (self.bitmap & (bit - 1)).count_ones();
        self.children.get(at as usize).map(child)
    }

    /// All of them, by ascending step.
    pub fn children(&self) -> impl Iterator<Item = (u8, Child)> + use<'a> {
        let bitmap = self.bitmap;
        let steps = (0..16_u8).filter(move |nibble| bitmap & (1 << nibble) != 0);
        steps.zip(self.children.iter().map(child))
    }

    fn count(&self) -> u64 {
        self.children.iter().map(|bytes| child(bytes).count).sum()
    }
}

fn entry(bytes: &[u8; ENTRY_LEN]) -> Entry {
    let (key, rest) = bytes.split_first_chunk().unwrap_or((&[0; 32], &[]));
    let (rev, tag) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    Entry { key: *key, rev: u64::from_be_bytes(*rev), tag: *tag.first_chunk().unwrap_or(&[0; 16]) }
}

fn child(bytes: &[u8; CHILD_LEN]) -> Child {
    let (count, hash) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
    Child { count: u64::from_be_bytes(*count), hash: *hash.first_chunk().unwrap_or(&[0; 32]) }
}

/// A leaf of these entries, which ascend by key and are at most [`MAX_LEAF_ENTRIES`].
#[must_use]
pub fn encode_leaf(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 + ENTRY_LEN * entries.len());
    out.extend_from_slice(&[VERSION, LEAF, entries.len() as u8]);
    for entry in entries {
        out.extend_from_slice(&entry.key);
        out.extend_from_slice(&entry.rev.to_be_bytes());
        out.extend_from_slice(&entry.tag);
    }
    out
}

/// A branch of these children, by step.
#[must_use]
pub fn encode_branch(children: &[Option<Child>; 16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + CHILD_LEN * 16);
    let bits = children.iter().enumerate().filter(|(_, child)| child.is_some());
    let bitmap = bits.fold(0_u16, |bitmap, (nibble, _)| bitmap | 1 << nibble);
    out.extend_from_slice(&[VERSION, BRANCH]);
    out.extend_from_slice(&bitmap.to_be_bytes());
    for child in children.iter().flatten() {
        out.extend_from_slice(&child.count.to_be_bytes());
        out.extend_from_slice(&child.hash);
    }
    out
}
