//! Finding the names of a directory in a store that orders them by their ciphertext.
//!
//! A skip-scan: what lies deep below one name is jumped over. It asks for pages and takes them as they come, so that the
//! same scan serves the store and an open transaction.
use crate::{BarrierError, Listed, barrier::Hex, index::Counts};
use coffer_store::Entry;
use coffer_types::Kind;
use keystore_format::name::{self, SealedPath};

/// Entries of a page where values may be large.
pub(crate) const PAGE: usize = 32;
/// Entries of a page where values have shown to be small.
const LARGE_PAGE: usize = 512;
/// Bytes of a page above which values count as large.
const LARGE_BYTES: usize = 256 << 10;

/// What a directory holds.
pub(crate) struct Child {
    pub(crate) listed: Listed,
    /// The sealed path of the name.
    pub(crate) path: SealedPath,
}

pub(crate) struct SkipScan {
    kind: Kind,
    prefix: Vec<u8>,
    directory: SealedPath,
    after: Option<Vec<u8>>,
    limit: usize,
    children: Vec<Child>,
    /// Keys of records that speak for what was found and have not been checked yet: one for each name, and one for what
    /// lies below it.
    seen: Vec<Vec<u8>>,
}

impl SkipScan {
    /// Below `prefix`, the store key of the sealed `directory`.
    pub(crate) fn new(kind: Kind, prefix: Vec<u8>, directory: SealedPath) -> Self {
        Self { kind, prefix, directory, after: None, limit: PAGE, children: Vec::new(), seen: Vec::new() }
    }

    /// The next page to fetch: prefix, after, limit.
    pub(crate) fn wanted(&self) -> (&[u8], Option<&[u8]>, usize) {
        (&self.prefix, self.after.as_deref(), self.limit)
    }

    /// Takes the page that was wanted; whether that was the last. `open` opens a sealed segment.
    pub(crate) fn take(
        &mut self,
        page: Vec<Entry>,
        open: impl Fn(&[u8]) -> Option<String>,
    ) -> Result<bool, BarrierError> {
        let below_head = self.prefix.len() - self.directory.as_bytes().len();
        for Entry { key, .. } in &page {
            let damaged = || {
                let (kind, store_key) = (self.kind, Hex(key));
                tracing::error!(?kind, %store_key, "a name was altered on disk or moved: its directory can't be listed");
                BarrierError::Damaged(kind)
            };
            let rest = key.get(self.prefix.len()..).ok_or_else(damaged)?;
            if is_end(rest) {
                continue;
            }
            let (sealed, below) = name::first_segment(rest).map_err(|_| damaged())?;
            let path = key.get(below_head..key.len() - below.len()).ok_or_else(damaged)?;
            if self.children.last().is_none_or(|last| last.path.as_bytes() != path) {
                let name = open(sealed).ok_or_else(damaged)?;
                let path = SealedPath::from_bytes(path).map_err(|_| damaged())?;
                self.children
                    .push(Child { listed: Listed { name, is_record: false, is_directory: false }, path });
            }
            if let Some(Child { listed, .. }) = self.children.last_mut() {
                let known = if is_end(below) { &mut listed.is_record } else { &mut listed.is_directory };
                if !std::mem::replace(known, true) {
                    self.seen.push(key.clone());
                }
            }
        }
        let is_last = page.len() < self.limit;
        let bytes: usize = page.iter().map(|entry| entry.value.len()).sum();
        self.limit = if bytes > LARGE_BYTES { PAGE } else { LARGE_PAGE };
        self.after = page.into_iter().last().map(|entry| self.behind(entry.key));
        Ok(is_last)
    }

    /// The store key of the directory.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// How many names were found.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for Child { listed, .. } in &self.children {
            counts.records += u64::from(listed.is_record);
            counts.directories += u64::from(listed.is_directory);
        }
        counts
    }

    /// The keys that the index has to know for what was found since the last call.
    pub(crate) fn take_seen(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.seen)
    }

    /// The children, by the bytes of their names.
    pub(crate) fn finish(mut self) -> Vec<Child> {
        self.children.sort_unstable_by(|one, other| one.listed.cmp(&other.listed));
        self.children
    }

    /// Where to go on after `key`: behind a name's versions, and behind all that lies below a name once that is known.
    fn behind(&self, key: Vec<u8>) -> Vec<u8> {
        let Some(child) = self.children.last() else { return key };
        let mut behind = self.prefix.clone();
        behind.truncate(behind.len() - self.directory.as_bytes().len());
        behind.extend_from_slice(child.path.as_bytes());
        if child.listed.is_directory {
            // No version and no segment's length begins so.
            behind.extend_from_slice(&[0xff; 9]);
        } else {
            // Versions are below 2⁴⁸, the length of a segment is above 0.
            behind.extend_from_slice(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        }
        behind.max(key)
    }
}

/// Whether a store key ends here: nothing follows, or a version.
fn is_end(rest: &[u8]) -> bool {
    rest.is_empty() || rest.len() == 8
}
