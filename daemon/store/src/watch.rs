//! Changes as they become durable, for whoever keeps a cache of what the store holds.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

/// Changes that wait for one watcher; one more, and it has lagged.
const WAITING_CHANGES: usize = 1024;

/// One key that a durable commit changed. The value is not carried: a cache forgets the key and reads again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Revision of the commit.
    pub revision: u64,
    /// The whole key.
    pub key: Vec<u8>,
    /// Whether the key is gone rather than written.
    pub deleted: bool,
}

/// Why a watcher did not get the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchError {
    /// Changes were missed: forget everything cached, and go on with the revision named here.
    Lagged {
        /// The watch goes on with the changes of this revision and later.
        resumes_at: u64,
    },
    /// The store is closed; nothing more will come.
    Closed,
}

/// The receiving end of [`Store::watch`](crate::Store::watch).
pub struct Watch {
    changes: mpsc::Receiver<Change>,
    lag: Arc<Lag>,
}

impl Watch {
    /// The next change, in commit order and within a commit in key order. Cancel-safe.
    pub async fn next(&mut self) -> Result<Change, WatchError> {
        loop {
            if let Some(ready) = self.ready() {
                return ready;
            }
            tokio::select! {
                biased;
                change = self.changes.recv() => return change.ok_or(WatchError::Closed),
                () = self.lag.raised.notified() => {}
            }
        }
    }
}

/// Hands the changes of each durable commit to the watchers. Owned by the committer's side.
#[derive(Default)]
pub(crate) struct Hub {
    inner: Mutex<HubInner>,
}

#[derive(Default)]
struct HubInner {
    published: u64,
    watchers: Vec<Watcher>,
}

struct Watcher {
    prefix: Vec<u8>,
    from: u64,
    changes: mpsc::Sender<Change>,
    lag: Arc<Lag>,
}

#[derive(Default)]
struct Lag {
    state: Mutex<LagState>,
    raised: tokio::sync::Notify,
}

#[derive(Default)]
struct LagState {
    lagged: bool,
    published: u64,
}

impl Hub {
    /// A hub of a store whose last durable commit was `revision`.
    pub(crate) fn starting_at(revision: u64) -> Self {
        Self { inner: Mutex::new(HubInner { published: revision, watchers: Vec::new() }) }
    }

    pub(crate) fn watch(&self, prefix: &[u8], from: u64) -> Watch {
        let mut inner = lock(&self.inner);
        let published = inner.published;
        let lagged = from != 0 && from <= published;
        let lag = Arc::new(Lag { state: Mutex::new(LagState { lagged, published }), ..Lag::default() });
        let (sender, changes) = mpsc::channel(WAITING_CHANGES);
        inner.watchers.push(Watcher {
            prefix: prefix.to_vec(),
            from,
            changes: sender,
            lag: Arc::clone(&lag),
        });
        Watch { changes, lag }
    }

    /// Publishes one durable commit; `changed` gives each key once, in key order, and whether it is gone.
    pub(crate) fn publish<'a>(&self, revision: u64, changed: impl Iterator<Item = (&'a [u8], bool)> + Clone) {
        let mut inner = lock(&self.inner);
        inner.published = revision;
        inner.watchers.retain(|watcher| watcher.tell(revision, changed.clone()));
    }
}

impl Watcher {
    /// False when nobody listens any more.
    fn tell<'a>(&self, revision: u64, changed: impl Iterator<Item = (&'a [u8], bool)>) -> bool {
        let mut state = lock(&self.lag.state);
        state.published = revision;
        if self.changes.is_closed() {
            return false;
        }
        if state.lagged || revision < self.from {
            return true;
        }
        for (key, deleted) in changed.filter(|(key, _)| key.starts_with(&self.prefix)) {
            if self.changes.try_send(Change { revision, key: key.to_vec(), deleted }).is_err() {
                state.lagged = true;
                self.lag.raised.notify_one();
                return true;
            }
        }
        true
    }
}

impl Watch {
    /// What is there without waiting. Under the lock, so that what waits is told before the lag behind it.
    fn ready(&mut self) -> Option<Result<Change, WatchError>> {
        let mut state = lock(&self.lag.state);
        if let Ok(change) = self.changes.try_recv() {
            return Some(Ok(change));
        }
        if state.lagged {
            state.lagged = false;
            return Some(Err(WatchError::Lagged { resumes_at: state.published + 1 }));
        }
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
