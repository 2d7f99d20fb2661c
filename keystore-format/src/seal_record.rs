//! The seal record: which wraps open an environment's root key. It lies in the store in clear, so that it
//! and the keyring change in one commit; a MAC under the root key says afterwards whether it was honest.
use crate::{
    error::{Fault, FormatError},
    ids::{EnvironmentId, StoreId, WrapId},
    kdf::{self, Context},
    mac,
    reader::Reader,
    tail::Tail,
    xaes::{self, NONCE_LEN, TAG_LEN},
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The only version, of the record and of a wrap's blob.
pub const VERSION: u8 = 1;
/// Bytes of a blob that [`wrap_root`] makes.
pub const WRAP_BLOB_LEN: usize = 1 + NONCE_LEN + 32 + TAG_LEN;
const MAC_LEN: usize = 32;
const MIN_WRAP_LEN: usize = 16 + 1 + 1 + 2 + 2;
const DIGEST_LEN: usize = 8 + 32;

/// What a wrap needs to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WrapType {
    /// Shares of a KEK.
    Shamir = 1,
    /// A PKCS#11 module.
    Pkcs11 = 2,
    /// A TPM 2.0.
    Tpm2 = 3,
    /// Another daemon's transit key.
    Transit = 4,
    /// The parent environment.
    Inherit = 5,
    /// A KEK in a file.
    File = 6,
}

/// Whether a wrap counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WrapState {
    /// Not in force: made and not yet proved to open; or, by shares, the way back of a set that a rekey has replaced, until
    /// the new set is known to be held.
    Pending = 1,
    /// In force.
    Current = 2,
}

/// One way to the root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrap {
    /// Random, unique.
    pub id: WrapId,
    /// What opens it.
    pub wrap_type: WrapType,
    /// Whether it counts.
    pub state: WrapState,
    /// What its type needs besides the blob, in clear; for Shamir [`ShamirParameters`].
    pub parameters: Vec<u8>,
    /// The wrapped root key.
    pub blob: Vec<u8>,
}

/// Tells a typo from a share of another set and from one of an older set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareDigest {
    /// The set of the share.
    pub set_id: [u8; 8],
    /// SHA-256 of the share's payload.
    pub digest: [u8; 32],
}

/// Everything but the MAC.
pub struct SealRecord {
    /// Where the environment is.
    pub ctx: Context,
    /// See [`root_id`].
    pub root_id: [u8; 32],
    /// Counts changes.
    pub generation: u64,
    /// 1 to 255; ids are unique. Any one that is current opens the environment.
    pub wraps: Vec<Wrap>,
    /// Of all shares handed out, old sets included.
    pub share_digests: Vec<ShareDigest>,
    /// What later versions add.
    pub tail: Tail,
}

impl SealRecord {
    /// The bytes in the store, with the MAC under `root_key`.
    ///
    /// # Errors
    /// [`Fault::Invalid`], [`Fault::TooLong`] or [`Fault::NotCanonical`] where [`Unverified::decode`] would
    /// not read it back; [`Fault::NotAuthentic`] where `root_key` is not the one of `root_id`.
    pub fn encode(&self, root_key: &[u8; 32]) -> Result<Vec<u8>, FormatError> {
        if !mac::equal(&self.root_id, &root_id(root_key, &self.ctx)) {
            return Err(FormatError::new("root id", ROOT_ID_AT, Fault::NotAuthentic));
        }
        let mut out = Vec::new();
        out.push(VERSION);
        out.extend_from_slice(&self.ctx.bytes());
        out.extend_from_slice(&self.root_id);
        out.extend_from_slice(&self.generation.to_be_bytes());
        let too_many = FormatError::new("wrap count", out.len(), Fault::TooLong);
        out.push(u8::try_from(self.wraps.len()).map_err(|_| too_many)?);
        check_wraps(&self.wraps)?;
        for wrap in &self.wraps {
            out.extend_from_slice(wrap.id.as_bytes());
            out.push(wrap.wrap_type as u8);
            out.push(wrap.state as u8);
            let length = counted(wrap.parameters.len(), "wrap parameters length", out.len())?;
            out.extend_from_slice(&length);
            out.extend_from_slice(&wrap.parameters);
            let length = counted(wrap.blob.len(), "wrap blob length", out.len())?;
            out.extend_from_slice(&length);
            out.extend_from_slice(&wrap.blob);
        }
        let count = counted(self.share_digests.len(), "share digest count", out.len())?;
        out.extend_from_slice(&count);
        for share in &self.share_digests {
            out.extend_from_slice(&share.set_id);
            out.extend_from_slice(&share.digest);
        }
        self.tail.encode(&mut out)?;
        let mac = mac::hmac_sha256(&seal_mac_key(root_key, &self.ctx), &[&out]);
        out.extend_from_slice(&mac);
        Ok(out)
    }
}

/// A seal record as the store gives it: read before there is a key, to learn how to get one. Nothing in it
/// may be believed before [`Unverified::verify`].
pub struct Unverified<'a> {
    record: SealRecord,
    authenticated: &'a [u8],
    mac: &'a [u8; MAC_LEN],
}

impl<'a> Unverified<'a> {
    /// Reads the shape.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::UnknownAlgorithm`] for a type of wrap, [`Fault::Truncated`],
    /// [`Fault::Invalid`], [`Fault::NotCanonical`] where two wraps have one id, or as the tail says.
    pub fn decode(input: &'a [u8]) -> Result<Self, FormatError> {
        Reader::new(input).version(VERSION)?;
        let truncated = FormatError::new("MAC", 0, Fault::Truncated);
        let (authenticated, mac) = input.split_last_chunk().ok_or(truncated)?;

        let mut reader = Reader::new(authenticated);
        reader.version(VERSION)?;
        let store = StoreId(*reader.array("store id")?);
        let environment = EnvironmentId(*reader.array("environment id")?);
        let root_id = *reader.array("root id")?;
        let generation = reader.u64("generation")?;

        let count = reader.u8("wrap count")?;
        let mut wraps = Vec::with_capacity(usize::from(count).min(reader.rest().len() / MIN_WRAP_LEN));
        for _ in 0..count {
            wraps.push(read_wrap(&mut reader)?);
        }
        check_wraps(&wraps)?;

        let count = reader.u16("share digest count")?;
        let mut share_digests = Vec::with_capacity(usize::from(count).min(reader.rest().len() / DIGEST_LEN));
        for _ in 0..count {
            let set_id = *reader.array("share set id")?;
            share_digests.push(ShareDigest { set_id, digest: *reader.array("share digest")? });
        }
        let tail = Tail::decode(reader, &[])?;
        let ctx = Context { store, environment };
        let record = SealRecord { ctx, root_id, generation, wraps, share_digests, tail };
        Ok(Self { record, authenticated, mac })
    }

    /// What the record claims.
    #[must_use]
    pub const fn claimed(&self) -> &SealRecord {
        &self.record
    }

    /// Checks that `root_key` is the one of the root id, and the MAC. The caller still compares `ctx` with
    /// where it looked and the generation with the head.
    ///
    /// # Errors
    /// [`Fault::NotAuthentic`], for "root id" or "MAC".
    pub fn verify(self, root_key: &[u8; 32]) -> Result<SealRecord, FormatError> {
        if !mac::equal(&self.record.root_id, &root_id(root_key, &self.record.ctx)) {
            return Err(FormatError::new("root id", ROOT_ID_AT, Fault::NotAuthentic));
        }
        let mac = mac::hmac_sha256(&seal_mac_key(root_key, &self.record.ctx), &[self.authenticated]);
        if !mac::equal(self.mac, &mac) {
            return Err(FormatError::new("MAC", self.authenticated.len(), Fault::NotAuthentic));
        }
        Ok(self.record)
    }
}

const ROOT_ID_AT: usize = 1 + 32;

/// The public name of a root key: `KDF(root key, "root-id", ctx, 32)`.
#[must_use]
pub fn root_id(root_key: &[u8; 32], ctx: &Context) -> [u8; 32] {
    *kdf::derive(root_key, "root-id", &[&ctx.bytes()])
}

/// `KDF(root key, "seal-mac", ctx, 32)`.
#[must_use]
pub fn seal_mac_key(root_key: &[u8; 32], ctx: &Context) -> Zeroizing<[u8; 32]> {
    kdf::derive(root_key, "seal-mac", &[&ctx.bytes()])
}

/// The KEK of an inheriting child: `KDF(parent's child KEK, "child", environment id, 32)`.
#[must_use]
pub fn child_kek(parent_child_kek: &[u8; 32], child: EnvironmentId) -> Zeroizing<[u8; 32]> {
    kdf::derive(parent_child_kek, "child", &[child.as_bytes()])
}

/// Wraps a root key: `version u8 ‖ nonce[24] ‖ XAES(KDF(kek, "wrap", ctx ‖ wrap id), root key)[48]`, with
/// `version ‖ ctx ‖ wrap id ‖ root id` as associated data. The root id commits to the key.
#[must_use]
pub fn wrap_root(
    kek: &[u8; 32],
    ctx: &Context,
    wrap: WrapId,
    root_id: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    root_key: &[u8; 32],
) -> Vec<u8> {
    let mut blob = Vec::with_capacity(WRAP_BLOB_LEN);
    blob.push(VERSION);
    blob.extend_from_slice(nonce);
    let mut buffer = Zeroizing::new(*root_key);
    let Ok(tag) =
        xaes::encrypt(&wrap_key(kek, ctx, wrap), nonce, &wrap_data(ctx, wrap, root_id), &mut *buffer)
    else {
        unreachable!("32 bytes are far below the limit of AES-GCM");
    };
    blob.extend_from_slice(&*buffer);
    blob.extend_from_slice(&tag);
    blob
}

/// Opens a wrap and checks that what it holds is the key of `root_id`.
///
/// # Errors
/// [`Fault::UnknownVersion`], [`Fault::Truncated`], [`Fault::TrailingBytes`]; [`Fault::NotAuthentic`] where
/// the KEK, the place or the wrap is another or the blob was altered.
pub fn unwrap_root(
    kek: &[u8; 32],
    ctx: &Context,
    wrap: WrapId,
    root_id: &[u8; 32],
    blob: &[u8],
) -> Result<Zeroizing<[u8; 32]>, FormatError> {
    let mut reader = Reader::new(blob);
    reader.version(VERSION)?;
    let nonce = reader.array("nonce")?;
    let mut root_key = Zeroizing::new(*reader.array("wrapped root key")?);
    let tag = reader.array("tag")?;
    reader.end("wrap blob")?;
    let not_authentic = FormatError::new("wrap blob", 0, Fault::NotAuthentic);
    xaes::decrypt(&wrap_key(kek, ctx, wrap), nonce, &wrap_data(ctx, wrap, root_id), &mut *root_key, tag)
        .map_err(|_| not_authentic)?;
    if !mac::equal(root_id, &self::root_id(&root_key, ctx)) {
        return Err(FormatError::new("root id", 0, Fault::NotAuthentic));
    }
    Ok(root_key)
}

/// The parameters of a Shamir wrap: `n u8 ‖ k u8 ‖ set id[8]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShamirParameters {
    /// Shares handed out, `n`.
    pub shares: u8,
    /// Shares that are needed, `1 ≤ k ≤ n`.
    pub threshold: u8,
    /// The set of the shares.
    pub set_id: [u8; 8],
}

impl ShamirParameters {
    /// The 10 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10);
        out.extend_from_slice(&[self.shares, self.threshold]);
        out.extend_from_slice(&self.set_id);
        out
    }

    /// Reads the 10 bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`], [`Fault::TrailingBytes`], [`Fault::Invalid`] where not `1 ≤ k ≤ n`.
    pub fn decode(input: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        let shares = reader.u8("share count")?;
        let invalid = reader.fault("threshold", Fault::Invalid);
        let threshold = reader.u8("threshold")?;
        if threshold == 0 || threshold > shares {
            return Err(invalid);
        }
        let set_id = *reader.array("share set id")?;
        reader.end("wrap parameters")?;
        Ok(Self { shares, threshold, set_id })
    }
}

fn wrap_key(kek: &[u8; 32], ctx: &Context, wrap: WrapId) -> Zeroizing<[u8; 32]> {
    kdf::derive(kek, "wrap", &[&ctx.bytes(), wrap.as_bytes()])
}

fn wrap_data(ctx: &Context, wrap: WrapId, root_id: &[u8; 32]) -> Vec<u8> {
    let parts: [&[u8]; 4] = [&[VERSION], &ctx.bytes(), wrap.as_bytes(), root_id];
    parts.concat()
}

fn counted(count: usize, field: &'static str, at: usize) -> Result<[u8; 2], FormatError> {
    u16::try_from(count).map(u16::to_be_bytes).map_err(|_| FormatError::new(field, at, Fault::TooLong))
}

fn read_wrap(reader: &mut Reader<'_>) -> Result<Wrap, FormatError> {
    let id = WrapId(*reader.array("wrap id")?);
    let unknown = reader.fault("wrap type", Fault::UnknownAlgorithm);
    let wrap_type = match reader.u8("wrap type")? {
        1 => WrapType::Shamir,
        2 => WrapType::Pkcs11,
        3 => WrapType::Tpm2,
        4 => WrapType::Transit,
        5 => WrapType::Inherit,
        6 => WrapType::File,
        _ => return Err(unknown),
    };
    let invalid = reader.fault("wrap state", Fault::Invalid);
    let state = match reader.u8("wrap state")? {
        1 => WrapState::Pending,
        2 => WrapState::Current,
        _ => return Err(invalid),
    };
    let length = reader.u16("wrap parameters length")?;
    let parameters = reader.take(length.into(), "wrap parameters")?.to_vec();
    let length = reader.u16("wrap blob length")?;
    let blob = reader.take(length.into(), "wrap blob")?.to_vec();
    Ok(Wrap { id, wrap_type, state, parameters, blob })
}

/// At least one wrap, no id twice.
fn check_wraps(wraps: &[Wrap]) -> Result<(), FormatError> {
    if wraps.is_empty() {
        return Err(FormatError::new("wrap count", WRAPS_AT - 1, Fault::Invalid));
    }
    let mut offset = WRAPS_AT;
    for (index, wrap) in wraps.iter().enumerate() {
        if wraps.iter().take(index).any(|earlier| earlier.id == wrap.id) {
            return Err(FormatError::new("wrap id", offset, Fault::NotCanonical));
        }
        offset += MIN_WRAP_LEN + wrap.parameters.len() + wrap.blob.len();
    }
    Ok(())
}

const WRAPS_AT: usize = ROOT_ID_AT + 32 + 8 + 1;
