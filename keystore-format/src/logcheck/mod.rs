//! Checks an audit log offline, on its files alone, and names the place of the first alteration.
//!
//! Three witnesses stand against each other: the journal (every leaf, in the order it was written), the tiles (every
//! leaf's hash) and the signed checkpoints. What one altered, the others contradict. The node log adds two things: older
//! checkpoints of every tree, and the order of all frames ([`order`]).
//!
//! Files come in through [`Files`] and signatures through a closure, so all of this runs on a map in a test. What no
//! checkpoint covers yet is only guarded by the frames' checksums; a log that nobody witnesses proves nothing against
//! whoever holds its key, and a log that was put back as a whole to an earlier state is whole.
mod show;
mod tree;

pub use show::json_line;

use crate::error::{Fault, FormatError};
use crate::frame::{self, Frame};
use crate::ids::EnvironmentId;
use crate::leaf::{Leaf, LeafKind, Plain};
use crate::merkle::Hash;
use crate::note::VerifierKey;
use alloc::{collections::BTreeMap, collections::BTreeSet, format, string::String, vec::Vec};
use sha2::{Digest, Sha256};
use tree::Tree;

/// The folder of the journal's segments.
pub const JOURNAL: &str = "journal";
/// Leaf 0 of a tree: its own origin.
pub const FIELD_ORIGIN: &str = "origin";
/// Leaf 0 of a tree: its incarnation, in hex.
pub const FIELD_INCARNATION: &str = "incarnation";
/// Leaf 0 of a later incarnation: the origin before it.
pub const FIELD_OLD_ORIGIN: &str = "old_origin";
/// Leaf 0 of a later incarnation: how many leaves the journal had of the one before.
pub const FIELD_OLD_SIZE: &str = "old_size";
/// Leaf 0 of a later incarnation: their root, in hex.
pub const FIELD_OLD_ROOT: &str = "old_root";
/// Leaf 0 of a tree: its verifier key.
pub const FIELD_KEY: &str = "key";
/// A round of the node log: [`order`] of all frames before this leaf's, in hex.
pub const FIELD_ORDER: &str = "order";
/// The name under which a leaf holds [`openings_digest`] among its commitments.
pub const FIELD_OPENINGS: &str = "openings";

const CHUNK: usize = 1 << 20;

/// The log of one environment in one incarnation.
pub type LogId = (EnvironmentId, [u8; 16]);

/// The name of a journal's segment.
#[must_use]
pub fn segment_path(number: u64) -> String {
    format!("{JOURNAL}/{number:020}.log")
}

/// The folder of a tree: `<environment hex>/<incarnation hex>`.
#[must_use]
pub fn tree_path(log: LogId) -> String {
    format!("{}/{}", log.0, EnvironmentId(log.1))
}

/// The order of all frames of a journal: `SHA-256(0x02 ‖ order before ‖ the frame's last 16 bytes)`, from 32 zeroes.
#[must_use]
pub fn order(before: &Hash, frame: &[u8]) -> Hash {
    let check = frame.last_chunk::<16>().copied().unwrap_or_default();
    Sha256::new().chain_update([2]).chain_update(before).chain_update(check).finalize().into()
}

/// What binds the sealed openings of a frame to its leaf: `SHA-256(0x03 ‖ sealed openings)`. No salt: they are ciphertext.
#[must_use]
pub fn openings_digest(sealed: &[u8]) -> Hash {
    Sha256::new().chain_update([3]).chain_update(sealed).finalize().into()
}

/// Where the files of a log are read from.
pub trait Files {
    /// Why reading failed.
    type Error;

    /// The relative paths of all files, with `/`.
    ///
    /// # Errors
    /// Where the folder can't be read.
    fn list(&mut self) -> Result<Vec<String>, Self::Error>;

    /// At most `limit` bytes from `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// Where the file can't be read.
    fn read(&mut self, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, Self::Error>;
}

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFault {
    /// No whole frame stands here.
    Frame(FormatError),
    /// A segment of the journal is not there.
    MissingSegment,
    /// The frame's leaf is none.
    Leaf(FormatError),
    /// The leaf has another id than its frame.
    LeafId,
    /// The sealed openings are not those that the leaf was written with.
    Openings,
    /// A tree begins without a leaf that says which, or begins twice.
    Beginning,
    /// What the first leaf says of the tree before it is not so.
    Fork,
    /// The leaf is not the one that the checkpoint covers.
    AlteredLeaf,
    /// The journal ends before the leaves that a checkpoint covers.
    MissingLeaf,
    /// The frames of different logs are not in the order in which they were written.
    Order,
    /// The leaves before this round of the node log are not those that it saw.
    Round,
    /// A tile, entry bundle or table of positions is not what the journal gives.
    AlteredTile,
    /// A tile or entry bundle that the checkpoint needs is not there.
    MissingTile,
    /// A checkpoint is damaged, or not signed by the log's key.
    Checkpoint(FormatError),
    /// A log of which the journal has leaves has no checkpoint.
    MissingCheckpoint,
    /// The file of the log's key is damaged, or names another log.
    Key(FormatError),
    /// The log's key is not the one that is known.
    OtherKey,
    /// A file that no log has.
    UnknownFile,
}

impl LogFault {
    /// One sentence.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self {
            Self::Frame(FormatError { fault: Fault::Truncated, .. }) => {
                "the journal is cut off inside a frame"
            }
            Self::Frame(_) => "no whole frame stands here: bytes were changed, removed or inserted",
            Self::MissingSegment => "a segment of the journal is missing",
            Self::Leaf(_) => "the leaf is malformed",
            Self::LeafId => "the leaf stands in the frame of another leaf",
            Self::Openings => "the sealed openings beside the leaf were altered",
            Self::Beginning => "a log begins here without a leaf that says so, or for a second time",
            Self::Fork => "this log does not continue the one before it as it says",
            Self::AlteredLeaf => "this is not the leaf that the signed checkpoint covers",
            Self::MissingLeaf => "the journal ends before the leaves that the signed checkpoint covers",
            Self::Order => "from here on, frames are not in the order in which they were written",
            Self::Round => "leaves are not those that the node log once saw",
            Self::AlteredTile => "the file is not what the journal gives",
            Self::MissingTile => "a tile that the checkpoint needs is missing",
            Self::Checkpoint(_) => "the checkpoint is damaged or not signed by the log's key",
            Self::MissingCheckpoint => "the log has no checkpoint",
            Self::Key(_) => "the file of the log's key is damaged or of another log",
            Self::OtherKey => "the log's key is not the one that is known",
            Self::UnknownFile => "no log has such a file",
        }
    }
}

/// One alteration: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// The log, where it is known.
    pub log: Option<LogId>,
    /// The index of the first leaf concerned, where it is known.
    pub index: Option<u64>,
    /// What is wrong.
    pub fault: LogFault,
}

/// What one log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The log.
    pub log: LogId,
    /// Leaves in the journal.
    pub leaves: u64,
    /// How many of them a checkpoint covers.
    pub covered: u64,
    /// The root of all of them.
    pub root: Hash,
}

/// What the check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Every log, in the order of ids.
    pub logs: Vec<Summary>,
    /// Every alteration that was told apart; the first comes first. Empty is a whole log.
    pub findings: Vec<Finding>,
}

/// Checks a log's files. `known` are keys that the auditor has from elsewhere; a log of that name must have that key.
///
/// # Errors
/// Only where a file can't be read: what is wrong with their content is in the report.
pub fn check<F: Files>(
    files: &mut F,
    known: &[VerifierKey],
    mut verify: impl FnMut(&[u8; 32], &[u8], &[u8]) -> bool,
) -> Result<Report, F::Error> {
    let mut check = Check::default();
    let segments = check.sort_files(files.list()?);
    for (log, paths) in core::mem::take(&mut check.folders) {
        let tree = Tree::load(files, log, &paths, known, &mut verify, &mut check.other)?;
        check.trees.insert(log, tree);
    }
    check.journal(files, &segments)?;
    for (log, tree) in &mut check.trees {
        let is_current = check.current.get(&log.0) == Some(&log.1);
        tree.finish(files, is_current, &check.end, &mut check.journal, &mut check.other)?;
    }
    check.journal.sort_by(|left, right| (&left.file, left.offset).cmp(&(&right.file, right.offset)));
    let logs = check.trees.values().map(Tree::summary).collect();
    check.journal.append(&mut check.other);
    Ok(Report { logs, findings: check.journal })
}

/// Every frame of a journal in order, for showing. Stops at the first that is damaged.
///
/// # Errors
/// Where a file can't be read.
pub fn frames<F: Files>(
    files: &mut F,
    mut visit: impl FnMut(LogId, u64, &Frame<'_>, &Leaf),
) -> Result<Vec<Finding>, F::Error> {
    let mut check = Check::default();
    let segments = check.sort_files(files.list()?);
    let mut logs: BTreeMap<EnvironmentId, ([u8; 16], u64)> = BTreeMap::new();
    check.walk(files, &segments, |check, _, _, frame, leaf, at| {
        if let Some(incarnation) = beginning(leaf) {
            logs.insert(frame.environment, (incarnation, 0));
        }
        match logs.get_mut(&frame.environment) {
            Some((incarnation, next)) => {
                visit((frame.environment, *incarnation), *next, frame, leaf);
                *next += 1;
            }
            None => check.journal.push(at.finding(None, None, LogFault::Beginning)),
        }
        Ok(())
    })?;
    Ok(check.journal)
}

/// The incarnation that a leaf begins, if it is a first one.
pub(crate) fn beginning(leaf: &Leaf) -> Option<[u8; 16]> {
    match leaf.plain.get(FIELD_INCARNATION) {
        Some(Plain::Text(text)) if leaf.kind == LeafKind::Fork => unhex(text),
        _ => None,
    }
}

/// Reads lower-case hex of exactly `N` bytes.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || text.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut out = [0; N];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(out)
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write;
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// A place in the journal.
#[derive(Clone, Default)]
pub(crate) struct At {
    file: String,
    segment: u64,
    offset: u64,
}

impl At {
    fn finding(&self, log: Option<LogId>, index: Option<u64>, fault: LogFault) -> Finding {
        Finding { file: self.file.clone(), offset: self.offset, log, index, fault }
    }
}

#[derive(Default)]
struct Check {
    folders: BTreeMap<LogId, Vec<String>>,
    trees: BTreeMap<LogId, Tree>,
    /// The incarnation that each environment's frames belong to at this place.
    current: BTreeMap<EnvironmentId, [u8; 16]>,
    seen: BTreeSet<LogId>,
    order: Hash,
    /// Where the frames begin that the next round's order speaks of.
    unordered_from: At,
    end: At,
    journal: Vec<Finding>,
    other: Vec<Finding>,
}

impl Check {
    /// Parts the files into segments, in order, and the folders of trees.
    fn sort_files(&mut self, paths: Vec<String>) -> Vec<u64> {
        let mut segments = BTreeSet::new();
        for path in paths {
            let mut parts = path.splitn(3, '/');
            match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
                // What a daemon keeps for itself, and no evidence.
                ("tip" | "alive" | "lock" | "new", None, None) => continue,
                (JOURNAL, Some(name), None) => {
                    let number = name.strip_suffix(".log").and_then(|digits| digits.parse().ok());
                    if let Some(number) = number.filter(|number| segment_path(*number) == path) {
                        segments.insert(number);
                        continue;
                    }
                }
                (environment, Some(incarnation), Some(rest)) => {
                    if let (Some(environment), Some(incarnation)) = (unhex(environment), unhex(incarnation)) {
                        let log = (EnvironmentId(environment), incarnation);
                        self.folders.entry(log).or_default().push(rest.into());
                        continue;
                    }
                }
                _ => {}
            }
            self.other.push(Finding {
                file: path,
                offset: 0,
                log: None,
                index: None,
                fault: LogFault::UnknownFile,
            });
        }
        segments.into_iter().collect()
    }

    fn journal<F: Files>(&mut self, files: &mut F, segments: &[u64]) -> Result<(), F::Error> {
        self.walk(files, segments, |check, files, bytes, frame, leaf, at| {
            check.frame(files, frame, leaf, at)?;
            check.order = order(&check.order, bytes);
            Ok(())
        })
    }

    /// Gives every whole frame to `visit`, up to the first that is not.
    fn walk<F: Files>(
        &mut self,
        files: &mut F,
        segments: &[u64],
        mut visit: impl FnMut(&mut Self, &mut F, &[u8], &Frame<'_>, &Leaf, &At) -> Result<(), F::Error>,
    ) -> Result<(), F::Error> {
        for (expected, &segment) in (0..).zip(segments) {
            let mut at = At { file: segment_path(segment), segment, offset: 0 };
            if segment != expected {
                let missing = At { file: segment_path(expected), segment: expected, offset: 0 };
                self.end = missing.clone();
                self.journal.push(missing.finding(None, None, LogFault::MissingSegment));
                return Ok(());
            }
            let mut window: Vec<u8> = Vec::new();
            let (mut used, mut is_end) = (0, false);
            loop {
                while !is_end && window.len() - used < frame::MAX_FRAME {
                    window.drain(..used);
                    used = 0;
                    let more = files.read(&at.file, at.offset + window.len() as u64, CHUNK)?;
                    is_end = more.is_empty();
                    window.extend_from_slice(&more);
                }
                let rest = window.get(used..).unwrap_or_default();
                if rest.is_empty() {
                    break;
                }
                let (frame, length) = match frame::parse(rest) {
                    Ok(parsed) => parsed,
                    Err(error) => {
                        self.end = at.clone();
                        self.journal.push(at.finding(None, None, LogFault::Frame(error)));
                        return Ok(());
                    }
                };
                match Leaf::decode(frame.leaf) {
                    Ok(leaf) => {
                        // Bounded by the window, which `parse` read it from.
                        let bytes = rest.get(..length).unwrap_or_default();
                        visit(self, files, bytes, &frame, &leaf, &at)?;
                    }
                    Err(error) => self.journal.push(at.finding(None, None, LogFault::Leaf(error))),
                }
                used += length;
                at.offset += length as u64;
            }
            self.end = at;
        }
        Ok(())
    }

    fn frame<F: Files>(
        &mut self,
        files: &mut F,
        frame: &Frame<'_>,
        leaf: &Leaf,
        at: &At,
    ) -> Result<(), F::Error> {
        if let Some(incarnation) = beginning(leaf) {
            self.begin((frame.environment, incarnation), leaf, at);
        }
        let Some(incarnation) = self.current.get(&frame.environment) else {
            self.journal.push(at.finding(None, None, LogFault::Beginning));
            return Ok(());
        };
        let log = (frame.environment, *incarnation);
        let tree = self.trees.entry(log).or_insert_with(|| Tree::without_folder(log));
        let index = Some(tree.size());
        if let (0, Some(Plain::Text(key))) = (tree.size(), leaf.plain.get(FIELD_KEY)) {
            tree.expect_key(key, &mut self.other);
        }
        tree.append(files, frame.leaf, at, &mut self.journal)?;
        if leaf.id != frame.leaf_id {
            self.journal.push(at.finding(Some(log), index, LogFault::LeafId));
        }
        let openings = leaf.commitments.get(FIELD_OPENINGS);
        let expected = (!frame.openings.is_empty()).then(|| openings_digest(frame.openings));
        if openings != expected.as_ref() {
            self.journal.push(at.finding(Some(log), index, LogFault::Openings));
        }
        if leaf.kind == LeafKind::CheckpointRef {
            self.round(files, log, leaf, at, index)?;
        }
        Ok(())
    }

    /// A tree begins: what its leaf says of the one before must be so, as far as that is here.
    fn begin(&mut self, log: LogId, leaf: &Leaf, at: &At) {
        if !self.seen.insert(log) {
            self.journal.push(at.finding(Some(log), Some(0), LogFault::Beginning));
            return;
        }
        let before = self.current.insert(log.0, log.1).and_then(|old| self.trees.get(&(log.0, old)));
        let Some(before) = before else { return };
        let text = |field: &str| match leaf.plain.get(field) {
            Some(Plain::Text(text)) => text.as_str(),
            _ => "",
        };
        let size = match leaf.plain.get(FIELD_OLD_SIZE) {
            Some(Plain::Uint(size)) => Some(*size),
            _ => None,
        };
        let (old_size, old_root) = (before.size(), before.root());
        let names_it = text(FIELD_OLD_ORIGIN).ends_with(&tree_path(before.log()));
        if !names_it || size != Some(old_size) || unhex(text(FIELD_OLD_ROOT)) != Some(old_root) {
            self.journal.push(at.finding(Some(before.log()), Some(old_size), LogFault::Fork));
        }
    }

    /// A round of the node log: the order of all frames before, and checkpoints as they were.
    fn round<F: Files>(
        &mut self,
        files: &mut F,
        log: LogId,
        leaf: &Leaf,
        at: &At,
        index: Option<u64>,
    ) -> Result<(), F::Error> {
        for (field, value) in &leaf.plain {
            let Plain::Text(value) = value else { continue };
            if field == FIELD_ORDER {
                let recorded = unhex(value).unwrap_or_default();
                if recorded != self.order {
                    let from = core::mem::take(&mut self.unordered_from);
                    let from = if from.file.is_empty() { At { file: segment_path(0), ..from } } else { from };
                    // What a tree named already, better than this, is not named again.
                    let begins = (&from.file, from.offset);
                    if !self.journal.iter().any(|found| (&found.file, found.offset) >= begins) {
                        self.journal.push(from.finding(None, None, LogFault::Order));
                    }
                    // What follows is held against what the round saw.
                    self.order = recorded;
                }
                self.unordered_from = at.clone();
                continue;
            }
            let mut parts = value.split(' ');
            let seen = (|| {
                let environment = EnvironmentId(unhex(field)?);
                let incarnation = unhex(parts.next()?)?;
                let size: u64 = parts.next()?.parse().ok()?;
                Some(((environment, incarnation), size, unhex::<32>(parts.next()?)?))
            })();
            let Some((other, size, root)) = seen else {
                self.journal.push(at.finding(Some(log), index, LogFault::Round));
                continue;
            };
            match self.trees.get_mut(&other) {
                Some(tree) => {
                    tree.seen(files, size, &root, at, &mut self.journal)?;
                }
                None => self.journal.push(at.finding(Some(other), Some(0), LogFault::MissingLeaf)),
            }
        }
        Ok(())
    }
}
