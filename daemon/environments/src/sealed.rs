//! Environments that are there and not open while the one above them is: sealed by shares of their own, by a device that
//! does not answer, or by a caller who sealed them alone.
use crate::Terms;
use crate::environment::Environment;
use crate::open::{self, How};
use crate::registry::Registry;
use crate::unsealing::is_passing;
use crate::work::recorded;
use coffer_audit::{NodeEvent, NodeField};
use coffer_barrier::{Context, read_seal_record};
use coffer_room::{Answer, Change, Fault};
use coffer_seal::devices::Refused;
use coffer_seal::{Seal, UnsealProgress};
use coffer_secmem::Key32;
use coffer_types::{CanonicalPath, EnvironmentPath, WrapId};
use std::sync::{Arc, Mutex, PoisonError};

/// A sealed environment, and the shares given for it so far.
pub(crate) struct Closed {
    pub(crate) context: Context,
    pub(crate) seal: Seal,
    pub(crate) shares: UnsealProgress,
    /// What came with these shares.
    pub(crate) terms: Terms,
    /// Whether a device that did not answer is tried again.
    pub(crate) is_awaited: bool,
}

impl Closed {
    pub(crate) fn new(context: Context, seal: Seal, is_awaited: bool) -> Self {
        let shares = UnsealProgress::default();
        Self { context, seal, shares, terms: Terms::default(), is_awaited }
    }
}

/// Environments that were opened and that nobody can reach yet. Whoever does not let them in closes them.
pub(crate) struct Opened(Vec<Arc<Environment>>);

impl Opened {
    /// The first of them, and then those below it.
    pub(crate) fn take(mut self) -> Vec<Arc<Environment>> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.iter().rev().for_each(|environment| environment.barrier().close());
    }
}

impl Registry {
    /// Seals one environment and all below it: their keys are cleared, whoever still holds them.
    pub(crate) async fn seal_one(&self, path: &EnvironmentPath) {
        let gone = self.remove(path);
        let Some(first) = gone.iter().find(|environment| environment.path == *path) else { return };
        let context = first.barrier().context();
        for environment in &gone {
            environment.shut().await;
        }
        self.closed().retain(|closed, _| !path.contains(closed));
        match read_seal_record(&*self.store, context.environment).await {
            Ok(copies) => match Seal::found(context, copies) {
                Ok(seal) => drop(self.closed().insert(path.clone(), Closed::new(context, seal, false))),
                Err(error) => {
                    tracing::error!(environment = %path, %error, "sealed, and its seal record can't be read")
                }
            },
            Err(error) => {
                tracing::error!(environment = %path, %error, "sealed, and its seal record can't be read")
            }
        }
        let fields = [(NodeField::Environment, &*context.environment.to_string())];
        if let Err(error) = self.node.event(NodeEvent::Sealed, &fields) {
            tracing::error!(%error, "sealed without a leaf in the node log");
        }
    }

    /// Opens a sealed environment by its root key, and what can be opened below it. Nobody reaches it before
    /// [`Registry::let_in`].
    pub(crate) async fn open_closed(
        self: &Arc<Self>,
        path: &EnvironmentPath,
        context: Context,
        root_key: Key32,
        held: Option<WrapId>,
        terms: &Terms,
    ) -> Result<Opened, Fault> {
        let (parent, name) = self.above(path)?;
        let is_restored = parent.children().get(&name).is_some_and(|child| child.is_restored);
        let barrier = open::barrier(self, path, context, root_key.duplicate(), terms).await;
        let barrier = barrier.map_err(|error| open::fault("the environment", error))?;
        if let Some(held) = held {
            self.settle_shares(&barrier, root_key, held).await.map_err(Fault::from)?;
        }
        let how = match (is_restored, terms.accepts_rollback) {
            (true, _) => How::Restored,
            (false, true) => How::AcceptingRollback,
            (false, false) => How::AsPromised,
        };
        let opened = open::tree(self, path.clone(), barrier, how, terms).await.map_err(|error| {
            tracing::error!(environment = %path, %error, "an environment does not open");
            Fault::Unavailable(open::why("the environment", &error).into())
        })?;
        let opened = Opened(opened);
        if is_restored {
            mark(&parent, &name, false).await;
        }
        let fields = [(NodeField::Environment, &*context.environment.to_string())];
        self.node
            .event(NodeEvent::Unsealed, &fields)
            .map_err(|why| Fault::Unavailable(why.message().into()))?;
        Ok(opened)
    }

    /// Tries the environments again whose device did not answer when they were to open. What an operator sealed stays so.
    pub async fn unseal_awaited(self: &Arc<Self>) {
        let awaited: Vec<_> = {
            let closed = self.closed();
            let awaited = closed.iter().filter(|(_, closed)| closed.is_awaited);
            awaited.map(|(path, closed)| (path.clone(), closed.context, closed.seal.clone())).collect()
        };
        for (path, context, seal) in awaited {
            let Ok((parent, _)) = self.above(&path) else { continue };
            match open::by_itself(self, &parent, &seal, &path).await {
                Ok(root_key) => {
                    if let Err(fault) = self.open_awaited(&parent, &path, context, root_key).await {
                        let cause = coffer_audit::fault_name(&fault);
                        tracing::error!(environment = %path, cause, "its seal opened, and the environment does not");
                        self.await_no_more(&path);
                    }
                }
                Err(refused) if refused.iter().any(|refused| is_passing(refused.error.kind)) => {}
                Err(refused) => {
                    for Refused { name, error } in &refused {
                        tracing::error!(environment = %path, seal = name, %error, "a seal does not open an environment");
                    }
                    self.await_no_more(&path);
                }
            }
        }
    }

    async fn open_awaited(
        self: &Arc<Self>,
        parent: &Arc<Environment>,
        path: &EnvironmentPath,
        context: Context,
        root_key: Key32,
    ) -> Result<(), Fault> {
        let opened = self.open_closed(path, context, root_key, None, &Terms::default()).await?;
        let answer = move || Answer::empty().commit("environment", context.environment.as_bytes());
        recorded(parent, "job/environment-unsealed", self.let_in_with(opened, answer)).await.map(drop)
    }

    fn await_no_more(&self, path: &EnvironmentPath) {
        if let Some(closed) = self.closed().get_mut(path) {
            closed.is_awaited = false;
        }
    }

    /// The change with which what was opened can be reached: when that is recorded, and not before.
    pub(crate) fn let_in_with(
        self: &Arc<Self>,
        opened: Opened,
        answer: impl Fn() -> Answer + Send + Sync + 'static,
    ) -> Change {
        let (registry, opened) = (Arc::clone(self), Arc::new(Mutex::new(Some(opened))));
        Change::new(move |batch| {
            let (registry, opened) = (Arc::clone(&registry), Arc::clone(&opened));
            batch.after(Box::new(move || {
                if let Some(opened) = opened.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    registry.let_in(opened);
                }
            }));
            Ok(answer())
        })
    }

    /// Lets requests reach what was opened, unless it was opened by another, deleted or sealed meanwhile.
    fn let_in(&self, opened: Opened) {
        let Some(first) = opened.0.first().map(|first| first.path.clone()) else { return };
        if self.closed().remove(&first).is_none() {
            return;
        }
        for environment in opened.take() {
            self.add(environment);
        }
        self.wake_jobs();
    }

    /// The open environment above `path`, and the name of the last.
    pub(crate) fn above(&self, path: &EnvironmentPath) -> Result<(Arc<Environment>, String), Fault> {
        let above = path.parent().ok_or(Fault::NotFound)?;
        let name = path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
        let above = self.open().and_then(|open| open.at(&above).cloned()).ok_or(Fault::Sealed)?;
        Ok((above, name))
    }
}

/// Notes in the parent that a child came with a backup and has not been opened since, or that it has.
pub(crate) async fn mark(parent: &Arc<Environment>, name: &str, is_restored: bool) {
    let Ok(name) = CanonicalPath::parse(name) else { return };
    let above = Arc::clone(parent);
    let change = Change::new(move |batch| {
        if let Some(mut child) = crate::children::stored(batch, &name)? {
            child.is_restored = is_restored;
            above.write_child(batch, &name, &child)?;
        }
        Ok(Answer::empty())
    });
    if let Err(fault) = recorded(parent, "job/environment-restored", change).await {
        let cause = coffer_audit::fault_name(&fault);
        tracing::error!(parent = %parent.path, cause, "that an environment came with a backup could not be noted");
    }
}
