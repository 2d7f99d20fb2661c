//! `metadata/`: what is known of a secret, and its settings.
use crate::kv2::config::{self, Settings};
use crate::kv2::records::{Config, Metadata};
use crate::kv2::upgrade::{find, find_in};
use crate::may_write;
use coffer_barrier::{BarrierError, Tx};
use coffer_room::{Answer, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Kind};
use coffer_wire::{Limits, Object, Params, merge_patch, seconds_text};
use zeroize::Zeroizing;

pub(super) async fn read(room: &Room, path: &CanonicalPath) -> Result<Outcome, Fault> {
    let known = find(room, path).await?.ok_or(Fault::NotFound)?;
    Ok(Outcome::Answer(Answer::data(known.metadata.shown())))
}

pub(super) fn write(room: &Room, path: CanonicalPath, request: &Request) -> Result<Outcome, Fault> {
    let asked = Settings::read(&request.params)?;
    let custom = custom_given(&request.params)?;
    let says_nothing = asked.max_versions.is_none()
        && asked.cas_required.is_none()
        && asked.delete_after_seconds.is_none()
        && custom.is_none();
    let mode = request.write_mode;
    Ok(room.change(move |tx| {
        let (config, now) = (config::load_in(tx)?, tx.now());
        let found = find_in(tx, &path, &config)?;
        may_write(mode, found.is_some())?;
        if says_nothing {
            return Ok(Answer::empty());
        }
        let mut metadata = found.unwrap_or_else(|| Metadata { created: now, ..Metadata::default() });
        if let Some(custom) = &custom {
            metadata.custom.clone_from(custom);
        }
        metadata.take(&asked);
        metadata.updated = now;
        save(tx, &path, &metadata)?;
        Ok(Answer::empty())
    }))
}

/// A JSON merge patch over the settings: null takes one back to its default.
pub(super) fn patch(room: &Room, path: CanonicalPath, request: &Request) -> Result<Outcome, Fault> {
    let params = &request.params;
    let is_null = |field: &str| params.raw(field) == Some(b"null");
    let given = Settings::read(params)?;
    let asked = Settings {
        max_versions: if is_null("max_versions") { Some(0) } else { given.max_versions },
        cas_required: if is_null("cas_required") { Some(false) } else { given.cas_required },
        delete_after_seconds: if is_null("delete_version_after") {
            Some(0)
        } else {
            given.delete_after_seconds
        },
    };
    let custom_patch = params.raw("custom_metadata").map(|json| Zeroizing::new(json.to_vec()));
    if custom_patch.as_ref().is_some_and(|json| !matches!(json.first(), Some(b'{' | b'n'))) {
        return Err(Fault::bad("'custom_metadata' must be an object of texts"));
    }
    Ok(room.change(move |tx| {
        let (config, now) = (config::load_in(tx)?, tx.now());
        let mut metadata = find_in(tx, &path, &config)?.ok_or(Fault::NotFound)?;
        if let Some(patch) = &custom_patch {
            metadata.custom = patched(&metadata.custom, patch)?;
        }
        metadata.take(&asked);
        metadata.updated = now;
        save(tx, &path, &metadata)?;
        Ok(Answer::empty())
    }))
}

/// Deletes the secret with all its versions.
pub(super) fn delete(room: &Room, path: CanonicalPath) -> Outcome {
    room.change(move |tx| {
        let config = config::load_in(tx)?;
        let Some(metadata) = find_in(tx, &path, &config)? else { return Ok(Answer::empty()) };
        for version in metadata.versions.iter().filter(|version| !version.is_destroyed) {
            tx.delete(Kind::KvV2Version, &path, Some(version.number))?;
        }
        tx.delete(Kind::KvV2Metadata, &path, None)?;
        Ok(Answer::empty())
    })
}

/// Writes a secret's metadata.
pub(super) fn save(
    tx: &mut Tx<'_, '_>,
    path: &CanonicalPath,
    metadata: &Metadata,
) -> Result<(), BarrierError> {
    tx.put(Kind::KvV2Metadata, path, None, &metadata.encode()).map(drop)
}

/// Takes the oldest versions away that are too many.
pub(super) fn erase_pruned(
    tx: &mut Tx<'_, '_>,
    path: &CanonicalPath,
    metadata: &mut Metadata,
    config: &Config,
) -> Result<(), BarrierError> {
    let excess = metadata.versions.len().saturating_sub(metadata.kept(config));
    for version in metadata.versions.drain(..excess) {
        tx.delete(Kind::KvV2Version, path, Some(version.number))?;
    }
    if let Some(oldest) = metadata.versions.first().filter(|_| excess > 0) {
        metadata.oldest = oldest.number;
    }
    Ok(())
}

/// Adds `custom_metadata`, or null where there is none.
pub(super) fn custom(out: Object, metadata: &Metadata) -> Object {
    if metadata.custom.is_empty() {
        return out.null("custom_metadata");
    }
    out.object("custom_metadata", object_of(&metadata.custom))
}

impl Metadata {
    fn take(&mut self, asked: &Settings) {
        self.max_versions = asked.max_versions.unwrap_or(self.max_versions);
        self.cas_required = asked.cas_required.unwrap_or(self.cas_required);
        self.delete_after_seconds = asked.delete_after_seconds.unwrap_or(self.delete_after_seconds);
        self.metadata_version += 1;
    }

    /// As `metadata/` tells it.
    pub(super) fn shown(&self) -> Object {
        let versions = self.versions.iter().fold(Object::new(), |out, version| {
            let shown = Object::new()
                .string("created_time", &version.created.rfc3339())
                .string(
                    "deletion_time",
                    &version.deleted.map(|deleted| deleted.rfc3339()).unwrap_or_default(),
                )
                .boolean("destroyed", version.is_destroyed);
            out.object(&version.number.to_string(), shown)
        });
        let out = Object::new()
            .boolean("cas_required", self.cas_required)
            .string("created_time", &self.created.rfc3339())
            .number("current_metadata_version", self.metadata_version)
            .number("current_version", self.current);
        custom(out, self)
            .string("delete_version_after", &seconds_text(self.delete_after_seconds))
            .number("max_versions", self.max_versions)
            .boolean("metadata_cas_required", false)
            .number("oldest_version", self.oldest)
            .string("updated_time", &self.updated.rfc3339())
            .object("versions", versions)
    }
}

/// `custom_metadata`: names and texts for people. Null stands for none.
fn custom_given(params: &Params) -> Result<Option<Vec<(String, String)>>, Fault> {
    match params.raw("custom_metadata") {
        None => Ok(None),
        Some(b"null") => Ok(Some(Vec::new())),
        Some(_) => checked(params.map("custom_metadata")?.unwrap_or_default()).map(Some),
    }
}

fn checked(custom: Vec<(String, String)>) -> Result<Vec<(String, String)>, Fault> {
    if custom.len() > 64 {
        return Err(Fault::bad("'custom_metadata' has at most 64 names"));
    }
    let is_plain = |text: &str| !text.chars().any(char::is_control);
    let stands = |(name, value): &(String, String)| {
        !name.is_empty() && name.len() <= 128 && value.len() <= 512 && is_plain(name) && is_plain(value)
    };
    if custom.iter().all(stands) {
        Ok(custom)
    } else {
        Err(Fault::bad(
            "'custom_metadata' has names of 1 to 128 bytes and texts of at most 512, without control characters",
        ))
    }
}

/// `custom` after a merge patch, itself an object or null.
fn patched(custom: &[(String, String)], patch: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    const MUST: &str = "'custom_metadata' must be an object of texts";
    if patch == b"null" {
        return Ok(Vec::new());
    }
    let merged = merge_patch(&object_of(custom).finish(), patch).map_err(|_| Fault::bad(MUST))?;
    let named = Object::new().raw("custom_metadata", &merged).finish();
    let params = Params::parse(named, Limits::REQUEST).map_err(|_| Fault::bad(MUST))?;
    checked(params.map("custom_metadata")?.unwrap_or_default())
}

fn object_of(custom: &[(String, String)]) -> Object {
    custom.iter().fold(Object::new(), |out, (name, value)| out.string(name, value))
}
