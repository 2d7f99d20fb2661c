//! XAES-256-GCM (C2SP `XAES-256-GCM.md`): AES-256-GCM under a key that is derived from half of a 192-bit
//! nonce, so that random nonces never run out. The one place where this crate calls the cipher.
use crate::stack;
use xaes_256_gcm::{
    Xaes256Gcm,
    aead::{AeadInOut, KeyInit},
};

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of a nonce: random, from the operating system's generator, never reused under a key.
pub const NONCE_LEN: usize = 24;
/// Bytes of a tag.
pub const TAG_LEN: usize = 16;

/// The ciphertext is not what was sealed under this key, nonce and associated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAuthentic;

/// Encrypts `buffer` where it lies and gives the tag.
///
/// # Errors
/// [`NotAuthentic`] where `buffer` is longer than AES-GCM allows (2³⁶ − 32 bytes).
pub fn encrypt(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    associated_data: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; TAG_LEN], NotAuthentic> {
    let encrypt =
        || Xaes256Gcm::new(key.into()).encrypt_inout_detached(nonce.into(), associated_data, buffer.into());
    stack::cleared(encrypt).map(Into::into).map_err(|_| NotAuthentic)
}

/// Decrypts `buffer` where it lies, if the tag matches; else leaves it as it was.
///
/// # Errors
/// [`NotAuthentic`].
pub fn decrypt(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    associated_data: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), NotAuthentic> {
    let decrypt = || {
        Xaes256Gcm::new(key.into()).decrypt_inout_detached(
            nonce.into(),
            associated_data,
            buffer.into(),
            tag.into(),
        )
    };
    stack::cleared(decrypt).map_err(|_| NotAuthentic)
}
