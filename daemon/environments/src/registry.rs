//! Which environments are open.
use crate::node::{Gate, SealStatus};
use crate::open::{self, How};
use crate::records::ChildState;
use crate::sealed::Closed;
use crate::{Environment, Terms};
use arc_swap::{ArcSwap, ArcSwapOption};
use coffer_audit::{Journal, NodeLog};
use coffer_barrier::Barrier;
use coffer_room::Fault;
use coffer_seal::devices::Devices;
use coffer_store::Store;
use coffer_types::{CanonicalPath, Clock, Entropy, EnvironmentPath, Timestamp, random};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use tokio::sync::{Mutex, Notify, watch};

/// What the registry is told at start.
#[derive(Clone)]
pub struct Settings {
    /// The cluster's name, for people.
    pub cluster_name: String,
    /// Where an uploaded snapshot waits for its shares.
    pub restore_file: PathBuf,
    /// Records sealed under one epoch after which the next begins by itself.
    pub rotate_after: u64,
}

/// What the registry works with.
pub struct Means {
    /// Where records lie.
    pub store: Arc<dyn Store>,
    /// Where leaves are written.
    pub journal: Arc<Journal>,
    /// The node's own log.
    pub node: NodeLog,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What wraps root keys beside shares.
    pub devices: Arc<Devices>,
}

/// All environments that are open, by path. Replaced whole when one is added or goes.
#[derive(Default)]
pub struct State {
    by_path: BTreeMap<EnvironmentPath, Arc<Environment>>,
}

/// Which environments are open, and how to open them.
pub struct Registry {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) node: NodeLog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) devices: Arc<Devices>,
    /// Ceremonies one at a time: init, unseal, seal, restore.
    pub(crate) gate: Mutex<Gate>,
    pub(crate) status: ArcSwap<SealStatus>,
    open: ArcSwapOption<State>,
    /// Environments that are there and not open, though the one above them is.
    closed: std::sync::Mutex<BTreeMap<EnvironmentPath, Closed>>,
    /// What commits asked for that no commit can do, in their order.
    unsettled: std::sync::Mutex<Vec<Unsettled>>,
    is_unsettled: AtomicBool,
    /// Held by the one who does it.
    settling: Mutex<()>,
    jobs: Notify,
    /// Counts when a seal begins and when it is done, so it is odd while one is under way: whoever holds what clients sent
    /// lets go of it.
    seals: watch::Sender<u64>,
    /// Held by the upload that is under way.
    pub(crate) uploading: Arc<Mutex<()>>,
    /// Whether the TPM's counter is to be raised.
    pub(crate) is_count_due: AtomicBool,
    /// What the TPM's counter was when it was last asked; 0 before that.
    pub(crate) counted: AtomicU64,
    /// Until when deleted environments wait, where the store could not be compacted; milliseconds since 1970.
    bury_after: AtomicU64,
}

/// What a commit asks for that no commit can do: it is done before the request that asked is answered.
pub(crate) enum Unsettled {
    /// Open an environment that was just made.
    Open(EnvironmentPath, Arc<Barrier>),
    /// Close environments that were just deleted.
    Close(Vec<Arc<Environment>>),
    /// Seal one environment and all below it.
    SealOne(EnvironmentPath),
    /// Seal.
    Seal,
}

impl Registry {
    pub(crate) fn assemble(settings: Settings, means: Means, gate: Gate, status: SealStatus) -> Arc<Self> {
        let Means { store, journal, node, clock, entropy, devices } = means;
        Arc::new(Self {
            settings,
            store,
            journal,
            node,
            clock,
            entropy,
            devices,
            gate: Mutex::new(gate),
            status: ArcSwap::from_pointee(status),
            open: ArcSwapOption::empty(),
            closed: std::sync::Mutex::default(),
            unsettled: std::sync::Mutex::default(),
            is_unsettled: AtomicBool::new(false),
            settling: Mutex::default(),
            jobs: Notify::new(),
            seals: watch::Sender::new(0),
            uploading: Arc::default(),
            is_count_due: AtomicBool::new(false),
            counted: AtomicU64::new(0),
            bury_after: AtomicU64::new(0),
        })
    }

    /// What is open; None while sealed.
    #[must_use]
    pub fn open(&self) -> Option<Arc<State>> {
        self.open.load_full()
    }

    pub(crate) fn set_open(&self, state: Option<State>) {
        let is_seal = state.is_none();
        self.open.store(state.map(Arc::new));
        if is_seal {
            self.closed().clear();
            self.seals.send_modify(|seals| *seals += 1);
        }
    }

    /// Whether anything was open since the start.
    pub(crate) fn was_opened(&self) -> bool {
        *self.seals.borrow() > 0
    }

    /// The keys are gone, and all that a seal waits for is done.
    pub(crate) fn is_sealed_now(&self) {
        self.seals.send_modify(|seals| *seals += 1);
    }

    /// Changes when a seal begins and when it is done: odd in between.
    #[must_use]
    pub fn seals(&self) -> watch::Receiver<u64> {
        self.seals.subscribe()
    }

    /// What is there and not open, by path.
    pub(crate) fn closed(&self) -> MutexGuard<'_, BTreeMap<EnvironmentPath, Closed>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an environment that has just been made.
    pub(crate) fn add(&self, environment: Arc<Environment>) {
        self.open.rcu(|open| {
            let mut by_path = open.as_ref()?.by_path.clone();
            by_path.insert(environment.path.clone(), Arc::clone(&environment));
            Some(Arc::new(State { by_path }))
        });
    }

    /// Takes out an environment and all below it; gives them, the lowest first.
    pub(crate) fn remove(&self, path: &EnvironmentPath) -> Vec<Arc<Environment>> {
        let Some(before) = self.open() else { return Vec::new() };
        self.open.rcu(|open| {
            let mut by_path = open.as_ref()?.by_path.clone();
            by_path.retain(|other, _| !path.contains(other));
            Some(Arc::new(State { by_path }))
        });
        before.by_path.values().rev().filter(|other| path.contains(&other.path)).cloned().collect()
    }

    /// The id of a request or a ceremony: random, in the form of a UUID (RFC 9562, version 4).
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn request_id(&self) -> Result<String, Fault> {
        let mut id: [u8; 16] = random(&*self.entropy)?;
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(36);
        for (at, byte) in id.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        Ok(text)
    }

    /// Asks for what no commit can do, from within a commit.
    pub(crate) fn ask(&self, what: Unsettled) {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        unsettled.push(what);
        self.is_unsettled.store(true, Ordering::Release);
        drop(unsettled);
        // Should the client go away before its request settles this.
        self.wake_jobs();
    }

    /// Does what commits asked for, in their order. The pipeline calls this between a record and its answer; it returns
    /// when everything asked for before is done, whoever does it.
    pub async fn settle(self: &Arc<Self>) {
        if !self.is_unsettled.load(Ordering::Acquire) {
            return;
        }
        let registry = Arc::clone(self);
        // A task of its own: a client that goes away must not stop a seal half-way.
        if let Err(error) = tokio::spawn(async move { registry.settle_all().await }).await {
            tracing::error!(%error, "what a commit asked for was not done");
        }
    }

    async fn settle_all(self: &Arc<Self>) {
        let _turn = self.settling.lock().await;
        loop {
            let asked = {
                let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
                if unsettled.is_empty() {
                    self.is_unsettled.store(false, Ordering::Release);
                    return;
                }
                std::mem::take(&mut *unsettled)
            };
            for what in asked {
                match what {
                    Unsettled::Open(path, barrier) => self.open_new(path, barrier).await,
                    Unsettled::Close(environments) => {
                        for environment in environments {
                            environment.shut().await;
                        }
                    }
                    Unsettled::SealOne(path) => self.seal_one(&path).await,
                    Unsettled::Seal => self.seal().await,
                }
            }
        }
    }

    async fn open_new(self: &Arc<Self>, path: EnvironmentPath, barrier: Arc<Barrier>) {
        match open::one(self, path.clone(), barrier, How::AsPromised, &Terms::default()).await {
            Ok(environment) => {
                self.add(Arc::clone(&environment));
                // Deleted while it opened: then the deletion did not find it among the open ones.
                if !self.is_known(&environment) {
                    self.remove(&path);
                    environment.shut().await;
                }
            }
            Err(error) => tracing::error!(%path, %error, "a new environment does not open and stays sealed"),
        }
    }

    /// Whether the environment above says that this one is there.
    fn is_known(&self, environment: &Environment) -> bool {
        let above = environment.path.parent().and_then(|path| self.open()?.at(&path).cloned());
        let id = environment.id.to_string();
        above.is_some_and(|above| {
            above.children().values().any(|child| child.id == id && child.state == ChildState::Active)
        })
    }

    pub(crate) fn bury_after(&self) -> Timestamp {
        Timestamp(self.bury_after.load(Ordering::Relaxed))
    }

    pub(crate) fn pause_burying(&self, until: Timestamp) {
        self.bury_after.store(until.0, Ordering::Relaxed);
    }

    /// Wakes the background work.
    pub(crate) fn wake_jobs(&self) {
        self.jobs.notify_one();
    }

    /// Resolves when there may be background work.
    pub async fn jobs_wanted(&self) {
        self.jobs.notified().await;
    }
}

impl State {
    pub(crate) fn with(environments: impl IntoIterator<Item = Arc<Environment>>) -> Self {
        Self { by_path: environments.into_iter().map(|open| (open.path.clone(), open)).collect() }
    }

    /// All open environments, parents before children.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<Environment>> {
        self.by_path.values()
    }

    /// The environment at exactly `path`.
    #[must_use]
    pub fn at(&self, path: &EnvironmentPath) -> Option<&Arc<Environment>> {
        self.by_path.get(path)
    }

    /// The lowest open environment at or above `wanted`, and what of `wanted` is not there. The root is always open
    /// while anything is.
    pub(crate) fn nearest(
        &self,
        wanted: &EnvironmentPath,
    ) -> Result<(Arc<Environment>, Option<String>), Fault> {
        let mut path = wanted.clone();
        loop {
            if let Some(found) = self.by_path.get(&path) {
                let missing =
                    wanted.as_str().strip_prefix(path.as_str()).unwrap_or_default().trim_start_matches('/');
                return Ok((Arc::clone(found), (!missing.is_empty()).then(|| missing.to_owned())));
            }
            path = path.parent().ok_or(Fault::Sealed)?;
        }
    }

    /// Goes down where the first segments of `path` name open children.
    pub(crate) fn descend(
        &self,
        mut environment: Arc<Environment>,
        mut path: CanonicalPath,
    ) -> (Arc<Environment>, CanonicalPath) {
        loop {
            let Some(first) = path.segments().next() else { break };
            let child = environment.path.child(first).ok().and_then(|child| self.by_path.get(&child));
            let (Some(child), Some(rest)) = (child, path.below(first)) else { break };
            (environment, path) = (Arc::clone(child), rest);
        }
        (environment, path)
    }

    /// `environment` and those above it, the nearest first.
    pub(crate) fn upwards<'a>(
        &'a self,
        environment: &'a Arc<Environment>,
    ) -> impl Iterator<Item = &'a Arc<Environment>> {
        std::iter::successors(Some(environment), |below| self.by_path.get(&below.path.parent()?))
    }
}
