//! The disk. A write is there for readers at once and durable after the next sync; a power cut keeps any part of what was
//! not synced, sector by sector, which covers loss, tearing and reordering alike.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::media::DiskMedia;
use super::trace::{Step, Trace};
use crate::error::StoreError;
use crate::redb::RedbStore;

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;
/// What a file takes from the disk at a time, in bytes.
pub(super) const BLOCK_BYTES: u64 = 4096;
const CACHE_BYTES: usize = 1024 * 1024;
const RESERVE_BYTES: u64 = 512 * 1024;

/// A disk in memory with one store on it. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct Disk {
    pub(super) state: Arc<Mutex<State>>,
}

/// What a disk does instead of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation answers EIO, once. A sync that fails so drops what was not durable, as Linux does.
    Io,
    /// A write or growth answers ENOSPC, once; a read or sync waits for the next write.
    Full,
    /// The next sync answers EIO and drops what was not durable.
    SyncFails,
    /// From here on every operation answers EIO: use [`Disk::after_power_cut`] for what is found later.
    PowerCut,
}

/// What a power cut keeps of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// Nothing.
    Nothing,
    /// Everything, as after a kill.
    Everything,
    /// Of the first 64 writes in order, those whose bit is set.
    Writes(u64),
    /// Any sectors of any writes, and any of the file lengths, chosen by this seed.
    Random(u64),
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) files: BTreeMap<u64, DiskFile>,
    pub(super) current: u64,
    pub(super) is_open: bool,
    pub(super) capacity_blocks: Option<u64>,
    pub(super) reserve_blocks: u64,
    pub(super) trace: Option<Vec<Step>>,
    operations: u64,
    syncs: u64,
    faults: Vec<(u64, Fault)>,
    is_off: bool,
}

/// One file: what readers see, what is durable, and the steps between.
#[derive(Clone, Debug, Default)]
pub(super) struct DiskFile {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Pending>,
    pub(super) blocks: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
pub(super) enum Pending {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk {
    /// An empty disk without a limit.
    pub fn new() -> Self {
        Self::holding(State { files: BTreeMap::from([(0, DiskFile::default())]), ..State::default() })
    }

    pub(super) fn holding(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Opens the store on this disk. Errors as [`RedbStore::open`].
    pub fn open(&self) -> Result<RedbStore, StoreError> {
        RedbStore::on(Box::new(DiskMedia::open(self.clone(), RESERVE_BYTES)?), CACHE_BYTES)
    }

    /// Reads, writes, growths and syncs so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Syncs so far.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Has `fault` happen at the `nth` operation from now; 0 is the next.
    pub fn fail_at(&self, nth: u64, fault: Fault) {
        let mut state = self.lock();
        let at = state.operations + nth;
        state.faults.push((at, fault));
    }

    /// Forgets the faults that did not happen yet.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Leaves `bytes` of room beyond what is taken now, the reserve included; `None` for a disk without limit.
    pub fn leave_room(&self, bytes: Option<u64>) {
        let mut state = self.lock();
        state.capacity_blocks = bytes.map(|bytes| state.taken_blocks() + bytes / BLOCK_BYTES);
    }

    /// Records every step from now on, for [`Disk::trace`].
    pub fn record(&self) {
        let mut state = self.lock();
        // What is there already is where the trace begins.
        state.trace = Some(vec![Step::Start { files: state.files.clone(), current: state.current }]);
    }

    /// Writes `mark` into the trace: "the caller knew this much by now".
    pub fn mark(&self, mark: u64) {
        if let Some(trace) = &mut self.lock().trace {
            trace.push(Step::Mark(mark));
        }
    }

    /// The steps since [`Disk::record`].
    pub fn trace(&self) -> Trace {
        Trace { steps: self.lock().trace.clone().unwrap_or_default() }
    }

    /// Cuts the power now: this disk answers EIO from here on, and the disk returned is what is found afterwards.
    pub fn after_power_cut(&self, survivors: Survivors) -> Self {
        let mut state = self.lock();
        state.is_off = true;
        Self::found(&state.files, state.current, survivors)
    }

    pub(super) fn found(files: &BTreeMap<u64, DiskFile>, current: u64, survivors: Survivors) -> Self {
        let files =
            files.iter().map(|(id, file)| (*id, DiskFile::holding(file.after_cut(survivors)))).collect();
        Self::holding(State { files, current, ..State::default() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation, as faults tell them apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    Sync,
}

impl State {
    /// Counts an operation and gives the fault that is due.
    pub(super) fn count(&mut self, kind: Kind) -> io::Result<()> {
        let now = self.operations;
        self.operations += 1;
        self.syncs += u64::from(kind == Kind::Sync);
        if self.is_off {
            return Err(eio());
        }
        let due = self.faults.iter().position(|(at, fault)| {
            *at <= now
                && match fault {
                    Fault::Io | Fault::PowerCut => true,
                    Fault::Full => kind == Kind::Write,
                    Fault::SyncFails => kind == Kind::Sync,
                }
        });
        match due.map(|index| self.faults.swap_remove(index).1) {
            None => Ok(()),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::PowerCut) => {
                self.is_off = true;
                Err(eio())
            }
            Some(Fault::Io | Fault::SyncFails) => Err(eio()),
        }
    }

    pub(super) fn taken_blocks(&self) -> u64 {
        self.files.values().map(|file| file.blocks.len() as u64).sum::<u64>() + self.reserve_blocks
    }

    pub(super) fn free_blocks(&self) -> u64 {
        self.capacity_blocks
            .map_or(u64::MAX / BLOCK_BYTES, |capacity| capacity.saturating_sub(self.taken_blocks()))
    }

    pub(super) fn file(&mut self, id: u64) -> io::Result<&mut DiskFile> {
        self.files.get_mut(&id).ok_or_else(eio)
    }
}

impl DiskFile {
    fn holding(content: Vec<u8>) -> Self {
        let blocks = (0..(content.len() as u64).div_ceil(BLOCK_BYTES)).collect();
        Self { seen: content.clone(), durable: content, pending: Vec::new(), blocks }
    }

    pub(super) fn push(&mut self, step: Pending) {
        step.apply(&mut self.seen);
        self.pending.push(step);
    }

    pub(super) fn sync(&mut self) {
        for step in self.pending.drain(..) {
            step.apply(&mut self.durable);
        }
    }

    /// Number of writes that are not durable.
    pub(super) fn pending_writes(&self) -> usize {
        self.pending.iter().filter(|step| matches!(step, Pending::Write { .. })).count()
    }

    fn after_cut(&self, survivors: Survivors) -> Vec<u8> {
        let mut content = self.durable.clone();
        match survivors {
            Survivors::Nothing => {}
            Survivors::Everything => self.pending.iter().for_each(|step| step.apply(&mut content)),
            Survivors::Writes(mask) => {
                let mut write = 0;
                for step in &self.pending {
                    let keep = match step {
                        Pending::SetLen(_) => true,
                        Pending::Write { .. } => {
                            write += 1;
                            mask.checked_shr(write - 1).is_some_and(|rest| rest & 1 == 1)
                        }
                    };
                    if keep {
                        step.apply(&mut content);
                    }
                }
            }
            Survivors::Random(seed) => self.keep_any(&mut content, &mut Dice(seed)),
        }
        content
    }

    fn keep_any(&self, content: &mut Vec<u8>, dice: &mut Dice) {
        // Of eight sectors keep one, four, seven: few and many survivors find different faults.
        let often = [1, 4, 7].get((dice.next() % 3) as usize).copied().unwrap_or(4);
        for step in &self.pending {
            match step {
                Pending::SetLen(_) if dice.next().is_multiple_of(2) => step.apply(content),
                Pending::SetLen(_) => {}
                Pending::Write { offset, data } => {
                    for (index, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                        if dice.next() % 8 < often {
                            write(content, *offset as usize + index * SECTOR_BYTES, sector);
                        }
                    }
                }
            }
        }
    }
}

impl Pending {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => content.resize(*len as usize, 0),
            Self::Write { offset, data } => write(content, *offset as usize, data),
        }
    }
}

/// What lies beyond the file's length is lost with the length.
fn write(content: &mut [u8], offset: usize, data: &[u8]) {
    let room = content.len().saturating_sub(offset).min(data.len());
    if let (Some(to), Some(from)) = (content.get_mut(offset..offset + room), data.get(..room)) {
        to.copy_from_slice(from);
    }
}

pub(super) fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

/// splitmix64: repeatable, and good enough to choose survivors.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
