//! `data/`: read, write, patch and delete the newest version.
use crate::kv2::config;
use crate::kv2::metadata::{custom, erase_pruned, save};
use crate::kv2::records::{Config, Metadata, Version};
use crate::kv2::upgrade::{Known, find, find_in, old_value};
use crate::may_write;
use coffer_barrier::Tx;
use coffer_room::{Answer, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Kind};
use coffer_wire::{Object, Params, ScanError, merge_patch};
use zeroize::Zeroizing;

/// A value, and what is known of its version.
pub(super) struct Found {
    pub(super) value: Zeroizing<Vec<u8>>,
    pub(super) metadata: Object,
    pub(super) number: u64,
}

pub(super) async fn read(room: &Room, path: &CanonicalPath, params: &Params) -> Result<Outcome, Fault> {
    let found = fetch(room, path, params, "data").await?;
    let data = Object::new().raw("data", &found.value).object("metadata", found.metadata);
    Ok(Outcome::Answer(Answer::data(data).commit("version", found.number.to_string().as_bytes())))
}

/// The version that is asked for. One that was deleted is a 404 with its metadata, and null for `empty_field`.
///
/// Metadata and value are two reads. Where a write comes between them the value may be gone or be another's: then the
/// metadata has another revision when it is read again. If it has not, the value was taken away behind our back.
pub(super) async fn fetch(
    room: &Room,
    path: &CanonicalPath,
    params: &Params,
    empty_field: &'static str,
) -> Result<Found, Fault> {
    const ATTEMPTS: usize = 100;
    let asked = params.number("version")?.unwrap_or(0);
    let mut seen = None;
    for _ in 0..ATTEMPTS {
        let Known { metadata, revision, is_old } = find(room, path).await?.ok_or(Fault::NotFound)?;
        if seen.replace(revision) == Some(revision) {
            return Err(LOST);
        }
        let version = metadata.version(asked).ok_or(Fault::NotFound)?;
        let shown = version.shown(&metadata);
        if !version.is_readable(room.clock.now()) {
            return Err(Fault::NotFoundWith(
                Object::new().null(empty_field).object("metadata", shown).finish(),
            ));
        }
        let value = match is_old {
            true => old_value(room, path).await?,
            false => room.view.get(Kind::KvV2Version, path, Some(version.number)).await?,
        };
        if let Some(value) = value.filter(|value| value.revision >= version.revision) {
            return Ok(Found { value: value.bytes, metadata: shown, number: version.number });
        }
    }
    Err(Fault::Unavailable("this secret is written so often that no version could be read; try again".into()))
}

const LOST: Fault = Fault::Internal("a version's record is missing or older than its metadata says");

pub(super) fn write(room: &Room, path: CanonicalPath, request: &Request) -> Result<Outcome, Fault> {
    let value = value(&request.params)?;
    let (cas, mode) = (cas(&request.params)?, request.write_mode);
    Ok(room.change(move |tx| {
        let config = config::load_in(tx)?;
        let found = find_in(tx, &path, &config)?;
        may_write(mode, found.as_ref().is_some_and(|metadata| metadata.current > 0))?;
        let now = tx.now();
        let metadata =
            found.unwrap_or_else(|| Metadata { created: now, updated: now, ..Metadata::default() });
        check_cas(cas, &metadata, &config)?;
        add_version(tx, &path, metadata, &config, &value)
    }))
}

pub(super) fn patch(room: &Room, path: CanonicalPath, request: &Request) -> Result<Outcome, Fault> {
    let patch = value(&request.params)?;
    let cas = cas(&request.params)?;
    Ok(room.change(move |tx| {
        let config = config::load_in(tx)?;
        let metadata = find_in(tx, &path, &config)?.ok_or(Fault::NotFound)?;
        check_cas(cas, &metadata, &config)?;
        let newest = *metadata.version(0).ok_or(Fault::NotFound)?;
        if !newest.is_readable(tx.now()) {
            return Err(Fault::NotFoundWith(newest.shown(&metadata).finish()));
        }
        let old = tx.get(Kind::KvV2Version, &path, Some(newest.number))?;
        let old = old.filter(|old| old.revision >= newest.revision);
        let old = old.ok_or(LOST)?;
        let merged = merge_patch(&old.bytes, &patch).map_err(too_large)?;
        add_version(tx, &path, metadata, &config, &merged)
    }))
}

/// Deletes the newest version. What is not there is deleted already.
pub(super) fn delete(room: &Room, path: CanonicalPath) -> Outcome {
    room.change(move |tx| {
        let (config, now) = (config::load_in(tx)?, tx.now());
        let Some(mut metadata) = find_in(tx, &path, &config)? else { return Ok(Answer::empty()) };
        if let Some(newest) = metadata.versions.last_mut().filter(|newest| newest.is_readable(now)) {
            newest.deleted = Some(now);
            save(tx, &path, &metadata)?;
        }
        Ok(Answer::empty())
    })
}

/// `data` as it came: an object, or null.
fn value(params: &Params) -> Result<Zeroizing<Vec<u8>>, Fault> {
    match params.raw("data") {
        None => Err(Fault::bad("no data provided")),
        Some(json) if json == b"null" || json.first() == Some(&b'{') => Ok(Zeroizing::new(json.to_vec())),
        Some(_) => Err(Fault::bad("'data' must be an object")),
    }
}

/// The version number that the client believes to be the newest; 0 for none yet.
fn cas(params: &Params) -> Result<Option<u64>, Fault> {
    match params.nested("options")? {
        Some(options) => {
            options.number("cas").map_err(|_| Fault::bad("error parsing check-and-set parameter"))
        }
        None => Ok(None),
    }
}

fn check_cas(cas: Option<u64>, metadata: &Metadata, config: &Config) -> Result<(), Fault> {
    match cas {
        Some(cas) if cas != metadata.current => {
            Err(Fault::bad("check-and-set parameter did not match the current version"))
        }
        None if metadata.cas_required || config.cas_required => {
            Err(Fault::bad("check-and-set parameter required for this call"))
        }
        _ => Ok(()),
    }
}

fn add_version(
    tx: &mut Tx<'_, '_>,
    path: &CanonicalPath,
    mut metadata: Metadata,
    config: &Config,
    value: &[u8],
) -> Result<Answer, Fault> {
    let (now, number) = (tx.now(), metadata.current + 1);
    let revision = tx.put(Kind::KvV2Version, path, Some(number), value)?;
    let deleted = metadata.deletion_of(config, now);
    let version = Version { number, created: now, deleted, is_destroyed: false, revision };
    metadata.versions.push(version);
    metadata.current = number;
    metadata.updated = now;
    erase_pruned(tx, path, &mut metadata, config)?;
    save(tx, path, &metadata)?;
    Ok(Answer::data(version.shown(&metadata)).commit("version", number.to_string().as_bytes()))
}

fn too_large(error: ScanError) -> Fault {
    match error {
        ScanError::TooDeep | ScanError::TooMany => {
            Fault::bad("the patched value is too deep or has too many members")
        }
        _ => Fault::Internal("a stored value is no JSON"),
    }
}

impl Version {
    /// What is told of a version beside its value.
    pub(super) fn shown(&self, metadata: &Metadata) -> Object {
        let out = custom(Object::new().string("created_time", &self.created.rfc3339()), metadata);
        out.string("deletion_time", &self.deleted.map(|deleted| deleted.rfc3339()).unwrap_or_default())
            .boolean("destroyed", self.is_destroyed)
            .number("version", self.number)
    }
}
