//! How many names a directory has: an entry of its own in the index, so that a listing is complete or refused.
//!
//! A revocation list or a policy that refuses something is found by listing its directory. Taken away on disk, nobody would
//! ask for it by name. So the index counts what lies directly in each directory; that changes only when a record comes
//! or goes. Records with a version have no part in it: they are never listed.
use super::State;
use crate::{BarrierError, Batch};
use coffer_types::Kind;
use keystore_format::{
    index::directory_hash,
    name::{StoreKey, first_segment},
};

/// What lies directly in a directory.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) records: u64,
    pub(crate) directories: u64,
}

impl Counts {
    pub(crate) fn of(state: Option<State>) -> Self {
        let Some((records, tag)) = state else { return Self::default() };
        let directories = tag.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Self { records, directories }
    }

    /// As the entry keeps it; an empty directory has none.
    pub(crate) fn state(self) -> Option<State> {
        if self.is_empty() {
            return None;
        }
        let mut tag = [0; 16];
        if let Some(directories) = tag.first_chunk_mut() {
            *directories = self.directories.to_be_bytes();
        }
        Some((self.records, tag))
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Whether the names of a kind are counted.
pub(crate) const fn is_counted(kind: Kind) -> bool {
    !matches!(kind, Kind::KvV2Version | Kind::TransitNonces)
}

/// The lengths of the prefixes of `store_key` that are the directories it lies in, from the top; none for what is not
/// counted: a record with a version, one without a name, and what is no store key.
pub(crate) fn directories(store_key: &[u8]) -> Vec<usize> {
    let Ok(parsed) = StoreKey::parse(store_key) else { return Vec::new() };
    if parsed.version.is_some() {
        return Vec::new();
    }
    let (mut lengths, mut rest) = (Vec::new(), parsed.path);
    while let Ok((_, after)) = first_segment(rest) {
        lengths.push(store_key.len() - rest.len());
        rest = after;
    }
    lengths
}

impl Batch<'_> {
    /// Whether a listing that found `found` in the directory of this prefix found all.
    pub(crate) fn is_whole(&mut self, prefix: &[u8], found: Counts) -> Result<bool, BarrierError> {
        Ok(Counts::of(self.expected_at(&directory_hash(prefix))?) == found)
    }

    /// A record came (`is_new`) or went: counts it in its directory, and that in the one above where it is the first or the
    /// last thing in it.
    pub(crate) fn count(&mut self, store_key: &[u8], is_new: bool) -> Result<(), BarrierError> {
        let mut is_record = true;
        for length in directories(store_key).into_iter().rev() {
            let key = directory_hash(store_key.get(..length).unwrap_or_default());
            let before = Counts::of(self.expected_at(&key)?);
            let mut after = before;
            let counted = if is_record { &mut after.records } else { &mut after.directories };
            *counted = if is_new { counted.saturating_add(1) } else { counted.saturating_sub(1) };
            self.note_at(key, after.state());
            if is_new && !before.is_empty() || !is_new && !after.is_empty() {
                break;
            }
            is_record = false;
        }
        Ok(())
    }
}

/// Takes each directory that is complete: its store key, and what lies in it.
pub(crate) type Done<'d, E> = &'d mut dyn FnMut(&[u8], Counts) -> Result<(), E>;

/// Counts the names of all directories of a table, from its records in the order of their keys.
#[derive(Default)]
pub(crate) struct Counting {
    /// The directories that the last record lies in.
    open: Vec<(Vec<u8>, Counts)>,
}

impl Counting {
    /// The next record; gives `done` each directory that is complete.
    pub(crate) fn record<E>(&mut self, store_key: &[u8], done: Done<'_, E>) -> Result<(), E> {
        let lengths = directories(store_key);
        if lengths.is_empty() {
            return Ok(());
        }
        while let Some((directory, counts)) = self
            .open
            .pop_if(|(directory, _)| !lengths.contains(&directory.len()) || !store_key.starts_with(directory))
        {
            done(&directory, counts)?;
        }
        for length in lengths.into_iter().skip(self.open.len()) {
            if let Some((_, above)) = self.open.last_mut() {
                above.directories += 1;
            }
            self.open.push((store_key.get(..length).unwrap_or_default().to_vec(), Counts::default()));
        }
        if let Some((_, counts)) = self.open.last_mut() {
            counts.records += 1;
        }
        Ok(())
    }

    /// There are no more.
    pub(crate) fn finish<E>(&mut self, done: Done<'_, E>) -> Result<(), E> {
        while let Some((directory, counts)) = self.open.pop() {
            done(&directory, counts)?;
        }
        Ok(())
    }
}
