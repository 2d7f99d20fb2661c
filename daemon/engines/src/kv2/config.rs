//! `config`: a mount's settings.
use crate::kv2::records::Config;
use coffer_barrier::{BarrierError, Tx};
use coffer_room::{Answer, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Kind};
use coffer_wire::{Object, Params, seconds_text};

/// Most versions of one secret: their list is one record, written with every new version.
const MAX_MAX_VERSIONS: u64 = 10_000;

pub(super) async fn read(room: &Room) -> Result<Outcome, Fault> {
    let config = load(room).await?;
    Ok(Outcome::Answer(Answer::data(
        Object::new()
            .boolean("cas_required", config.cas_required)
            .string("delete_version_after", &seconds_text(config.delete_after_seconds))
            .number("max_versions", config.max_versions)
            .boolean("metadata_cas_required", false),
    )))
}

pub(super) fn write(room: &Room, request: &Request) -> Result<Outcome, Fault> {
    let asked = Settings::read(&request.params)?;
    Ok(room.change(move |tx| {
        let mut config = load_in(tx)?;
        config.max_versions = asked.max_versions.unwrap_or(config.max_versions);
        config.cas_required = asked.cas_required.unwrap_or(config.cas_required);
        config.delete_after_seconds = asked.delete_after_seconds.unwrap_or(config.delete_after_seconds);
        store(tx, &config)?;
        Ok(Answer::empty())
    }))
}

/// The settings that mount and secret have in common; what is not given keeps its value.
pub(super) struct Settings {
    pub(super) max_versions: Option<u64>,
    pub(super) cas_required: Option<bool>,
    pub(super) delete_after_seconds: Option<u64>,
}

impl Settings {
    pub(super) fn read(params: &Params) -> Result<Self, Fault> {
        if params.boolean("metadata_cas_required")? == Some(true) {
            return Err(Fault::bad("'metadata_cas_required' is not supported"));
        }
        let max_versions = params.number("max_versions")?;
        if max_versions.is_some_and(|max| max > MAX_MAX_VERSIONS) {
            return Err(Fault::bad("'max_versions' must be at most 10000"));
        }
        Ok(Self {
            max_versions,
            cas_required: params.boolean("cas_required")?,
            delete_after_seconds: params.seconds("delete_version_after")?,
        })
    }
}

/// The mount's settings.
pub(super) async fn load(room: &Room) -> Result<Config, BarrierError> {
    match room.view.get(Kind::KvV2Config, &path()?, None).await? {
        Some(plain) => Config::decode(&plain.bytes),
        None => Ok(Config::default()),
    }
}

/// The mount's settings as of this very transaction.
pub(super) fn load_in(tx: &mut Tx<'_, '_>) -> Result<Config, BarrierError> {
    match tx.get(Kind::KvV2Config, &path()?, None)? {
        Some(plain) => Config::decode(&plain.bytes),
        None => Ok(Config::default()),
    }
}

/// Whether a mount of version 1 has become one of version 2: only these have settings.
pub(crate) fn was_upgraded(tx: &mut Tx<'_, '_>) -> Result<bool, BarrierError> {
    Ok(tx.get(Kind::KvV2Config, &path()?, None)?.is_some())
}

/// Writes the mount's settings.
pub(super) fn store(tx: &mut Tx<'_, '_>, config: &Config) -> Result<(), BarrierError> {
    tx.put(Kind::KvV2Config, &path()?, None, &config.encode()).map(drop)
}

fn path() -> Result<CanonicalPath, BarrierError> {
    CanonicalPath::parse("config").map_err(BarrierError::Path)
}
