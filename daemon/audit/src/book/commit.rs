//! A change and its leaf as one commit.
use super::openings::{OpeningKey, unrecorded};
use super::{Book, Intent, receipt};
use crate::journal::{Placed, lock};
use crate::{Facts, Recorded, Unrecorded};
use coffer_barrier::{Barrier, BarrierError, Batch};
use coffer_room::{Answer, Change, Fault};
use keystore_format::leaf::{LeafKind, StateChange};
use std::sync::{Arc, Mutex};

/// Leaves that one commit takes out of the outbox at most.
const SETTLED_AT_ONCE: usize = 64;

/// What was to be recorded: a change, or a result that is ready.
type Deed = Result<Change, Result<Answer, Fault>>;

/// Why a commit was not made.
enum Stop {
    /// The use-limited token had no use left, or was gone.
    Spend(Fault),
    /// The change refused.
    Work(Fault),
    /// The store could not.
    Store(BarrierError),
    /// The leaf could not be made, or has no space in the journal.
    Unrecorded(Unrecorded),
}

impl From<BarrierError> for Stop {
    fn from(error: BarrierError) -> Self {
        Self::Store(error)
    }
}

/// Everything that a run of the commit's work needs; runs share it, since a work may run more than once.
struct Job {
    book: Arc<Book>,
    facts: Facts,
    intent: Option<u64>,
    key: Arc<OpeningKey>,
    parts: Mutex<Parts>,
}

struct Parts {
    deed: Deed,
    spend: Option<Change>,
}

/// Where the leaf was put, once the commit is durable.
type Slot = Arc<Mutex<Option<Result<Placed, Unrecorded>>>>;

impl Book {
    pub(super) async fn commit(
        self: &Arc<Self>,
        intent: Intent,
        deed: Deed,
        spend: Option<Change>,
    ) -> Result<Recorded<Result<Answer, Fault>>, Unrecorded> {
        let Intent { facts, leaf } = intent;
        let key = self.opening_key(&facts).await?;
        let has_spend = spend.is_some();
        let parts = Mutex::new(Parts { deed, spend });
        let job = Arc::new(Job { book: Arc::clone(self), facts, intent: leaf, key, parts });
        let fault = match self.run(&job).await {
            Ok((result, placed)) => return Ok(Recorded::new(result, receipt(placed))),
            Err(Stop::Unrecorded(error)) => return Err(error),
            Err(Stop::Work(fault)) if has_spend => {
                // The use is spent all the same: the refusal is committed with it.
                lock(&job.parts).deed = Err(Err(fault));
                match self.run(&job).await {
                    Ok((result, placed)) => return Ok(Recorded::new(result, receipt(placed))),
                    Err(Stop::Unrecorded(error)) => return Err(error),
                    Err(Stop::Spend(fault) | Stop::Work(fault)) => fault,
                    Err(Stop::Store(error)) => error.into(),
                }
            }
            Err(Stop::Spend(fault) | Stop::Work(fault)) => fault,
            Err(Stop::Store(error)) => error.into(),
        };
        // Nothing was changed, so this is the record of a refusal.
        let result = Err(fault);
        let placed = self.append(&job.facts, job.intent, &result).await?;
        Ok(Recorded::new(result, receipt(placed)))
    }

    /// One commit: spend, change, leaf.
    async fn run(self: &Arc<Self>, job: &Arc<Job>) -> Result<(Result<Answer, Fault>, Placed), Stop> {
        let settled = self.take_settled();
        let worker = Arc::clone(job);
        let work = move |batch: &mut Batch<'_>| worker.work(batch, &settled);
        let barrier: &Arc<Barrier> = &self.barrier;
        let (answer, slot) = match job.facts.is_urgent {
            true => barrier.commit_urgent(work).await?,
            false => barrier.commit(work).await?,
        };
        let result = match answer {
            Some(answer) => Ok(answer),
            None => match std::mem::replace(
                &mut lock(&job.parts).deed,
                Err(Err(Fault::Internal("recorded already"))),
            ) {
                Err(ready) => ready,
                Ok(_) => return Err(Stop::Unrecorded(Unrecorded::Failed)),
            },
        };
        // The step after the commit ran before it was answered.
        let placed = lock(&slot).take().unwrap_or(Err(Unrecorded::Failed));
        Ok((result, placed.map_err(Stop::Unrecorded)?))
    }

    /// Takes what is durable in the journal out of the outbox, and tells the head of the last checkpoint.
    pub(super) async fn tidy(self: &Arc<Self>) -> Result<(), Unrecorded> {
        let settled = self.take_settled();
        let work = move |batch: &mut Batch<'_>| -> Result<(), BarrierError> {
            batch.clear_outbox(&settled.ids())?;
            settled.gone_with(batch);
            Ok(())
        };
        self.barrier.commit(work).await.map_err(unrecorded)
    }

    /// Leaves that are durable in the journal.
    fn take_settled(self: &Arc<Self>) -> Arc<Settled> {
        let durable = self.journal.durable_frames();
        let mut appended = lock(&self.appended);
        let ready = appended.iter().take_while(|(_, frame)| *frame <= durable).count().min(SETTLED_AT_ONCE);
        let taken = appended.drain(..ready).collect();
        Arc::new(Settled { book: Arc::clone(self), taken: Mutex::new(taken) })
    }
}

impl Job {
    /// Runs inside the committer. `None` for a result that was ready before.
    fn work(&self, batch: &mut Batch<'_>, settled: &Arc<Settled>) -> Result<(Option<Answer>, Slot), Stop> {
        let mut parts = lock(&self.parts);
        if let Some(spend) = &mut parts.spend {
            spend.run(batch).map_err(Stop::Spend)?;
        }
        let answer = match &mut parts.deed {
            Ok(change) => Some(Ok(change.run(batch).map_err(Stop::Work)?)),
            Err(_) => None,
        };
        let book = &self.book;
        let state = StateChange {
            // The head of this batch counts one more. Its roots stay zeroes until there is a replay index.
            generation: book.barrier.generation() + 1,
            root_before: [0; 32],
            root_after: [0; 32],
        };
        let result = match (&answer, &parts.deed) {
            (Some(answer), _) => answer,
            (None, Err(ready)) => ready,
            (None, Ok(_)) => return Err(Stop::Unrecorded(Unrecorded::Failed)),
        };
        let kind = if self.intent.is_some() { LeafKind::Result } else { LeafKind::Request };
        let prepared = book
            .compose(&self.facts, &self.key, kind, self.intent, Some(result), Some(state))
            .map_err(Stop::Unrecorded)?;
        let reservation =
            book.journal.reserve(prepared.frame.len(), self.facts.is_urgent).map_err(Stop::Unrecorded)?;
        let id = prepared.marks.id;
        batch.put_outbox(id, &prepared.frame)?;
        batch.clear_outbox(&settled.ids())?;
        settled.gone_with(batch);

        let slot = Slot::default();
        let (book, told) = (Arc::clone(book), Arc::clone(&slot));
        let is_urgent = self.facts.is_urgent;
        batch.after(Box::new(move || {
            let placed = book.journal.append(&prepared, Some(reservation), is_urgent);
            if let Ok(placed) = placed {
                lock(&book.appended).push_back((id, placed.frame));
            }
            *lock(&told) = Some(placed);
        }));
        Ok((answer.and_then(Result::ok), slot))
    }
}

/// Leaves that a commit takes out of the outbox; they go back in the queue where it is not made.
struct Settled {
    book: Arc<Book>,
    taken: Mutex<Vec<(u64, u64)>>,
}

impl Settled {
    fn ids(&self) -> Vec<u64> {
        lock(&self.taken).iter().map(|(id, _)| *id).collect()
    }

    /// They are gone for good once the batch is durable.
    fn gone_with(self: &Arc<Self>, batch: &mut Batch<'_>) {
        let settled = Arc::clone(self);
        batch.after(Box::new(move || {
            let gone = std::mem::take(&mut *lock(&settled.taken));
            settled.book.journal.settled(settled.book.environment, gone.iter().map(|(id, _)| *id));
        }));
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        let taken = std::mem::take(&mut *lock(&self.taken));
        let mut appended = lock(&self.book.appended);
        taken.into_iter().rev().for_each(|entry| appended.push_front(entry));
    }
}
