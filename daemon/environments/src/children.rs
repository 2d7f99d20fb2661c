//! Creating, changing and deleting child environments.
//!
//! A child is made in one commit: its keys, its seal record (its root key wrapped under the parent's child KEK), its first
//! records and its entry in the parent. It is deleted in one commit too: tombstone and wrap go together; what is left of
//! its records can't be opened any more and is erased in batches, again after a kill.
use crate::ceremonies::Drawn;
use crate::environment::Environment;
use crate::open;
use crate::records::{BackupRecord, ChildRecord, ChildState, id16};
use crate::registry::{Registry, Unsettled};
use crate::sealing;
use crate::sys::describe_child;
use crate::work::recorded;
use coffer_audit::{NodeEvent, NodeField, NodeLog};
use coffer_barrier::{Barrier, Context, erase_environment};
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_seal::device::Given;
use coffer_seal::rekey::NewShares;
use coffer_seal::{Holders, Threshold, seals};
use coffer_secmem::Key32;
use coffer_types::{CanonicalPath, EnvironmentId, EnvironmentPath, Kind, MountId, Timestamp, random};
use coffer_wire::Object;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Items erased in one transaction.
const ERASE_AT_ONCE: usize = 2000;

pub(crate) async fn create(
    registry: &Arc<Registry>,
    parent: &Arc<Environment>,
    name: &str,
    metadata: Vec<(String, String)>,
    wanted: Wanted,
) -> Result<Outcome, Fault> {
    let path = child_path(parent, name)?;
    if let Some(child) = parent.children().get(name).filter(|child| child.state == ChildState::Active) {
        // As the API has it: creating what is there says what is there.
        return Ok(Outcome::Answer(Answer::data(describe_child(parent, name, child)?)));
    }
    let id = EnvironmentId(random(parent.entropy())?);
    let context = Context { store: parent.barrier().context().store, environment: id };
    let custom_metadata = metadata.into_iter().collect();
    check_metadata(&custom_metadata)?;
    let root_key = Key32::generate(&mut |bytes| parent.entropy().fill(bytes))?;
    let mut wraps = Vec::new();
    if wanted.inherits() {
        wraps.push(sealing::inherited_from(parent, context, &root_key)?);
    }
    for device in &wanted.devices {
        let given = Given::default();
        wraps.push(sealing::wrap_by(registry, &path, context, device, &root_key, None, given).await?);
    }
    let drawn = Drawn::new(wanted.holders.as_ref(), parent.entropy())?;
    let shares = wanted.shares.map(|threshold| NewShares::new(context, threshold, parent.entropy()));
    let (shares, handed_out) = match shares.transpose().map_err(sealing::unsealable)? {
        Some((new, shares)) => {
            let needed = new.threshold().threshold();
            (Some(new), Some((drawn.hand_out(&shares)?, needed)))
        }
        None => (None, None),
    };
    let (seal, escrow) = seals::first(context, &root_key, wraps, shares.as_ref(), parent.entropy())
        .map_err(sealing::unsealable)?;
    let recipients = wanted.holders.as_ref().map(|holders| holders.texts().collect::<Vec<_>>().join(","));
    let created = Barrier::create(registry.place(context), root_key, escrow)?;
    let child = ChildRecord {
        id: id.to_string(),
        state: ChildState::Active,
        is_restored: false,
        created: registry.clock.now().0,
        root_generation: parent_root(registry)?.barrier().generation(),
        custom_metadata,
    };
    let (registry, parent, name) = (Arc::clone(registry), Arc::clone(parent), CanonicalPath::parse(name)?);
    Ok(Outcome::Change(Change::new(move |batch| {
        match stored(batch, &name)? {
            Some(stored) if stored.state == ChildState::Active => {
                return Ok(Answer::data(describe_child(&parent, name.as_str(), &stored)?));
            }
            // Its record says what is still to be erased.
            Some(ChildRecord { state: ChildState::Deleting { .. }, .. }) => {
                return Err(Fault::bad(
                    "the environment that had this name is still being erased: try again in a moment",
                ));
            }
            _ => {}
        }
        if parent.read_mounts(batch)?.takes(name.as_str()) {
            return Err(name_taken());
        }
        created.write(batch.transaction(), &seal)?;
        open::furnish(&mut batch.within(&created.barrier), &*registry.entropy)?;
        parent.write_child(batch, &name, &child)?;
        let (registry, path, barrier) = (Arc::clone(&registry), path.clone(), Arc::clone(&created.barrier));
        batch.after(Box::new(move || registry.ask(Unsettled::Open(path, barrier))));
        let mut described = describe_child(&parent, name.as_str(), &child)?;
        if let Some((shares, threshold)) = &handed_out {
            // As OpenBao calls those of a namespace.
            described = shares.within(described, "key_shares").number("key_threshold", (*threshold).into());
        }
        let answer = Answer::data(described).commit("environment", id.as_bytes());
        Ok(match &recipients {
            Some(recipients) => answer.commit("recipients", recipients.as_bytes()),
            None => answer,
        })
    })))
}

/// What a new environment is to be sealed by: with nothing of its own, the one above it.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Shares of its own.
    pub(crate) shares: Option<Threshold>,
    /// Who gets them, encrypted; `None` where whoever makes the environment gets them all.
    pub(crate) holders: Option<Holders>,
    /// Configured devices, and perhaps `inherit`.
    pub(crate) devices: Vec<String>,
    /// Whether it opens with the one above it, beside what else it has.
    pub(crate) and_inherits: bool,
}

impl Wanted {
    fn inherits(&self) -> bool {
        self.and_inherits || (self.shares.is_none() && self.devices.is_empty())
    }
}

pub(crate) fn patch(
    parent: &Arc<Environment>,
    name: &str,
    metadata: Vec<(String, Option<String>)>,
) -> Result<Outcome, Fault> {
    let (parent, name) = (Arc::clone(parent), CanonicalPath::parse(name)?);
    Ok(Outcome::Change(Change::new(move |batch| {
        let mut child =
            stored(batch, &name)?.filter(|child| child.state == ChildState::Active).ok_or(Fault::NotFound)?;
        // A merge patch (RFC 7396): null removes.
        for (key, value) in &metadata {
            match value {
                Some(value) => drop(child.custom_metadata.insert(key.clone(), value.clone())),
                None => drop(child.custom_metadata.remove(key)),
            }
        }
        check_metadata(&child.custom_metadata)?;
        parent.write_child(batch, &name, &child)?;
        Ok(Answer::data(describe_child(&parent, name.as_str(), &child)?))
    })))
}

/// Names and texts for people, under the same bounds as those of a secret.
fn check_metadata(custom: &BTreeMap<String, String>) -> Result<(), Fault> {
    let is_plain = |text: &str| !text.chars().any(char::is_control);
    let stands = |(name, value): (&String, &String)| {
        !name.is_empty() && name.len() <= 128 && value.len() <= 512 && is_plain(name) && is_plain(value)
    };
    if custom.len() <= 64 && custom.iter().all(stands) {
        return Ok(());
    }
    Err(Fault::bad(
        "'custom_metadata' has at most 64 names of 1 to 128 bytes and texts of at most 512, without control characters",
    ))
}

pub(crate) async fn delete(
    registry: &Arc<Registry>,
    parent: &Arc<Environment>,
    name: &str,
    is_sealed: bool,
) -> Result<Outcome, Fault> {
    let path = child_path(parent, name)?;
    let known = parent.children().get(name).cloned().filter(|child| child.state == ChildState::Active);
    let Some(known) = known else { return Ok(Outcome::Answer(Answer::empty())) };
    if registry
        .open()
        .is_some_and(|open| open.all().any(|other| other.path != path && path.contains(&other.path)))
    {
        return Err(has_children());
    }
    let opened = registry.open().and_then(|open| open.at(&path).cloned());
    if is_sealed && opened.is_some() {
        return Err(Fault::bad(
            "the environment is open: delete it as `sys/namespaces` says, which looks for environments below it",
        ));
    }
    if !is_sealed && registry.closed().contains_key(&path) {
        return Err(Fault::bad(
            "the environment is sealed, so nobody sees whether others are below it: unseal it, or delete it by `delete-sealed`",
        ));
    }
    let last_checkpoint = match &opened {
        Some(environment) => environment.book().checkpoint_now().await.map_err(|_| {
            Fault::Unavailable("its audit log can't be closed with a checkpoint: nothing was deleted".into())
        })?,
        None => String::new(),
    };
    let root = parent_root(registry)?;
    let id = id16(&known.id)
        .map(EnvironmentId)
        .ok_or(Fault::Internal("the environment's record was altered on disk"))?;
    let (registry, parent, name) = (Arc::clone(registry), Arc::clone(parent), CanonicalPath::parse(name)?);
    Ok(Outcome::Change(Change::new(move |batch| {
        let Some(mut child) = stored(batch, &name)?.filter(|child| child.state == ChildState::Active) else {
            return Ok(Answer::empty());
        };
        if let Some(environment) = opened.as_ref().filter(|environment| environment.id == id) {
            refuse_above_others(&mut batch.within(environment.barrier()))?;
        }
        let recoverable_until = backups_until(&mut batch.within(root.barrier()), &child)?;
        child.state = ChildState::Deleting {
            at: batch.now().0,
            recoverable_until,
            last_checkpoint: last_checkpoint.clone(),
        };
        parent.write_child(batch, &name, &child)?;
        // The keys lie first: with this commit the wrap and the keyring are gone.
        erase_environment(batch.transaction(), id, ERASE_AT_ONCE)?;
        let (registry, path) = (Arc::clone(&registry), path.clone());
        batch.after(Box::new(move || {
            let gone = registry.remove(&path);
            // From here on the committer refuses what was under way in it: nothing is written behind the erasing.
            gone.iter().for_each(|environment| environment.barrier().close());
            registry.closed().retain(|closed, _| !path.contains(closed));
            registry.ask(Unsettled::Close(gone));
            registry.wake_jobs();
        }));
        Ok(Answer::data(Object::new().string("status", "in-progress")).commit("environment", id.as_bytes()))
    })))
}

/// A deleted environment of which no record is left in the store.
pub(crate) struct Erased {
    parent: Arc<Environment>,
    name: CanonicalPath,
    child: ChildRecord,
}

/// Erases what the deleted environments below `parent` left.
pub(crate) async fn erase_deleted(parent: &Arc<Environment>) -> Result<Vec<Erased>, Fault> {
    let mut all = Vec::new();
    for (name, child) in parent.children().iter() {
        if !matches!(child.state, ChildState::Deleting { .. }) {
            continue;
        }
        let id = id16(&child.id)
            .map(EnvironmentId)
            .ok_or(Fault::Internal("the environment's record was altered on disk"))?;
        let last = Arc::new(AtomicUsize::new(ERASE_AT_ONCE));
        while last.load(Ordering::Relaxed) >= ERASE_AT_ONCE {
            let erased = Arc::clone(&last);
            let erase = Change::new(move |batch| {
                erased.store(erase_environment(batch.transaction(), id, ERASE_AT_ONCE)?, Ordering::Relaxed);
                Ok(Answer::empty())
            });
            recorded(parent, "job/environment-erase", erase).await?;
        }
        let (parent, name) = (Arc::clone(parent), CanonicalPath::parse(name)?);
        all.push(Erased { parent, name, child: child.clone() });
    }
    Ok(all)
}

/// Says that an environment is gone: in the node log, and in its parent.
pub(crate) async fn bury(gone: Erased, node: &NodeLog) -> Result<(), Fault> {
    let Erased { parent, name, child } = gone;
    let ChildState::Deleting { at, recoverable_until, last_checkpoint } = child.state.clone() else {
        return Ok(());
    };
    let fields = [(NodeField::Environment, &*child.id), (NodeField::Checkpoint, &*last_checkpoint)];
    node.event(NodeEvent::Destroyed, &fields).map_err(|why| Fault::Unavailable(why.message().into()))?;
    let done = ChildState::Deleted { at, recoverable_until, last_checkpoint };
    let above = Arc::clone(&parent);
    let tell = Change::new(move |batch| {
        // The name may belong to another environment by now.
        if stored(batch, &name)?.is_some_and(|stored| stored.id == child.id && stored.state == child.state) {
            above.write_child(batch, &name, &ChildRecord { state: done.clone(), ..child.clone() })?;
        }
        Ok(Answer::empty())
    });
    recorded(&parent, "job/environment-gone", tell).await
}

/// Until when some backup may hold this environment, as of this very transaction: one is registered in the commit whose
/// state it holds. Now, where there is none.
fn backups_until(root: &mut coffer_barrier::Batch<'_>, child: &ChildRecord) -> Result<u64, Fault> {
    let mut until = root.now().0;
    let mut own = root.mount(MountId::default());
    for listed in own.list(Kind::Backup, &CanonicalPath::default())? {
        let Some(record) = own.get(Kind::Backup, &CanonicalPath::parse(&listed.name)?, None)? else {
            continue;
        };
        let backup: BackupRecord = serde_json::from_slice(&record.bytes)
            .map_err(|_| Fault::Internal("a backup's record was altered on disk"))?;
        // In the same commit at the earliest; what is not known of older records counts as held.
        if backup.generation.is_none_or(|before| child.root_generation <= before) {
            until = until.max(backup.expires);
        }
    }
    Ok(until)
}

/// Refuses where an environment that is to be deleted has others below it, as of this very transaction: open or not.
fn refuse_above_others(batch: &mut coffer_barrier::Batch<'_>) -> Result<(), Fault> {
    for listed in batch.mount(MountId::default()).list(Kind::Environment, &CanonicalPath::default())? {
        let child = stored(batch, &CanonicalPath::parse(&listed.name)?)?;
        if child.is_some_and(|child| child.state == ChildState::Active) {
            return Err(has_children());
        }
    }
    Ok(())
}

fn has_children() -> Fault {
    Fault::bad("the environment has environments below it: delete those first")
}

fn parent_root(registry: &Registry) -> Result<Arc<Environment>, Fault> {
    registry.open().and_then(|open| open.at(&EnvironmentPath::root()).cloned()).ok_or(Fault::Sealed)
}

fn child_path(parent: &Environment, name: &str) -> Result<EnvironmentPath, Fault> {
    if name.contains('/') {
        return Err(Fault::bad(
            "an environment is made and deleted in the one above it: give that as the namespace",
        ));
    }
    Ok(parent.path.child(name)?)
}

pub(crate) fn name_taken() -> Fault {
    Fault::bad("path is already in use: mounts and environments share their first names")
}

pub(crate) fn stored(
    batch: &mut coffer_barrier::Batch<'_>,
    name: &CanonicalPath,
) -> Result<Option<ChildRecord>, Fault> {
    match batch.mount(MountId::default()).get(Kind::Environment, name, None)? {
        Some(record) => serde_json::from_slice(&record.bytes)
            .map(Some)
            .map_err(|_| Fault::Internal("the environment's record was altered on disk")),
        None => Ok(None),
    }
}

/// The state of a child that is gone, in the words of the API.
pub(crate) fn state_text(state: &ChildState, now: Timestamp) -> String {
    match state {
        ChildState::Active => "active".to_owned(),
        ChildState::Deleting { .. } => "deleting".to_owned(),
        ChildState::Deleted { recoverable_until, .. } if now.0 < *recoverable_until => {
            format!("deleted, recoverable until {}", Timestamp(*recoverable_until).rfc3339())
        }
        ChildState::Deleted { .. } => "destroyed".to_owned(),
    }
}
