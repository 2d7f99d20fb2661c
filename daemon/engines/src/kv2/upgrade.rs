//! From version 1 to version 2, without a pause and without a long commit.
//!
//! [`upgrade`] only notes when it was asked for. From then on a secret of version 1 reads as its own first version; the
//! first change of it takes it over, and a background job takes over the others, a few in each commit.
use crate::kv1;
use crate::kv2::config;
use crate::kv2::metadata::save;
use crate::kv2::records::{Config, Metadata, Version};
use coffer_barrier::{BarrierError, Plain, Tx};
use coffer_room::{Answer, Change, Fault, Room};
use coffer_types::{CanonicalPath, Kind, Timestamp};

/// Makes a mount of version 1 one of version 2, as part of the change that tunes it.
///
/// # Errors
/// What the barrier gives.
pub fn upgrade(tx: &mut Tx<'_, '_>) -> Result<(), Fault> {
    let now = tx.now();
    let mut config = config::load_in(tx)?;
    config.upgrading_since.get_or_insert(now);
    Ok(config::store(tx, &config)?)
}

/// The next step of an upgrade, of at most `limit` secrets; `None` where there is nothing (more) to take over. To be run
/// one at a time; it may be killed anywhere.
///
/// # Errors
/// What the barrier gives.
pub async fn upgrade_step(room: &Room, limit: usize) -> Result<Option<Change>, Fault> {
    if config::load(room).await?.upgrading_since.is_none() {
        return Ok(None);
    }
    let names = room.view.scan(Kind::KvV1, &CanonicalPath::default(), None, limit.max(1)).await?;
    let paths = names.iter().map(|name| CanonicalPath::parse(name)).collect::<Result<Vec<_>, _>>()?;
    let mount = room.mount;
    Ok(Some(Change::new(move |batch| {
        let tx = &mut batch.mount(mount);
        let mut config = config::load_in(tx)?;
        for path in &paths {
            find_in(tx, path, &config)?;
        }
        if paths.is_empty() {
            // Nothing writes version 1 in a mount of version 2, so there will be none again.
            config.upgrading_since = None;
            config::store(tx, &config)?;
        }
        Ok(Answer::empty())
    })))
}

/// What a reader finds of a secret.
pub(super) struct Known {
    pub(super) metadata: Metadata,
    /// Of the record that says so: another revision is another state.
    pub(super) revision: u64,
    /// Whether the value is still a record of version 1.
    pub(super) is_old: bool,
}

/// What is known of a secret.
pub(super) async fn find(room: &Room, path: &CanonicalPath) -> Result<Option<Known>, BarrierError> {
    if let Some(known) = find_new(room, path).await? {
        return Ok(Some(known));
    }
    let Some(since) = config::load(room).await?.upgrading_since else { return Ok(None) };
    match room.view.get(Kind::KvV1, path, None).await? {
        Some(old) => Ok(Some(Known {
            metadata: first_version(since, old.revision),
            revision: old.revision,
            is_old: true,
        })),
        // Perhaps it was taken over between the two reads.
        None => find_new(room, path).await,
    }
}

async fn find_new(room: &Room, path: &CanonicalPath) -> Result<Option<Known>, BarrierError> {
    let Some(plain) = room.view.get(Kind::KvV2Metadata, path, None).await? else { return Ok(None) };
    Ok(Some(Known { metadata: Metadata::decode(&plain.bytes)?, revision: plain.revision, is_old: false }))
}

/// A secret's metadata as of this very transaction. A secret of version 1 is taken over.
pub(super) fn find_in(
    tx: &mut Tx<'_, '_>,
    path: &CanonicalPath,
    config: &Config,
) -> Result<Option<Metadata>, BarrierError> {
    if let Some(plain) = tx.get(Kind::KvV2Metadata, path, None)? {
        return Metadata::decode(&plain.bytes).map(Some);
    }
    let Some(since) = config.upgrading_since else { return Ok(None) };
    let Some(old) = tx.get(Kind::KvV1, path, None)? else { return Ok(None) };
    let (_, value) = kv1::decode(old.bytes)?;
    let revision = tx.put(Kind::KvV2Version, path, Some(1), &value)?;
    let metadata = first_version(since, revision);
    save(tx, path, &metadata)?;
    tx.delete(Kind::KvV1, path, None)?;
    Ok(Some(metadata))
}

/// The value of a secret of version 1.
pub(super) async fn old_value(room: &Room, path: &CanonicalPath) -> Result<Option<Plain>, BarrierError> {
    let Some(old) = room.view.get(Kind::KvV1, path, None).await? else { return Ok(None) };
    let (_, bytes) = kv1::decode(old.bytes)?;
    Ok(Some(Plain { bytes, revision: old.revision }))
}

fn first_version(since: Timestamp, revision: u64) -> Metadata {
    Metadata {
        created: since,
        updated: since,
        current: 1,
        oldest: 1,
        versions: vec![Version { number: 1, created: since, deleted: None, is_destroyed: false, revision }],
        ..Metadata::default()
    }
}
