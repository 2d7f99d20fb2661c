//! The state that the works of one batch see: the committed state below, and above it what the batch has written.
//!
//! One map holds the writes of the whole batch, and a list of what the running work replaced lets it be taken back, so an
//! aborted or panicking work leaves no trace and nothing reaches the disk before the batch is complete.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::{Bound, ControlFlow};

use crate::error::StoreError;
use crate::store::{AfterCommit, AtEnd, Entry, MAX_KEY_BYTES, MAX_WORK_BYTES, Transaction};

/// What a batch writes, in key order; `None` removes the key.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Takes a key and its value, and says whether it wants the next.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// A committed state to read from.
pub(crate) trait Base {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether there is a value, without copying it.
    fn contains(&self, key: &[u8]) -> Result<bool, StoreError>;

    /// Gives `visit` the entries from `lower` on, in key order, until it breaks or there are no more.
    fn scan(&self, lower: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), StoreError>;
}

/// Entries with `prefix` after `after`, of a committed state.
pub(crate) fn range_of(
    base: &dyn Base,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    if limit == 0 {
        return Ok(entries);
    }
    base.scan(lower_bound(prefix, after), &mut |key, value| {
        if !key.starts_with(prefix) {
            return ControlFlow::Break(());
        }
        entries.push(Entry { key: key.to_vec(), value: value.to_vec() });
        if entries.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(entries)
}

fn lower_bound<'a>(prefix: &'a [u8], after: Option<&'a [u8]>) -> Bound<&'a [u8]> {
    match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    }
}

/// A batch being put together.
pub(crate) struct Batch<'a> {
    base: &'a dyn Base,
    changes: Changes,
    ends: Vec<([u8; 16], AtEnd)>,
    afters: Vec<AfterCommit>,
    bytes: usize,
    undo: Vec<Undo>,
    work_bytes: usize,
    work_afters: usize,
}

enum Undo {
    Change { key: Vec<u8>, before: Option<Option<Vec<u8>>> },
    EndAdded,
    EndReplaced { at: usize, before: AtEnd },
}

impl<'a> Batch<'a> {
    pub(crate) fn over(base: &'a dyn Base) -> Self {
        Self {
            base,
            changes: Changes::new(),
            ends: Vec::new(),
            afters: Vec::new(),
            bytes: 0,
            undo: Vec::new(),
            work_bytes: 0,
            work_afters: 0,
        }
    }

    /// Bytes written by the works that were kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn keep_work(&mut self) {
        self.undo.clear();
        self.bytes += self.work_bytes;
        self.work_bytes = 0;
        self.work_afters = self.afters.len();
    }

    pub(crate) fn undo_work(&mut self) {
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Change { key, before: Some(before) } => drop(self.changes.insert(key, before)),
                Undo::Change { key, before: None } => drop(self.changes.remove(&key)),
                Undo::EndAdded => drop(self.ends.pop()),
                Undo::EndReplaced { at, before } => {
                    if let Some(end) = self.ends.get_mut(at) {
                        end.1 = before;
                    }
                }
            }
        }
        self.afters.truncate(self.work_afters);
        self.work_bytes = 0;
    }

    /// Runs what was registered by `at_end`, also by such an end itself.
    pub(crate) fn run_ends(&mut self) -> Result<(), StoreError> {
        while !self.ends.is_empty() {
            for (_, finish) in std::mem::take(&mut self.ends) {
                finish(self)?;
                self.keep_work();
            }
        }
        Ok(())
    }

    pub(crate) fn into_parts(self) -> (Changes, Vec<AfterCommit>) {
        (self.changes, self.afters)
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.work_bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        if key.is_empty() || key.len() > MAX_KEY_BYTES || self.work_bytes > MAX_WORK_BYTES {
            return Err(StoreError::TooLarge);
        }
        let before = self.changes.insert(key.clone(), value);
        self.undo.push(Undo::Change { key, before });
        Ok(())
    }

    fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.is_some()),
            None => self.base.contains(key),
        }
    }
}

impl Transaction for Batch<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.base.get(key),
        }
    }

    fn range(&mut self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let lower = lower_bound(prefix, after);
        let written = self.changes.range::<[u8], _>((lower, Bound::Unbounded));
        let mut merge = Merge { written: written.peekable(), prefix, limit, entries: Vec::new() };
        if limit > 0 {
            self.base.scan(lower, &mut |key, value| merge.committed(key, value))?;
            merge.rest();
        }
        Ok(merge.entries)
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<bool, StoreError> {
        let replaced = self.contains(&key)?;
        self.write(key, Some(value))?;
        Ok(replaced)
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        let there = self.contains(key)?;
        if there {
            self.write(key.to_vec(), None)?;
        }
        Ok(there)
    }

    fn at_end(&mut self, id: [u8; 16], finish: AtEnd) {
        match self.ends.iter_mut().enumerate().find(|(_, end)| end.0 == id) {
            Some((at, end)) => {
                let before = std::mem::replace(&mut end.1, finish);
                self.undo.push(Undo::EndReplaced { at, before });
            }
            None => {
                self.ends.push((id, finish));
                self.undo.push(Undo::EndAdded);
            }
        }
    }

    fn after(&mut self, then: AfterCommit) {
        self.afters.push(then);
    }
}

/// Joins the committed entries with the batch's writes, in key order.
struct Merge<'a> {
    written: std::iter::Peekable<btree_map::Range<'a, Vec<u8>, Option<Vec<u8>>>>,
    prefix: &'a [u8],
    limit: usize,
    entries: Vec<Entry>,
}

impl Merge<'_> {
    fn committed(&mut self, key: &[u8], value: &[u8]) -> ControlFlow<()> {
        if !key.starts_with(self.prefix) {
            return ControlFlow::Break(());
        }
        while let Some((written, change)) = self.written.next_if(|(written, _)| written.as_slice() <= key) {
            self.push(written, change.as_deref());
            if self.entries.len() == self.limit {
                return ControlFlow::Break(());
            }
            if written.as_slice() == key {
                return ControlFlow::Continue(());
            }
        }
        self.push(key, Some(value));
        if self.entries.len() == self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn rest(&mut self) {
        while self.entries.len() < self.limit {
            let prefix = self.prefix;
            let Some((key, change)) = self.written.next_if(|(key, _)| key.starts_with(prefix)) else {
                return;
            };
            self.push(key, change.as_deref());
        }
    }

    fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        if let Some(value) = value {
            self.entries.push(Entry { key: key.to_vec(), value: value.to_vec() });
        }
    }
}
