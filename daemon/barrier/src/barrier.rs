//! One open environment: its keys, and the store that its records lie in.
use crate::{
    BarrierError,
    batch::Batch,
    head::{self, Pending},
    index::{Index, Verdict, state_of},
    keys::{Keys, NotOpened},
    view::{Memory, Plain, View},
};
use coffer_secmem::Key32;
use coffer_store::{CommitError, Store, StoreError, Transaction};
use coffer_types::{Clock, Entropy, EnvironmentId, Kind, MountId, Timestamp};
use keystore_format::{head::Head, kdf::Context, leaf};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Encryptions under one epoch after which it is time for a new one.
///
/// XAES-256-GCM itself would allow 2⁸⁰ records with random nonces. 2³² keeps the data under one data key bounded (about
/// 60 hours at 20,000 writes a second), so that a key that leaked opens a bounded past, and stays far below every
/// limit that SP 800-38D knows for a single key.
pub const ROTATE_AFTER_ENCRYPTIONS: u64 = 1 << 32;

/// Where an environment lies, and what its barrier works with.
#[derive(Clone)]
pub struct Place {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Store id and environment id.
    pub context: Context,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for keys and nonces.
    pub entropy: Arc<dyn Entropy>,
}

/// One open environment: its keys, and the store that its records lie in.
pub struct Barrier {
    pub(crate) me: Weak<Self>,
    pub(crate) place: Place,
    /// `None` once closed. Never held over an await or while a caller's code runs.
    keys: RwLock<Option<Keys>>,
    /// The last revision given out.
    revisions: AtomicU64,
    /// The revision at which the active epoch began.
    epoch_start: AtomicU64,
    /// The head as last made durable.
    pub(crate) head: Mutex<Head>,
    /// Which state of each record is the present one.
    pub(crate) index: Index,
    /// What works of the open batch want in the next head; see [`crate::head`].
    pub(crate) pending: Mutex<Vec<Weak<Pending>>>,
    /// The audit tree as last told.
    pub(crate) audit: Mutex<Audit>,
    /// Whether somebody has the turn to look at everything; see [`Barrier::fsck_turn`].
    pub(crate) is_looked_at: AtomicBool,
    /// What the rooms above remember of this environment's mounts; see [`View::memory`].
    pub(crate) memory: Memory,
}

/// The audit tree that the head promises.
#[derive(Clone, Copy)]
pub(crate) struct Audit {
    pub(crate) size: u64,
    pub(crate) root: [u8; 32],
}

/// The active epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpochStatus {
    /// Its number, from 1.
    pub number: u32,
    /// When it began.
    pub created: Timestamp,
    /// Encryptions since, at most: revisions that were reserved and not used count too.
    pub encryptions: u64,
    /// Older epochs that still open records.
    pub retired: Vec<u32>,
}

impl Barrier {
    pub(crate) fn assemble(
        place: Place,
        keys: Keys,
        head: Head,
        last_revision: u64,
        epoch_start: u64,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            place,
            keys: RwLock::new(Some(keys)),
            revisions: AtomicU64::new(last_revision),
            epoch_start: AtomicU64::new(epoch_start),
            index: Index::of(head.index().flatten()),
            audit: Mutex::new(Audit { size: head.audit_size, root: head.audit_root }),
            head: Mutex::new(head),
            pending: Mutex::default(),
            is_looked_at: AtomicBool::new(false),
            memory: Memory::default(),
        })
    }

    /// One mount, to read from. `MountId::default()` is the environment's own tables.
    #[must_use]
    pub fn view(self: &Arc<Self>, mount: MountId) -> View {
        View::new(Arc::clone(self), mount)
    }

    /// Runs `work` in the store's committer and answers what it gave, once that is durable.
    ///
    /// `work` may run more than once (on a full disk, on a store that machines share) and starts from scratch each time.
    /// A caller who drops the future does not stop it.
    ///
    /// # Errors
    /// What `work` refuses with, and nothing was written; [`BarrierError::Store`] and [`BarrierError::Sealed`].
    pub async fn commit<T, E>(
        self: &Arc<Self>,
        work: impl FnMut(&mut Batch<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<BarrierError> + Send + 'static,
    {
        let done = coffer_store::commit(&*self.place.store, self.in_transaction(work)).await;
        self.told(done)
    }

    /// As [`Barrier::commit`], with the space kept back for a full disk: for revocation and sealing only.
    ///
    /// # Errors
    /// As [`Barrier::commit`].
    pub async fn commit_urgent<T, E>(
        self: &Arc<Self>,
        work: impl FnMut(&mut Batch<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<BarrierError> + Send + 'static,
    {
        let done = coffer_store::commit_urgent(&*self.place.store, self.in_transaction(work)).await;
        self.told(done)
    }

    /// This environment's part of a transaction that somebody else opened.
    pub fn batch<'t>(&'t self, transaction: &'t mut dyn Transaction) -> Batch<'t> {
        Batch::new(self, transaction)
    }

    /// Store id and environment id.
    #[must_use]
    pub fn context(&self) -> Context {
        self.place.context
    }

    /// The environment's id.
    #[must_use]
    pub fn environment(&self) -> EnvironmentId {
        self.place.context.environment
    }

    /// Whether the keys are in memory.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Clears the keys, whoever still holds this barrier. Waits for the record that is being sealed or opened at
    /// this moment, not for more; every later use fails with [`BarrierError::Sealed`].
    pub fn close(&self) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.memory.forget();
        self.index.nodes.forget();
    }

    /// Where the store keeps the token of this digest: `HMAC(token key, digest)`.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn token_index(&self, digest: &[u8; 32]) -> Result<[u8; 32], BarrierError> {
        self.with_keys(|keys| Ok(keys.token_index(digest)))
    }

    /// Uses the commitment key where it lies. `act` must not call the barrier again, nor take long.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn commitment_key<T>(&self, act: impl FnOnce(&[u8; 32]) -> T) -> Result<T, BarrierError> {
        self.with_keys(|keys| Ok(act(keys.commitment_key())))
    }

    /// The name under which `subject` stands in the audit leaves of a month (`Timestamp::month`).
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn actor_pseudonym(&self, month: u32, subject: &[u8]) -> Result<[u8; 16], BarrierError> {
        self.commitment_key(|key| leaf::actor_pseudonym(key, month, subject))
    }

    /// The KEK under which the root key of an inheriting child is wrapped.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn child_kek(&self, child: EnvironmentId) -> Result<Key32, BarrierError> {
        self.with_keys(|keys| Ok(keys.child_kek(child)))
    }

    /// The seed of the audit log's Ed25519 key of one incarnation:
    /// `KDF(log seed, "log-signing", ctx ‖ incarnation, 32)`.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn log_signing_seed(&self, incarnation: &[u8; 16]) -> Result<Key32, BarrierError> {
        self.with_keys(|keys| Ok(keys.log_signing_seed(incarnation)))
    }

    /// What a TPM's counter is read and raised with: `KDF(log seed, "tpm-counter", ctx, 32)`. It stays when the root key is
    /// rotated.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn counter_auth(&self) -> Result<Key32, BarrierError> {
        self.with_keys(|keys| Ok(keys.counter_auth()))
    }

    /// What the head says of the TPM's counter; 0 where there is none.
    #[must_use]
    pub fn tpm_counter(&self) -> u64 {
        lock(&self.head).tpm_counter
    }

    /// The active epoch, and what is left of earlier ones.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn epoch_status(&self) -> Result<EpochStatus, BarrierError> {
        self.with_keys(|keys| {
            let active = keys.active_epoch()?;
            Ok(EpochStatus {
                number: active.number,
                created: Timestamp(active.created_unix_seconds.saturating_mul(1000)),
                encryptions: self.encryptions(),
                retired: keys.epochs().iter().rev().skip(1).rev().map(|epoch| epoch.number).collect(),
            })
        })
    }

    /// The audit tree as the newest durable head promises it: leaves and root.
    #[must_use]
    pub fn promised_audit(&self) -> (u64, [u8; 32]) {
        let head = lock(&self.head);
        (head.audit_size, head.audit_root)
    }

    /// Tells how much of the audit tree is durable in the journal; the next head promises it.
    pub fn note_audit(&self, size: u64, root: [u8; 32]) {
        *lock(&self.audit) = Audit { size, root };
    }

    /// The log's incarnation.
    #[must_use]
    pub fn incarnation(&self) -> [u8; 16] {
        lock(&self.head).incarnation
    }

    /// Records of this environment, as the newest durable head counts them.
    #[must_use]
    pub fn record_count(&self) -> u64 {
        lock(&self.head).record_count
    }

    /// Generation of the newest durable head: the number of batches that changed this environment.
    #[must_use]
    pub fn generation(&self) -> u64 {
        lock(&self.head).generation
    }

    /// Generation of the seal record.
    #[must_use]
    pub fn seal_generation(&self) -> u64 {
        lock(&self.head).seal_generation
    }

    /// The store that the records lie in.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.place.store
    }

    /// The time, as this barrier's clock has it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.place.clock.now()
    }

    pub(crate) fn with_keys<T>(
        &self,
        act: impl FnOnce(&Keys) -> Result<T, BarrierError>,
    ) -> Result<T, BarrierError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        act(keys.as_ref().ok_or(BarrierError::Sealed)?)
    }

    /// Changes the keys, unless they are gone: for what runs when a commit is durable.
    pub(crate) fn change_keys(&self, act: impl FnOnce(&mut Keys)) {
        if let Some(keys) = &mut *self.keys.write().unwrap_or_else(PoisonError::into_inner) {
            act(keys);
        }
    }

    /// A revision that no record has.
    pub(crate) fn reserve(&self) -> u64 {
        self.revisions.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn last_reserved(&self) -> u64 {
        self.revisions.load(Ordering::Relaxed)
    }

    pub(crate) fn encryptions(&self) -> u64 {
        self.last_reserved().saturating_sub(self.epoch_start.load(Ordering::Relaxed))
    }

    pub(crate) fn start_epoch_at(&self, revision: u64) {
        self.epoch_start.store(revision, Ordering::Relaxed);
    }

    pub(crate) fn nonce(&self) -> Result<[u8; 24], BarrierError> {
        Ok(coffer_types::random(&*self.place.entropy)?)
    }

    /// Seals a record for `store_key` under a fresh revision.
    pub(crate) fn seal(
        &self,
        kind: Kind,
        store_key: &[u8],
        plaintext: &[u8],
    ) -> Result<(Vec<u8>, u64), BarrierError> {
        let (nonce, revision) = (self.nonce()?, self.reserve());
        let sealed = self.with_keys(|keys| keys.seal(kind, store_key, revision, &nonce, plaintext))?;
        Ok((sealed, revision))
    }

    /// Opens what the store holds at `store_key`.
    pub(crate) fn open_record(
        &self,
        kind: Kind,
        store_key: &[u8],
        sealed: &[u8],
    ) -> Result<Plain, BarrierError> {
        let opened = self.with_keys(|keys| Ok(keys.open(kind, store_key, sealed)))?;
        match opened {
            Ok((header, bytes)) => Ok(Plain { bytes, revision: header.rev }),
            Err(NotOpened::Altered | NotOpened::EpochGone) => Err(self.damaged(kind, store_key)),
        }
    }

    /// Reads and opens the record at `store_key`. What is given out, also that there is nothing, is what the replay index
    /// promises.
    pub(crate) async fn read(&self, kind: Kind, store_key: &[u8]) -> Result<Option<Plain>, BarrierError> {
        loop {
            let roots = self.index.roots();
            let sealed = self.place.store.get(store_key).await?;
            let found = sealed.as_deref().and_then(state_of);
            let plain = match sealed {
                None => None,
                Some(sealed) => match self.with_keys(|keys| Ok(keys.open(kind, store_key, &sealed)))? {
                    Ok((header, bytes)) => Some(Plain { bytes, revision: header.rev }),
                    // Between the read and the opening the record may have been re-encrypted and its epoch dropped.
                    Err(NotOpened::EpochGone) if self.index.moved_on(&roots) => continue,
                    Err(_) => return Err(self.damaged(kind, store_key)),
                },
            };
            match self.compare(&roots, store_key, found).await? {
                Verdict::Right => return Ok(plain),
                Verdict::Wrong => return Err(self.not_as_indexed(kind, store_key, plain.is_some())),
                Verdict::ReadAgain => {}
            }
        }
    }

    /// Names the damaged record in the log; its key in the store is sealed and no secret.
    pub(crate) fn damaged(&self, kind: Kind, store_key: &[u8]) -> BarrierError {
        tracing::error!(
            environment = %self.environment(),
            kind = ?kind,
            store_key = %Hex(store_key),
            "a record was altered on disk or moved; it stays closed"
        );
        BarrierError::Damaged(kind)
    }

    fn in_transaction<T, E>(
        self: &Arc<Self>,
        mut work: impl FnMut(&mut Batch<'_>) -> Result<T, E> + Send + 'static,
    ) -> impl FnMut(&mut dyn Transaction) -> Result<T, CommitError<E>> + Send + 'static
    where
        E: From<BarrierError> + Send + 'static,
    {
        let barrier = Arc::clone(self);
        move |transaction| {
            if !barrier.is_open() {
                return Err(CommitError::Refused(BarrierError::Sealed.into()));
            }
            work(&mut barrier.batch(transaction)).map_err(CommitError::Refused)
        }
    }

    fn told<T, E: From<BarrierError>>(&self, done: Result<T, CommitError<E>>) -> Result<T, E> {
        done.map_err(|error| match error {
            CommitError::Refused(reason) => reason,
            // The head could not be sealed, because the environment was closed under the open batch.
            CommitError::Store(head::NOT_SEALED) if !self.is_open() => BarrierError::Sealed.into(),
            CommitError::Store(error) => BarrierError::from(error).into(),
        })
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes in hex, for the log.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A generator that fails inside the committer.
pub(crate) fn as_store_error(error: BarrierError) -> StoreError {
    match error {
        BarrierError::Store(error) => error,
        BarrierError::TooLarge => StoreError::TooLarge,
        BarrierError::Entropy => StoreError::Io(std::io::ErrorKind::Other),
        BarrierError::Index => StoreError::Corrupted,
        _ => head::NOT_SEALED,
    }
}
