//! What is due without anybody asking: expired tokens, full epochs, records under old keys, transit keys that have served
//! their time, deleted environments.
//!
//! Each round looks at the state and does the same thing again; it takes no input and may be killed anywhere. Its
//! changes take the way of all changes: committed with a leaf that names the job. Re-encryption alone leaves none: it
//! changes nothing that a record says (decision 0053).
use crate::children;
use crate::environment::Environment;
use crate::registry::Registry;
use coffer_audit::Facts;
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_types::EnvironmentPath;
use std::sync::Arc;

/// Expired tokens cleared in one commit.
const TOKENS_AT_ONCE: usize = 500;

/// Secrets taken over in one commit by an upgraded mount.
const SECRETS_AT_ONCE: usize = 200;

/// Records of a disabled mount erased in one commit.
const RECORDS_ERASED_AT_ONCE: u64 = 2000;

/// Records re-encrypted in one commit.
const RECORDS_AT_ONCE: usize = 200;

/// How long nothing more is erased after the store could not be compacted: that needs as much space again.
const PAUSE_SECONDS: u64 = 60;

impl Registry {
    /// What clients left behind, then one round over all open environments.
    pub async fn work(self: &Arc<Self>) {
        self.settle().await;
        for environment in self.open().iter().flat_map(|open| open.all()) {
            failed(&environment.path, round(environment, self.settings.rotate_after).await);
        }
        let now = self.clock.now();
        if now >= self.bury_after() && failed(&EnvironmentPath::root(), self.bury().await) {
            self.pause_burying(now.plus_seconds(PAUSE_SECONDS));
        }
    }

    /// Erases what deleted environments left, and calls them gone when no file of the store holds them any more. Looks
    /// at the state and does the same each time; may be killed anywhere.
    async fn bury(&self) -> Result<(), Fault> {
        let mut erased = Vec::new();
        for environment in self.open().iter().flat_map(|open| open.all()) {
            erased.extend(children::erase_deleted(environment).await?);
        }
        if erased.is_empty() {
            return Ok(());
        }
        // Their bytes stay in free pages of the file until it is written anew.
        self.store.compact().await?;
        for gone in erased {
            children::bury(gone, &self.node).await?;
        }
        Ok(())
    }
}

/// Says that work failed, and whether it did.
fn failed(environment: &EnvironmentPath, result: Result<(), Fault>) -> bool {
    match result {
        // Sealed meanwhile: the next round begins anew.
        Ok(()) | Err(Fault::Sealed) => false,
        Err(fault) => {
            let cause = coffer_audit::fault_name(&fault);
            tracing::error!(%environment, cause, "background work failed; it is tried again");
            true
        }
    }
}

async fn round(environment: &Arc<Environment>, rotate_after: u64) -> Result<(), Fault> {
    loop {
        let due = environment.tokens.due(environment.clock().now(), TOKENS_AT_ONCE).await?;
        if due.is_empty() {
            break;
        }
        recorded(environment, "job/token-sweep", environment.tokens.sweep(due)).await?;
    }
    if environment.barrier().epoch_status()?.encryptions >= rotate_after {
        let rotate = Change::new(|batch| {
            batch.rotate()?;
            Ok(Answer::empty())
        });
        recorded(environment, "job/rotate", rotate).await?;
    }
    while !environment.barrier().reencrypt_step(RECORDS_AT_ONCE).await?.done {}
    upgrade_mounts(environment).await?;
    rotate_by_time(environment).await?;
    erase_mounts(environment).await
}

/// Takes over the secrets of KV mounts that were upgraded to version 2.
async fn upgrade_mounts(environment: &Environment) -> Result<(), Fault> {
    for mount in environment
        .mounts()
        .of_class(crate::Class::Secret)
        .filter(|mount| mount.kind == crate::MountKind::KvV2)
    {
        let room = environment.room(mount.id);
        while let Some(change) = coffer_engines::kv2::upgrade_step(&room, SECRETS_AT_ONCE).await? {
            recorded(environment, "job/kv-upgrade", change).await?;
        }
    }
    Ok(())
}

/// Gives transit keys a new version that have a period of rotation, when it is over.
async fn rotate_by_time(environment: &Environment) -> Result<(), Fault> {
    for mount in environment
        .mounts()
        .of_class(crate::Class::Secret)
        .filter(|mount| mount.kind == crate::MountKind::Transit)
    {
        let room = environment.room(mount.id);
        for name in coffer_engines::transit::rotations_due(&room).await? {
            if let Some(change) = coffer_engines::transit::rotation(&room, &name).await? {
                recorded(environment, "job/transit-rotate", change).await?;
            }
        }
    }
    Ok(())
}

/// Erases what disabled mounts left.
async fn erase_mounts(environment: &Arc<Environment>) -> Result<(), Fault> {
    while let Some(mount) = environment.mount_to_erase() {
        let state = Arc::clone(environment);
        let erase = Change::new(move |batch| {
            if batch.erase_some(mount, RECORDS_ERASED_AT_ONCE)? < RECORDS_ERASED_AT_ONCE {
                let mut stored = state.read_mounts(batch)?;
                stored.erasing.retain(|id| *id != mount.to_string());
                state.write_mounts(batch, stored)?;
            }
            Ok(Answer::empty())
        });
        recorded(environment, "job/mount-erase", erase).await?;
    }
    Ok(())
}

/// Makes a change that no request asked for.
pub(crate) async fn recorded(
    environment: &Environment,
    route: &'static str,
    change: Change,
) -> Result<(), Fault> {
    let book = environment.book();
    let intent = book.intend(Facts { route, operation: "job", ..Facts::default() });
    let recorded = book.record(intent, Ok(Outcome::Change(change)), None).await;
    let result = recorded.map_err(|why| Fault::Unavailable(why.message().into()))?.into_inner();
    result.map(drop)
}
