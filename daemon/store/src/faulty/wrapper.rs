//! Any store, with single calls that err.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::StoreError;
use crate::store::{Committed, Entry, Leadership, Snapshot, Store, StoreFuture, Work};
use crate::watch::Watch;

/// A call that [`Faulty`] can make err.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Store::get`].
    Get,
    /// [`Store::range`].
    Range,
    /// [`Store::commit`] and [`Store::commit_urgent`].
    Commit,
    /// [`Store::commit`] alone: a full disk with its reserve.
    OrdinaryCommit,
    /// [`Store::compact`].
    Compact,
}

/// A store whose calls err on request, without reaching the store within.
pub struct Faulty<S> {
    store: S,
    plans: Mutex<Vec<Plan>>,
    failed: AtomicBool,
    commits: AtomicU64,
}

struct Plan {
    call: Call,
    skip: u64,
    times: u64,
    error: StoreError,
}

impl<S> Faulty<S> {
    /// Wraps `store`; nothing fails yet.
    pub fn over(store: S) -> Self {
        Self { store, plans: Mutex::default(), failed: AtomicBool::new(false), commits: AtomicU64::new(0) }
    }

    /// After `skip` more of these calls, `times` of them answer `error`. A commit that answers [`StoreError::Failed`]
    /// ends the handle, as in a real store.
    pub fn fail(&self, call: Call, skip: u64, times: u64, error: StoreError) {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).push(Plan { call, skip, times, error });
    }

    /// Lets everything through again, but a failed handle stays so.
    pub fn heal(&self) {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Commits asked for so far, whatever became of them.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn due(&self, call: Call) -> Result<(), StoreError> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        for plan in plans.iter_mut().filter(|plan| plan.call == call && plan.times > 0) {
            if plan.skip > 0 {
                plan.skip -= 1;
            } else {
                plan.times -= 1;
                return Err(plan.error);
            }
        }
        Ok(())
    }

    fn commit_due(&self, urgent: bool) -> Result<(), StoreError> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::Failed);
        }
        let ordinary = if urgent { Ok(()) } else { self.due(Call::OrdinaryCommit) };
        ordinary.and_then(|()| self.due(Call::Commit)).inspect_err(|error| {
            if *error == StoreError::Failed {
                self.failed.store(true, Ordering::Release);
            }
        })
    }
}

fn refused<'a, T: Send + 'a>(error: StoreError) -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(Err(error)))
}

impl<S: Store> Store for Faulty<S> {
    fn get<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.due(Call::Get).map_or_else(refused, |()| self.store.get(key))
    }

    fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Entry>> {
        self.due(Call::Range).map_or_else(refused, |()| self.store.range(prefix, after, limit))
    }

    fn commit(&self, work: Work) -> StoreFuture<'_, Committed> {
        self.commit_due(false).map_or_else(refused, |()| self.store.commit(work))
    }

    fn commit_urgent(&self, work: Work) -> StoreFuture<'_, Committed> {
        self.commit_due(true).map_or_else(refused, |()| self.store.commit_urgent(work))
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn revision(&self) -> u64 {
        self.store.revision()
    }

    fn watch(&self, prefix: &[u8], from: u64) -> Watch {
        self.store.watch(prefix, from)
    }

    fn leader(&self) -> Leadership {
        self.store.leader()
    }

    fn compact(&self) -> StoreFuture<'_, ()> {
        self.due(Call::Compact).map_or_else(refused, |()| self.store.compact())
    }

    fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire) || self.store.failed()
    }
}
