//! The node as a whole: uninitialised, sealed or open, and the ceremonies between.
use crate::Environment;
use crate::Terms;
use crate::open;
use crate::registry::{Means, Registry, Settings};
use coffer_audit::{NodeEvent, NodeField, Unrecorded};
use coffer_auth::token::{Issued, TokenStore};
use coffer_barrier::{Barrier, BarrierError, Context, Place, put_store_id, read_seal_record, read_store_id};
use coffer_room::Fault;
use coffer_seal::seals::ListedWrap;
use coffer_seal::{Initialised, Seal, Threshold, UnsealProgress};
use coffer_store::{CommitError, Store};
use coffer_types::{EnvironmentId, EnvironmentPath, MountId, StoreId, random};
use coffer_wire::FieldError;
use keystore_format::share::Share;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What `sys/seal-status` says.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct SealStatus {
    /// Whether there is anything to unseal.
    pub is_initialized: bool,
    /// Whether the root key is not in memory.
    pub is_sealed: bool,
    /// Shares that open it.
    pub threshold: u8,
    /// Shares that there are.
    pub shares: u8,
    /// Shares given so far.
    pub progress: u8,
    /// The unseal attempt's nonce.
    pub nonce: String,
    /// What opens it, each alone; claimed by the seal record while it is sealed.
    pub wraps: Vec<ListedWrap>,
    /// The cluster's name.
    pub cluster_name: String,
    /// The store's id, in the form of a UUID.
    pub cluster_id: String,
}

/// What initialising gives, once and never again.
pub struct InitAnswer {
    /// The shares.
    pub shares: Vec<Share>,
    /// The first token.
    pub root_token: Zeroizing<String>,
}

/// What the call that opened the store is told, and no other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsealed {
    /// The newest signed checkpoint of each log that opened, the root environment's first, to be kept.
    pub checkpoints: Vec<String>,
    /// How many of the kept checkpoints were of environments that opened.
    pub compared: usize,
}

/// Why a ceremony failed: always with a sentence.
pub struct NodeFault(pub(crate) Fault);

/// Where the node stands between ceremonies.
pub(crate) enum Gate {
    Uninitialized,
    Sealed(Box<Waiting>),
    Open,
}

/// A sealed store, and the shares given so far.
pub(crate) struct Waiting {
    pub(crate) context: Context,
    pub(crate) seal: Seal,
    pub(crate) shares: UnsealProgress,
    /// What came with these shares.
    pub(crate) terms: Terms,
    /// Where the root key opens a snapshot that is to be restored, rather than the store.
    pub(crate) is_restore: bool,
}

impl Registry {
    /// The registry of a store, sealed or uninitialised.
    ///
    /// # Errors
    /// Where the store or its seal record can't be read.
    pub async fn start(settings: Settings, means: Means) -> Result<Arc<Self>, BarrierError> {
        let mut status = SealStatus {
            is_sealed: true,
            cluster_name: settings.cluster_name.clone(),
            ..SealStatus::default()
        };
        let gate = match read_store_id(&*means.store).await? {
            None => Gate::Uninitialized,
            Some(id) => Gate::Sealed(Box::new(waiting(&*means.store, id, &mut status).await?)),
        };
        Ok(Self::assemble(settings, means, gate, status))
    }

    /// What `sys/seal-status` says now.
    #[must_use]
    pub fn seal_status(&self) -> Arc<SealStatus> {
        self.status.load_full()
    }

    /// Makes store, root environment, shares and root token. The node stays sealed.
    ///
    /// # Errors
    /// Where it is initialised already, or the numbers can't be.
    pub async fn init(
        self: &Arc<Self>,
        shares: Option<u64>,
        threshold: Option<u64>,
    ) -> Result<InitAnswer, NodeFault> {
        let mut gate = self.gate.lock().await;
        if !matches!(*gate, Gate::Uninitialized) {
            return Err(NodeFault::bad("Coffer is already initialized"));
        }
        self.forget_restore()?;
        let threshold = Threshold::new(shares.unwrap_or(5), threshold.unwrap_or(3))
            .map_err(|error| NodeFault::bad(error.message()))?;
        let store_id: [u8; 16] = random(&*self.entropy).map_err(Fault::from)?;
        // The root environment has the store's id: both are random, and one store has one root.
        let context = Context { store: StoreId(store_id), environment: EnvironmentId(store_id) };
        // Once the store is made, its shares must be handed out: a log that can't be written is found out before.
        let names =
            [(NodeField::Action, "init"), (NodeField::Environment, &*context.environment.to_string())];
        self.node.event(NodeEvent::Ceremony, &names)?;
        let made = Initialised::new(context, threshold, &*self.entropy).map_err(open::no_entropy)?;
        // What can't be handed out is found out before, too.
        let texts = made.shares.iter().map(Share::to_text).collect::<Result<Vec<_>, _>>();
        drop(texts.map_err(|_| Fault::Internal("a share can't be written as text"))?);
        let created =
            Barrier::create(self.place(context), made.root_key, made.escrow).map_err(Fault::from)?;
        let (barrier, seal) = (Arc::clone(&created.barrier), made.seal);
        let entropy = Arc::clone(&self.entropy);
        let root_token =
            coffer_store::commit(&*self.store, move |transaction| -> Result<Issued, CommitError<Fault>> {
                put_store_id(transaction, context.store).map_err(open::refuse)?;
                created.write(transaction, &seal).map_err(open::refuse)?;
                let mut batch = created.barrier.batch(transaction);
                open::furnish(&mut batch, &*entropy).map_err(CommitError::Refused)?;
                let tokens = TokenStore::new(Arc::clone(&created.barrier), EnvironmentPath::root());
                tokens.issue_root(&mut batch.mount(MountId::default())).map_err(CommitError::Refused)
            })
            .await
            .map_err(open::refused)?;
        barrier.close();
        let mut status = (*self.seal_status()).clone();
        *gate = Gate::Sealed(Box::new(
            waiting(&*self.store, context.store, &mut status).await.map_err(Fault::from)?,
        ));
        self.status.store(Arc::new(status));
        let name = context.environment.to_string();
        if let Err(error) = self.node.event(NodeEvent::Initialized, &[(NodeField::Environment, &name)]) {
            tracing::error!(%error, "initialised; the log holds that it was begun, and not that it was done");
        }
        Ok(InitAnswer { shares: made.shares, root_token: root_token.token })
    }

    /// Another seal is in force: `sys/seal-status` tells which it is.
    pub(crate) fn seal_changed(&self, environment: &Environment, wraps: Vec<ListedWrap>) {
        if environment.path.is_root() {
            self.tell_seal(wraps);
        }
    }

    pub(crate) fn tell_seal(&self, wraps: Vec<ListedWrap>) {
        let (shares, threshold) = wraps.iter().find_map(|wrap| wrap.shares).unwrap_or_default();
        self.status.rcu(|status| SealStatus {
            shares,
            threshold,
            wraps: wraps.clone(),
            ..(**status).clone()
        });
    }

    /// Forgets the shares given so far.
    ///
    /// # Errors
    /// Where the node log can't be written.
    pub fn reset_unseal(&self) -> Result<(), NodeFault> {
        let Ok(mut gate) = self.gate.try_lock() else {
            return Err(NodeFault(Fault::Unavailable("another ceremony is under way; try again".into())));
        };
        // Where there is no attempt there is nothing to record: anybody could fill the log with it.
        let Gate::Sealed(waiting) = &mut *gate else { return Ok(()) };
        waiting.shares.reset();
        let mut status = (*self.seal_status()).clone();
        status.progress = 0;
        status.nonce.clear();
        self.status.store(Arc::new(status));
        Ok(self.node.event(NodeEvent::UnsealReset, &[])?)
    }

    /// Seals: no request finds an environment any more, every book gets its last checkpoint, and the keys are cleared.
    pub async fn seal(self: &Arc<Self>) {
        let mut gate = self.gate.lock().await;
        let Some(open) = self.open() else { return };
        self.set_open(None);
        let counting = match open.at(&EnvironmentPath::root()) {
            Some(root) => self.promise_count(root).await,
            None => None,
        };
        for environment in open.all().rev() {
            environment.shut().await;
        }
        // The keys do not wait for a TPM.
        if let Some(counting) = counting {
            self.count_at_seal(counting).await;
        }
        let mut status = (*self.seal_status()).clone();
        status.is_sealed = true;
        let context = open.all().next().map(|root| root.barrier().context());
        if let Some(context) = context {
            match waiting(&*self.store, context.store, &mut status).await {
                Ok(waiting) => *gate = Gate::Sealed(Box::new(waiting)),
                Err(error) => tracing::error!(%error, "the seal record can't be read: restart to unseal"),
            }
            if let Err(error) = self
                .node
                .event(NodeEvent::Sealed, &[(NodeField::Environment, &context.environment.to_string())])
            {
                tracing::error!(%error, "sealed without a leaf in the node log");
            }
        }
        self.status.store(Arc::new(status));
        self.is_sealed_now();
    }

    pub(crate) fn place(&self, context: Context) -> Place {
        Place {
            store: Arc::clone(&self.store),
            context,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        }
    }
}

/// Reads the root's seal record and waits for its shares.
async fn waiting(store: &dyn Store, id: StoreId, status: &mut SealStatus) -> Result<Waiting, BarrierError> {
    let context = Context { store: id, environment: EnvironmentId(id.0) };
    wait_for(read_seal_record(store, context.environment).await?, context, status, false)
}

/// Waits for the shares of a seal record, of which there may be two copies.
pub(crate) fn wait_for(
    copies: Vec<Vec<u8>>,
    context: Context,
    status: &mut SealStatus,
    is_restore: bool,
) -> Result<Waiting, BarrierError> {
    let seal = Seal::found(context, copies).map_err(|_| BarrierError::BadSealRecord)?;
    let known = seal.status();
    status.is_initialized = true;
    (status.shares, status.threshold) = known.shares.unwrap_or_default();
    status.wraps = seal.wraps();
    status.progress = 0;
    status.cluster_id = uuid(context.store.as_bytes());
    let shares = UnsealProgress::default();
    Ok(Waiting { context, seal, shares, terms: Terms::default(), is_restore })
}

impl NodeFault {
    /// 400 with a sentence.
    pub fn bad(sentence: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self(Fault::bad(sentence))
    }
}

impl From<Fault> for NodeFault {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl From<FieldError> for NodeFault {
    fn from(error: FieldError) -> Self {
        Self(error.into())
    }
}

impl From<Unrecorded> for NodeFault {
    fn from(why: Unrecorded) -> Self {
        Self(Fault::Unavailable(why.message().into()))
    }
}

impl From<NodeFault> for Fault {
    fn from(fault: NodeFault) -> Self {
        fault.0
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn uuid(id: &[u8; 16]) -> String {
    let digits = hex(id);
    let parts =
        [digits.get(..8), digits.get(8..12), digits.get(12..16), digits.get(16..20), digits.get(20..)];
    parts.map(Option::unwrap_or_default).join("-")
}
