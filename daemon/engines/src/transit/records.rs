//! The engine's own bytes: a key with its versions, how many nonces of a version are spent, and which version numbers a
//! deleted name has used. All integers big-endian.
//!
//! ```text
//! key     = 1 ‖ type u8 ‖ flags u8 ‖ id[16] ‖ first version u32 ‖ min decryption u32 ‖ min encryption u32
//!           ‖ min available u32 ‖ auto-rotation u64 (seconds) ‖ count u32 ‖ count × version
//! version = created u64 (ms) ‖ MAC key[32] ‖ length u16 ‖ secret ‖ length u16 ‖ public key
//! spent   = 1 ‖ id[16] ‖ next u64
//! used    = 1 ‖ last version u32
//! ```
use super::{
    key_type::{KeyType, Material},
    text::Sentence,
};
use coffer_barrier::{Tx, View};
use coffer_room::Fault;
use coffer_types::{CanonicalPath, Entropy, Kind, Timestamp};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const MAC_KEY_LEN: usize = 32;
const DELETION_ALLOWED: u8 = 1;
const DAMAGED: Fault = Fault::Internal("a transit record is of a newer build, or was altered");

/// A key's own id: random, so that a key made anew under an old name shares nothing with the old one.
pub(super) type KeyId = [u8; 16];

/// A key with all versions that were not trimmed, the oldest first; at least one.
pub(super) struct Key {
    pub(super) key_type: KeyType,
    pub(super) id: KeyId,
    pub(super) deletion_allowed: bool,
    /// The number of the oldest version that is held.
    pub(super) first: u32,
    pub(super) min_decryption: u32,
    /// 0 where none was set.
    pub(super) min_encryption: u32,
    /// 0 where nothing was trimmed.
    pub(super) min_available: u32,
    /// 0 for never.
    pub(super) auto_rotate_seconds: u64,
    pub(super) versions: Vec<Version>,
}

/// One version of a key. No `Debug`, no `Clone`.
pub(super) struct Version {
    pub(super) created: Timestamp,
    /// For `hmac`: independent of the key itself. 32 bytes, behind a pointer: a version is moved about.
    pub(super) mac_key: Zeroizing<Vec<u8>>,
    pub(super) material: Material,
}

impl Version {
    /// A new version. Takes up to seconds for RSA.
    pub(super) fn generate(key_type: KeyType, entropy: &dyn Entropy) -> Result<Self, Fault> {
        let mut mac_key = Zeroizing::new(vec![0; MAC_KEY_LEN]);
        entropy.fill(&mut mac_key)?;
        Ok(Self { created: Timestamp::default(), mac_key, material: key_type.generate(entropy)? })
    }

    /// A second copy: a change may run again, and needs its material each time.
    pub(super) fn duplicate(&self, created: Timestamp) -> Self {
        let Material { secret, public } = &self.material;
        let material = Material { secret: secret.clone(), public: public.clone() };
        Self { created, mac_key: self.mac_key.clone(), material }
    }
}

impl Key {
    /// A key with its first version, numbered after those that the name has used before.
    pub(super) fn new(key_type: KeyType, id: KeyId, first: u32, version: Version) -> Self {
        Self {
            key_type,
            id,
            deletion_allowed: false,
            first,
            min_decryption: first,
            min_encryption: 0,
            min_available: 0,
            auto_rotate_seconds: 0,
            versions: vec![version],
        }
    }

    /// The newest version's number.
    pub(super) fn latest(&self) -> u32 {
        // Decoding and `push` keep the number behind it within u32 too, and there is at least one version.
        self.first + (self.versions.len() as u32 - 1)
    }

    /// Adds the newest version.
    pub(super) fn push(&mut self, version: Version) -> Result<(), Fault> {
        self.latest().checked_add(2).ok_or(Fault::bad("the key has as many versions as it can have"))?;
        self.versions.push(version);
        Ok(())
    }

    /// A version by number, if it is held.
    pub(super) fn version(&self, number: u32) -> Option<&Version> {
        self.versions.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The versions with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u32, &Version)> {
        (self.first..).zip(&self.versions)
    }

    /// The version to encrypt, sign or MAC with: the newest where `requested` is 0.
    pub(super) fn for_making(&self, requested: u32) -> Result<u32, Sentence> {
        match requested {
            0 => Ok(self.latest()),
            above if above > self.latest() => Err("this version of the key does not exist yet".into()),
            below if below < self.min_encryption.max(self.min_decryption).max(self.first) => {
                Err("this version of the key is below the minimum for encryption".into())
            }
            version => Ok(version),
        }
    }

    /// The version that made a ciphertext, signature or MAC.
    pub(super) fn for_opening(&self, number: u32) -> Result<&Version, Sentence> {
        if number > self.latest() {
            return Err("it was made with a version of the key that does not exist".into());
        }
        if number < self.min_decryption {
            return Err(
                "it was made with a version of the key that is below the minimum for decryption".into()
            );
        }
        self.version(number).ok_or("it was made with a version of the key that is gone".into())
    }

    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let parts = |version: &Version| {
            8 + 32 + 2 + version.material.secret.len() + 2 + version.material.public.len()
        };
        let versions: usize = self.versions.iter().map(parts).sum();
        // Never grows, so no copy of a secret is left behind.
        let mut out = Zeroizing::new(Vec::with_capacity(3 + 16 + 4 * 4 + 8 + 4 + versions));
        let flags = if self.deletion_allowed { DELETION_ALLOWED } else { 0 };
        out.extend_from_slice(&[FORMAT, self.key_type as u8, flags]);
        out.extend_from_slice(&self.id);
        for number in [self.first, self.min_decryption, self.min_encryption, self.min_available] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.auto_rotate_seconds.to_be_bytes());
        out.extend_from_slice(&u32::try_from(self.versions.len()).map_err(|_| DAMAGED)?.to_be_bytes());
        for version in &self.versions {
            out.extend_from_slice(&version.created.0.to_be_bytes());
            out.extend_from_slice(&version.mac_key);
            for part in [&*version.material.secret, &version.material.public] {
                out.extend_from_slice(&u16::try_from(part.len()).map_err(|_| DAMAGED)?.to_be_bytes());
                out.extend_from_slice(part);
            }
        }
        Ok(out)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        Self::read(&mut Reader(bytes)).ok_or(DAMAGED)
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let [FORMAT, key_type, flags] = from.array()? else { return None };
        if flags & !DELETION_ALLOWED != 0 {
            return None;
        }
        let mut key = Self {
            key_type: KeyType::from_number(key_type)?,
            deletion_allowed: flags & DELETION_ALLOWED != 0,
            id: from.array()?,
            first: from.u32()?,
            min_decryption: from.u32()?,
            min_encryption: from.u32()?,
            min_available: from.u32()?,
            auto_rotate_seconds: from.u64()?,
            versions: Vec::new(),
        };
        let count = from.u32()?;
        // The number behind the newest version must be one too, and there is a version.
        key.first.checked_add(count).filter(|_| count > 0)?;
        for _ in 0..count {
            let created = Timestamp(from.u64()?);
            let mac_key = Zeroizing::new(from.take(MAC_KEY_LEN)?.to_vec());
            let secret = Zeroizing::new(from.part()?.to_vec());
            let material = Material { secret, public: from.part()?.to_vec() };
            key.versions.push(Version { created, mac_key, material });
        }
        (key.first > 0 && from.0.is_empty()).then_some(key)
    }

    /// The key of this name as last committed.
    pub(super) async fn load(view: &View, name: &CanonicalPath) -> Result<Option<Self>, Fault> {
        view.get(Kind::TransitKey, name, None).await?.map(|plain| Self::decode(&plain.bytes)).transpose()
    }

    /// The key of this name as of this very transaction.
    pub(super) fn get(tx: &mut Tx<'_, '_>, name: &CanonicalPath) -> Result<Option<Self>, Fault> {
        tx.get(Kind::TransitKey, name, None)?.map(|plain| Self::decode(&plain.bytes)).transpose()
    }

    pub(super) fn put(&self, tx: &mut Tx<'_, '_>, name: &CanonicalPath) -> Result<(), Fault> {
        tx.put(Kind::TransitKey, name, None, &self.encode()?)?;
        Ok(())
    }
}

/// How many nonces of a key version are given out: the next counter that is free.
pub(super) fn get_spent(
    tx: &mut Tx<'_, '_>,
    name: &CanonicalPath,
    id: KeyId,
    version: u32,
) -> Result<u64, Fault> {
    let Some(plain) = tx.get(Kind::TransitNonces, name, Some(version.into()))? else { return Ok(0) };
    let (owner, next) = read_spent(&plain.bytes)?;
    // Of another key that had this name: its counters say nothing about this one.
    Ok(if owner == id { next } else { 0 })
}

pub(super) fn put_spent(
    tx: &mut Tx<'_, '_>,
    name: &CanonicalPath,
    id: KeyId,
    version: u32,
    next: u64,
) -> Result<(), Fault> {
    tx.put(Kind::TransitNonces, name, Some(version.into()), &spent(id, next))?;
    Ok(())
}

fn read_spent(bytes: &[u8]) -> Result<(KeyId, u64), Fault> {
    let mut from = Reader(bytes);
    match (from.array(), from.array(), from.u64(), from.0) {
        (Some([FORMAT]), Some(owner), Some(next), []) => Ok((owner, next)),
        _ => Err(DAMAGED),
    }
}

fn spent(id: KeyId, next: u64) -> Vec<u8> {
    [&[FORMAT][..], &id, &next.to_be_bytes()].concat()
}

pub(super) fn delete_spent(tx: &mut Tx<'_, '_>, name: &CanonicalPath, version: u32) -> Result<(), Fault> {
    tx.delete(Kind::TransitNonces, name, Some(version.into()))?;
    Ok(())
}

/// The highest version number that keys of this name have had before the last of them was deleted; 0 for none.
pub(super) fn get_used(tx: &mut Tx<'_, '_>, name: &CanonicalPath) -> Result<u32, Fault> {
    let Some(plain) = tx.get(Kind::TransitNonces, name, None)? else { return Ok(0) };
    read_used(&plain.bytes)
}

pub(super) fn put_used(tx: &mut Tx<'_, '_>, name: &CanonicalPath, last: u32) -> Result<(), Fault> {
    tx.put(Kind::TransitNonces, name, None, &used(last))?;
    Ok(())
}

fn read_used(bytes: &[u8]) -> Result<u32, Fault> {
    let mut from = Reader(bytes);
    match (from.array(), from.u32(), from.0) {
        (Some([FORMAT]), Some(last), []) => Ok(last),
        _ => Err(DAMAGED),
    }
}

fn used(last: u32) -> Vec<u8> {
    [&[FORMAT][..], &last.to_be_bytes()].concat()
}

/// Whatever is read as one of these records is written back as it was.
pub(super) fn fuzz(bytes: &[u8]) {
    if let Ok(key) = Key::decode(bytes) {
        assert!(key.encode().is_ok_and(|own| *own == bytes));
        let _ = (key.version(key.latest()).is_some(), key.for_making(0), key.numbered().count());
    }
    if let Ok((id, next)) = read_spent(bytes) {
        assert_eq!(spent(id, next), bytes);
    }
    if let Ok(last) = read_used(bytes) {
        assert_eq!(used(last), bytes);
    }
}

/// What is left to read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Length and bytes.
    fn part(&mut self) -> Option<&'b [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(length.into())
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}
