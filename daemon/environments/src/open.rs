//! Opening: an environment and all below it that can be opened, and what a new one is furnished with.
use crate::Terms;
use crate::environment::{Environment, OpenError};
use crate::records::{ChildState, MountRecord, MountsRecord, id16};
use crate::registry::Registry;
use crate::sealed::{self, Closed};
use crate::unsealing::is_passing;
use coffer_audit::{Book, BookError, NodeEvent, NodeField, Opening};
use coffer_barrier::{Barrier, BarrierError, Batch, Context, read_seal_record};
use coffer_room::Fault;
use coffer_seal::device::Given;
use coffer_seal::devices::Refused;
use coffer_seal::{Seal, SealError};
use coffer_secmem::Key32;
use coffer_store::CommitError;
use coffer_types::{
    CanonicalPath, Entropy, EntropyError, EnvironmentId, EnvironmentPath, Kind, MountId, random,
};
use std::sync::Arc;

/// What the store is held against when its environments open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    /// The log must have what the store promises and what kept checkpoints do, and the store what the log tells of.
    AsPromised,
    /// The store comes from a backup: its logs begin anew.
    Restored,
    /// The holders of shares accept a store that is older than its log: where it is, that begins anew.
    AcceptingRollback,
}

/// Opens the keys and records of one environment, as the holders want it.
pub(crate) async fn barrier(
    registry: &Registry,
    path: &EnvironmentPath,
    context: Context,
    root_key: Key32,
    terms: &Terms,
) -> Result<Arc<Barrier>, OpenError> {
    let place = registry.place(context);
    if !terms.rebuilt.contains(path) {
        return Ok(Barrier::open(place, root_key).await?);
    }
    let name = context.environment.to_string();
    let fields = [(NodeField::Action, "index-rebuilt"), (NodeField::Environment, name.as_str())];
    registry.node.event(NodeEvent::Ceremony, &fields).map_err(BookError::from)?;
    tracing::warn!(environment = %path, "its replay index is made anew of what is on the disk, as the holders of shares want it");
    Ok(Barrier::open_rebuilding(place, root_key).await?)
}

/// Opens the environment of `barrier` and then its children, parents first. A child that does not open is named in the
/// log and stays closed; the others open, unless the store is older than the log of one of them.
pub(crate) async fn tree(
    registry: &Arc<Registry>,
    path: EnvironmentPath,
    barrier: Arc<Barrier>,
    how: How,
    terms: &Terms,
) -> Result<Vec<Arc<Environment>>, OpenError> {
    let mut opened = vec![one(registry, path, barrier, how, terms).await?];
    let mut next = 0;
    while let Some(parent) = opened.get(next).cloned() {
        next += 1;
        for (name, child) in parent.children().iter().filter(|(_, child)| child.state == ChildState::Active) {
            let how = if child.is_restored { How::Restored } else { how };
            match descendant(registry, &parent, name, &child.id, (how, terms)).await {
                Ok(environment) => {
                    if child.is_restored {
                        sealed::mark(&parent, name, false).await;
                    }
                    opened.push(environment);
                }
                Err(Shut::Waits(closed)) => {
                    if how == How::Restored && !child.is_restored {
                        sealed::mark(&parent, name, true).await;
                    }
                    let path = parent.path.child(name).map_err(|_| OpenError::Damaged("environment"))?;
                    registry.closed().insert(path, *closed);
                }
                // All environments lie in one store: where one is older than its log, none is to be trusted. And where a holder
                // gave something wrong, they give it again.
                Err(Shut::Damaged(error)) if error.is_rollback() || error.is_of_kept() => {
                    opened.iter().rev().for_each(|environment| environment.barrier().close());
                    return Err(error);
                }
                Err(Shut::Damaged(error)) => {
                    let parent = &parent.path;
                    tracing::error!(%parent, name, %error, "an environment does not open and stays sealed");
                }
            }
        }
    }
    Ok(opened)
}

/// Opens one environment whose keys are there.
pub(crate) async fn one(
    registry: &Arc<Registry>,
    path: EnvironmentPath,
    barrier: Arc<Barrier>,
    how: How,
    terms: &Terms,
) -> Result<Arc<Environment>, OpenError> {
    let as_promised = || Opening::AsPromised(terms.kept.clone());
    let fork = |reason| Opening::Fork { reason, approvers: Vec::new() };
    let open = |opening| Book::open(&registry.journal, Arc::clone(&barrier), opening);
    let book = match how {
        How::Restored => open(fork("restore")).await?,
        How::AsPromised => open(as_promised()).await?,
        How::AcceptingRollback => match open(as_promised()).await {
            Err(error) if error.is_rollback() => {
                tracing::warn!(environment = %path, %error, "accepted by the holders of shares: its log begins anew");
                open(fork("rollback")).await?
            }
            opened => opened?,
        },
    };
    Environment::load(path, barrier, book, Arc::clone(&registry.clock), Arc::clone(&registry.entropy)).await
}

async fn descendant(
    registry: &Arc<Registry>,
    parent: &Arc<Environment>,
    name: &str,
    id: &str,
    (how, terms): (How, &Terms),
) -> Result<Arc<Environment>, Shut> {
    let id = id16(id).map(EnvironmentId).ok_or(OpenError::Damaged("environment"))?;
    let path = parent.path.child(name).map_err(|_| OpenError::Damaged("environment"))?;
    let context = Context { store: parent.barrier().context().store, environment: id };
    let seal = Seal::found(context, read_seal_record(&*registry.store, id).await.map_err(OpenError::from)?);
    let seal = seal.map_err(|_| OpenError::Barrier(BarrierError::BadSealRecord))?;
    let root_key = match by_itself(registry, parent, &seal, &path).await {
        Ok(root_key) => root_key,
        Err(refused) if refused.is_empty() && !seal.is_by_shares() => {
            return Err(OpenError::Barrier(BarrierError::BadSealRecord).into());
        }
        Err(refused) => {
            for Refused { name, error } in &refused {
                tracing::error!(environment = %path, seal = name, %error, "a seal does not open an environment");
            }
            let is_awaited = refused.iter().any(|refused| is_passing(refused.error.kind));
            return Err(Shut::Waits(Box::new(Closed::new(context, seal, is_awaited))));
        }
    };
    let barrier = barrier(registry, &path, context, root_key, terms).await?;
    Ok(one(registry, path, barrier, how, terms).await?)
}

/// The root key of an environment, by what opens it without anybody's help: the one above it, or a device.
pub(crate) async fn by_itself(
    registry: &Arc<Registry>,
    parent: &Environment,
    seal: &Seal,
    path: &EnvironmentPath,
) -> Result<Key32, Vec<Refused>> {
    let inherited = parent
        .barrier()
        .child_kek(seal.context().environment)
        .ok()
        .and_then(|kek| seal.open_inherited(&kek).ok());
    if let Some(root_key) = inherited {
        return Ok(root_key);
    }
    let opened = registry.ask_devices(seal.clone(), path.clone(), None, Given::default()).await;
    opened.map(|opened| opened.root_key)
}

/// Why something does not open, and what to do about it where people can.
pub(crate) fn why(what: &str, error: &OpenError) -> String {
    match error {
        error if error.is_rollback() => older(what, &error.to_string()),
        _ => format!("{what} does not open: {error}"),
    }
}

/// What whoever wanted it open is told.
pub(crate) fn fault(what: &str, error: OpenError) -> Fault {
    match error {
        OpenError::Barrier(BarrierError::Index) => Fault::Unavailable(
            format!(
                "{what} does not open: the root of its replay index was altered on disk, or taken away. Restore a snapshot; where none is new enough, each holder gives their share with 'rebuild_index': coffer operator unseal --rebuild-index ENVIRONMENT, or coffer env unseal ENVIRONMENT --rebuild-index"
            )
            .into(),
        ),
        OpenError::Barrier(error) => error.into(),
        error => Fault::Unavailable(why(what, &error).into()),
    }
}

/// Why something that may be older than it should be does not open.
pub(crate) fn older(what: &str, why: &str) -> String {
    format!(
        "{what} does not open: {why}. If it was put back on purpose, each holder gives their share with 'accept_rollback': coffer operator unseal --accept-rollback"
    )
}

/// Why a child is not open.
enum Shut {
    /// It waits for its shares or devices.
    Waits(Box<Closed>),
    /// It can't be read.
    Damaged(OpenError),
}

impl From<OpenError> for Shut {
    fn from(error: OpenError) -> Self {
        Self::Damaged(error)
    }
}

/// What every new environment has from its first commit: the token method.
pub(crate) fn furnish(batch: &mut Batch<'_>, entropy: &dyn Entropy) -> Result<(), Fault> {
    let id: [u8; 16] = random(entropy)?;
    let suffix: [u8; 4] = random(entropy)?;
    let token = MountRecord {
        id: MountId(id).to_string(),
        path: "token".to_owned(),
        class: "auth".to_owned(),
        kind: "token".to_owned(),
        version: None,
        description: "token based credentials".to_owned(),
        accessor: format!("auth_token_{:08x}", u32::from_be_bytes(suffix)),
        local: false,
        seal_wrap: false,
        default_lease_ttl: 0,
        max_lease_ttl: 0,
        listing_visibility: String::new(),
    };
    let record = MountsRecord { mounts: vec![token], erasing: Vec::new() };
    let bytes =
        serde_json::to_vec(&record).map_err(|_| Fault::Internal("the mount table can't be written"))?;
    batch.mount(MountId::default()).put(Kind::Mounts, &CanonicalPath::default(), None, &bytes)?;
    Ok(())
}

/// Making keys fails only where there is no randomness.
pub(crate) fn no_entropy(_: SealError) -> Fault {
    EntropyError.into()
}

/// What the barrier refuses inside a plain commit.
pub(crate) fn refuse(error: BarrierError) -> CommitError<Fault> {
    CommitError::Refused(error.into())
}

/// A refused commit's own fault.
pub(crate) fn refused(error: CommitError<Fault>) -> Fault {
    match error {
        CommitError::Refused(fault) => fault,
        CommitError::Store(error) => error.into(),
    }
}
