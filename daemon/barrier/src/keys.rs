//! The keys of an open environment, and everything that is done with them.
//!
//! No key leaves this module by value except derived ones that another room needs; all rest in secret memory.
use crate::BarrierError;
use coffer_secmem::{Key32, Key64};
use coffer_types::{CanonicalPath, EnvironmentId, Kind, MountId, PathError};
use keystore_format::{
    error::{Fault, FormatError},
    kdf::{self, Context},
    keyring::Keyring,
    name::{self, SealedPath},
    record::{self, Header, Record},
    seal_record, tables, token,
};
use std::sync::{PoisonError, RwLock};
use zeroize::Zeroizing;

/// Derived record keys that are kept at most; there are fewer kinds than this in one epoch.
const MAX_DERIVED: usize = 96;

pub(crate) struct Keys {
    context: Context,
    root: Key32,
    /// Ascending by number; the last one seals.
    epochs: Vec<EpochKey>,
    names: Key64,
    tokens: Key32,
    commitments: Key32,
    children: Key32,
    log_seed: Key32,
    derived: RwLock<Vec<Derived>>,
}

/// An epoch's data key.
pub(crate) struct EpochKey {
    pub(crate) number: u32,
    pub(crate) created_unix_seconds: u64,
    pub(crate) data_key: Key32,
}

struct Derived {
    kind: u16,
    epoch: u32,
    key: Key32,
}

/// Why a record does not open.
pub(crate) enum NotOpened {
    /// Its epoch's key is not in the keyring: altered, or re-encrypted since it was read.
    EpochGone,
    /// Altered, or moved here from another place.
    Altered,
}

impl Keys {
    pub(crate) fn new(context: Context, root: Key32, keyring: &Keyring) -> Self {
        let epochs = keyring.epochs.iter().map(|epoch| EpochKey {
            number: epoch.number,
            created_unix_seconds: epoch.created_unix_seconds,
            data_key: in_secret_memory(&epoch.data_key),
        });
        Self {
            context,
            root,
            epochs: epochs.collect(),
            names: Key64::derive(|bytes| bytes.copy_from_slice(&*keyring.name_key.key)),
            tokens: in_secret_memory(&keyring.token_key.key),
            commitments: in_secret_memory(&keyring.commitment_key.key),
            children: in_secret_memory(&keyring.child_kek.key),
            log_seed: in_secret_memory(&keyring.log_seed.key),
            derived: RwLock::default(),
        }
    }

    /// The root key, for the keyring and the seal record.
    pub(crate) fn root(&self) -> &[u8; 32] {
        self.root.expose()
    }

    pub(crate) fn set_root(&mut self, root: Key32) {
        self.root = root;
    }

    pub(crate) fn epochs(&self) -> &[EpochKey] {
        &self.epochs
    }

    pub(crate) fn active_epoch(&self) -> Result<&EpochKey, BarrierError> {
        self.epochs.last().ok_or(BarrierError::Damaged(Kind::Keyring))
    }

    pub(crate) fn add_epoch(&mut self, epoch: EpochKey) {
        self.epochs.push(epoch);
    }

    /// Forgets every epoch but the active one.
    pub(crate) fn forget_retired(&mut self) {
        self.epochs.drain(..self.epochs.len().saturating_sub(1));
        let active = self.epochs.last().map(|epoch| epoch.number);
        let derived = self.derived.get_mut().unwrap_or_else(PoisonError::into_inner);
        derived.retain(|derived| Some(derived.epoch) == active);
    }

    /// Where the record of `path` lies.
    pub(crate) fn store_key(
        &self,
        mount: MountId,
        kind: Kind,
        path: &CanonicalPath,
        version: Option<u64>,
    ) -> Result<Vec<u8>, BarrierError> {
        let path = self.seal_path(mount, path)?;
        Ok(name::store_key(tables::RECORDS, self.environment(), mount, kind as u16, &path, version))
    }

    pub(crate) fn seal_path(&self, mount: MountId, path: &CanonicalPath) -> Result<SealedPath, BarrierError> {
        SealedPath::of(self.names.expose(), self.environment(), mount, path.as_str())
            .map_err(|_| BarrierError::Path(PathError::TooLong))
    }

    /// Opens a name found below the sealed directory `parent`.
    pub(crate) fn open_name(
        &self,
        mount: MountId,
        parent: &[u8],
        sealed: &[u8],
    ) -> Result<String, FormatError> {
        name::open_segment(self.names.expose(), self.environment(), mount, parent, sealed)
            .map(|name| name.to_string())
    }

    /// Seals a record for its place, under the active epoch.
    pub(crate) fn seal(
        &self,
        kind: Kind,
        store_key: &[u8],
        rev: u64,
        nonce: &[u8; 24],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, BarrierError> {
        let epoch = self.active_epoch()?.number;
        let header = Header { kind: kind as u16, epoch, rev };
        self.with_record_key(header, |key| {
            record::seal(key, header, &self.context, store_key, nonce, plaintext)
        })
        .ok_or(BarrierError::Damaged(Kind::Keyring))?
        .map_err(BarrierError::sealing(kind))
    }

    /// Opens the record at `store_key`, which must be of `kind`.
    pub(crate) fn open(
        &self,
        kind: Kind,
        store_key: &[u8],
        sealed: &[u8],
    ) -> Result<(Header, Zeroizing<Vec<u8>>), NotOpened> {
        let record = Record::parse(sealed).map_err(|_| NotOpened::Altered)?;
        let header = record.header();
        if header.kind != kind as u16 {
            return Err(NotOpened::Altered);
        }
        let opened = self.with_record_key(header, |key| record.open(key, &self.context, store_key));
        match opened {
            Some(Ok(plaintext)) => Ok((header, plaintext)),
            Some(Err(_)) => Err(NotOpened::Altered),
            None => Err(NotOpened::EpochGone),
        }
    }

    /// Opens whatever record lies at `store_key`, taking its kind from the key.
    pub(crate) fn open_any(
        &self,
        store_key: &[u8],
        sealed: &[u8],
    ) -> Result<(Header, Zeroizing<Vec<u8>>), FormatError> {
        let kind = name::StoreKey::parse(store_key)?.kind;
        let record = Record::parse(sealed)?;
        let header = record.header();
        if header.kind != kind {
            return Err(FormatError::new("kind", 2, Fault::Invalid));
        }
        let gone = FormatError::new("epoch", 4, Fault::Invalid);
        let opened = self.with_record_key(header, |key| record.open(key, &self.context, store_key));
        Ok((header, opened.ok_or(gone)??))
    }

    /// Seals anew, under the active epoch, what [`Keys::open_any`] opened.
    pub(crate) fn reseal(
        &self,
        header: Header,
        store_key: &[u8],
        nonce: &[u8; 24],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, BarrierError> {
        let damaged = || BarrierError::Damaged(Kind::Keyring);
        let header = Header { epoch: self.active_epoch()?.number, ..header };
        self.with_record_key(header, |key| {
            record::seal(key, header, &self.context, store_key, nonce, plaintext)
        })
        .ok_or_else(damaged)?
        .map_err(|_| damaged())
    }

    pub(crate) fn token_index(&self, digest: &[u8; 32]) -> [u8; 32] {
        token::index(self.tokens.expose(), digest)
    }

    pub(crate) fn commitment_key(&self) -> &[u8; 32] {
        self.commitments.expose()
    }

    pub(crate) fn child_kek(&self, child: EnvironmentId) -> Key32 {
        Key32::from_bytes(&mut seal_record::child_kek(self.children.expose(), child))
    }

    pub(crate) fn log_signing_seed(&self, incarnation: &[u8; 16]) -> Key32 {
        let parts: [&[u8]; 2] = [&self.context.bytes(), incarnation];
        Key32::from_bytes(&mut kdf::derive(self.log_seed.expose(), "log-signing", &parts))
    }

    pub(crate) fn counter_auth(&self) -> Key32 {
        Key32::from_bytes(&mut kdf::derive(self.log_seed.expose(), "tpm-counter", &[&self.context.bytes()]))
    }

    fn environment(&self) -> EnvironmentId {
        self.context.environment
    }

    /// Uses the record key of the header's kind and epoch; `None` where the keyring has no such epoch.
    fn with_record_key<T>(&self, header: Header, act: impl FnOnce(&[u8; 32]) -> T) -> Option<T> {
        let is_wanted = |derived: &&Derived| derived.kind == header.kind && derived.epoch == header.epoch;
        {
            let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = derived.iter().find(is_wanted) {
                return Some(act(found.key.expose()));
            }
        }
        let epoch = self.epochs.iter().rfind(|epoch| epoch.number == header.epoch)?;
        let mut key = record::record_key(epoch.data_key.expose(), &self.context, header.kind, header.epoch);
        let key = Key32::from_bytes(&mut key);
        let result = act(key.expose());
        let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
        // A record on disk chooses kind and epoch: what does not open must not fill the secret memory.
        if derived.len() >= MAX_DERIVED {
            derived.clear();
        }
        if derived.iter().all(|other| !is_wanted(&other)) {
            derived.push(Derived { kind: header.kind, epoch: header.epoch, key });
        }
        Some(result)
    }
}

fn in_secret_memory(key: &[u8; 32]) -> Key32 {
    Key32::derive(|bytes| bytes.copy_from_slice(key))
}
