//! The node's one physical log on disk: every environment's leaves in the order in which they were written.
//!
//! ```text
//! <folder>/journal/<number>.log                     segments of frames (keystore_format::frame)
//! <folder>/<environment>/<incarnation>/vkey         the log's key (C2SP vkey)
//!                                     /checkpoint   the last signed checkpoint (C2SP tlog-checkpoint)
//!                                     /tile/…       hashes and leaves (C2SP tlog-tiles)
//!                                     /positions    where each leaf's frame lies: segment u64, offset u64
//! <folder>/tip  alive  lock  new                    the daemon's own: start cache, marks
//! <key file>                                        key of the node log, in another folder
//! ```
//! A leaf is written by one inline `write(2)` under a mutex; a round makes all leaves durable with one sync, then writes
//! tiles and checkpoints. The node log is the tree of the environment whose id is all zeroes.
mod alive;
mod append;
mod disk;
mod node_key;
mod open;
mod pace;
mod prepared;
mod read;
mod round;
mod sign;
mod tip;
mod tree;

pub(crate) use append::{Placed, Reservation};
#[cfg(test)]
pub(crate) use disk::{Disk, Real};
#[cfg(test)]
pub(crate) use open::System;
pub(crate) use prepared::{FIELD_REASON, POWER_CUT, Prepared};
pub(crate) use read::{ReadError, demand_leaf};
pub(crate) use sign::Signer;
pub(crate) use tree::Tree;

use crate::Unrecorded;
use coffer_types::{Clock, Entropy, EnvironmentId, Timestamp};
use keystore_format::leaf::Leaf;
use keystore_format::merkle::Hash;
use pace::Bell;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The tree of the node log.
pub(crate) const NODE: EnvironmentId = EnvironmentId([0; 16]);

/// When a leaf is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// With the next checkpoint, at most a second after the answer. Changes are durable at once in any case.
    #[default]
    Checkpoint,
    /// Before the answer.
    Fsync,
}

/// When checkpoints are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// This long after the first new leaf, by a thread of the journal. At most a second is promised.
    After(Duration),
    /// Only when [`Journal::round`] is called.
    Manual,
}

/// Where and how the journal is kept.
pub struct Settings {
    /// The folder; made with mode 0700 where it is not there.
    pub directory: PathBuf,
    /// The node log's own key, made on first start. Apart from the folder: auditors are given that, and never the key.
    pub key_file: PathBuf,
    /// The host that stands in the origins of all logs of this node.
    pub host: String,
    /// When a read's leaf is durable.
    pub durability: Durability,
    /// When checkpoints are made.
    pub pace: Pace,
}

/// The node's one physical log. One process has it open.
pub struct Journal {
    settings: Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    disk: Box<dyn disk::Disk>,
    state: Mutex<State>,
    /// Held by the one round that runs.
    turn: Mutex<Turn>,
    bell: Arc<Bell>,
    /// Frames that are durable.
    durable: watch::Sender<u64>,
    last_id: AtomicU64,
    /// See [`Journal::recorded_before`].
    recorded_before: AtomicU64,
    counts: [AtomicU64; 3],
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    _lock: File,
}

/// What the mutex guards.
struct State {
    segment: Segment,
    /// Segments before, that may have frames which are not durable yet.
    unsynced: Vec<Arc<File>>,
    /// Lengths of the segments before.
    lengths: Vec<u64>,
    frames: u64,
    order: Hash,
    /// Bytes since the last round.
    waiting_bytes: u64,
    trees: BTreeMap<EnvironmentId, Tree>,
    /// Incarnations that have ended, until all of them is in tiles.
    retired: Vec<Tree>,
    health: Health,
}

/// The segment that is written to.
struct Segment {
    number: u64,
    file: Arc<File>,
    end: u64,
    /// Blocks are kept up to here.
    allocated: u64,
    /// Bytes promised to commits under way.
    reserved: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Fine,
    Failed,
    Closed,
}

/// What only a round touches.
#[derive(Default)]
struct Turn {
    /// The state at the beginning of the present segment, to be kept once all before it is in tiles.
    tip: Option<tip::Tip>,
}

impl Journal {
    /// Whether leaves can be written: false after a failed write or sync, and once closed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.lock().health == Health::Fine
    }

    /// The host that stands in the origins.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.settings.host
    }

    /// Effects outside the store of which the log knows no end; after a crash their outcome is unknown.
    #[must_use]
    pub fn unfinished_intents(&self, environment: EnvironmentId) -> Vec<u64> {
        self.lock()
            .trees
            .get(&environment)
            .map_or_else(Vec::new, |tree| tree.unfinished.iter().copied().collect())
    }

    /// When the last signed leaf of the node log was recorded before this start; 1970 where there is none.
    #[must_use]
    pub fn recorded_before(&self) -> Timestamp {
        Timestamp(self.recorded_before.load(Ordering::Relaxed))
    }

    pub(crate) fn with_tree<T>(
        &self,
        environment: EnvironmentId,
        look: impl FnOnce(&Tree) -> T,
    ) -> Option<T> {
        self.lock().trees.get(&environment).map(look)
    }

    /// Leaves that the outbox no longer holds.
    pub(crate) fn settled(&self, environment: EnvironmentId, ids: impl Iterator<Item = u64>) {
        if let Some(tree) = self.lock().trees.get_mut(&environment) {
            ids.for_each(|id| {
                tree.unsettled.remove(&id);
            });
        }
    }

    pub(crate) fn durability(&self) -> Durability {
        self.settings.durability
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().0
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// A leaf id that was never given before: the time in its upper 48 bits, so that it is new after a restore too.
    pub(crate) fn next_id(&self) -> u64 {
        let floor = self.now_ms() << 16;
        let next = |last: u64| Some(floor.max(last + 1));
        // The closure never refuses.
        let last = self.last_id.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
        floor.max(last + 1)
    }

    /// Ids below are taken: by leaves that wait in a store.
    pub(crate) fn taken_id(&self, id: u64) {
        self.last_id.fetch_max(id, Ordering::Relaxed);
    }

    /// Appends a leaf of the node log.
    pub(crate) fn append_node(&self, leaf: Leaf) -> Result<Placed, Unrecorded> {
        self.append(&Prepared::new(NODE, leaf, &[])?, None, true)
    }

    pub(crate) fn add_count(&self, which: usize) {
        if let Some(count) = self.counts.get(which) {
            count.fetch_add(1, Ordering::Relaxed);
            self.bell.ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads `bytes` as what the journal keeps of itself, its checksum put right, and as a frame.
pub(crate) fn fuzz(bytes: &[u8]) {
    let summed = [bytes, &keystore_format::merkle::leaf_hash(bytes)].concat();
    if let Ok(tip) = tip::Tip::decode(&summed) {
        let own = tip.encode();
        assert!(tip::Tip::decode(&own).is_ok_and(|again| again.encode() == own));
    }
    if let Ok(prepared) = Prepared::parse(bytes) {
        assert!(bytes.starts_with(&prepared.frame));
    }
    alive::fuzz(bytes);
    node_key::fuzz(bytes);
    open::fuzz(bytes);
}
