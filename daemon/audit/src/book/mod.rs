//! One open environment's tree.
mod commit;
mod compose;
mod kept;
mod open;
mod openings;
mod prove;

pub use kept::KeptCheckpoint;
pub use open::Opening;

use crate::journal::{Durability, Journal, Placed, Signer};
use crate::{Facts, Receipt, Recorded, Unrecorded};
use coffer_barrier::Barrier;
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_types::EnvironmentId;
use keystore_format::leaf::LeafKind;
use openings::OpeningKeys;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// One open environment's tree. Held while the environment is open; [`Book::close`] comes before seal.
pub struct Book {
    journal: Arc<Journal>,
    barrier: Arc<Barrier>,
    environment: EnvironmentId,
    opening_keys: OpeningKeys,
    /// Leaves of changes in the journal, with their frame's number: once durable, the outbox may let go of them.
    appended: Mutex<VecDeque<(u64, u64)>>,
    /// What signs this tree's checkpoints, while the journal holds it.
    signer: OnceLock<Weak<Signer>>,
    is_closed: AtomicBool,
}

/// The opened record of one request. Only a [`Book`] makes it, and nothing is done without it.
pub struct Intent {
    facts: Facts,
    /// The intent's own leaf, where the effect is outside the store.
    leaf: Option<u64>,
}

impl Book {
    /// Opens the record of a request that was permitted.
    #[must_use]
    pub fn intend(&self, facts: Facts) -> Intent {
        Intent { facts, leaf: None }
    }

    /// As [`Book::intend`], for an effect outside the store: the intent is durable in the log before this returns.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub async fn intend_durably(&self, facts: Facts) -> Result<Intent, Unrecorded> {
        self.demand_open()?;
        let key = self.opening_key(&facts).await?;
        let prepared = self.compose(&facts, &key, LeafKind::Intent, None, None, None)?;
        let placed = self.journal.append(&prepared, None, facts.is_urgent)?;
        self.journal.durable(placed.frame).await?;
        Ok(Intent { facts, leaf: Some(prepared.marks.id) })
    }

    /// Records a refusal.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub async fn refuse(&self, facts: Facts, fault: Fault) -> Result<Recorded<Fault>, Unrecorded> {
        self.demand_open()?;
        let result = Err(fault);
        let placed = self.append(&facts, None, &result).await?;
        match result {
            Err(fault) => Ok(Recorded::new(fault, receipt(placed))),
            Ok(_) => Err(Unrecorded::Failed),
        }
    }

    /// Closes the record: an answer's leaf goes to the journal; a change is committed together with its leaf, which is
    /// then appended in commit order. `spend` is committed in any case where it is given; where it refuses, its fault is
    /// the result and nothing else happens.
    ///
    /// # Errors
    /// Where the log cannot be written: nothing may be answered.
    pub async fn record(
        self: &Arc<Self>,
        intent: Intent,
        outcome: Result<Outcome, Fault>,
        spend: Option<Change>,
    ) -> Result<Recorded<Result<Answer, Fault>>, Unrecorded> {
        self.demand_open()?;
        match (outcome, spend) {
            (Ok(Outcome::Change(change)), spend) => self.commit(intent, Ok(change), spend).await,
            (Ok(Outcome::Answer(answer)), None) => self.record_read(intent, Ok(answer)).await,
            (Err(fault), None) => self.record_read(intent, Err(fault)).await,
            (Ok(Outcome::Answer(answer)), spend) => self.commit(intent, Err(Ok(answer)), spend).await,
            (Err(fault), spend) => self.commit(intent, Err(Err(fault)), spend).await,
        }
    }

    async fn record_read(
        &self,
        intent: Intent,
        result: Result<Answer, Fault>,
    ) -> Result<Recorded<Result<Answer, Fault>>, Unrecorded> {
        let placed = self.append(&intent.facts, intent.leaf, &result).await?;
        Ok(Recorded::new(result, receipt(placed)))
    }

    /// The leaf of what changed nothing.
    async fn append(
        &self,
        facts: &Facts,
        intent: Option<u64>,
        result: &Result<Answer, Fault>,
    ) -> Result<Placed, Unrecorded> {
        let key = self.opening_key(facts).await?;
        let kind = if intent.is_some() { LeafKind::Result } else { LeafKind::Request };
        let prepared = self.compose(facts, &key, kind, intent, Some(result), None)?;
        let placed = self.journal.append(&prepared, None, facts.is_urgent)?;
        if self.journal.durability() == Durability::Fsync {
            self.journal.durable(placed.frame).await?;
        }
        Ok(placed)
    }

    /// The final checkpoint, before seal; afterwards nothing is recorded here.
    ///
    /// # Errors
    /// Where the log cannot be written. Sealing goes on regardless.
    pub async fn close(self: &Arc<Self>) -> Result<(), Unrecorded> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let done = match self.final_round().await {
            // What is durable now can leave the outbox, and the head learns of the last checkpoint.
            Ok(()) => self.tidy().await,
            failed => failed,
        };
        self.journal.detach(self.environment, self.signer.get());
        self.opening_keys.forget();
        done
    }

    async fn final_round(&self) -> Result<(), Unrecorded> {
        let journal = Arc::clone(&self.journal);
        tokio::task::spawn_blocking(move || journal.round()).await.map_err(|_| Unrecorded::Failed)?
    }

    fn demand_open(&self) -> Result<(), Unrecorded> {
        if self.is_closed.load(Ordering::Acquire) { Err(Unrecorded::Closed) } else { Ok(()) }
    }
}

/// A book that is dropped without being closed must not leave its key behind.
impl Drop for Book {
    fn drop(&mut self) {
        self.journal.detach(self.environment, self.signer.get());
    }
}

fn receipt(placed: Placed) -> Receipt {
    Receipt { index: placed.index, incarnation: placed.incarnation }
}
