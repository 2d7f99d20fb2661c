//! Rotation by time: a key with an `auto_rotate_period` gets a new version when its newest one is that old.
//!
//! Nobody asks for it: the daemon's background work looks here each round. Looking costs one comparison until the time
//! when the first key of the mount is due.
use super::keys::generate;
use super::records::Key;
use coffer_barrier::Tx;
use coffer_room::{Answer, Change, Fault, Room};
use coffer_types::{CanonicalPath, Kind, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A look at all keys is under way.
const LOOKING: u64 = 1;

/// When the first key of a mount is due, in milliseconds since 1970; 0 where that is not known.
#[derive(Default)]
pub(super) struct Schedule(AtomicU64);

impl Schedule {
    /// Called in a change that may make a key due earlier: when it is durable, all keys are looked at again.
    pub(super) fn forget_after(self: &Arc<Self>, tx: &mut Tx<'_, '_>) {
        let schedule = Arc::clone(self);
        tx.after(Box::new(move || schedule.0.store(0, Ordering::SeqCst)));
    }
}

impl Key {
    /// When the newest version has served its time; `None` where it never has, or can't have a successor.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let period = (self.auto_rotate_seconds > 0).then(|| self.auto_rotate_seconds.saturating_mul(1000))?;
        self.latest().checked_add(2)?;
        Some(Timestamp(self.versions.last()?.created.0.saturating_add(period)))
    }
}

/// The names of the keys whose newest version has served its time.
///
/// # Errors
/// Where the store fails or a record does not open.
pub async fn rotations_due(room: &Room) -> Result<Vec<CanonicalPath>, Fault> {
    let (schedule, now) = (room.view.memory::<Schedule>()?, room.clock.now());
    if now.0 < schedule.0.load(Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    schedule.0.store(LOOKING, Ordering::SeqCst);
    let (mut due, mut next) = (Vec::new(), u64::MAX);
    for listed in room.view.list(Kind::TransitKey, &CanonicalPath::default()).await? {
        let name = CanonicalPath::parse(&listed.name)?;
        let at = match Key::load(&room.view, &name).await {
            Ok(key) => key.and_then(|key| key.due()),
            // One that was altered on disk must not keep the others from rotating; the barrier has named it in the log.
            Err(Fault::OnDisk(_) | Fault::Internal(_)) => None,
            Err(fault) => return Err(fault),
        };
        let Some(at) = at else { continue };
        if at <= now {
            due.push(name);
        } else {
            next = next.min(at.0);
        }
    }
    if due.is_empty() {
        // Unless a change came in between: then the next round looks again.
        let _ = schedule.0.compare_exchange(LOOKING, next, Ordering::SeqCst, Ordering::SeqCst);
    }
    Ok(due)
}

/// The change that gives a key its next version, if it is still due by then; `None` where the key is gone.
///
/// # Errors
/// Where the store fails, or there is no randomness.
pub async fn rotation(room: &Room, name: &CanonicalPath) -> Result<Option<Change>, Fault> {
    let Some(key) = Key::load(&room.view, name).await? else { return Ok(None) };
    let (name, id, mount, fresh) = (name.clone(), key.id, room.mount, generate(room, key.key_type).await?);
    Ok(Some(Change::new(move |batch| {
        let tx = &mut batch.mount(mount);
        let now = tx.now();
        if let Some(mut key) = Key::get(tx, &name)?
            && key.id == id
            && key.due().is_some_and(|at| at <= now)
        {
            key.push(fresh.duplicate(now))?;
            key.put(tx, &name)?;
        }
        Ok(Answer::empty().commit("path", name.as_str().as_bytes()))
    })))
}
