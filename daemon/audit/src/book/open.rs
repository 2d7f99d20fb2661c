//! Opening a tree: the journal is held against what the store's head promises.
use super::Book;
use super::kept::KeptCheckpoint;
use super::openings::OpeningKeys;
use crate::journal::{FIELD_REASON, Journal, POWER_CUT, Prepared, Reservation, Signer, Tree, lock};
use crate::{BookError, NodeEvent, NodeField, NodeLog, Unrecorded};
use coffer_barrier::{Barrier, BarrierError, Batch};
use keystore_format::leaf::{Plain, StateChange};
use keystore_format::logcheck::LogId;
use keystore_format::merkle::{Hash, empty_root};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

/// What the store's head is held against when an environment opens.
pub enum Opening {
    /// The journal must have what the head promises, and what these checkpoints do, where they are of this environment.
    AsPromised(Vec<KeptCheckpoint>),
    /// The store was restored, or its rollback accepted: a new incarnation begins with a leaf that says so.
    Fork {
        /// Why, a fixed word.
        reason: &'static str,
        /// Who approved it: their pseudonyms.
        approvers: Vec<String>,
    },
}

/// Plain fields of a first leaf, beside those that the offline check reads.
const FIELD_APPROVERS: &str = "approvers";
const FIELD_PROMISED_SIZE: &str = "promised_size";
const FIELD_PROMISED_ROOT: &str = "promised_root";
const FIELD_CHECKPOINTED: &str = "checkpointed";

/// What the journal has of an environment.
pub(super) struct Present {
    pub(super) incarnation: [u8; 16],
    pub(super) size: u64,
    pub(super) root: Hash,
    generation: u64,
    is_suspect: bool,
    unsettled: BTreeSet<u64>,
}

impl Book {
    /// Opens an environment's tree: holds the journal against the head, and appends what a crash left in the store.
    ///
    /// # Errors
    /// See [`BookError`]; the environment must then stay closed.
    pub async fn open(
        journal: &Arc<Journal>,
        barrier: Arc<Barrier>,
        opening: Opening,
    ) -> Result<Arc<Self>, BookError> {
        let environment = barrier.environment();
        // The tree's tiles are on disk after this, whatever a crash left out. One round writes those of all trees.
        if journal.with_tree(environment, Tree::is_dirty).unwrap_or_default() {
            blocking(journal, |journal| journal.round()).await??;
        }
        let book = Arc::new(Self {
            journal: Arc::clone(journal),
            barrier,
            environment,
            opening_keys: OpeningKeys::default(),
            appended: Mutex::new(VecDeque::new()),
            signer: OnceLock::new(),
            is_closed: AtomicBool::new(false),
        });
        let waiting = book.outbox().await?;
        match opening {
            Opening::AsPromised(kept) => {
                let present = book.present();
                for kept in kept.iter().filter(|kept| kept.environment() == environment) {
                    book.demand_continues(kept, present.as_ref()).await?;
                }
                book.continue_log(waiting).await?;
            }
            Opening::Fork { reason, approvers } => {
                book.fork(reason, &approvers).await?;
                book.append_waiting(waiting, &BTreeSet::new())?;
            }
        }
        let log = (environment, book.barrier.incarnation());
        let signer = Arc::new(book.make_signer(log)?);
        let key = signer.key.to_text();
        // Set once: this is the only opening of this book.
        let _ = book.signer.set(Arc::downgrade(&signer));
        journal.attach(environment, signer);
        let id = environment.to_string();
        let fields = [(NodeField::Environment, id.as_str()), (NodeField::VerifierKey, key.as_str())];
        NodeLog::new(Arc::clone(journal)).event(NodeEvent::LogOpened, &fields)?;
        Ok(book)
    }

    async fn continue_log(self: &Arc<Self>, waiting: Vec<Prepared>) -> Result<(), BookError> {
        let incarnation = self.barrier.incarnation();
        let (promised, root) = self.barrier.promised_audit();
        let present = self.present();
        let forks = waiting.iter().any(|leaf| leaf.marks.begins == Some(incarnation));
        match &present {
            Some(present) if present.incarnation == incarnation => {
                if present.size < promised {
                    return Err(BookError::Missing { promised, present: present.size });
                }
                let store = self.barrier.generation();
                if store < present.generation {
                    return Err(BookError::Older { store, log: present.generation });
                }
                if promised > 0 && self.root_at(present, promised).await? != Some(root) {
                    return Err(BookError::Altered { promised });
                }
                self.append_waiting(waiting, &present.unsettled)?;
            }
            // A crash came between the commit of a fork and its leaf in the journal.
            Some(present) if forks => self.append_waiting(waiting, &present.unsettled)?,
            Some(_) => return Err(BookError::Foreign),
            None if forks => self.append_waiting(waiting, &BTreeSet::new())?,
            None if promised > 0 => return Err(BookError::Missing { promised, present: 0 }),
            None => {
                let log = (self.environment, incarnation);
                let leaf = self.journal.first_leaf(log, &self.make_signer(log)?, "first", None);
                let prepared = Prepared::new(self.environment, leaf, &[])?;
                self.journal.append(&prepared, None, true)?;
                self.append_waiting(waiting, &BTreeSet::new())?;
            }
        }
        if present.is_some_and(|present| present.is_suspect) && !forks {
            self.fork(POWER_CUT, &[]).await?;
        }
        Ok(())
    }

    /// Begins a new incarnation: in one commit the head names it and the outbox holds its first leaf.
    async fn fork(self: &Arc<Self>, reason: &'static str, approvers: &[String]) -> Result<(), BookError> {
        // What the leaf says of the old tree must not be lost after it.
        blocking(&self.journal, |journal| journal.sync()).await??;
        let old = (self.environment, self.barrier.incarnation());
        let (promised, promised_root) = self.barrier.promised_audit();
        let checkpointed = self.journal.checkpointed(old).map_err(|_| Unrecorded::Failed)?;
        let approvers = approvers.join(" ");
        self.barrier.note_audit(0, empty_root());
        let book = Arc::clone(self);
        let work = move |batch: &mut Batch<'_>| -> Result<(), ForkStop> {
            let incarnation = batch.begin_incarnation()?;
            let log = (book.environment, incarnation);
            let signer = book.make_signer(log)?;
            let mut leaf =
                book.journal.first_leaf(log, &signer, reason, Some((old, promised, promised_root)));
            leaf.state = Some(StateChange {
                generation: book.barrier.generation() + 1,
                root_before: [0; 32],
                root_after: [0; 32],
            });
            leaf.plain.insert(FIELD_REASON.into(), Plain::Text(reason.into()));
            leaf.plain.insert(FIELD_PROMISED_SIZE.into(), Plain::Uint(promised));
            leaf.plain.insert(
                FIELD_PROMISED_ROOT.into(),
                Plain::Text(keystore_format::logcheck::hex(&promised_root)),
            );
            leaf.plain.insert(FIELD_CHECKPOINTED.into(), Plain::Uint(checkpointed));
            if !approvers.is_empty() {
                leaf.plain.insert(FIELD_APPROVERS.into(), Plain::Text(approvers.clone()));
            }
            let prepared = Prepared::new(book.environment, leaf, &[])?;
            let reservation: Reservation = book.journal.reserve(prepared.frame.len(), true)?;
            batch.put_outbox(prepared.marks.id, &prepared.frame)?;
            let book = Arc::clone(&book);
            batch.after(Box::new(move || match book.journal.append(&prepared, Some(reservation), true) {
                Ok(placed) => lock(&book.appended).push_back((prepared.marks.id, placed.frame)),
                // It is in the outbox: the next opening appends it.
                Err(error) => {
                    tracing::error!(%error, "the first leaf of a new incarnation is not in the journal yet")
                }
            }));
            Ok(())
        };
        let done = self.barrier.commit(work).await;
        if done.is_err() {
            self.barrier.note_audit(promised, promised_root);
        }
        done.map_err(|stop| match stop {
            ForkStop::Barrier(error) => BookError::Barrier(error),
            ForkStop::Unrecorded(error) => BookError::Unrecorded(error),
        })?;
        // Only now is it sure that the tree that will be signed is the one that was begun.
        match self.present() {
            Some(present) if present.incarnation == self.barrier.incarnation() => Ok(()),
            _ => Err(BookError::Unrecorded(Unrecorded::Failed)),
        }
    }

    /// What a crash left in the store, in the order in which it was committed.
    async fn outbox(&self) -> Result<Vec<Prepared>, BookError> {
        let mut waiting = Vec::new();
        for (id, frame) in self.barrier.outbox().await? {
            let prepared = Prepared::parse(&frame).map_err(|_| BookError::DamagedOutbox)?;
            if prepared.environment != self.environment || prepared.marks.id != id {
                return Err(BookError::DamagedOutbox);
            }
            self.journal.taken_id(id);
            waiting.push(prepared);
        }
        Ok(waiting)
    }

    /// Appends those that the journal has not.
    fn append_waiting(&self, waiting: Vec<Prepared>, present: &BTreeSet<u64>) -> Result<(), BookError> {
        let mut appended = lock(&self.appended);
        for prepared in waiting {
            // A frame that was there at the start counts as the first: durable with the first sync.
            let frame = if present.contains(&prepared.marks.id) {
                1
            } else {
                self.journal.append(&prepared, None, true)?.frame
            };
            appended.push_back((prepared.marks.id, frame));
        }
        Ok(())
    }

    pub(super) fn make_signer(&self, log: LogId) -> Result<Signer, BookError> {
        let seed = self.barrier.log_signing_seed(&log.1)?;
        let barrier = Arc::downgrade(&self.barrier);
        let told = move |size, root| {
            if let Some(barrier) = barrier.upgrade() {
                barrier.note_audit(size, root);
            }
        };
        Ok(Signer::new(self.journal.host(), log, seed, Box::new(told))?)
    }

    fn present(&self) -> Option<Present> {
        self.journal.with_tree(self.environment, |tree: &Tree| Present {
            incarnation: tree.incarnation,
            size: tree.size(),
            root: tree.frontier.root(),
            generation: tree.generation,
            is_suspect: tree.is_suspect,
            unsettled: tree.unsettled.clone(),
        })
    }

    /// The root over the first `promised` leaves; `None` where the tiles are not what they were.
    async fn root_at(&self, present: &Present, promised: u64) -> Result<Option<Hash>, BookError> {
        if promised == present.size {
            return Ok(Some(present.root));
        }
        let (log, size) = ((self.environment, present.incarnation), present.size);
        Ok(blocking(&self.journal, move |journal| journal.root_at(log, promised, size)).await?.ok())
    }
}

enum ForkStop {
    Barrier(BarrierError),
    Unrecorded(Unrecorded),
}

impl From<BarrierError> for ForkStop {
    fn from(error: BarrierError) -> Self {
        Self::Barrier(error)
    }
}

impl From<Unrecorded> for ForkStop {
    fn from(error: Unrecorded) -> Self {
        Self::Unrecorded(error)
    }
}

impl From<BookError> for ForkStop {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Barrier(error) => Self::Barrier(error),
            BookError::Unrecorded(error) => Self::Unrecorded(error),
            _ => Self::Unrecorded(Unrecorded::Failed),
        }
    }
}

/// Runs what waits for a disk where it holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(
    journal: &Arc<Journal>,
    act: impl FnOnce(&Journal) -> T + Send + 'static,
) -> Result<T, Unrecorded> {
    let journal = Arc::clone(journal);
    tokio::task::spawn_blocking(move || act(&journal)).await.map_err(|_| Unrecorded::Failed)
}
