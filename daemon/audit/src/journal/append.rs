//! Writing leaves.
use super::disk::is_full;
use super::{Health, Journal, NODE, Prepared, State, Tree};
use crate::Unrecorded;
use keystore_format::leaf::{Leaf, Plain};
use keystore_format::logcheck;
use std::sync::Arc;

/// Blocks are kept this far ahead.
pub(super) const AHEAD: u64 = 4 << 20;
/// Of these, so much is for urgent leaves alone: about a thousand seals and revocations on a full disk.
const KEEP: u64 = 1 << 20;
/// Leaves that wait for the disk are refused beyond this, so that memory stays bounded.
const WAITING_MAX: u64 = 256 << 20;

/// Where a leaf was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) index: u64,
    pub(crate) incarnation: [u8; 16],
    /// The number of its frame, from 1: durable when so many frames are.
    pub(crate) frame: u64,
}

/// Space for a leaf that is being committed: it will be appended, whatever else happens to the disk.
pub(crate) struct Reservation {
    journal: Arc<Journal>,
    bytes: u64,
}

impl Journal {
    /// Keeps space for a frame of so many bytes.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        bytes: usize,
        is_urgent: bool,
    ) -> Result<Reservation, Unrecorded> {
        let bytes = bytes as u64;
        let mut state = self.lock();
        self.make_room(&mut state, bytes, is_urgent)?;
        state.segment.reserved += bytes;
        Ok(Reservation { journal: Arc::clone(self), bytes })
    }

    /// Writes a leaf. It is in the log when this returns, and durable with the next sync.
    pub(crate) fn append(
        &self,
        prepared: &Prepared,
        mut reservation: Option<Reservation>,
        is_urgent: bool,
    ) -> Result<Placed, Unrecorded> {
        let mut state = self.lock();
        match &mut reservation {
            Some(reservation) => {
                // Emptied here, since dropping a full one takes the lock.
                state.segment.reserved =
                    state.segment.reserved.saturating_sub(std::mem::take(&mut reservation.bytes));
                state.demand_fine()?;
            }
            None => self.make_room(&mut state, prepared.frame.len() as u64, is_urgent)?,
        }
        self.write(&mut state, prepared)
    }

    fn write(&self, state: &mut State, prepared: &Prepared) -> Result<Placed, Unrecorded> {
        let (number, at) = (state.segment.number, state.segment.end);
        if let Err(error) = self.disk.write_at(&state.segment.file, &prepared.frame, at) {
            return Err(Self::not_written(state, &error));
        }
        let length = prepared.frame.len() as u64;
        state.segment.end += length;
        state.waiting_bytes += length;
        state.frames += 1;
        state.order = logcheck::order(&state.order, &prepared.frame);
        let (index, incarnation) = state.take(prepared, number, at);
        self.bell.ring();
        Ok(Placed { index, incarnation, frame: state.frames })
    }

    /// What was half written is cut off again: the next frame must follow the last whole one.
    fn not_written(state: &mut State, error: &std::io::Error) -> Unrecorded {
        let is_whole = state.segment.file.set_len(state.segment.end).is_ok();
        state.segment.allocated = state.segment.end;
        if is_full(error) && is_whole {
            return Unrecorded::Full;
        }
        state.health = Health::Failed;
        tracing::error!(kind = %error.kind(), "the audit log can't be written; nothing is answered any more");
        Unrecorded::Failed
    }

    fn make_room(&self, state: &mut State, bytes: u64, is_urgent: bool) -> Result<(), Unrecorded> {
        state.demand_fine()?;
        if state.waiting_bytes > WAITING_MAX && !is_urgent {
            return Err(Unrecorded::Behind);
        }
        let segment = &mut state.segment;
        let needed = segment.end + segment.reserved + bytes;
        if needed + KEEP <= segment.allocated {
            return Ok(());
        }
        let from = segment.allocated.max(segment.end);
        let allocated = needed + KEEP + AHEAD;
        match self.disk.allocate(&segment.file, from, allocated - from) {
            Ok(()) => {
                segment.allocated = allocated;
                Ok(())
            }
            Err(error) if is_full(&error) => {
                if is_urgent && needed <= segment.allocated {
                    Ok(())
                } else {
                    Err(Unrecorded::Full)
                }
            }
            Err(error) => {
                state.health = Health::Failed;
                tracing::error!(kind = %error.kind(), "no space can be kept for the audit log");
                Err(Unrecorded::Failed)
            }
        }
    }
}

impl Journal {
    /// Appends a leaf of the node log that says in which order all frames before it were written.
    pub(super) fn append_ordered(&self, mut leaf: Leaf) -> Result<Placed, Unrecorded> {
        let mut state = self.lock();
        leaf.plain.insert(logcheck::FIELD_ORDER.into(), Plain::Text(logcheck::hex(&state.order)));
        let prepared = Prepared::new(NODE, leaf, &[])?;
        self.make_room(&mut state, prepared.frame.len() as u64, true)?;
        self.write(&mut state, &prepared)
    }
}

impl State {
    pub(super) fn demand_fine(&self) -> Result<(), Unrecorded> {
        match self.health {
            Health::Fine => Ok(()),
            Health::Failed => Err(Unrecorded::Failed),
            Health::Closed => Err(Unrecorded::Closed),
        }
    }

    /// Gives a written leaf to its tree: index and incarnation.
    pub(super) fn take(&mut self, prepared: &Prepared, segment: u64, offset: u64) -> (u64, [u8; 16]) {
        let environment = prepared.environment;
        if let Some(incarnation) = prepared.marks.begins {
            let begun = Tree::new(environment, incarnation);
            if let Some(ended) = self.trees.insert(environment, begun) {
                self.retired.push(Tree { signer: None, ..ended });
            }
            if prepared.marks.tells_power_cut && environment == NODE {
                self.trees
                    .values_mut()
                    .filter(|tree| tree.environment != environment)
                    .for_each(|tree| tree.is_suspect = true);
            }
        }
        // Without a first leaf there would be no tree: the scan refuses such a journal, and a book begins with one.
        let tree = self.trees.entry(environment).or_insert_with(|| Tree::new(environment, [0; 16]));
        (tree.append(prepared, segment, offset), tree.incarnation)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut state = self.journal.lock();
        state.segment.reserved = state.segment.reserved.saturating_sub(self.bytes);
    }
}
