//! What lies in the store of a daemon that has ended: read as bytes, and opened with the shares by the formats alone.
use coffer_seal::shamir::{Point, join};
use coffer_secmem::Key32;
use coffer_store::{CommitError, Entry, Options, RedbStore, Store as _, commit};
use keystore_format::ids::MountId;
use keystore_format::kdf::Context;
use keystore_format::keyring::{Keyring, open_keyring};
use keystore_format::name::{SealedPath, StoreKey};
use keystore_format::record::{Record, record_key};
use keystore_format::seal_record::{self, SealRecord, Unverified, Wrap, WrapType};
use keystore_format::share::Share;
use keystore_format::tables::{self, MetaItem, Slot, meta_key};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// The store's file below a data folder.
pub(crate) fn file(data: &Path) -> PathBuf {
    data.join("store/coffer.redb")
}

/// Every entry of the store.
pub(crate) fn entries(data: &Path) -> Vec<Entry> {
    let store = RedbStore::open(file(data), Options::default()).unwrap();
    store.snapshot().unwrap().range(b"", None, usize::MAX).unwrap()
}

/// Writes these values in place of what lies there.
pub(crate) async fn overwrite(data: &Path, changes: Vec<Entry>) {
    let store = RedbStore::open(file(data), Options::default()).unwrap();
    commit(&store, move |transaction| {
        for Entry { key, value } in &changes {
            assert!(transaction.put(key.clone(), value.clone()).map_err(CommitError::<Infallible>::Store)?);
        }
        Ok(())
    })
    .await
    .unwrap();
}

/// Writes these where nothing lies.
pub(crate) async fn write(data: &Path, entries: Vec<Entry>) {
    let store = RedbStore::open(file(data), Options::default()).unwrap();
    commit(&store, move |transaction| {
        for Entry { key, value } in &entries {
            assert!(!transaction.put(key.clone(), value.clone()).map_err(CommitError::<Infallible>::Store)?);
        }
        Ok(())
    })
    .await
    .unwrap();
}

/// Takes these away.
pub(crate) async fn remove(data: &Path, entries: Vec<Entry>) {
    let store = RedbStore::open(file(data), Options::default()).unwrap();
    commit(&store, move |transaction| {
        for Entry { key, .. } in &entries {
            assert!(transaction.delete(key).map_err(CommitError::<Infallible>::Store)?);
        }
        Ok(())
    })
    .await
    .unwrap();
}

/// The records of one kind.
pub(crate) fn of_kind(entries: &[Entry], kind: coffer_types::Kind) -> Vec<Entry> {
    let is_wanted = |entry: &&Entry| {
        entry.key[0] == tables::RECORDS && StoreKey::parse(&entry.key).unwrap().kind == kind as u16
    };
    entries.iter().filter(is_wanted).cloned().collect()
}

/// An environment that was opened.
pub(crate) struct Opened {
    pub(crate) context: Context,
    pub(crate) root_key: [u8; 32],
    pub(crate) keyring: Keyring,
}

/// Opens every environment: the first by its shares, those below it by the key that its keyring has for them.
pub(crate) fn open(entries: &[Entry], shares: &[String]) -> Vec<Opened> {
    open_by(entries, &[joined(shares)])
}

/// Opens every environment: those that one of these keys opens, which shares are of or a key file holds, and those below
/// an open one that it opens.
pub(crate) fn open_by(entries: &[Entry], keys: &[[u8; 32]]) -> Vec<Opened> {
    let opened = opened(entries, keys);
    assert_eq!(opened.len(), seals(entries, Slot::A).len(), "an environment does not open");
    opened
}

/// The environments that some of these keys open, by a wrap of their own or by the environment above.
pub(crate) fn opened(entries: &[Entry], keys: &[[u8; 32]]) -> Vec<Opened> {
    let seals = seals(entries, Slot::A);
    let mut opened: Vec<Opened> = Vec::new();
    // A child's parent may come after it.
    for _ in 0..seals.len() {
        for seal in &seals {
            if opened.iter().any(|other| other.context == seal.context) {
                continue;
            }
            if let Some(root_key) = root_key(seal, keys, &opened) {
                opened.push(Opened::new(entries, seal.context, root_key));
            }
        }
    }
    opened
}

/// What opens an environment, as its seal record claims.
#[derive(PartialEq)]
pub(crate) struct Seal {
    pub(crate) context: Context,
    root_id: [u8; 32],
    pub(crate) wraps: Vec<Wrap>,
}

/// The seals of all environments.
pub(crate) fn seals(entries: &[Entry], slot: Slot) -> Vec<Seal> {
    let meta = entries.iter().filter(|entry| entry.key[0] == tables::META);
    let seals =
        meta.filter(|entry| entry.key[17] == MetaItem::SealRecord as u8 && entry.key[18] == slot as u8);
    let seal = |entry: &Entry| {
        let record = Unverified::decode(&entry.value).unwrap();
        let SealRecord { ctx, root_id, wraps, .. } = record.claimed();
        Seal { context: *ctx, root_id: *root_id, wraps: wraps.clone() }
    };
    seals.map(seal).collect()
}

fn root_key(seal: &Seal, keys: &[[u8; 32]], opened: &[Opened]) -> Option<[u8; 32]> {
    let child =
        |parent: &Opened| *seal_record::child_kek(&parent.keyring.child_kek.key, seal.context.environment);
    let above: Vec<_> = opened.iter().map(child).collect();
    seal.wraps.iter().find_map(|wrap| match wrap.wrap_type {
        WrapType::Inherit => above.iter().find_map(|key| seal.root_key(wrap, key)),
        _ => keys.iter().find_map(|key| seal.root_key(wrap, key)),
    })
}

impl Seal {
    /// The root key that this key gives by this wrap; none where the wrap was made with another.
    pub(crate) fn root_key(&self, wrap: &Wrap, key: &[u8; 32]) -> Option<[u8; 32]> {
        let root = seal_record::unwrap_root(key, &self.context, wrap.id, &self.root_id, &wrap.blob);
        root.ok().map(|root| *root)
    }
}

/// The key that the shares are of.
pub(crate) fn joined(shares: &[String]) -> [u8; 32] {
    let points: Vec<_> = shares
        .iter()
        .map(|text| Share::parse_any(text).unwrap())
        .map(|share| Point { x: share.x, y: Key32::derive(|y| y.copy_from_slice(&*share.y)) })
        .collect();
    *join(&points).unwrap().expose()
}

impl Opened {
    fn new(entries: &[Entry], context: Context, root_key: [u8; 32]) -> Self {
        let copy = |slot| {
            let key = meta_key(context.environment, MetaItem::Keyring, slot);
            let entry = entries.iter().find(|entry| entry.key == key)?;
            open_keyring(&root_key, &context, slot, &entry.value).ok()
        };
        let keyring = [Slot::A, Slot::B].into_iter().filter_map(copy).max_by_key(|ring| ring.generation);
        Self { context, root_key, keyring: keyring.expect("a keyring that opens") }
    }

    /// Whether this is the record of `path` in its mount.
    pub(crate) fn is_path(&self, entry: &Entry, path: &str) -> bool {
        let place = StoreKey::parse(&entry.key).unwrap();
        self.sealed_path(place.mount, path) == place.path
    }

    /// Whether this is the environment of the record at this store key.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        key[1..17] == self.context.environment.0
    }

    /// The sealed form of a path below a mount, as store keys have it.
    pub(crate) fn sealed_path(&self, mount: MountId, path: &str) -> Vec<u8> {
        let sealed = SealedPath::of(&self.keyring.name_key.key, self.context.environment, mount, path);
        sealed.unwrap().as_bytes().to_vec()
    }

    /// What a record of this environment holds.
    pub(crate) fn open_record(&self, entry: &Entry) -> Option<Vec<u8>> {
        let record = Record::parse(&entry.value).ok()?;
        let header = record.header();
        let epoch = self.keyring.epochs.iter().find(|epoch| epoch.number == header.epoch)?;
        let key = record_key(&epoch.data_key, &self.context, header.kind, header.epoch);
        record.open(&key, &self.context, &entry.key).ok().map(|plain| plain.to_vec())
    }

    /// What every record of the environment says, in clear.
    pub(crate) fn plain(&self, entries: &[Entry]) -> Vec<Vec<u8>> {
        let own = entries.iter().filter(|entry| entry.key[0] == tables::RECORDS && self.holds(&entry.key));
        own.map(|entry| self.open_record(entry).expect("a record that opens")).collect()
    }

    /// Every key that the daemon has or makes while this environment is open, with a name for people.
    pub(crate) fn keys(&self, entries: &[Entry]) -> Vec<(String, Vec<u8>)> {
        let ring = &self.keyring;
        let mut keys = vec![
            ("root key".to_owned(), self.root_key.to_vec()),
            ("name key, first half".to_owned(), ring.name_key.key[..32].to_vec()),
            ("name key, second half".to_owned(), ring.name_key.key[32..].to_vec()),
            ("token key".to_owned(), ring.token_key.key.to_vec()),
            ("commitment key".to_owned(), ring.commitment_key.key.to_vec()),
            ("child key".to_owned(), ring.child_kek.key.to_vec()),
            ("log seed".to_owned(), ring.log_seed.key.to_vec()),
        ];
        let headers =
            entries.iter().filter(|entry| entry.key[0] == tables::RECORDS && self.holds(&entry.key));
        let kinds: BTreeSet<u16> =
            headers.map(|entry| Record::parse(&entry.value).unwrap().header().kind).collect();
        for epoch in &ring.epochs {
            keys.push((format!("data key of epoch {}", epoch.number), epoch.data_key.to_vec()));
            for kind in &kinds {
                let key = record_key(&epoch.data_key, &self.context, *kind, epoch.number);
                keys.push((format!("key of records of kind {kind} in epoch {}", epoch.number), key.to_vec()));
            }
        }
        keys
    }
}
