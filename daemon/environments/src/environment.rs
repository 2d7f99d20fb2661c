//! One open environment.
use crate::ceremonies::Ceremonies;
use crate::mounts::MountTable;
use crate::policies::Policies;
use crate::records::{ChildRecord, MountsRecord, mount_id};
use arc_swap::ArcSwap;
use coffer_audit::{Book, BookError};
use coffer_auth::cert::CertMount;
use coffer_auth::token::TokenStore;
use coffer_barrier::{Barrier, BarrierError, Batch, View};
use coffer_room::{Fault, Room};
use coffer_types::{CanonicalPath, Clock, Entropy, EnvironmentId, EnvironmentPath, Kind, MountId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Children by name, as stored.
pub(crate) type Children = BTreeMap<String, ChildRecord>;

/// The certificate mounts of an environment.
pub(crate) type CertMounts = Vec<Arc<CertMount>>;

/// An environment that is open: keys, mounts, policies, tokens and book. Made whole, dropped whole.
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// Where it stands.
    pub path: EnvironmentPath,
    pub(crate) barrier: Arc<Barrier>,
    pub(crate) book: Arc<Book>,
    pub(crate) policies: Policies,
    pub(crate) tokens: TokenStore,
    pub(crate) certs: ArcSwap<CertMounts>,
    pub(crate) ceremonies: Ceremonies,
    mounts: ArcSwap<MountTable>,
    /// Disabled mounts whose records are still there.
    erasing: ArcSwap<Vec<String>>,
    children: ArcSwap<Children>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Why an environment does not open. It stays sealed; nothing of it is served.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// A record can't be read.
    Barrier(BarrierError),
    /// The audit log does not hold what the store promises.
    Book(BookError),
    /// A record was altered on disk, or is of a newer build.
    Damaged(&'static str),
}

impl OpenError {
    /// Whether a quorum may accept it, where the store was put back on purpose.
    pub(crate) fn is_rollback(&self) -> bool {
        matches!(self, Self::Book(error) if error.is_rollback())
    }

    /// Whether it is about a checkpoint that a holder gave.
    pub(crate) fn is_of_kept(&self) -> bool {
        matches!(self, Self::Book(BookError::Kept(_)))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Barrier(error) => error.fmt(f),
            Self::Book(error) => error.fmt(f),
            Self::Damaged(what) => {
                write!(f, "the {what} record was altered on disk, or written by a newer build")
            }
        }
    }
}

impl std::error::Error for OpenError {}

impl From<BarrierError> for OpenError {
    fn from(error: BarrierError) -> Self {
        Self::Barrier(error)
    }
}

impl From<BookError> for OpenError {
    fn from(error: BookError) -> Self {
        Self::Book(error)
    }
}

impl Environment {
    /// Loads everything that a request may need before the first one is let in: policies, mounts, certificate roles and
    /// revocation lists. What can't be loaded keeps the environment closed.
    pub(crate) async fn load(
        path: EnvironmentPath,
        barrier: Arc<Barrier>,
        book: Arc<Book>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Arc<Self>, OpenError> {
        let id = barrier.context().environment;
        let own = barrier.view(MountId::default());
        let stored: MountsRecord = match own.get(Kind::Mounts, &CanonicalPath::default(), None).await? {
            Some(record) => {
                serde_json::from_slice(&record.bytes).map_err(|_| OpenError::Damaged("mounts"))?
            }
            None => MountsRecord::default(),
        };
        let mounts = MountTable::of(&stored.mounts).ok_or(OpenError::Damaged("mounts"))?;
        let mut certs = CertMounts::new();
        for mount in mounts.of_class(crate::Class::Auth).filter(|mount| mount.kind == crate::MountKind::Cert)
        {
            certs.push(Arc::new(
                CertMount::load(&barrier.view(mount.id), &mount.record.path, clock.now()).await?,
            ));
        }
        let mut children = Children::new();
        for listed in own.list(Kind::Environment, &CanonicalPath::default()).await? {
            let name = CanonicalPath::parse(&listed.name).map_err(|_| OpenError::Damaged("environment"))?;
            let record =
                own.get(Kind::Environment, &name, None).await?.ok_or(OpenError::Damaged("environment"))?;
            let child =
                serde_json::from_slice(&record.bytes).map_err(|_| OpenError::Damaged("environment"))?;
            children.insert(listed.name, child);
        }
        let tokens = TokenStore::new(Arc::clone(&barrier), path.clone());
        Ok(Arc::new(Self {
            id,
            path,
            book,
            policies: Policies::load(&own).await?,
            tokens,
            certs: ArcSwap::from_pointee(certs),
            ceremonies: Ceremonies::default(),
            mounts: ArcSwap::from_pointee(mounts),
            erasing: ArcSwap::from_pointee(stored.erasing),
            children: ArcSwap::from_pointee(children),
            barrier,
            clock,
            entropy,
        }))
    }

    /// The last checkpoint, then the keys are cleared, whoever still holds this environment.
    pub(crate) async fn shut(&self) {
        self.ceremonies.forget();
        // A deleted environment's keys are gone already: its log ends with the checkpoint of the last second.
        if let Err(error) = self.book.close().await
            && self.barrier.is_open()
        {
            tracing::error!(environment = %self.path, %error, "closed without a last checkpoint");
        }
        self.barrier.close();
    }

    /// Its audit book.
    #[must_use]
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    pub(crate) fn barrier(&self) -> &Arc<Barrier> {
        &self.barrier
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// What a handler at `mount` works with.
    pub(crate) fn room(&self, mount: MountId) -> Room {
        Room {
            view: self.view(mount),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            mount,
        }
    }

    pub(crate) fn view(&self, mount: MountId) -> View {
        self.barrier.view(mount)
    }

    /// The mounts in force.
    #[must_use]
    pub fn mounts(&self) -> Arc<MountTable> {
        self.mounts.load_full()
    }

    pub(crate) fn children(&self) -> Arc<Children> {
        self.children.load_full()
    }

    /// The mount table as of this very transaction.
    pub(crate) fn read_mounts(&self, batch: &mut Batch<'_>) -> Result<MountsRecord, Fault> {
        match batch.mount(MountId::default()).get(Kind::Mounts, &CanonicalPath::default(), None)? {
            Some(record) => serde_json::from_slice(&record.bytes)
                .map_err(|_| Fault::Internal("the mount table was altered on disk")),
            None => Ok(MountsRecord::default()),
        }
    }

    /// Writes the mount table; the one in force changes when the commit is durable.
    pub(crate) fn write_mounts(
        self: &Arc<Self>,
        batch: &mut Batch<'_>,
        record: MountsRecord,
    ) -> Result<(), Fault> {
        let bytes =
            serde_json::to_vec(&record).map_err(|_| Fault::Internal("the mount table can't be written"))?;
        let table =
            MountTable::of(&record.mounts).ok_or(Fault::Internal("the mount table can't be written"))?;
        batch.mount(MountId::default()).put(Kind::Mounts, &CanonicalPath::default(), None, &bytes)?;
        let environment = Arc::clone(self);
        batch.after(Box::new(move || {
            environment.erasing.store(Arc::new(record.erasing));
            environment.put_mounts(table);
        }));
        Ok(())
    }

    /// A disabled mount whose records are to be erased.
    pub(crate) fn mount_to_erase(&self) -> Option<MountId> {
        self.erasing.load().first().and_then(|id| mount_id(id))
    }

    fn put_mounts(&self, table: MountTable) {
        let known = self.certs.load();
        let certs = table
            .of_class(crate::Class::Auth)
            .filter(|mount| mount.kind == crate::MountKind::Cert)
            .map(|mount| {
                let same = known.iter().find(|cert| cert.id() == mount.id).cloned();
                same.unwrap_or_else(|| Arc::new(CertMount::new(mount.id, &mount.record.path)))
            });
        self.certs.store(Arc::new(certs.collect()));
        self.mounts.store(Arc::new(table));
    }

    /// Writes one child's record; what is known changes when the commit is durable.
    pub(crate) fn write_child(
        self: &Arc<Self>,
        batch: &mut Batch<'_>,
        name: &CanonicalPath,
        child: &ChildRecord,
    ) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(child)
            .map_err(|_| Fault::Internal("the environment's record can't be written"))?;
        batch.mount(MountId::default()).put(Kind::Environment, name, None, &bytes)?;
        let (environment, name, child) = (Arc::clone(self), name.as_str().to_owned(), child.clone());
        batch.after(Box::new(move || {
            environment.children.rcu(|children| {
                let mut children = (**children).clone();
                children.insert(name.clone(), child.clone());
                children
            });
        }));
        Ok(())
    }
}
