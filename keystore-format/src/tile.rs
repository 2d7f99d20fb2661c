//! Tiles (C2SP tlog-tiles): how a log lies in files, 256 hashes or entries each, so that whatever is full never
//! changes and any proof is read from a few of them.
use crate::error::{Fault, FormatError};
use crate::merkle::Hash;
use alloc::{format, string::String, vec::Vec};

/// Hashes of a full tile, and entries of a full bundle.
pub const WIDTH: u16 = 256;
/// Levels of the Merkle tree in one tile.
pub const HEIGHT: u8 = 8;
/// The highest level of tiles.
pub const MAX_LEVEL: u8 = 63;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes at this level of tiles; level 0 are the leaf hashes.
    Hashes(u8),
    /// The leaves themselves.
    Entries,
}

/// The name of one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// What it holds.
    pub kind: TileKind,
    /// Its index in its level.
    pub index: u64,
    /// How many hashes or entries: 1 to 256, where 256 is full.
    pub width: u16,
}

impl Tile {
    /// The path: `tile/<level>/<index>[.p/<width>]` or `tile/entries/<index>[.p/<width>]`, the index in groups of
    /// three digits, all but the last after an `x`.
    #[must_use]
    pub fn path(&self) -> String {
        let level = match self.kind {
            TileKind::Hashes(level) => format!("{level}"),
            TileKind::Entries => String::from("entries"),
        };
        let mut index = format!("{:03}", self.index % 1000);
        let mut above = self.index / 1000;
        while above > 0 {
            index = format!("x{:03}/{index}", above % 1000);
            above /= 1000;
        }
        let partial = if self.width == WIDTH { String::new() } else { format!(".p/{}", self.width) };
        format!("tile/{level}/{index}{partial}")
    }

    /// Reads a path; every tile has exactly one.
    ///
    /// # Errors
    /// `tile path` with [`Fault::Invalid`] or [`Fault::NotCanonical`].
    pub fn parse(path: &str) -> Result<Self, FormatError> {
        let invalid = FormatError::new("tile path", 0, Fault::Invalid);
        let rest = path.strip_prefix("tile/").ok_or(invalid)?;
        let (level, rest) = rest.split_once('/').ok_or(invalid)?;
        let kind = match level {
            "entries" => TileKind::Entries,
            level => match decimal(level).ok_or(invalid)? {
                level @ 0..=63 => TileKind::Hashes(level as u8),
                _ => return Err(invalid),
            },
        };
        let (groups, width) = match rest.split_once(".p/") {
            None => (rest, WIDTH),
            Some((groups, width)) => match decimal(width).ok_or(invalid)? {
                width @ 1..=255 => (groups, width as u16),
                _ => return Err(invalid),
            },
        };
        let mut index = 0u64;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(invalid);
            }
            let digits: u64 = digits.parse().map_err(|_| invalid)?;
            index = index.checked_mul(1000).and_then(|index| index.checked_add(digits)).ok_or(invalid)?;
        }
        let tile = Self { kind, index, width };
        // Leading zero groups and an `x` in the wrong place have no other way to show.
        if tile.path() != path {
            return Err(FormatError::new("tile path", 0, Fault::NotCanonical));
        }
        Ok(tile)
    }
}

/// How many hashes the rightmost, partial tile of a level has in a tree of `size` leaves; 0 where there is none.
#[must_use]
pub fn partial_width(level: u8, size: u64) -> u16 {
    // Below 256.
    (hashes_at(level, size) % u64::from(WIDTH)) as u16
}

/// How many full tiles a level has in a tree of `size` leaves.
#[must_use]
pub fn full_tiles(level: u8, size: u64) -> u64 {
    hashes_at(level, size) / u64::from(WIDTH)
}

/// Where a complete node of the Merkle tree is found: it is the root over `count` hashes from `first` in the tile
/// `index` of `level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The level of tiles.
    pub level: u8,
    /// The tile's index.
    pub index: u64,
    /// The first hash in it.
    pub first: u16,
    /// How many hashes: a power of two, at most 128.
    pub count: u16,
}

/// Where the node `index` of `level` (a level of the Merkle tree) is found.
#[must_use]
pub fn place(level: u8, index: u64) -> Place {
    let inner = level % HEIGHT;
    let first_hash = index << inner;
    Place {
        level: level / HEIGHT,
        index: first_hash / u64::from(WIDTH),
        // Below 256, and at most 2^7.
        first: (first_hash % u64::from(WIDTH)) as u16,
        count: 1 << inner,
    }
}

impl Place {
    /// The node's hash, from the tile's hashes; `None` where the tile is too narrow.
    #[must_use]
    pub fn hash_in(&self, tile: &[Hash]) -> Option<Hash> {
        let first = usize::from(self.first);
        tile.get(first..first + usize::from(self.count)).map(crate::merkle::subtree_root)
    }
}

/// The bytes of a hash tile: its hashes, one after the other.
#[must_use]
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Reads a hash tile of this width.
///
/// # Errors
/// `tile hashes` with [`Fault::Truncated`] or [`Fault::TrailingBytes`].
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<&[Hash], FormatError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() < usize::from(width) {
        return Err(FormatError::new("tile hashes", bytes.len(), Fault::Truncated));
    }
    if hashes.len() > usize::from(width) || !rest.is_empty() {
        return Err(FormatError::new("tile hashes", 32 * usize::from(width), Fault::TrailingBytes));
    }
    Ok(hashes)
}

/// Appends one entry to a bundle: its length as u16, then its bytes.
///
/// # Errors
/// `tile entry` [`Fault::TooLong`] beyond 65,535 bytes.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), FormatError> {
    let length = u16::try_from(entry.len())
        .map_err(|_| FormatError::new("tile entry", bundle.len(), Fault::TooLong))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Reads a bundle of `width` entries.
///
/// # Errors
/// `tile entry` [`Fault::Truncated`], `tile entries` [`Fault::TrailingBytes`].
pub fn entries(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, FormatError> {
    let mut rest = bundle;
    let mut found = Vec::with_capacity(usize::from(width.min(WIDTH)));
    for _ in 0..width {
        let at = bundle.len() - rest.len();
        let entry = rest
            .split_first_chunk()
            .and_then(|(length, after)| after.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let (entry, after) = entry.ok_or(FormatError::new("tile entry", at, Fault::Truncated))?;
        found.push(entry);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(FormatError::new("tile entries", bundle.len() - rest.len(), Fault::TrailingBytes));
    }
    Ok(found)
}

fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(HEIGHT)).unwrap_or(0)
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
