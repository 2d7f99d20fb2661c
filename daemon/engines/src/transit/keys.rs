//! Keys: made, shown, listed, configured, rotated, trimmed, deleted.
use super::{
    key_type::KeyType,
    nonces::Nonces,
    records::{Key, Version, delete_spent, get_used, put_used},
    schedule::Schedule,
};
use coffer_barrier::Tx;
use coffer_room::{Answer, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Kind, WriteMode};
use coffer_wire::{Object, Params};

/// There is nothing to work with.
pub(super) const NO_KEY: &str = "there is no key of this name";
/// Somebody deleted the key and made another one in its place between reading and changing it.
const CHANGED: Fault =
    Fault::Conflict(std::borrow::Cow::Borrowed("the key was replaced meanwhile; try again"));
/// The shortest period of rotation by time.
const MIN_AUTO_ROTATE_SECONDS: u64 = 3600;

/// What a key needs at its first breath, made outside the committer because RSA takes its time.
pub(super) struct Birth {
    key_type: KeyType,
    version: Version,
    auto_rotate_seconds: u64,
}

impl Birth {
    pub(super) async fn prepare(room: &Room, key_type: KeyType) -> Result<Self, Fault> {
        Ok(Self { key_type, version: generate(room, key_type).await?, auto_rotate_seconds: 0 })
    }

    /// Makes the key. Its versions go on from those that the name has had, so that no number ever means two keys.
    pub(super) fn bear(&self, tx: &mut Tx<'_, '_>, name: &CanonicalPath) -> Result<Key, Fault> {
        let first =
            get_used(tx, name)?.checked_add(1).ok_or(Fault::bad("this name has used up its versions"))?;
        let mut id = [0; 16];
        tx.random(&mut id)?;
        let mut key = Key::new(self.key_type, id, first, self.version.duplicate(tx.now()));
        key.auto_rotate_seconds = self.auto_rotate_seconds;
        key.put(tx, name)?;
        Ok(key)
    }
}

pub(super) async fn list(room: &Room, request: &Request) -> Result<Outcome, Fault> {
    let page = crate::paging::Page::read(&request.params)?;
    let names = crate::paging::shown(room.view.list(Kind::TransitKey, &CanonicalPath::default()).await?);
    Ok(Outcome::Answer(Answer::keys(page.cut(names)?)?))
}

pub(super) async fn read(room: &Room, name: &str) -> Result<Outcome, Fault> {
    let key = Key::load(&room.view, &CanonicalPath::parse(name)?).await?.ok_or(Fault::NotFound)?;
    Ok(Outcome::Answer(shown(name, &key)))
}

pub(super) async fn create(room: &Room, request: &Request, name: &str) -> Result<Outcome, Fault> {
    let (params, mode) = (&request.params, request.write_mode);
    let key_type = wanted_type(params)?;
    let is_type_given = params.has("type");
    let path = CanonicalPath::parse(name)?;
    let auto_rotate_seconds = auto_rotate(params)?.unwrap_or(0);
    let existing = Key::load(&room.view, &path).await?;
    let birth = match existing {
        Some(_) => None,
        None if mode == WriteMode::UpdateOnly => return Err(Fault::PermissionDenied),
        None => Some(Birth { auto_rotate_seconds, ..Birth::prepare(room, key_type).await? }),
    };
    let schedule = room.view.memory::<Schedule>()?;
    Ok(room.change(move |tx| {
        let key = match (Key::get(tx, &path)?, &birth) {
            (Some(key), _) if is_type_given && key.key_type != key_type => {
                return Err(Fault::bad("a key of this name exists already, of another type"));
            }
            // Made before: shown, and left as it is.
            (Some(key), _) => {
                may_use(mode)?;
                key
            }
            (None, Some(birth)) => {
                schedule.forget_after(tx);
                birth.bear(tx, &path)?
            }
            (None, None) => return Err(CHANGED),
        };
        Ok(shown(path.as_str(), &key))
    }))
}

pub(super) fn delete(room: &Room, name: &str) -> Result<Outcome, Fault> {
    let name = CanonicalPath::parse(name)?;
    let nonces = room.view.memory::<Nonces>()?;
    Ok(room.change(move |tx| {
        let key = Key::get(tx, &name)?.ok_or(Fault::bad(NO_KEY))?;
        if !key.deletion_allowed {
            return Err(Fault::bad("the key may not be deleted; set 'deletion_allowed' in its config first"));
        }
        put_used(tx, &name, key.latest())?;
        for (version, _) in key.numbered() {
            delete_spent(tx, &name, version)?;
        }
        tx.delete(Kind::TransitKey, &name, None)?;
        let (nonces, id) = (std::sync::Arc::clone(&nonces), key.id);
        tx.after(Box::new(move || nonces.forget(id, u32::MAX)));
        Ok(Answer::empty())
    }))
}

pub(super) async fn rotate(room: &Room, request: &Request, name: &str) -> Result<Outcome, Fault> {
    let key = existing(room, name, request.write_mode).await?;
    let (name, id) = (CanonicalPath::parse(name)?, key.id);
    let fresh = generate(room, key.key_type).await?;
    Ok(room.change(move |tx| {
        let mut key = Key::get(tx, &name)?.ok_or(Fault::bad(NO_KEY))?;
        if key.id != id {
            return Err(CHANGED);
        }
        key.push(fresh.duplicate(tx.now()))?;
        key.put(tx, &name)?;
        Ok(shown(name.as_str(), &key))
    }))
}

/// What `config` may change; none where it is to stay.
struct Config {
    min_decryption: Option<u32>,
    min_encryption: Option<u32>,
    deletion_allowed: Option<bool>,
    auto_rotate_seconds: Option<u64>,
}

pub(super) fn config(room: &Room, request: &Request, name: &str) -> Result<Outcome, Fault> {
    let (params, mode, name) = (&request.params, request.write_mode, CanonicalPath::parse(name)?);
    refuse_export(params)?;
    let wanted = Config {
        min_decryption: version_number(params, "min_decryption_version")?,
        min_encryption: version_number(params, "min_encryption_version")?,
        deletion_allowed: params.boolean("deletion_allowed")?,
        auto_rotate_seconds: auto_rotate(params)?,
    };
    let schedule = room.view.memory::<Schedule>()?;
    Ok(room.change(move |tx| {
        may_use(mode)?;
        let mut key = Key::get(tx, &name)?.ok_or(Fault::bad(NO_KEY))?;
        wanted.apply(&mut key)?;
        key.put(tx, &name)?;
        schedule.forget_after(tx);
        Ok(shown(name.as_str(), &key))
    }))
}

impl Config {
    fn apply(&self, key: &mut Key) -> Result<(), Fault> {
        // 0 and 1 mean the oldest there is, as for the clients that send them.
        let oldest = key.first;
        if let Some(version) = self.min_decryption {
            if version > key.latest() {
                return Err(Fault::bad("'min_decryption_version' is higher than the newest version"));
            }
            if version > 1 && version < oldest {
                return Err(Fault::bad("'min_decryption_version' is below the oldest version there is"));
            }
            key.min_decryption = version.max(oldest);
        }
        if let Some(version) = self.min_encryption {
            if version > key.latest() {
                return Err(Fault::bad("'min_encryption_version' is higher than the newest version"));
            }
            key.min_encryption = version;
        }
        if key.min_encryption != 0 && key.min_encryption < key.min_decryption {
            return Err(Fault::bad("'min_encryption_version' must not be below 'min_decryption_version'"));
        }
        key.deletion_allowed = self.deletion_allowed.unwrap_or(key.deletion_allowed);
        key.auto_rotate_seconds = self.auto_rotate_seconds.unwrap_or(key.auto_rotate_seconds);
        Ok(())
    }
}

pub(super) fn trim(room: &Room, request: &Request, name: &str) -> Result<Outcome, Fault> {
    let (params, mode, name) = (&request.params, request.write_mode, CanonicalPath::parse(name)?);
    let wanted = version_number(params, "min_available_version")?;
    let wanted =
        wanted.filter(|version| *version > 0).ok_or(Fault::bad("'min_available_version' must be given"))?;
    let nonces = room.view.memory::<Nonces>()?;
    Ok(room.change(move |tx| {
        may_use(mode)?;
        let mut key = Key::get(tx, &name)?.ok_or(Fault::bad(NO_KEY))?;
        if wanted < key.min_available {
            return Err(Fault::bad("'min_available_version' can't be lowered: those versions are gone"));
        }
        if key.min_encryption == 0 || wanted > key.min_encryption || wanted > key.min_decryption {
            return Err(Fault::bad(
                "'min_available_version' must not be above 'min_decryption_version' and 'min_encryption_version'; set those first",
            ));
        }
        let gone = wanted.saturating_sub(key.first);
        for version in key.first..key.first.saturating_add(gone) {
            delete_spent(tx, &name, version)?;
        }
        key.versions.drain(..(gone as usize).min(key.versions.len()));
        key.first = key.first.max(wanted);
        key.min_available = wanted;
        key.put(tx, &name)?;
        let (nonces, id) = (std::sync::Arc::clone(&nonces), key.id);
        tx.after(Box::new(move || nonces.forget(id, wanted)));
        Ok(shown(name.as_str(), &key))
    }))
}

/// The key that a request works with, which is neither made nor changed by it.
pub(super) async fn existing(room: &Room, name: &str, mode: WriteMode) -> Result<Key, Fault> {
    may_use(mode)?;
    Key::load(&room.view, &CanonicalPath::parse(name)?).await?.ok_or(Fault::bad(NO_KEY))
}

/// Using a key is an update of it: who may only create may not.
pub(super) fn may_use(mode: WriteMode) -> Result<(), Fault> {
    crate::may_write(mode, true)
}

/// The type that a key is to have, if all else that is asked of it can be had.
pub(super) fn wanted_type(params: &Params) -> Result<KeyType, Fault> {
    for name in ["derived", "convergent_encryption"] {
        if params.boolean(name)? == Some(true) {
            return Err(Fault::bad(format!(
                "'{name}' is not supported; use 'associated_data' to bind a ciphertext"
            )));
        }
    }
    if params.number("key_size")?.is_some_and(|size| size != 0) {
        return Err(Fault::bad("'key_size' is not supported; the size is part of the type"));
    }
    refuse_export(params)?;
    KeyType::parse(params.string("type")?.as_ref().map(|name| name.as_str()))
}

fn refuse_export(params: &Params) -> Result<(), Fault> {
    for name in ["exportable", "allow_plaintext_backup"] {
        if params.boolean(name)? == Some(true) {
            return Err(Fault::bad(format!("'{name}' is not supported: a key does not leave the daemon")));
        }
    }
    Ok(())
}

fn auto_rotate(params: &Params) -> Result<Option<u64>, Fault> {
    match params.seconds("auto_rotate_period")? {
        Some(1..MIN_AUTO_ROTATE_SECONDS) => {
            Err(Fault::bad("'auto_rotate_period' must be 0 or at least an hour"))
        }
        seconds => Ok(seconds),
    }
}

fn version_number(params: &Params, name: &'static str) -> Result<Option<u32>, Fault> {
    let number = params.number(name)?.map(u32::try_from).transpose();
    number.map_err(|_| Fault::bad(format!("'{name}' is higher than any version")))
}

pub(super) async fn generate(room: &Room, key_type: KeyType) -> Result<Version, Fault> {
    let entropy = std::sync::Arc::clone(&room.entropy);
    apart(key_type, move || Version::generate(key_type, &*entropy)).await
}

/// Runs what takes long with this type of key away from the threads that serve connections.
pub(super) async fn apart<T: Send + 'static>(
    key_type: KeyType,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    if key_type.is_aead() {
        return work();
    }
    tokio::task::spawn_blocking(|| coffer_secmem::leaving_nothing(work))
        .await
        .map_err(|_| Fault::Internal("a transit operation was broken off"))?
}

/// A key as the API shows it.
fn shown(name: &str, key: &Key) -> Answer {
    let kind = key.key_type;
    let mut versions = Object::new();
    for (number, version) in key.numbered().filter(|(number, _)| *number >= key.min_decryption) {
        let number = number.to_string();
        versions = match &*version.material.public {
            [] => versions.number(&number, version.created.seconds()),
            public => versions.object(
                &number,
                Object::new()
                    .string("creation_time", &version.created.rfc3339())
                    .string("name", kind.curve())
                    .string("public_key", &kind.public_text(public)),
            ),
        };
    }
    Answer::data(
        Object::new()
            .boolean("allow_plaintext_backup", false)
            .number("auto_rotate_period", key.auto_rotate_seconds)
            .boolean("deletion_allowed", key.deletion_allowed)
            .boolean("derived", false)
            .boolean("exportable", false)
            .boolean("imported_key", false)
            .object("keys", versions)
            .number("latest_version", key.latest().into())
            .number("min_available_version", key.min_available.into())
            .number("min_decryption_version", key.min_decryption.into())
            .number("min_encryption_version", key.min_encryption.into())
            .string("name", name)
            .boolean("supports_decryption", kind.can_encrypt())
            .boolean("supports_derivation", false)
            .boolean("supports_encryption", kind.can_encrypt())
            .boolean("supports_signing", kind.can_sign())
            .string("type", kind.name()),
    )
}
