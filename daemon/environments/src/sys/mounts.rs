//! `sys/mounts`: what hangs where, and hanging and unhanging it.
use super::Desk;
use crate::children;
use crate::mounts::{Class, Mount, MountKind};
use crate::records::{ChildState, MountRecord};
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_types::{CanonicalPath, MountId, random};
use coffer_wire::{Object, Params};
use std::sync::Arc;

/// Seconds that a lease lives where a mount says nothing: 768 h, as the API has it.
pub(crate) const SYSTEM_TTL_SECONDS: u64 = 768 * 3600;

pub(super) fn list(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let table = desk.environment.mounts();
    let mounts = table
        .of_class(Class::Secret)
        .fold(Object::new(), |all, mount| all.object(&key(mount), describe(mount)));
    Ok(Outcome::Answer(Answer::system(mounts.object("sys/", describe_system()))))
}

pub(super) fn read(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    read_one(desk, desk.argument)
}

pub(super) fn enable(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    enable_as(desk, params, Class::Secret)
}

pub(super) fn disable(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    disable_at(desk, Class::Secret, mount_path(desk.argument)?.as_str().to_owned())
}

pub(super) fn read_tune(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    read_tune_of(desk, desk.argument)
}

pub(super) fn tune(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    tune_at(desk, mount_path(desk.argument)?.as_str().to_owned(), params)
}

pub(super) fn read_one(desk: &Desk<'_>, full_path: &str) -> Result<Outcome, Fault> {
    let table = desk.environment.mounts();
    let mount = table.at(full_path).ok_or_else(no_mount)?;
    Ok(Outcome::Answer(Answer::system(describe(mount))))
}

pub(super) fn read_tune_of(desk: &Desk<'_>, full_path: &str) -> Result<Outcome, Fault> {
    let table = desk.environment.mounts();
    let record = &table.at(full_path).ok_or_else(no_mount)?.record;
    let ttl = |seconds: u64| if seconds == 0 { SYSTEM_TTL_SECONDS } else { seconds };
    let mut tune = Object::new()
        .number("default_lease_ttl", ttl(record.default_lease_ttl))
        .number("max_lease_ttl", ttl(record.max_lease_ttl))
        .string("description", &record.description)
        .boolean("force_no_cache", false);
    if !record.listing_visibility.is_empty() {
        tune = tune.string("listing_visibility", &record.listing_visibility);
    }
    if let Some(version) = &record.version {
        tune = tune.object("options", Object::new().string("version", version));
    }
    if record.class == "auth" {
        tune = tune.string("token_type", "default-service");
    }
    Ok(Outcome::Answer(Answer::system(tune)))
}

pub(super) fn enable_as(desk: &Desk<'_>, params: &Params, class: Class) -> Result<Outcome, Fault> {
    let path = mount_path(desk.argument)?;
    let wanted = params.required("type")?;
    let version = params.nested("options")?.map_or(Ok(None), |options| options.string("version"))?;
    let kind = MountKind::named(class, &wanted, version.as_deref().map(String::as_str)).ok_or_else(|| {
        Fault::bad("'type' must be one of kv (options.version 1 or 2), transit; for auth: cert, userpass")
    })?;
    let first = path.segments().next().unwrap_or_default().to_lowercase();
    if class == Class::Secret
        && matches!(first.as_str(), "" | "sys" | "auth" | "audit" | "identity" | "cubbyhole")
    {
        return Err(Fault::bad(
            "a secrets engine can't be mounted there: the path must not begin with sys, auth, audit, identity or cubbyhole",
        ));
    }
    let id: [u8; 16] = random(desk.environment.entropy())?;
    let suffix: [u8; 4] = random(desk.environment.entropy())?;
    let mut record = MountRecord {
        id: MountId(id).to_string(),
        path: path.as_str().to_owned(),
        class: if class == Class::Auth { "auth" } else { "secret" }.to_owned(),
        kind: kind.type_name().to_owned(),
        version: kind.version().map(str::to_owned),
        description: description(params)?.unwrap_or_default(),
        accessor: format!(
            "{}{}_{:08x}",
            if class == Class::Auth { "auth_" } else { "" },
            kind.type_name(),
            u32::from_be_bytes(suffix)
        ),
        local: params.boolean("local")?.unwrap_or_default(),
        seal_wrap: params.boolean("seal_wrap")?.unwrap_or_default(),
        default_lease_ttl: 0,
        max_lease_ttl: 0,
        listing_visibility: String::new(),
    };
    if let Some(config) = params.nested("config")? {
        Tuning::read(&config)?.apply(&mut record)?;
    }
    let environment = Arc::clone(desk.environment);
    Ok(Outcome::Change(Change::new(move |batch| {
        let mut stored = environment.read_mounts(batch)?;
        let taken = crate::MountTable::of(&stored.mounts)
            .ok_or(Fault::Internal("the mount table was altered on disk"))?;
        if taken.collides(&record.full_path()) {
            return Err(Fault::bad("path is already in use, or lies above or below a path in use"));
        }
        if class == Class::Secret
            && let Ok(first) = CanonicalPath::parse(&first)
            && children::stored(batch, &first)?.is_some_and(|child| child.state == ChildState::Active)
        {
            return Err(children::name_taken());
        }
        stored.mounts.push(record.clone());
        environment.write_mounts(batch, stored)?;
        Ok(Answer::empty().commit("mount", record.full_path().as_bytes()))
    })))
}

/// Auth methods are disabled below `sys/auth` only, which needs sudo.
pub(super) fn disable_at(desk: &Desk<'_>, class: Class, full_path: String) -> Result<Outcome, Fault> {
    let (environment, registry) = (Arc::clone(desk.environment), Arc::clone(desk.registry));
    Ok(Outcome::Change(Change::new(move |batch| {
        let mut stored = environment.read_mounts(batch)?;
        let is_it = |mount: &MountRecord| {
            (mount.class == "auth") == (class == Class::Auth) && mount.full_path() == full_path
        };
        let Some(at) = stored.mounts.iter().position(is_it) else {
            // As the API has it: what is not there is disabled.
            return Ok(Answer::empty());
        };
        let gone = stored.mounts.remove(at);
        if gone.kind == "token" {
            return Err(Fault::bad("the token auth method can't be disabled"));
        }
        stored.erasing.push(gone.id);
        environment.write_mounts(batch, stored)?;
        let registry = Arc::clone(&registry);
        batch.after(Box::new(move || registry.wake_jobs()));
        Ok(Answer::empty().commit("mount", full_path.as_bytes()))
    })))
}

pub(super) fn tune_at(desk: &Desk<'_>, full_path: String, params: &Params) -> Result<Outcome, Fault> {
    let table = desk.environment.mounts();
    let id = table.at(&full_path).ok_or_else(no_mount)?.id;
    let tuning = Tuning::read(params)?;
    let version = params.nested("options")?.map_or(Ok(None), |options| options.string("version"))?;
    let environment = Arc::clone(desk.environment);
    Ok(Outcome::Change(Change::new(move |batch| {
        let mut stored = environment.read_mounts(batch)?;
        // Judged as it is now: an upgrade that came between is not undone.
        let name = id.to_string();
        let record = stored.mounts.iter_mut().find(|mount| mount.id == name).ok_or_else(no_mount)?;
        let is_kv = record.kind == "kv";
        let upgrade = match (record.version.as_deref(), version.as_deref().map(String::as_str)) {
            (_, None) => false,
            (Some(now), Some(wanted)) if is_kv && now == wanted => false,
            (Some("1"), Some("2")) if is_kv => true,
            (Some("2"), Some("1")) if is_kv => {
                return Err(Fault::bad("a KV version 2 mount can't go back to version 1"));
            }
            _ => return Err(Fault::bad("'options.version' must be 1 or 2, and the mount of type kv")),
        };
        tuning.apply(record)?;
        if upgrade {
            record.version = Some("2".to_owned());
        }
        environment.write_mounts(batch, stored)?;
        if upgrade {
            coffer_engines::kv2::upgrade(&mut batch.mount(id))?;
        }
        Ok(Answer::empty())
    })))
}

/// A mount's path as given: one slash at its end is dropped.
pub(super) fn mount_path(text: &str) -> Result<CanonicalPath, Fault> {
    let path = CanonicalPath::parse(text.strip_suffix('/').unwrap_or(text))?;
    if path.as_str().is_empty() { Err(Fault::bad("the path of the mount is missing")) } else { Ok(path) }
}

/// What people say of a mount. All mounts are one record, which every change of any writes anew: it must stay small.
fn description(params: &Params) -> Result<Option<String>, Fault> {
    const MAX_BYTES: usize = 1024;
    match params.string("description")? {
        Some(text) if text.len() > MAX_BYTES => Err(Fault::bad("'description' has at most 1024 bytes")),
        text => Ok(text.map(|text| text.to_string())),
    }
}

/// What is to be different of a mount; what is not given stays.
struct Tuning {
    default_lease_ttl: Option<u64>,
    max_lease_ttl: Option<u64>,
    description: Option<String>,
    listing_visibility: Option<String>,
}

impl Tuning {
    fn read(params: &Params) -> Result<Self, Fault> {
        let ttl = |name| -> Result<Option<u64>, Fault> {
            Ok(if params.string(name)?.is_some_and(|text| text.is_empty()) {
                None
            } else {
                params.seconds(name)?
            })
        };
        let text = |name| Ok::<_, Fault>(params.string(name)?.map(|text| text.to_string()));
        let listing_visibility = text("listing_visibility")?;
        if !matches!(listing_visibility.as_deref(), None | Some("" | "hidden" | "unauth")) {
            return Err(Fault::bad("'listing_visibility' must be hidden or unauth"));
        }
        Ok(Self {
            default_lease_ttl: ttl("default_lease_ttl")?,
            max_lease_ttl: ttl("max_lease_ttl")?,
            description: description(params)?,
            listing_visibility,
        })
    }

    fn apply(&self, record: &mut MountRecord) -> Result<(), Fault> {
        let (default, max) = (
            self.default_lease_ttl.unwrap_or(record.default_lease_ttl),
            self.max_lease_ttl.unwrap_or(record.max_lease_ttl),
        );
        if max != 0 && default > max {
            return Err(Fault::bad("'default_lease_ttl' must not be greater than 'max_lease_ttl'"));
        }
        (record.default_lease_ttl, record.max_lease_ttl) = (default, max);
        if let Some(description) = &self.description {
            record.description.clone_from(description);
        }
        if let Some(listing_visibility) = &self.listing_visibility {
            record.listing_visibility.clone_from(listing_visibility);
        }
        Ok(())
    }
}

pub(super) fn key(mount: &Mount) -> String {
    format!("{}/", mount.record.path)
}

pub(super) fn describe(mount: &Mount) -> Object {
    let record = &mount.record;
    let mut config = Object::new()
        .number("default_lease_ttl", record.default_lease_ttl)
        .boolean("force_no_cache", false)
        .number("max_lease_ttl", record.max_lease_ttl);
    if !record.listing_visibility.is_empty() {
        config = config.string("listing_visibility", &record.listing_visibility);
    }
    if mount.class == Class::Auth {
        config = config.string("token_type", "default-service");
    }
    let described = Object::new()
        .string("accessor", &record.accessor)
        .object("config", config)
        .string("description", &record.description)
        .boolean("external_entropy_access", false)
        .boolean("local", record.local);
    let described = match &record.version {
        Some(version) => described.object("options", Object::new().string("version", version)),
        None => described.null("options"),
    };
    described
        .string("plugin_version", "")
        .string("running_plugin_version", concat!("v", env!("CARGO_PKG_VERSION"), "+builtin"))
        .string("running_sha256", "")
        .boolean("seal_wrap", record.seal_wrap)
        .string("type", mount.kind.type_name())
        .string("uuid", &record.id)
}

fn describe_system() -> Object {
    Object::new()
        .string("accessor", "system")
        .object(
            "config",
            Object::new()
                .number("default_lease_ttl", 0)
                .boolean("force_no_cache", false)
                .number("max_lease_ttl", 0),
        )
        .string("description", "what the daemon says about itself")
        .boolean("external_entropy_access", false)
        .boolean("local", false)
        .null("options")
        .string("plugin_version", "")
        .string("running_plugin_version", concat!("v", env!("CARGO_PKG_VERSION"), "+builtin"))
        .string("running_sha256", "")
        .boolean("seal_wrap", true)
        .string("type", "system")
        .string("uuid", "00000000000000000000000000000000")
}

fn no_mount() -> Fault {
    Fault::bad("no mount is at this path; `coffer secrets list` and `coffer auth list` show what there is")
}
