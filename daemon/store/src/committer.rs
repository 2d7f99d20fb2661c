//! One thread through which every change goes. It runs the works that wait as one batch, makes that durable once, and
//! answers them all: a hot key costs no retry, and sixteen writers cost one sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::batch::{Base, Batch, Changes};
use crate::error::StoreError;
use crate::store::{Abort, AfterCommit, Committed, StoreFuture, Work};
use crate::watch::{Hub, Watch};

/// Works that may wait before a further caller waits to be let in.
const QUEUE_WORKS: usize = 1024;
/// Works in one batch.
const BATCH_WORKS: usize = 256;
/// Bytes after which no further work joins a batch.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Where a batch is made durable. Runs on the committer's thread only.
pub(crate) trait Engine: Send + 'static {
    /// The last committed state.
    fn base(&self) -> Result<Arc<dyn Base + Send + Sync>, StoreError>;

    fn revision(&self) -> u64;

    /// Makes `changes` durable as `revision` and lets readers see them.
    ///
    /// [`StoreError::Failed`] means that the outcome is unknown; any other error, that nothing was changed.
    fn apply(&mut self, revision: u64, changes: &Changes, urgent: bool) -> Result<(), StoreError>;

    /// Leaves no removed value behind in the file, as far as the store can.
    fn compact(&mut self) -> Result<(), StoreError>;
}

/// The callers' end.
pub(crate) struct Committer {
    queue: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    failed: Arc<AtomicBool>,
    hub: Arc<Hub>,
}

enum Message {
    Work(Job),
    Compact(oneshot::Sender<Result<(), StoreError>>),
}

struct Job {
    work: Work,
    urgent: bool,
    answer: oneshot::Sender<Result<Committed, StoreError>>,
}

impl Committer {
    pub(crate) fn start(engine: impl Engine) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE_WORKS);
        let failed = Arc::new(AtomicBool::new(false));
        let hub = Arc::new(Hub::starting_at(engine.revision()));
        let mut hands = Hands { engine, failed: Arc::clone(&failed), hub: Arc::clone(&hub) };
        let thread = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || hands.run(waiting))
            .map_err(|error| StoreError::Io(error.kind()))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), failed, hub })
    }

    pub(crate) fn commit(&self, work: Work, urgent: bool) -> StoreFuture<'_, Committed> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.send(Message::Work(Job { work, urgent, answer })).await?;
            answered.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    pub(crate) async fn compact(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Compact(answer)).await?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(crate) fn watch(&self, prefix: &[u8], from: u64) -> Watch {
        self.hub.watch(prefix, from)
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    async fn send(&self, message: Message) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(message).await.map_err(|_| StoreError::Closed)
    }
}

/// Waits for the works in the queue, so that the file is free when the store is gone.
impl Drop for Committer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the store's committer panicked");
        }
    }
}

/// The thread's end.
struct Hands<E> {
    engine: E,
    failed: Arc<AtomicBool>,
    hub: Arc<Hub>,
}

impl<E: Engine> Hands<E> {
    fn run(&mut self, mut waiting: mpsc::Receiver<Message>) {
        let mut next = waiting.blocking_recv();
        while let Some(message) = next.take() {
            match message {
                Message::Work(first) => next = self.batch(first, &mut waiting),
                Message::Compact(answer) => {
                    let _ = answer.send(self.compact());
                }
            }
            if next.is_none() {
                // Works seal records: a thread that waits shall hold nothing of what it did.
                coffer_secmem::rest();
                next = waiting.blocking_recv();
            }
        }
    }

    /// Commits `first` and what waits behind it; answers a message taken that is no work.
    fn batch(&mut self, first: Job, waiting: &mut mpsc::Receiver<Message>) -> Option<Message> {
        let mut left_over = None;
        let refused = {
            let mut more = || match waiting.try_recv() {
                Ok(Message::Work(job)) => Some(job),
                Ok(other) => {
                    left_over = Some(other);
                    None
                }
                Err(_) => None,
            };
            self.commit(first, &mut more)
        };
        for job in refused {
            let again = self.commit(job, &mut || None);
            debug_assert!(again.is_empty(), "a work alone in its batch is always answered");
        }
        left_over
    }

    /// One batch: runs, makes durable, answers. Gives back unanswered what must be run again, alone.
    ///
    /// Nobody is answered before the batch is decided, not even who aborted: what made it abort may not have become
    /// durable.
    fn commit(&mut self, first: Job, more: &mut dyn FnMut() -> Option<Job>) -> Vec<Job> {
        let base = match self.usable_base() {
            Ok(base) => base,
            Err(error) => {
                answer(first, Err(error));
                return Vec::new();
            }
        };
        let mut batch = Batch::over(&*base);
        let mut ran = Vec::new();
        let mut next = Some(first);
        while let Some(mut job) = next.take() {
            let ended = run(&mut job.work, &mut batch);
            ran.push((job, ended));
            if ran.len() < BATCH_WORKS && batch.bytes() < BATCH_BYTES {
                next = more();
            }
        }
        let urgent = ran.iter().all(|(job, ended)| job.urgent || *ended != Ended::Kept);
        match self.make_durable(batch, urgent) {
            Ok(revision) => {
                for (job, ended) in ran {
                    answer(job, ended.once_durable(revision));
                }
                Vec::new()
            }
            Err(error) => refuse(ran, error),
        }
    }

    fn make_durable(&mut self, mut batch: Batch<'_>, urgent: bool) -> Result<u64, StoreError> {
        catch_unwind(AssertUnwindSafe(|| batch.run_ends())).unwrap_or(Err(StoreError::Panicked))?;
        let (changes, afters) = batch.into_parts();
        let mut revision = self.engine.revision();
        if !changes.is_empty() {
            revision += 1;
            self.engine.apply(revision, &changes, urgent).inspect_err(|error| {
                if *error == StoreError::Failed {
                    self.fail("a commit could not be made durable");
                }
            })?;
        }
        self.run_afters(afters)?;
        if !changes.is_empty() {
            self.hub.publish(revision, changes.iter().map(|(key, value)| (key.as_slice(), value.is_none())));
        }
        Ok(revision)
    }

    /// A panic here leaves caches that may not match what is durable, so it ends the handle.
    fn run_afters(&self, afters: Vec<AfterCommit>) -> Result<(), StoreError> {
        let ran = catch_unwind(AssertUnwindSafe(|| afters.into_iter().for_each(|then| then())));
        ran.map_err(|_| {
            self.fail("a step after a commit panicked");
            StoreError::Failed
        })
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        self.usable_base()?;
        self.engine.compact().inspect_err(|error| {
            if *error == StoreError::Failed {
                self.fail("the compacted file could not be made durable");
            }
        })
    }

    fn usable_base(&self) -> Result<Arc<dyn Base + Send + Sync>, StoreError> {
        if self.failed.load(Ordering::Acquire) { Err(StoreError::Failed) } else { self.engine.base() }
    }

    fn fail(&self, what: &str) {
        self.failed.store(true, Ordering::Release);
        tracing::error!("the store takes no further commit: {what}");
    }
}

/// How a work ran, before it is known whether its batch becomes durable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Kept,
    Aborted,
    Panicked,
}

impl Ended {
    fn once_durable(self, revision: u64) -> Result<Committed, StoreError> {
        match self {
            Self::Kept => Ok(Committed::Durable(revision)),
            Self::Aborted => Ok(Committed::Aborted),
            Self::Panicked => Err(StoreError::Panicked),
        }
    }
}

fn run(work: &mut Work, batch: &mut Batch<'_>) -> Ended {
    let ended = match catch_unwind(AssertUnwindSafe(|| work(batch))) {
        Ok(Ok(())) => Ended::Kept,
        Ok(Err(Abort)) => Ended::Aborted,
        Err(_) => Ended::Panicked,
    };
    if ended == Ended::Kept {
        batch.keep_work()
    } else {
        batch.undo_work()
    }
    ended
}

/// Answers those whom `error` concerns, and gives back those who only shared a batch with them.
fn refuse(ran: Vec<(Job, Ended)>, error: StoreError) -> Vec<Job> {
    let alone = ran.len() == 1;
    let mut again = Vec::new();
    for (job, ended) in ran {
        let concerned = match error {
            StoreError::Failed => true,
            StoreError::Full => alone || (ended == Ended::Kept && !job.urgent),
            _ => alone,
        };
        if concerned {
            answer(job, Err(error));
        } else {
            again.push(job);
        }
    }
    again
}

/// The caller may have gone; the commit stands all the same.
fn answer(job: Job, ended: Result<Committed, StoreError>) {
    let _ = job.answer.send(ended);
}
