//! One logical tree of the journal, as far as it is not yet in tiles.
use super::prepared::Prepared;
use super::sign::Signer;
use coffer_types::EnvironmentId;
use keystore_format::logcheck::LogId;
use keystore_format::merkle::{Frontier, Hash};
use keystore_format::tile::{self, Tile, TileKind};
use std::collections::BTreeSet;
use std::sync::Arc;

const WIDTH: u64 = tile::WIDTH as u64;

/// One environment's tree in its present incarnation. `Clone` for the snapshot that is kept on disk.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(crate) environment: EnvironmentId,
    pub(crate) incarnation: [u8; 16],
    pub(crate) frontier: Frontier,
    /// Hashes of the rightmost tile of each level, as far as it is filled.
    pub(crate) levels: Vec<Vec<Hash>>,
    /// The rightmost entry bundle, as far as it is filled.
    pub(crate) bundle: Vec<u8>,
    /// Leaves of the last checkpoint.
    pub(crate) checkpointed: u64,
    /// Leaves that are in tiles.
    pub(crate) tiled: u64,
    pub(crate) last_id: u64,
    /// The newest generation of the store that a leaf tells of.
    pub(crate) generation: u64,
    /// Leaves of changes that the outbox may still hold.
    pub(crate) unsettled: BTreeSet<u64>,
    /// Effects outside the store of which no end is known.
    pub(crate) unfinished: BTreeSet<u64>,
    /// Leaves may have been lost in a power cut: the next to open it begins a new incarnation.
    pub(crate) is_suspect: bool,
    /// Full tiles and bundles that are not on disk yet.
    pub(crate) full: Vec<(Tile, Arc<[u8]>)>,
    /// Where each leaf since `tiled` lies: segment and offset.
    pub(crate) positions: Vec<(u64, u64)>,
    /// The partial tiles that are on disk.
    pub(crate) partial: Vec<Tile>,
    pub(crate) signer: Option<Arc<Signer>>,
}

/// What one round writes of a tree.
pub(crate) struct Snapshot {
    pub(crate) log: LogId,
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) full: Vec<(Tile, Arc<[u8]>)>,
    pub(crate) partial: Vec<(Tile, Vec<u8>)>,
    pub(crate) stale: Vec<Tile>,
    pub(crate) first_position: u64,
    pub(crate) positions: Vec<(u64, u64)>,
    pub(crate) signer: Option<Arc<Signer>>,
}

impl Tree {
    pub(crate) fn new(environment: EnvironmentId, incarnation: [u8; 16]) -> Self {
        Self {
            environment,
            incarnation,
            frontier: Frontier::new(),
            levels: Vec::new(),
            bundle: Vec::new(),
            checkpointed: 0,
            tiled: 0,
            last_id: 0,
            generation: 0,
            unsettled: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            is_suspect: false,
            full: Vec::new(),
            positions: Vec::new(),
            partial: Vec::new(),
            signer: None,
        }
    }

    pub(crate) fn log(&self) -> LogId {
        (self.environment, self.incarnation)
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Whether a round has something to write.
    pub(crate) fn is_dirty(&self) -> bool {
        self.tiled < self.size() || (self.signer.is_some() && self.checkpointed < self.size())
    }

    /// Takes the leaf that was written at this place; returns its index.
    pub(crate) fn append(&mut self, prepared: &Prepared, segment: u64, offset: u64) -> u64 {
        let marks = &prepared.marks;
        self.last_id = self.last_id.max(marks.id);
        self.generation = self.generation.max(marks.generation.unwrap_or_default());
        if marks.is_change {
            self.unsettled.insert(marks.id);
        }
        if marks.opens_intent {
            self.unfinished.insert(marks.id);
        }
        if let Some(intent) = marks.closes_intent {
            self.unfinished.remove(&intent);
        }
        // At most 8 KiB, and an entry may have 64.
        let is_entry = tile::push_entry(&mut self.bundle, &prepared.leaf).is_ok();
        debug_assert!(is_entry);
        let levels = &mut self.levels;
        let index = self.frontier.append(prepared.hash, |level, _, node| {
            if level.is_multiple_of(tile::HEIGHT) {
                let level = usize::from(level / tile::HEIGHT);
                levels.resize_with(levels.len().max(level + 1), Vec::new);
                if let Some(hashes) = levels.get_mut(level) {
                    hashes.push(*node);
                }
            }
        });
        self.positions.push((segment, offset));
        if self.size().is_multiple_of(WIDTH) {
            self.fill(TileKind::Entries, index / WIDTH);
            for level in 0..self.levels.len() {
                // 64 levels of tiles would be 2^512 leaves.
                let kind = TileKind::Hashes(level as u8);
                let total = self.size() >> (level * usize::from(tile::HEIGHT));
                if self.levels.get(level).is_some_and(|hashes| hashes.len() as u64 == WIDTH) {
                    self.fill(kind, (total - 1) / WIDTH);
                }
            }
        }
        index
    }

    /// A tile became full: it waits for the next round.
    fn fill(&mut self, kind: TileKind, index: u64) {
        let bytes: Arc<[u8]> = match kind {
            TileKind::Entries => std::mem::take(&mut self.bundle).into(),
            TileKind::Hashes(level) => match self.levels.get_mut(usize::from(level)) {
                Some(hashes) => std::mem::take(hashes).concat().into(),
                None => return,
            },
        };
        self.full.push((Tile { kind, index, width: tile::WIDTH }, bytes));
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut partial = Vec::new();
        let entries = self.size() % WIDTH;
        if entries > 0 {
            // Below 256.
            let tile = Tile { kind: TileKind::Entries, index: self.size() / WIDTH, width: entries as u16 };
            partial.push((tile, self.bundle.clone()));
        }
        for (level, hashes) in self.levels.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty()) {
            let total = self.size() >> (level * usize::from(tile::HEIGHT));
            let (kind, width) = (TileKind::Hashes(level as u8), hashes.len() as u16);
            partial.push((Tile { kind, index: total / WIDTH, width }, hashes.concat()));
        }
        let is_kept = |tile: &Tile| partial.iter().any(|(kept, _)| kept == tile);
        // Without a signer the checkpoint stays where it is, and with it the tiles that it needs.
        let replaced = self.partial.iter().copied().filter(|tile| self.signer.is_some() && !is_kept(tile));
        let stale = replaced.collect();
        partial.retain(|(tile, _)| !self.partial.contains(tile));
        Snapshot {
            log: self.log(),
            size: self.size(),
            root: self.frontier.root(),
            full: self.full.clone(),
            partial,
            stale,
            first_position: self.tiled,
            positions: self.positions.clone(),
            signer: self.signer.clone(),
        }
    }

    /// What the snapshot held is on disk.
    pub(crate) fn written(&mut self, snapshot: &Snapshot) {
        self.full.drain(..snapshot.full.len().min(self.full.len()));
        self.positions.drain(..snapshot.positions.len().min(self.positions.len()));
        self.tiled = snapshot.size;
        self.partial.retain(|tile| !snapshot.stale.contains(tile));
        self.partial.extend(snapshot.partial.iter().map(|(tile, _)| *tile));
        if snapshot.signer.is_some() {
            self.checkpointed = snapshot.size;
        }
    }
}
