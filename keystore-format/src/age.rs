//! Files of the age format (C2SP `age.md`, version 1) for one X25519 recipient: how a share leaves the daemon so that
//! nobody but its holder can read it.
//!
//! Encrypting only, and one chunk only: the holder decrypts with any tool of that format. Recipients are public, so
//! their reading need not be constant in time.
use crate::{
    bech32m,
    error::{Fault, FormatError},
    stack, text,
};
use alloc::{string::String, vec::Vec};
use chacha20poly1305::{
    ChaCha20Poly1305,
    aead::{AeadInOut, KeyInit as _},
};
use curve25519_dalek::MontgomeryPoint;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The longest plaintext, in bytes: one chunk.
pub const MAX_PLAINTEXT: usize = 65_536;
/// Characters of a recipient.
pub const RECIPIENT_LEN: usize = 62;

const PREFIX: &str = "age";
const VERSION_LINE: &str = "age-encryption.org/v1\n";
const COLUMNS: usize = 64;

/// Whom a file is encrypted to: an X25519 public key that is not of low order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

/// What a file needs that must be random, new for each file. Cleared when dropped.
pub struct Randomness {
    /// The ephemeral X25519 secret.
    pub ephemeral: Zeroizing<[u8; 32]>,
    /// The key that everything else comes from.
    pub file_key: Zeroizing<[u8; 16]>,
    /// The payload's nonce.
    pub nonce: [u8; 16],
}

impl Recipient {
    /// Reads `age1…`.
    ///
    /// # Errors
    /// As [`bech32m::decode`]; "recipient" [`Fault::NotCanonical`] where it is not in lower case, [`Fault::Truncated`]
    /// and [`Fault::TrailingBytes`] where it is not 32 bytes, [`Fault::Invalid`] for a point of low order, to
    /// which anybody could decrypt.
    pub fn parse(recipient: &str) -> Result<Self, FormatError> {
        let bytes = bech32m::decode_bech32(PREFIX, recipient)?;
        let fault = |fault| FormatError::new("recipient", 0, fault);
        if recipient.bytes().any(|c| c.is_ascii_uppercase()) {
            return Err(fault(Fault::NotCanonical));
        }
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| match bytes.len() {
            0..32 => fault(Fault::Truncated),
            _ => fault(Fault::TrailingBytes),
        })?;
        // A clamped scalar is a multiple of 8: it takes every point of low order to zero, and no other.
        if MontgomeryPoint(key).mul_clamped([1; 32]).0 == [0; 32] {
            return Err(fault(Fault::Invalid));
        }
        Ok(Self(key))
    }

    /// `age1…`.
    ///
    /// # Errors
    /// None for a key of this length.
    pub fn to_text(&self) -> Result<String, FormatError> {
        bech32m::encode_bech32(PREFIX, &self.0).map(|mut text| core::mem::take(&mut *text))
    }

    /// A file that only this recipient opens.
    ///
    /// # Errors
    /// "plaintext" [`Fault::TooLong`] beyond [`MAX_PLAINTEXT`].
    pub fn encrypt(&self, randomness: Randomness, plaintext: &[u8]) -> Result<Vec<u8>, FormatError> {
        let too_long = FormatError::new("plaintext", MAX_PLAINTEXT, Fault::TooLong);
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(too_long);
        }
        let Randomness { ephemeral, file_key, nonce } = &randomness;
        let mut file = Vec::with_capacity(256 + plaintext.len());
        file.extend_from_slice(VERSION_LINE.as_bytes());
        let (share, wrapped) = stack::cleared(|| self.wrapped(ephemeral, file_key)).ok_or(too_long)?;
        file.extend_from_slice(b"-> X25519 ");
        push_base64(&mut file, &share);
        file.push(b'\n');
        push_base64(&mut file, &wrapped);
        file.extend_from_slice(b"\n---");
        let mac = header_mac(file_key, &file);
        file.push(b' ');
        push_base64(&mut file, &mac);
        file.push(b'\n');
        file.extend_from_slice(nonce);
        let key = derived(nonce, &**file_key, b"payload");
        // The one chunk is number 0, and the last.
        let mut chunk_nonce = [0; 12];
        chunk_nonce[11] = 1;
        let start = file.len();
        file.extend_from_slice(plaintext);
        let body = file.get_mut(start..).unwrap_or_default();
        let tag = sealed(&key, &chunk_nonce, body).ok_or(too_long)?;
        file.extend_from_slice(&tag);
        Ok(file)
    }

    /// The ephemeral public key, and the file key under what both sides can agree on.
    fn wrapped(&self, ephemeral: &[u8; 32], file_key: &[u8; 16]) -> Option<([u8; 32], [u8; 32])> {
        let share = MontgomeryPoint::mul_base_clamped(*ephemeral).0;
        let secret = Zeroizing::new(MontgomeryPoint(self.0).mul_clamped(*ephemeral).0);
        let mut salt = [0; 64];
        let (first, second) = salt.split_at_mut(32);
        first.copy_from_slice(&share);
        second.copy_from_slice(&self.0);
        let key = derived(&salt, &*secret, b"age-encryption.org/v1/X25519");
        let mut wrapped = [0; 32];
        let (body, tag) = wrapped.split_at_mut(16);
        body.copy_from_slice(file_key);
        tag.copy_from_slice(&sealed(&key, &[0; 12], body)?);
        Some((share, wrapped))
    }
}

/// A file as text, for a terminal or JSON: base64 in lines of 64 characters.
#[must_use]
pub fn armored(file: &[u8]) -> String {
    let encoded = text::to_base64(file);
    let mut out = String::with_capacity(encoded.len() + encoded.len() / COLUMNS + 80);
    out.push_str("-----BEGIN AGE ENCRYPTED FILE-----\n");
    for (at, digit) in encoded.chars().enumerate() {
        if at > 0 && at % COLUMNS == 0 {
            out.push('\n');
        }
        out.push(digit);
    }
    out.push_str("\n-----END AGE ENCRYPTED FILE-----\n");
    out
}

/// HKDF-SHA-256.
fn derived(salt: &[u8], input: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    if Hkdf::<Sha256>::new(Some(salt), input).expand(info, &mut *out).is_err() {
        unreachable!("one block of SHA-256");
    }
    out
}

fn header_mac(file_key: &[u8; 16], header: &[u8]) -> [u8; 32] {
    let key = derived(&[], file_key, b"header");
    crate::mac::hmac_sha256(&key, &[header])
}

/// Encrypts where it lies, and gives the tag; none beyond 256 GiB.
fn sealed(key: &[u8; 32], nonce: &[u8; 12], buffer: &mut [u8]) -> Option<[u8; 16]> {
    let seal = || ChaCha20Poly1305::new(key.into()).encrypt_inout_detached(nonce.into(), &[], buffer.into());
    stack::cleared(seal).ok().map(Into::into)
}

/// Without padding, as headers have it.
fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(text::to_base64(bytes).trim_end_matches('=').as_bytes());
}
