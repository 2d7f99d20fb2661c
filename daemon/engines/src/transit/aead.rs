//! Encrypting with one version of a key: `nonce ‖ ciphertext ‖ tag` for AEAD keys, RSA-OAEP with SHA-256 (RFC 8017
//! §7.1, MGF1 with SHA-256, no label) for RSA keys. Contexts of the library are made per use.
use super::{key_type::KeyType, records::Version, text::Sentence};
use aws_lc_rs::{
    aead::{
        AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
        UnboundKey,
    },
    rsa::{
        OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey,
    },
};
use zeroize::Zeroizing;

const TAG_LEN: usize = 16;
const REFUSED: &str = "the key can't be used";
const DOES_NOT_OPEN: &str =
    "it does not open: it was altered, or made with another key or other associated data";

/// Encrypts under an AEAD key.
pub(super) fn seal(
    key_type: KeyType,
    version: &Version,
    nonce: [u8; NONCE_LEN],
    associated_data: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Sentence> {
    let key = key(key_type, version)?;
    let mut out = Vec::with_capacity(NONCE_LEN + plaintext.len() + TAG_LEN);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plaintext);
    let (_, body) = out.split_at_mut(NONCE_LEN);
    let nonce = Nonce::assume_unique_for_key(nonce);
    match key.seal_in_place_separate_tag(nonce, Aad::from(associated_data), body) {
        Ok(tag) => out.extend_from_slice(tag.as_ref()),
        Err(_) => {
            zeroize::Zeroize::zeroize(&mut out);
            return Err(REFUSED.into());
        }
    }
    Ok(out)
}

/// Encrypts under an RSA key.
pub(super) fn seal_rsa(version: &Version, plaintext: &[u8]) -> Result<Vec<u8>, Sentence> {
    let public = PublicEncryptingKey::from_der(&version.material.public).map_err(|_| REFUSED)?;
    let public = OaepPublicEncryptingKey::new(public).map_err(|_| REFUSED)?;
    if plaintext.len() > public.max_plaintext_size(&OAEP_SHA256_MGF1SHA256) {
        return Err("the plaintext is too long for this RSA key; encrypt with a data key instead".into());
    }
    let mut out = vec![0; public.ciphertext_size()];
    let length =
        public.encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut out, None).map_err(|_| REFUSED)?.len();
    out.truncate(length);
    Ok(out)
}

/// Decrypts what [`seal`] or [`seal_rsa`] made; consumes the ciphertext's buffer.
pub(super) fn open(
    key_type: KeyType,
    version: &Version,
    associated_data: &[u8],
    mut sealed: Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, Sentence> {
    if key_type.is_rsa() {
        return open_rsa(version, &sealed);
    }
    let key = key(key_type, version)?;
    let (nonce, body) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(DOES_NOT_OPEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DOES_NOT_OPEN)?;
    let opened = key.open_in_place(nonce, Aad::from(associated_data), body).map_err(|_| DOES_NOT_OPEN)?;
    Ok(Zeroizing::new(opened.to_vec()))
}

fn open_rsa(version: &Version, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Sentence> {
    let private = PrivateDecryptingKey::from_pkcs8(&version.material.secret).map_err(|_| REFUSED)?;
    let private = OaepPrivateDecryptingKey::new(private).map_err(|_| REFUSED)?;
    let mut out = Zeroizing::new(vec![0; private.min_output_size()]);
    let opened =
        private.decrypt(&OAEP_SHA256_MGF1SHA256, sealed, &mut out, None).map_err(|_| DOES_NOT_OPEN)?;
    let length = opened.len();
    out.truncate(length);
    Ok(out)
}

fn key(key_type: KeyType, version: &Version) -> Result<LessSafeKey, Sentence> {
    let algorithm: &Algorithm = match key_type {
        KeyType::Aes128Gcm => &AES_128_GCM,
        KeyType::Aes256Gcm => &AES_256_GCM,
        KeyType::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        _ => return Err(cannot_encrypt(key_type)),
    };
    UnboundKey::new(algorithm, &version.material.secret).map(LessSafeKey::new).map_err(|_| REFUSED.into())
}

/// A key of this type does not encrypt.
pub(super) fn cannot_encrypt(key_type: KeyType) -> Sentence {
    format!("a key of type {} signs; it does not encrypt", key_type.name()).into()
}
