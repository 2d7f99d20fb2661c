//! One round: a sync for all who wait, then tiles and checkpoints of what it made durable.
use super::append::AHEAD;
use super::disk::{is_full, private_file, replace, sync_folder};
use super::tip::Tip;
use super::tree::Snapshot;
use super::{Health, Journal, NODE, Segment, Tree, Turn, lock};
use crate::Unrecorded;
use keystore_format::ids::EnvironmentId;
use keystore_format::leaf::{Leaf, LeafKind, Plain};
use keystore_format::logcheck::{self, hex, segment_path, tree_path};
use keystore_format::tile::{self, Tile};
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A segment that is longer gets a successor.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Trees in one leaf of a round: 48 of at most 160 bytes fit a leaf of 8 KiB.
const TREES_IN_LEAF: usize = 48;

impl Journal {
    /// Makes everything durable, and checkpoints of every tree with new leaves.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub fn round(&self) -> Result<(), Unrecorded> {
        let mut turn = lock(&self.turn);
        self.round_in(&mut turn)
    }

    fn round_in(&self, turn: &mut Turn) -> Result<(), Unrecorded> {
        self.flush_counts()?;
        let (snapshots, retired) = {
            let state = self.lock();
            let dirty = state.trees.values().filter(|tree| tree.is_dirty());
            let snapshots: Vec<Snapshot> = dirty.map(Tree::snapshot).collect();
            let retired: Vec<Snapshot> = state.retired.iter().map(Tree::snapshot).collect();
            (snapshots, retired)
        };
        self.sync()?;
        let mut signed = Vec::new();
        for snapshot in retired.iter().chain(&snapshots) {
            match self.write_tree(snapshot) {
                Ok(()) => {}
                // The journal has every leaf; tiles and checkpoints wait until there is space again.
                Err(error) if is_full(&error) => return Err(Unrecorded::Full),
                Err(error) => return Err(self.fail("a checkpoint can't be written", &error)),
            }
            if let Some(signer) = &snapshot.signer {
                (signer.told)(snapshot.size, snapshot.root);
                signed.push(snapshot);
            }
        }
        {
            let mut state = self.lock();
            state.retired.drain(..retired.len());
            for snapshot in &snapshots {
                let tree = state.trees.get_mut(&snapshot.log.0);
                // Another incarnation may have begun meanwhile; then this one is among the retired.
                if let Some(tree) = tree.filter(|tree| tree.incarnation == snapshot.log.1) {
                    tree.written(snapshot);
                }
            }
        }
        self.witness(&signed)?;
        self.keep_tip(turn).and_then(|()| self.roll(turn)).map_err(|error| match error {
            error if is_full(&error) => Unrecorded::Full,
            error => self.fail("a segment can't be begun", &error),
        })
    }

    /// The last rounds, and a mark that nothing was lost. Afterwards nothing is recorded.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub fn close(&self) -> Result<(), Unrecorded> {
        let mut turn = lock(&self.turn);
        loop {
            self.round_in(&mut turn)?;
            // The node log's leaf over the last checkpoints wants a checkpoint itself.
            let mut state = self.lock();
            if !state.trees.values().any(Tree::is_dirty) && state.retired.is_empty() {
                state.health = Health::Closed;
                turn.tip = Some(self.tip(&state));
                break;
            }
        }
        self.keep_tip(&mut turn).and_then(|()| self.clear_alive()).map_err(|error| match error {
            error if is_full(&error) => Unrecorded::Full,
            error => self.fail("the journal can't be closed in order", &error),
        })
    }

    /// Makes every frame durable that was written so far.
    pub(crate) fn sync(&self) -> Result<(), Unrecorded> {
        let (frames, file, unsynced) = {
            let mut state = self.lock();
            if state.health == Health::Failed {
                return Err(Unrecorded::Failed);
            }
            state.waiting_bytes = 0;
            (state.frames, Arc::clone(&state.segment.file), state.unsynced.clone())
        };
        for file in unsynced.iter().chain([&file]) {
            // After a failed sync nobody knows what is durable, and the next one would say that all is well.
            self.disk.sync(file).map_err(|error| self.fail("the audit log can't be made durable", &error))?;
        }
        self.lock().unsynced.drain(..unsynced.len());
        self.durable.send_modify(|durable| *durable = (*durable).max(frames));
        Ok(())
    }

    /// Waits until so many frames are durable.
    pub(crate) async fn durable(&self, frame: u64) -> Result<(), Unrecorded> {
        let mut durable = self.durable.subscribe();
        self.bell.ring_now();
        let reached = durable.wait_for(|durable| *durable >= frame).await.map(|durable| *durable);
        // A failure counts as everything, so that nobody waits for ever.
        match reached {
            Ok(u64::MAX) | Err(_) => Err(Unrecorded::Failed),
            Ok(_) => Ok(()),
        }
    }

    /// How many frames are durable; the outbox may let go of them.
    pub(crate) fn durable_frames(&self) -> u64 {
        match *self.durable.borrow() {
            u64::MAX => 0,
            frames => frames,
        }
    }

    pub(super) fn fail(&self, what: &str, error: &io::Error) -> Unrecorded {
        self.lock().health = Health::Failed;
        self.durable.send_replace(u64::MAX);
        tracing::error!(kind = %error.kind(), "{what}; nothing is answered any more");
        Unrecorded::Failed
    }

    /// In this order, so that a reader and a crash find the tiles of the checkpoint that stands there: what is wider, the
    /// checkpoint over it, and only then is removed what the one before needed.
    fn write_tree(&self, snapshot: &Snapshot) -> io::Result<()> {
        let folder = self.settings.directory.join(tree_path(snapshot.log));
        for (tile, bytes) in &snapshot.full {
            self.put(folder.join(tile.path()), bytes, false)?;
        }
        for (tile, bytes) in &snapshot.partial {
            self.put(folder.join(tile.path()), bytes, false)?;
        }
        if !snapshot.positions.is_empty() {
            let bytes: Vec<u8> = snapshot
                .positions
                .iter()
                .flat_map(|(segment, offset)| [segment.to_be_bytes(), offset.to_be_bytes()].concat())
                .collect();
            let file =
                private_file().write(true).create(true).truncate(false).open(folder.join("positions"))?;
            file.write_all_at(&bytes, snapshot.first_position * 16)?;
        }
        if let Some(signer) = &snapshot.signer {
            let key = folder.join("vkey");
            if !key.exists() {
                self.put(key, format!("{}\n", signer.key.to_text()).as_bytes(), true)?;
            }
            let note = signer.sign(snapshot.size, snapshot.root).map_err(io::Error::other)?;
            self.put(folder.join("checkpoint"), note.as_bytes(), true)?;
        }
        // Without a signer too: the full tile stands for them.
        for (tile, _) in &snapshot.full {
            let narrow = Tile { width: 1, ..*tile }.path();
            if let Some(partials) = folder.join(narrow).parent() {
                remove(fs::remove_dir_all(partials))?;
            }
        }
        for tile in &snapshot.stale {
            remove(fs::remove_file(folder.join(tile.path())))?;
        }
        Ok(())
    }

    pub(super) fn put(&self, path: PathBuf, bytes: &[u8], is_durable: bool) -> io::Result<()> {
        replace(&self.settings.directory.join("new"), &path, bytes, is_durable)
    }

    /// The node log's leaf over the checkpoints of this round, and over the order of all frames.
    fn witness(&self, signed: &[&Snapshot]) -> Result<(), Unrecorded> {
        let others: Vec<_> = signed.iter().filter(|snapshot| snapshot.log.0 != NODE).collect();
        for some in others.chunks(TREES_IN_LEAF) {
            let mut leaf =
                Leaf::new(LeafKind::CheckpointRef, self.next_id(), self.now_ms(), "node", "round", 0);
            for snapshot in some {
                let incarnation = EnvironmentId(snapshot.log.1);
                let seen = format!("{incarnation} {} {}", snapshot.size, hex(&snapshot.root));
                leaf.plain.insert(snapshot.log.0.to_string(), Plain::Text(seen));
            }
            self.append_ordered(leaf)?;
        }
        Ok(())
    }

    /// Counts since the last round, as one leaf.
    fn flush_counts(&self) -> Result<(), Unrecorded> {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.swap(0, Ordering::Relaxed)).collect();
        if counts.iter().all(|count| *count == 0) {
            return Ok(());
        }
        let mut leaf = Leaf::new(LeafKind::NodeEvent, self.next_id(), self.now_ms(), "node", "counts", 0);
        for (name, count) in crate::node::COUNTS.iter().zip(&counts).filter(|(_, count)| **count > 0) {
            leaf.plain.insert((*name).into(), Plain::Uint(*count));
        }
        let appended = self.append_node(leaf);
        if appended.is_err() {
            for (count, taken) in self.counts.iter().zip(counts) {
                count.fetch_add(taken, Ordering::Relaxed);
            }
        }
        appended.map(drop)
    }

    /// Keeps the start cache that a roll left, now that everything before it is in tiles.
    fn keep_tip(&self, turn: &mut Turn) -> io::Result<()> {
        let Some(tip) = turn.tip.take() else { return Ok(()) };
        // Tiles first: the cache promises them.
        rustix::fs::syncfs(fs::File::open(&self.settings.directory)?)?;
        self.put(self.settings.directory.join("tip"), &tip.encode(), true)?;
        sync_folder(&self.settings.directory)
    }

    fn roll(&self, turn: &mut Turn) -> io::Result<()> {
        let (number, end) = {
            let state = self.lock();
            (state.segment.number, state.segment.end)
        };
        if end < SEGMENT_BYTES {
            return Ok(());
        }
        let segment = self.new_segment(number + 1)?;
        let mut state = self.lock();
        let reserved = state.segment.reserved;
        let before = std::mem::replace(&mut state.segment, Segment { reserved, ..segment });
        // Gives back the blocks that were kept ahead.
        before.file.set_len(before.end)?;
        state.lengths.push(before.end);
        state.unsynced.push(before.file);
        turn.tip = Some(self.tip(&state));
        Ok(())
    }

    pub(super) fn new_segment(&self, number: u64) -> io::Result<Segment> {
        new_segment(&*self.disk, &self.settings.directory, number)
    }

    fn tip(&self, state: &super::State) -> Tip {
        Tip {
            segment: state.segment.number,
            offset: state.segment.end,
            lengths: state.lengths.clone(),
            frames: state.frames,
            order: state.order,
            trees: state.trees.values().map(|tree| Tree { signer: None, ..tree.clone() }).collect(),
        }
    }
}

/// Begins a segment, with blocks kept ahead.
pub(super) fn new_segment(
    disk: &dyn super::disk::Disk,
    directory: &std::path::Path,
    number: u64,
) -> io::Result<Segment> {
    let path = directory.join(segment_path(number));
    let file = private_file().read(true).write(true).create(true).truncate(true).open(&path)?;
    disk.allocate(&file, 0, AHEAD)?;
    sync_folder(&directory.join(logcheck::JOURNAL))?;
    Ok(Segment { number, file: Arc::new(file), end: 0, allocated: AHEAD, reserved: 0 })
}

fn remove(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// What the widths of tiles are counted in.
const _: () = assert!(tile::WIDTH == 256);
