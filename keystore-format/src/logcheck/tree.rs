//! One tree under check: what its folder holds, against what the journal gives.
use super::{At, Files, Finding, LogFault, LogId, Summary, tree_path};
use crate::checkpoint::Checkpoint;
use crate::error::{Fault, FormatError};
use crate::ids::EnvironmentId;
use crate::merkle::{self, Frontier, Hash};
use crate::note::{self, Note, VerifierKey};
use crate::tile::{self, TileKind};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

const KEY: &str = "vkey";
const CHECKPOINT: &str = "checkpoint";
const POSITIONS: &str = "positions";
const WIDTH: usize = tile::WIDTH as usize;
/// A full bundle of the largest leaves.
const MAX_FILE: usize = WIDTH * (2 + u16::MAX as usize);

pub(crate) struct Tree {
    log: LogId,
    folder: String,
    key: Option<VerifierKey>,
    /// Size and root under the signed checkpoint.
    promised: Option<(u64, Hash)>,
    has_key: bool,
    has_checkpoint: bool,
    has_positions: bool,
    /// The widths of the files of each tile.
    tiles: BTreeMap<(TileKind, u64), Vec<u16>>,
    /// Hashes of tile level 1 and above, from the stored tiles of level 0.
    upper: Vec<Vec<Hash>>,
    /// Whether the stored tiles of level 0 give the checkpoint's root.
    tiles_hold: bool,

    /// What the journal gives.
    frontier: Frontier,
    levels: Vec<Vec<Hash>>,
    bundle: Vec<u8>,
    positions: Vec<u8>,
    /// The stored hashes beside the leaves that come.
    stored: Vec<Hash>,
    journal_root: Option<Hash>,

    /// The journal contradicted authentic tiles; what follows from that is not named again.
    broken: bool,
    first_difference: Option<(At, u64)>,
    altered_files: Vec<Finding>,
    rounds: Vec<(At, u64, Hash)>,
    last_seen: u64,
    /// The tree over the stored tiles, as far as the rounds have come.
    witness: Frontier,
}

impl Tree {
    pub(crate) fn without_folder(log: LogId) -> Self {
        Self {
            log,
            folder: tree_path(log),
            key: None,
            promised: None,
            has_key: false,
            has_checkpoint: false,
            has_positions: false,
            tiles: BTreeMap::new(),
            upper: Vec::new(),
            tiles_hold: false,
            frontier: Frontier::new(),
            levels: Vec::new(),
            bundle: Vec::new(),
            positions: Vec::new(),
            stored: Vec::new(),
            journal_root: None,
            broken: false,
            first_difference: None,
            altered_files: Vec::new(),
            rounds: Vec::new(),
            last_seen: 0,
            witness: Frontier::new(),
        }
    }

    /// Reads what the folder says: key, checkpoint, and the hashes of all leaves.
    pub(crate) fn load<F: Files>(
        files: &mut F,
        log: LogId,
        paths: &[String],
        known: &[VerifierKey],
        verify: &mut impl FnMut(&[u8; 32], &[u8], &[u8]) -> bool,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, F::Error> {
        let mut tree = Self::without_folder(log);
        let mut has_key = false;
        for path in paths {
            match (path.as_str(), tile::Tile::parse(path)) {
                (_, Ok(found)) => tree.tiles.entry((found.kind, found.index)).or_default().push(found.width),
                (KEY, _) => has_key = true,
                (CHECKPOINT, _) => tree.has_checkpoint = true,
                (POSITIONS, _) => tree.has_positions = true,
                _ => findings.push(tree.finding(path, 0, None, LogFault::UnknownFile)),
            }
        }
        tree.has_key = has_key;
        if has_key {
            tree.load_key(files, known, findings)?;
        }
        if tree.has_checkpoint {
            let bytes = files.read(&tree.path(CHECKPOINT), 0, note::MAX_NOTE + 1)?;
            match open_checkpoint(&bytes, tree.key.as_ref(), verify) {
                Ok(checkpoint) => tree.promised = Some((checkpoint.size, checkpoint.root)),
                Err(error) => {
                    findings.push(tree.finding(
                        CHECKPOINT,
                        error.offset as u64,
                        None,
                        LogFault::Checkpoint(error),
                    ));
                }
            }
        }
        tree.load_tiles(files)?;
        Ok(tree)
    }

    fn load_key<F: Files>(
        &mut self,
        files: &mut F,
        known: &[VerifierKey],
        findings: &mut Vec<Finding>,
    ) -> Result<(), F::Error> {
        let bytes = files.read(&self.path(KEY), 0, note::MAX_NAME * 2)?;
        match parse_key(&bytes, &self.folder) {
            Ok(key) => {
                if known.iter().any(|known| known.name() == key.name() && *known != key) {
                    findings.push(self.finding(KEY, 0, None, LogFault::OtherKey));
                }
                self.key = Some(key);
            }
            Err(error) => findings.push(self.finding(KEY, error.offset as u64, None, LogFault::Key(error))),
        }
        Ok(())
    }

    fn load_tiles<F: Files>(&mut self, files: &mut F) -> Result<(), F::Error> {
        let size = self.promised.map_or(u64::MAX, |(size, _)| size);
        let mut frontier = Frontier::new();
        let mut upper: Vec<Vec<Hash>> = Vec::new();
        let mut index = 0;
        while frontier.size() < size {
            let hashes = self.stored_tile(files, index)?;
            if hashes.is_empty() {
                break;
            }
            for hash in hashes.iter().take(usize::try_from(size - frontier.size()).unwrap_or(WIDTH)) {
                frontier.append(*hash, |level, _, node| {
                    if level >= tile::HEIGHT && level.is_multiple_of(tile::HEIGHT) {
                        level_of(&mut upper, usize::from(level / tile::HEIGHT) - 1).push(*node);
                    }
                });
            }
            index += 1;
            if hashes.len() < WIDTH {
                break;
            }
        }
        self.upper = upper;
        self.tiles_hold =
            self.promised.is_some_and(|(size, root)| frontier.size() == size && frontier.root() == root);
        Ok(())
    }

    pub(crate) fn log(&self) -> LogId {
        self.log
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    pub(crate) fn summary(&self) -> Summary {
        let covered = self.promised.map_or(0, |(size, _)| size.min(self.size()));
        Summary { log: self.log, leaves: self.size(), covered, root: self.root() }
    }

    /// The key that the first leaf names must be the one in the folder.
    pub(crate) fn expect_key(&mut self, text: &str, findings: &mut Vec<Finding>) {
        let differs = self.key.as_ref().is_some_and(|key| key.to_text() != text);
        if differs {
            findings.push(self.finding(KEY, 0, None, LogFault::OtherKey));
        }
    }

    /// The next leaf that the journal has.
    pub(crate) fn append<F: Files>(
        &mut self,
        files: &mut F,
        leaf: &[u8],
        at: &At,
        journal: &mut Vec<Finding>,
    ) -> Result<(), F::Error> {
        let (index, hash) = (self.size(), merkle::leaf_hash(leaf));
        let within = (index % WIDTH as u64) as usize;
        if within == 0 {
            self.stored = self.stored_tile(files, index / WIDTH as u64)?;
        }
        let differs = self.stored.get(within).is_some_and(|stored| *stored != hash);
        if differs && !self.broken {
            if self.tiles_hold && self.promised.is_some_and(|(size, _)| index < size) {
                journal.push(at.finding(Some(self.log), Some(index), LogFault::AlteredLeaf));
                self.broken = true;
            } else if self.first_difference.is_none() {
                self.first_difference = Some((at.clone(), index));
            }
        }
        let levels = &mut self.levels;
        self.frontier.append(hash, |level, _, node| {
            if level.is_multiple_of(tile::HEIGHT) {
                level_of(levels, usize::from(level / tile::HEIGHT)).push(*node);
            }
        });
        // A leaf has at most 8 KiB, and an entry may have 64.
        if tile::push_entry(&mut self.bundle, leaf).is_err() {
            self.broken = true;
        }
        self.positions.extend_from_slice(&at.segment.to_be_bytes());
        self.positions.extend_from_slice(&at.offset.to_be_bytes());
        if self.promised.is_some_and(|(size, _)| size == self.size()) {
            self.journal_root = Some(self.root());
        }
        if within == WIDTH - 1 {
            self.compare_all(files, WIDTH)?;
        }
        Ok(())
    }

    /// A round of the node log saw this tree with `size` leaves under `root`.
    pub(crate) fn seen<F: Files>(
        &mut self,
        files: &mut F,
        size: u64,
        root: &Hash,
        at: &At,
        journal: &mut Vec<Finding>,
    ) -> Result<(), F::Error> {
        if size > self.size() {
            journal.push(at.finding(Some(self.log), Some(self.size()), LogFault::MissingLeaf));
        } else if self.tiles_hold || size == self.size() {
            let seen = if size == self.size() { Some(self.root()) } else { self.root_at(files, size)? };
            if seen.is_none_or(|seen| seen == *root) || self.broken {
                self.last_seen = self.last_seen.max(size);
            } else {
                journal.push(at.finding(Some(self.log), Some(self.last_seen), LogFault::Round));
            }
        } else {
            self.rounds.push((at.clone(), size, *root));
        }
        Ok(())
    }

    /// The journal is at its end.
    pub(crate) fn finish<F: Files>(
        &mut self,
        files: &mut F,
        is_current: bool,
        end: &At,
        journal: &mut Vec<Finding>,
        other: &mut Vec<Finding>,
    ) -> Result<(), F::Error> {
        self.compare_all(files, (self.size() % WIDTH as u64) as usize)?;
        // A crash may have ended it before its first checkpoint, and its environment may not have been opened since: then
        // nobody could sign it. What a round of the node log has seen was signed, and the node can always sign its own.
        let is_node = self.log.0 == EnvironmentId::default();
        let must_be_signed = (is_node && is_current) || self.last_seen > 0 || !self.rounds.is_empty();
        if !self.has_key && (must_be_signed || self.has_checkpoint) {
            let absent = FormatError::new("verifier key", 0, Fault::Truncated);
            other.push(self.finding(KEY, 0, None, LogFault::Key(absent)));
        }
        if let Some((size, root)) = self.promised {
            if self.size() < size {
                journal.push(end.finding(Some(self.log), Some(self.size()), LogFault::MissingLeaf));
            } else {
                if self.journal_root.is_some_and(|found| found != root) && !self.broken && size > 0 {
                    self.name_difference(files, end, journal)?;
                }
                self.find_surplus(files)?;
                other.append(&mut self.altered_files);
                self.demand_tiles(size, other);
            }
        } else {
            self.check_rounds(files, journal)?;
            other.append(&mut self.altered_files);
            if !self.has_checkpoint && must_be_signed {
                other.push(self.finding(CHECKPOINT, 0, Some(0), LogFault::MissingCheckpoint));
            }
        }
        Ok(())
    }

    /// The journal does not give the checkpoint's root, and neither do the tiles: where does it part from what was?
    fn name_difference<F: Files>(
        &mut self,
        files: &mut F,
        end: &At,
        journal: &mut Vec<Finding>,
    ) -> Result<(), F::Error> {
        let before = journal.len();
        if let Some((at, index)) = self.first_difference.take() {
            journal.push(at.finding(Some(self.log), Some(index), LogFault::AlteredLeaf));
        } else {
            // Tiles were made anew to fit; older checkpoints in the node log narrow it down.
            self.check_rounds(files, journal)?;
        }
        if journal.len() == before {
            journal.push(end.finding(Some(self.log), Some(self.last_seen), LogFault::AlteredLeaf));
        }
        Ok(())
    }

    fn check_rounds<F: Files>(&mut self, files: &mut F, journal: &mut Vec<Finding>) -> Result<(), F::Error> {
        for (at, size, root) in core::mem::take(&mut self.rounds) {
            match self.root_at(files, size)? {
                Some(seen) if seen != root => {
                    journal.push(at.finding(Some(self.log), Some(self.last_seen), LogFault::Round));
                    return Ok(());
                }
                _ => self.last_seen = self.last_seen.max(size),
            }
        }
        Ok(())
    }

    /// Files that hold more than the journal has.
    fn find_surplus<F: Files>(&mut self, files: &mut F) -> Result<(), F::Error> {
        let end = self.size();
        let past = |(kind, index): &(TileKind, u64), width: u16| {
            let level = if let TileKind::Hashes(level) = kind { *level } else { 0 };
            let hashes = index.saturating_mul(WIDTH as u64).saturating_add(width.into());
            let shift = u32::from(level) * u32::from(tile::HEIGHT);
            hashes > end.checked_shr(shift).unwrap_or(0)
        };
        let mut surplus = Vec::new();
        for (at, widths) in &self.tiles {
            for &width in widths.iter().filter(|width| past(at, **width)) {
                surplus.push(tile::Tile { kind: at.0, index: at.1, width }.path());
            }
        }
        if self.has_positions && !files.read(&self.path(POSITIONS), end * 16, 1)?.is_empty() {
            surplus.push(POSITIONS.into());
        }
        for path in surplus {
            self.altered_files.push(self.finding(&path, 0, Some(end), LogFault::AlteredTile));
        }
        Ok(())
    }

    fn demand_tiles(&self, size: u64, findings: &mut Vec<Finding>) {
        let mut demand = |kind, level| {
            let full = tile::full_tiles(level, size);
            let partial = tile::partial_width(level, size);
            for index in 0..=full {
                let width = if index < full { tile::WIDTH } else { partial };
                // Rounds after the checkpoint replace a partial tile by a wider one, which begins with it: that was
                // compared with the journal.
                let is_there = self
                    .tiles
                    .get(&(kind, index))
                    .is_some_and(|widths| widths.iter().any(|found| *found >= width));
                if width > 0 && !is_there {
                    let path = tile::Tile { kind, index, width }.path();
                    findings.push(self.finding(&path, 0, None, LogFault::MissingTile));
                }
            }
        };
        demand(TileKind::Entries, 0);
        let mut level = 0;
        while level == 0 || size >> (u32::from(level) * u32::from(tile::HEIGHT)) > 0 {
            demand(TileKind::Hashes(level), level);
            level += 1;
        }
        if size > 0 && !self.has_positions {
            findings.push(self.finding(POSITIONS, 0, None, LogFault::MissingTile));
        }
    }

    /// Compares the rightmost tiles, as far as the journal has filled them, and starts those that are full anew.
    fn compare_all<F: Files>(&mut self, files: &mut F, entries: usize) -> Result<(), F::Error> {
        if entries == 0 && self.size().is_multiple_of(WIDTH as u64) {
            // Level 0 was compared when it filled; the levels above may be partial still.
            self.compare_levels(files, 1)?;
            return Ok(());
        }
        let first = self.size() - entries as u64;
        let bundle = core::mem::take(&mut self.bundle);
        self.compare_tile(files, (TileKind::Entries, first / WIDTH as u64), &bundle, entries)?;
        let positions = core::mem::take(&mut self.positions);
        if self.has_positions && !self.broken {
            let found = files.read(&self.path(POSITIONS), first * 16, positions.len())?;
            // The table may lag behind the journal, but not behind the checkpoint.
            let covered = self.promised.map_or(0, |(size, _)| size.saturating_sub(first) as usize * 16);
            if let Some(at) = difference(&found, &positions).filter(|at| *at < found.len() || *at < covered) {
                let leaf = first + at as u64 / 16;
                self.altered_files.push(self.finding(
                    POSITIONS,
                    first * 16 + at as u64,
                    Some(leaf),
                    LogFault::AlteredTile,
                ));
            }
        }
        self.compare_levels(files, 0)
    }

    fn compare_levels<F: Files>(&mut self, files: &mut F, from: usize) -> Result<(), F::Error> {
        for level in from..self.levels.len() {
            let hashes = self.levels.get(level).map(Vec::as_slice).unwrap_or_default();
            // Level 0 always; above it, when full or at the end.
            let (width, bytes) = (hashes.len(), hashes.concat());
            let total = self.size() >> (level * usize::from(tile::HEIGHT));
            let index = (total - width as u64) / WIDTH as u64;
            if width > 0 {
                // 64 levels of tiles would be 2^512 leaves.
                self.compare_tile(files, (TileKind::Hashes(level as u8), index), &bytes, width)?;
            }
            if width == WIDTH {
                level_of(&mut self.levels, level).clear();
            }
        }
        Ok(())
    }

    /// Compares every file of one tile with what the journal gives for it, `width` hashes or entries.
    fn compare_tile<F: Files>(
        &mut self,
        files: &mut F,
        (kind, index): (TileKind, u64),
        bytes: &[u8],
        width: usize,
    ) -> Result<(), F::Error> {
        if self.broken {
            return Ok(());
        }
        for file_width in self.tiles.get(&(kind, index)).cloned().unwrap_or_default() {
            let compared = usize::from(file_width).min(width);
            let expected = prefix(kind, bytes, compared);
            let path = tile::Tile { kind, index, width: file_width }.path();
            let found = files.read(&self.path(&path), 0, MAX_FILE)?;
            let Some(at) = difference(&found, expected) else { continue };
            // A tile above level 0 is compared at every full tile below it, and grows until it is full.
            if usize::from(file_width) > width
                && at == expected.len()
                && matches!(kind, TileKind::Hashes(1..))
            {
                continue;
            }
            let already = self.altered_files.iter().any(|found| found.file == self.path(&path));
            if !already {
                let leaf = match kind {
                    TileKind::Hashes(level) => {
                        let hash = index * WIDTH as u64 + at as u64 / 32;
                        hash << (u32::from(level) * u32::from(tile::HEIGHT)).min(63)
                    }
                    TileKind::Entries => index * WIDTH as u64 + entry_at(expected, at),
                };
                self.altered_files.push(self.finding(&path, at as u64, Some(leaf), LogFault::AlteredTile));
            }
        }
        Ok(())
    }

    /// The root over the first `size` leaves, from the stored tiles; `None` where one is missing.
    fn root_at<F: Files>(&mut self, files: &mut F, size: u64) -> Result<Option<Hash>, F::Error> {
        if size < self.witness.size() {
            return self.root_before(files, size);
        }
        // Rounds come in the order of their sizes, so that every stored hash is taken once.
        while self.witness.size() < size {
            let at = self.witness.size();
            let hashes = self.stored_tile(files, at / WIDTH as u64)?;
            let first = (at % WIDTH as u64) as usize;
            let wanted = usize::try_from(size - at).unwrap_or(WIDTH);
            let taken = hashes.get(first..).unwrap_or_default();
            if taken.is_empty() {
                return Ok(None);
            }
            for hash in taken.iter().take(wanted) {
                self.witness.append(*hash, |_, _, _| ());
            }
        }
        Ok(Some(self.witness.root()))
    }

    /// As [`Self::root_at`], for a round that comes out of order.
    fn root_before<F: Files>(&self, files: &mut F, size: u64) -> Result<Option<Hash>, F::Error> {
        let mut cached: (u64, Vec<Hash>) = (u64::MAX, Vec::new());
        let mut failed = None;
        let root = merkle::root_of(size, |level, index| {
            let place = tile::place(level, index);
            if place.level == 0 {
                if cached.0 != place.index {
                    let hashes =
                        self.stored_tile(files, place.index).map_err(|error| failed = Some(error))?;
                    cached = (place.index, hashes);
                }
                return place.hash_in(&cached.1).ok_or(());
            }
            let hashes = self.upper.get(usize::from(place.level) - 1).map(Vec::as_slice).unwrap_or_default();
            let start = usize::try_from(place.index * WIDTH as u64).unwrap_or(usize::MAX);
            place.hash_in(hashes.get(start..).unwrap_or_default()).ok_or(())
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(root.ok()),
        }
    }

    /// The hashes of a stored tile of level 0, by its widest file; empty where there is none.
    fn stored_tile<F: Files>(&self, files: &mut F, index: u64) -> Result<Vec<Hash>, F::Error> {
        let kind = TileKind::Hashes(0);
        let Some(&width) = self.tiles.get(&(kind, index)).and_then(|widths| widths.iter().max()) else {
            return Ok(Vec::new());
        };
        let path = self.path(&tile::Tile { kind, index, width }.path());
        let bytes = files.read(&path, 0, 32 * usize::from(width))?;
        Ok(bytes.as_chunks::<32>().0.to_vec())
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn finding(&self, name: &str, offset: u64, index: Option<u64>, fault: LogFault) -> Finding {
        Finding { file: self.path(name), offset, log: Some(self.log), index, fault }
    }
}

fn level_of(levels: &mut Vec<Vec<Hash>>, level: usize) -> &mut Vec<Hash> {
    if levels.len() <= level {
        levels.resize_with(level + 1, Vec::new);
    }
    #[allow(clippy::indexing_slicing, reason = "grown to hold it just above")]
    &mut levels[level]
}

fn parse_key(bytes: &[u8], folder: &str) -> Result<VerifierKey, FormatError> {
    let text = core::str::from_utf8(bytes)
        .map_err(|error| FormatError::new("verifier key", error.valid_up_to(), Fault::Invalid))?;
    let line =
        text.strip_suffix('\n').ok_or(FormatError::new("verifier key", bytes.len(), Fault::Truncated))?;
    let key = VerifierKey::parse(line)?;
    let is_ours = key.name().strip_suffix(folder).is_some_and(|host| host.ends_with('/'));
    // Base64 and hex have more than one spelling.
    if !is_ours || key.to_text() != line {
        return Err(FormatError::new("verifier key", 0, Fault::NotAuthentic));
    }
    Ok(key)
}

fn open_checkpoint(
    bytes: &[u8],
    key: Option<&VerifierKey>,
    verify: &mut impl FnMut(&[u8; 32], &[u8], &[u8]) -> bool,
) -> Result<Checkpoint, FormatError> {
    match key {
        Some(key) => {
            let checkpoint = Checkpoint::open(bytes, key, verify)?;
            // Signatures have more than one spelling in base64; only the one that was written counts.
            let note = Note::parse(bytes)?;
            if note.to_text().as_bytes() != bytes {
                return Err(FormatError::new("note signature", note.text().len() + 1, Fault::NotCanonical));
            }
            Ok(checkpoint)
        }
        // The key's damage is named already; what the checkpoint says still helps to compare.
        None => Checkpoint::parse(Note::parse(bytes)?.text()),
    }
}

/// The first `count` hashes or entries.
fn prefix(kind: TileKind, bytes: &[u8], count: usize) -> &[u8] {
    let mut end = 32 * count;
    if kind == TileKind::Entries {
        end = 0;
        for _ in 0..count {
            let length = bytes
                .get(end..)
                .and_then(<[u8]>::first_chunk)
                .map_or(0, |length| u16::from_be_bytes(*length));
            end += 2 + usize::from(length);
        }
    }
    bytes.get(..end).unwrap_or(bytes)
}

/// Which entry of a bundle the byte at `offset` belongs to.
fn entry_at(bundle: &[u8], offset: usize) -> u64 {
    (1..=WIDTH).take_while(|count| prefix(TileKind::Entries, bundle, *count).len() <= offset).count() as u64
}

/// Where two byte strings part.
fn difference(left: &[u8], right: &[u8]) -> Option<usize> {
    if left == right {
        return None;
    }
    let shared = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    Some(shared)
}
