//! What a TPM derives keys and hides parameters with: TPM 2.0 Library, Part 1, 11.4.10 (KDFa, KDFe) and 21.3 (AES-CFB).
use super::error::{Result, TpmError};
use aws_lc_rs::{
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    cipher::{AES_128, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey},
    iv::FixedLength,
    rand::SystemRandom,
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub(super) use super::error::Name;

/// SHA-256 over parts, one after the other.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// The name of a public area: `000b ‖ SHA-256`.
pub(super) fn name_of(public_area: &[u8]) -> Name {
    let mut name = [0; 34];
    let (algorithm, digest) = name.split_at_mut(2);
    algorithm.copy_from_slice(&[0, 0x0b]);
    digest.copy_from_slice(&sha256(&[public_area]));
    name
}

/// HMAC-SHA-256, to be finished or verified.
pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length");
    };
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// KDFa with SHA-256, 256 bits: one block.
pub(super) fn kdfa(key: &[u8], label: &[u8], newer: &[u8], older: &[u8]) -> Zeroizing<[u8; 32]> {
    let parts: [&[u8]; 6] = [&1_u32.to_be_bytes(), label, &[0], newer, older, &256_u32.to_be_bytes()];
    Zeroizing::new(mac(key, &parts).finalize().into_bytes().into())
}

/// A secret that only the holder of `public` (a point of P-256, uncompressed) can find, and the point that lets it.
/// The private half comes from the system's generator inside AWS-LC and is gone with this function.
pub(super) fn salt_for(public: &[u8; 65]) -> Result<(Zeroizing<[u8; 32]>, [u8; 65])> {
    let random = SystemRandom::new();
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| TpmError::Entropy)?;
    let point = ours.compute_public_key().map_err(|_| TpmError::Entropy)?;
    let point: [u8; 65] = point.as_ref().try_into().map_err(|_| TpmError::Entropy)?;
    // A point that is not on the curve is no key of a TPM.
    let theirs = UnparsedPublicKey::new(&ECDH_P256, public);
    let salt = agree_ephemeral(ours, theirs, TpmError::Forged, |shared| {
        // KDFe with SHA-256, 256 bits: one block.
        let parts: [&[u8]; 5] = [&1_u32.to_be_bytes(), shared, b"SECRET\0", x_of(&point), x_of(public)];
        Ok(Zeroizing::new(sha256(&parts)))
    })?;
    Ok((salt, point))
}

/// The first coordinate of an uncompressed point.
pub(super) fn x_of(point: &[u8; 65]) -> &[u8] {
    point.get(1..33).unwrap_or_default()
}

/// The second coordinate of an uncompressed point.
pub(super) fn y_of(point: &[u8; 65]) -> &[u8] {
    point.get(33..).unwrap_or_default()
}

/// Encrypts in place under the first 16 bytes of `key`, with the last 16 as IV.
pub(super) fn encrypt(key: &[u8; 32], bytes: &mut [u8]) -> Result<()> {
    let (key, iv) = key_and_iv(key)?;
    let cipher = EncryptingKey::cfb128(key).map_err(|_| TpmError::Forged)?;
    cipher.less_safe_encrypt(bytes, EncryptionContext::Iv128(iv)).map(|_| ()).map_err(|_| TpmError::Forged)
}

/// Undoes [`encrypt`].
pub(super) fn decrypt(key: &[u8; 32], bytes: &mut [u8]) -> Result<()> {
    let (key, iv) = key_and_iv(key)?;
    let cipher = DecryptingKey::cfb128(key).map_err(|_| TpmError::Forged)?;
    cipher.decrypt(bytes, DecryptionContext::Iv128(iv)).map(|_| ()).map_err(|_| TpmError::Forged)
}

fn key_and_iv(key: &[u8; 32]) -> Result<(UnboundCipherKey, FixedLength<16>)> {
    let (key, iv) = key.split_at(16);
    let key = UnboundCipherKey::new(&AES_128, key).map_err(|_| TpmError::Forged)?;
    let iv: [u8; 16] = iv.try_into().map_err(|_| TpmError::Forged)?;
    Ok((key, FixedLength::from(iv)))
}
