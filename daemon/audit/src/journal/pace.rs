//! When the journal's thread makes its rounds.
use super::{Journal, lock};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::{Duration, Instant};

/// Wakes the thread: new leaves, or someone who waits for them to be durable.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<Rung>,
    woken: Condvar,
}

#[derive(Default)]
struct Rung {
    since: Option<Instant>,
    is_awaited: bool,
    is_stopped: bool,
}

enum Wanted {
    Sync,
    Round,
    Stop,
}

impl Bell {
    /// There are new leaves.
    pub(crate) fn ring(&self) {
        let mut state = lock(&self.state);
        if state.since.is_none() {
            state.since = Some(Instant::now());
            self.woken.notify_one();
        }
    }

    /// Someone waits for a leaf to be durable.
    pub(crate) fn ring_now(&self) {
        lock(&self.state).is_awaited = true;
        self.woken.notify_one();
    }

    pub(crate) fn stop(&self) {
        lock(&self.state).is_stopped = true;
        self.woken.notify_one();
    }

    fn wait(&self, after: Duration) -> Wanted {
        let mut state = lock(&self.state);
        loop {
            if state.is_stopped {
                return Wanted::Stop;
            }
            if std::mem::take(&mut state.is_awaited) {
                return Wanted::Sync;
            }
            let left = state.since.map(|since| after.saturating_sub(since.elapsed()));
            state = match left {
                Some(Duration::ZERO) => {
                    state.since = None;
                    return Wanted::Round;
                }
                // A poisoned lock is taken over: the state has no half-done change.
                Some(left) => match self.woken.wait_timeout(state, left) {
                    Ok((state, _)) => state,
                    Err(poisoned) => poisoned.into_inner().0,
                },
                None => self.woken.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner),
            };
        }
    }
}

/// Starts the thread. It ends when the journal is gone.
pub(crate) fn start(journal: &Arc<Journal>, after: Duration) -> std::io::Result<()> {
    let (bell, weak): (Arc<Bell>, Weak<Journal>) = (Arc::clone(&journal.bell), Arc::downgrade(journal));
    let thread = std::thread::Builder::new().name("audit-rounds".into()).spawn(move || {
        loop {
            let wanted = bell.wait(after);
            let Some(journal) = weak.upgrade() else { return };
            let done = match wanted {
                Wanted::Sync => journal.sync(),
                Wanted::Round => journal.round(),
                Wanted::Stop => return,
            };
            // Whoever writes next is told; here is only the thread's own voice.
            if let Err(error) = done {
                tracing::error!(%error, "a round of the audit log failed");
            }
        }
    })?;
    *lock(&journal.thread) = Some(thread);
    Ok(())
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.bell.stop();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the audit log's thread panicked");
        }
    }
}
