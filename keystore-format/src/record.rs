//! Records: every value of the store, sealed so that it opens only under its own store key.
//!
//! `version u8 ‖ alg u8 ‖ kind u16 ‖ epoch u32 ‖ rev u64 ‖ nonce[24] ‖ ciphertext ‖ tag[16]`. The header
//! names the key, so none is ever tried; the associated data is the header, the store, the environment
//! and the literal store key, so a record copied elsewhere does not open.
use crate::{
    error::{Fault, FormatError},
    kdf::{self, Context},
    reader::Reader,
    xaes::{self, NONCE_LEN, TAG_LEN},
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The only version.
pub const VERSION: u8 = 1;
/// XAES-256-GCM, the only algorithm.
pub const ALG_XAES_256_GCM: u8 = 1;
/// Bytes before the nonce.
pub const HEADER_LEN: usize = 16;
/// Bytes that sealing adds: header, nonce and tag.
pub const OVERHEAD: usize = HEADER_LEN + NONCE_LEN + TAG_LEN;
/// The longest plaintext: 64 MiB.
pub const MAX_PLAINTEXT_LEN: usize = 64 << 20;

/// What a record says of itself in clear, authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the record is; the registry of kinds stands in `FORMAT.md`.
    pub kind: u16,
    /// The epoch whose data key sealed it; 0 is a key that has no epochs (the keyring's).
    pub epoch: u32,
    /// Unique per environment, reserved when sealing.
    pub rev: u64,
}

impl Header {
    fn bytes(self) -> [u8; HEADER_LEN] {
        let [k0, k1] = self.kind.to_be_bytes();
        let [e0, e1, e2, e3] = self.epoch.to_be_bytes();
        let [r0, r1, r2, r3, r4, r5, r6, r7] = self.rev.to_be_bytes();
        [VERSION, ALG_XAES_256_GCM, k0, k1, e0, e1, e2, e3, r0, r1, r2, r3, r4, r5, r6, r7]
    }
}

/// `KDF(data key, "rec", ctx ‖ kind u16 ‖ epoch u32, 32)`.
#[must_use]
pub fn record_key(data_key: &[u8; 32], ctx: &Context, kind: u16, epoch: u32) -> Zeroizing<[u8; 32]> {
    kdf::derive(data_key, "rec", &[&ctx.bytes(), &kind.to_be_bytes(), &epoch.to_be_bytes()])
}

/// Seals `plaintext` under `key` (see [`record_key`]) for the place `store_key`. `nonce` is fresh from
/// the operating system's generator.
///
/// # Errors
/// [`Fault::TooLong`] where the plaintext is longer than [`MAX_PLAINTEXT_LEN`].
pub fn seal(
    key: &[u8; 32],
    header: Header,
    ctx: &Context,
    store_key: &[u8],
    nonce: &[u8; NONCE_LEN],
    plaintext: &[u8],
) -> Result<Vec<u8>, FormatError> {
    let too_long = FormatError::new("plaintext", MAX_PLAINTEXT_LEN, Fault::TooLong);
    if plaintext.len() > MAX_PLAINTEXT_LEN {
        return Err(too_long);
    }
    // One allocation: the associated data is put together behind the record and cut off again.
    let length = OVERHEAD + plaintext.len();
    let mut out = Vec::with_capacity(length + associated_data_len(store_key));
    out.extend_from_slice(&header.bytes());
    out.extend_from_slice(nonce);
    out.extend_from_slice(plaintext);
    out.extend_from_slice(&[0; TAG_LEN]);
    append_associated_data(&mut out, &header.bytes(), ctx, store_key);

    let (record, associated_data) = out.split_at_mut(length);
    let (_, body) = record.split_at_mut(HEADER_LEN + NONCE_LEN);
    let (buffer, tag) = body.split_at_mut(plaintext.len());
    tag.copy_from_slice(&xaes::encrypt(key, nonce, associated_data, buffer).map_err(|_| too_long)?);
    out.truncate(length);
    Ok(out)
}

/// A record whose shape is right; nothing of it is authenticated before [`Record::open`].
#[derive(Clone, Copy)]
pub struct Record<'a> {
    header: Header,
    nonce: &'a [u8; NONCE_LEN],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_LEN],
}

impl<'a> Record<'a> {
    /// Reads the shape.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::UnknownAlgorithm`], [`Fault::Truncated`], [`Fault::TooLong`].
    pub fn parse(input: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let unknown = reader.fault("algorithm", Fault::UnknownAlgorithm);
        if reader.u8("algorithm")? != ALG_XAES_256_GCM {
            return Err(unknown);
        }
        let header =
            Header { kind: reader.u16("kind")?, epoch: reader.u32("epoch")?, rev: reader.u64("rev")? };
        let nonce = reader.array("nonce")?;
        let truncated = reader.fault("tag", Fault::Truncated);
        let (ciphertext, tag) = reader.rest().split_last_chunk().ok_or(truncated)?;
        if ciphertext.len() > MAX_PLAINTEXT_LEN {
            return Err(reader.fault("ciphertext", Fault::TooLong));
        }
        Ok(Self { header, nonce, ciphertext, tag })
    }

    /// Kind, epoch and revision, as the record claims them.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// The tag, which with the revision names this state of the record.
    #[must_use]
    pub const fn tag(&self) -> &'a [u8; TAG_LEN] {
        self.tag
    }

    /// Opens the record at the place `store_key`.
    ///
    /// # Errors
    /// [`Fault::NotAuthentic`] where anything of it was altered or moved, or `key` is another.
    pub fn open(
        &self,
        key: &[u8; 32],
        ctx: &Context,
        store_key: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let length = self.ciphertext.len();
        let mut out = Zeroizing::new(Vec::with_capacity(length + associated_data_len(store_key)));
        out.extend_from_slice(self.ciphertext);
        append_associated_data(&mut out, &self.header.bytes(), ctx, store_key);
        let (buffer, associated_data) = out.split_at_mut(length);
        xaes::decrypt(key, self.nonce, associated_data, buffer, self.tag)
            .map_err(|_| FormatError::new("record", 0, Fault::NotAuthentic))?;
        out.truncate(length);
        Ok(out)
    }
}

const fn associated_data_len(store_key: &[u8]) -> usize {
    HEADER_LEN + 32 + store_key.len()
}

fn append_associated_data(out: &mut Vec<u8>, header: &[u8; HEADER_LEN], ctx: &Context, store_key: &[u8]) {
    out.extend_from_slice(header);
    out.extend_from_slice(&ctx.bytes());
    out.extend_from_slice(store_key);
}
