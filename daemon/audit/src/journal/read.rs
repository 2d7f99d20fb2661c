//! Reading what was written: for proofs.
use super::Journal;
use keystore_format::checkpoint::{Checkpoint, LogProof};
use keystore_format::error::{Fault, FormatError};
use keystore_format::frame;
use keystore_format::leaf::Leaf;
use keystore_format::logcheck::{LogId, segment_path, tree_path};
use keystore_format::merkle::{self, Hash};
use keystore_format::note::Note;
use keystore_format::tile::{self, Tile, TileKind};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Why a proof can't be given.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    /// A file is not what it was.
    Damaged,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FormatError> for ReadError {
    fn from(_: FormatError) -> Self {
        Self::Damaged
    }
}

impl Journal {
    /// The leaf's place under the last checkpoint of its log; `None` until one covers it.
    pub(crate) fn prove(&self, log: LogId, index: u64) -> Result<Option<LogProof>, ReadError> {
        let folder = self.folder(log);
        let note = match fs::read_to_string(folder.join("checkpoint")) {
            Ok(note) => note,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let checkpoint = Checkpoint::parse(Note::parse(note.as_bytes())?.text())?;
        if index >= checkpoint.size {
            return Ok(None);
        }
        let hashes = merkle::prove_inclusion(index, checkpoint.size, |level, at| {
            self.node(log, checkpoint.size, level, at)
        })?;
        Ok(Some(LogProof { index, hashes, checkpoint: note }))
    }

    /// The newest signed checkpoint of a log; `None` before its first.
    pub(crate) fn checkpoint(&self, log: LogId) -> Result<Option<String>, ReadError> {
        match fs::read_to_string(self.folder(log).join("checkpoint")) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The proof that the tree of `old` leaves is the beginning of that of `new`; `None` where no checkpoint covers both.
    pub(crate) fn prove_consistency(
        &self,
        log: LogId,
        old: u64,
        new: u64,
    ) -> Result<Option<Vec<Hash>>, ReadError> {
        let Some(note) = self.checkpoint(log)? else { return Ok(None) };
        let size = Checkpoint::parse(Note::parse(note.as_bytes())?.text())?.size;
        if old == 0 || old > new || new > size {
            return Ok(None);
        }
        merkle::prove_consistency(old, new, |level, at| self.node(log, size, level, at)).map(Some)
    }

    /// The root over the first `size` leaves of a log, from its tiles, which hold `tiled` leaves.
    pub(crate) fn root_at(&self, log: LogId, size: u64, tiled: u64) -> Result<Hash, ReadError> {
        merkle::root_of(size, |level, at| self.node(log, tiled, level, at))
    }

    /// The leaf and the sealed openings at `index`.
    pub(crate) fn frame_at(&self, log: LogId, index: u64) -> Result<(Vec<u8>, u64, Vec<u8>), ReadError> {
        let mut place = [0; 16];
        File::open(self.folder(log).join("positions"))?.read_exact_at(&mut place, index * 16)?;
        let (segment, offset) = place.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).unwrap_or_default();
        let segment = File::open(self.settings.directory.join(segment_path(number(segment))))?;
        let mut bytes = vec![0; frame::MAX_FRAME];
        let mut filled = 0;
        while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
            match segment.read_at(free, number(offset) + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        let (found, _) = frame::parse(bytes.get(..filled).unwrap_or_default())?;
        if found.environment != log.0 {
            return Err(ReadError::Damaged);
        }
        Ok((found.leaf.to_vec(), found.leaf_id, found.openings.to_vec()))
    }

    /// When the leaf at `index` was recorded: milliseconds since 1970.
    pub(crate) fn recorded_at(&self, log: LogId, index: u64) -> Result<u64, ReadError> {
        let (leaf, _, _) = self.frame_at(log, index)?;
        Ok(Leaf::decode(&leaf)?.time_ms)
    }

    /// A complete node, from the tiles of a tree of `size` leaves.
    fn node(&self, log: LogId, size: u64, level: u8, index: u64) -> Result<Hash, ReadError> {
        let place = tile::place(level, index);
        let is_full = place.index < tile::full_tiles(place.level, size);
        let width = if is_full { tile::WIDTH } else { tile::partial_width(place.level, size) };
        let name = |width| Tile { kind: TileKind::Hashes(place.level), index: place.index, width };
        let folder = self.folder(log);
        let bytes = match fs::read(folder.join(name(width).path())) {
            // A round may have filled the tile since the checkpoint was read.
            Err(error) if error.kind() == ErrorKind::NotFound => self.wider(&folder, name(width))?,
            read => read?,
        };
        let hashes = bytes.as_chunks::<32>().0;
        place.hash_in(hashes).ok_or(ReadError::Damaged)
    }

    fn wider(&self, folder: &std::path::Path, tile: Tile) -> Result<Vec<u8>, ReadError> {
        for width in tile.width + 1..=tile::WIDTH {
            match fs::read(folder.join(Tile { width, ..tile }.path())) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                read => return Ok(read?),
            }
        }
        Err(ReadError::Damaged)
    }

    fn folder(&self, log: LogId) -> PathBuf {
        self.settings.directory.join(tree_path(log))
    }
}

/// A leaf that hashes to something else than its tile says.
pub(crate) fn demand_leaf(leaf: &[u8], proof: &LogProof) -> Result<(), ReadError> {
    let checkpoint = Checkpoint::parse(Note::parse(proof.checkpoint.as_bytes())?.text())?;
    merkle::verify_inclusion(
        proof.index,
        checkpoint.size,
        &merkle::leaf_hash(leaf),
        &proof.hashes,
        &checkpoint.root,
    )
    .map_err(|_| FormatError::new("leaf", 0, Fault::NotAuthentic))?;
    Ok(())
}
