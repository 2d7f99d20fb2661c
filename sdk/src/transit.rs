//! Keys that never leave the daemon: encryption, data keys and signatures by name.
use crate::client::{Answer, Client};
use crate::error::{Error, Result};
use crate::fuzzed::data;
use crate::kv::list;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_wire::{Array, Object, cleared};
use serde::Deserialize;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A transit mount.
#[derive(Clone)]
pub struct Transit {
    client: Client,
    mount: String,
}

/// What a transit key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum KeyType {
    /// Encryption: AES-256-GCM (NIST SP 800-38D).
    Aes256Gcm96,
    /// Signatures: Ed25519 (RFC 8032).
    Ed25519,
    /// Signatures: ECDSA over P-256 (FIPS 186-5).
    EcdsaP256,
}

impl KeyType {
    /// The type's name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm96 => "aes256-gcm96",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
        }
    }
}

/// A transit key as its mount describes it.
#[derive(Deserialize, Clone, Debug)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The type's name in the API, such as `aes256-gcm96`.
    #[serde(rename = "type")]
    pub key_type: String,
    /// The version that new ciphertexts and signatures are made with.
    #[serde(default)]
    pub latest_version: u64,
    /// The oldest version that still decrypts and verifies.
    #[serde(default)]
    pub min_decryption_version: u64,
    /// The oldest version that may still encrypt and sign; 0 for the newest only.
    #[serde(default)]
    pub min_encryption_version: u64,
    /// Whether the key may be deleted.
    #[serde(default)]
    pub deletion_allowed: bool,
    /// Whether the key was put out of use and can be brought back. Only OpenBao has such keys.
    #[serde(default)]
    pub soft_deleted: bool,
    #[serde(default)]
    keys: BTreeMap<String, KeyVersion>,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
enum KeyVersion {
    Public {
        public_key: String,
    },
    /// A time, where there is no public key.
    Other(serde::de::IgnoredAny),
}

impl KeyInfo {
    /// The versions there are and, for keys that sign, their public keys as the API writes them.
    #[must_use]
    pub fn versions(&self) -> BTreeMap<u64, Option<&str>> {
        let numbered = self.keys.iter().filter_map(|(number, version)| {
            let public = match version {
                KeyVersion::Public { public_key } if !public_key.is_empty() => Some(public_key.as_str()),
                _ => None,
            };
            Some((number.parse().ok()?, public))
        });
        numbered.collect()
    }
}

/// What to change in a key; what is `None` stays.
#[derive(serde::Serialize, Clone, Debug, Default)]
pub struct KeyChange {
    /// The oldest version that still decrypts and verifies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_decryption_version: Option<u64>,
    /// The oldest version that may still encrypt and sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_encryption_version: Option<u64>,
    /// Whether the key may be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_allowed: Option<bool>,
}

/// A fresh 256-bit key: in clear to use now, and wrapped to keep beside what it sealed.
pub struct DataKey {
    /// The key.
    pub plain: Secret<[u8; 32]>,
    /// The same key as only the transit key can open it: `vault:vN:…`.
    pub wrapped: String,
}

impl Client {
    /// The transit mount at this path, such as `transit`.
    #[must_use]
    pub fn transit(&self, mount: &str) -> Transit {
        Transit { client: self.clone(), mount: mount.trim_matches('/').to_owned() }
    }
}

#[allow(clippy::missing_errors_doc, reason = "every call fails alike; see `Error`")]
impl Transit {
    /// Makes a key, unless it is there.
    pub async fn create(&self, key: &str, key_type: KeyType) -> Result<()> {
        self.post("keys", key, Object::new().string("type", key_type.name())).await.map(drop)
    }

    /// What is known of a key.
    pub async fn key(&self, key: &str) -> Result<KeyInfo> {
        self.client.get(&self.at("keys", key)).send().await?.data()
    }

    /// The keys' names.
    pub async fn keys(&self) -> Result<Vec<String>> {
        list(&self.client, &format!("{}/keys", self.mount)).await
    }

    /// Changes a key's minimum versions or its deletion guard.
    pub async fn configure(&self, key: &str, change: &KeyChange) -> Result<()> {
        let body = crate::client::write(change)?;
        self.client.post(&format!("{}/config", self.at("keys", key))).json(body).send().await.map(drop)
    }

    /// Adds a version, which new ciphertexts and signatures use. Old ones stay readable.
    pub async fn rotate(&self, key: &str) -> Result<()> {
        self.client.post(&format!("{}/rotate", self.at("keys", key))).send().await.map(drop)
    }

    /// Deletes a key that allows it, and with it all that it encrypted.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.client.delete_call(&self.at("keys", key)).send().await.map(drop)
    }

    /// Encrypts; the answer is `vault:vN:…`. `associated` is not in it, and decryption needs the same again.
    pub async fn encrypt(&self, key: &str, plaintext: &[u8], associated: &[u8]) -> Result<String> {
        let body = with_associated(Object::new().string("plaintext", &to_base64(plaintext)), associated);
        let answer: Ciphertext = self.post("encrypt", key, body).await?.data()?;
        Ok(answer.ciphertext)
    }

    /// Encrypts many in one request; the answers are in the same order.
    pub async fn encrypt_batch(&self, key: &str, plaintexts: &[&[u8]]) -> Result<Vec<String>> {
        let item = |plain: &&[u8]| Object::new().string("plaintext", &to_base64(plain));
        let answer = self.batch("encrypt", key, plaintexts.iter().map(item)).await?;
        let results: Results<Ciphertext> = answer.data()?;
        let results = results.complete(plaintexts.len())?;
        Ok(results.into_iter().map(|result| result.ciphertext).collect())
    }

    /// Decrypts what [`Transit::encrypt`] gave.
    pub async fn decrypt(&self, key: &str, ciphertext: &str, associated: &[u8]) -> Result<Secret<Vec<u8>>> {
        let body = with_associated(Object::new().string("ciphertext", ciphertext), associated);
        let call = self.client.post(&self.at("decrypt", key)).json(body.finish()).reads_only();
        let answer: Plaintext = call.send().await?.data()?;
        from_base64(&answer.plaintext)
    }

    /// Decrypts many in one request; the answers are in the same order.
    pub async fn decrypt_batch(&self, key: &str, ciphertexts: &[&str]) -> Result<Vec<Secret<Vec<u8>>>> {
        let item = |text: &&str| Object::new().string("ciphertext", text);
        let answer = self.batch("decrypt", key, ciphertexts.iter().map(item)).await?;
        let results: Results<Plaintext> = answer.data()?;
        results.complete(ciphertexts.len())?.iter().map(|result| from_base64(&result.plaintext)).collect()
    }

    /// Encrypts again under the newest version, without showing the plaintext.
    pub async fn rewrap(&self, key: &str, ciphertext: &str, associated: &[u8]) -> Result<String> {
        let body = with_associated(Object::new().string("ciphertext", ciphertext), associated);
        let answer: Ciphertext = self.post("rewrap", key, body).await?.data()?;
        Ok(answer.ciphertext)
    }

    /// A fresh data key, in clear and wrapped.
    pub async fn data_key(&self, key: &str) -> Result<DataKey> {
        let answer = self.post("datakey/plaintext", key, Object::new().number("bits", 256)).await?;
        answer.data::<Both>()?.opened()
    }

    /// A fresh data key, wrapped only: for whoever stores it but has no use for it.
    pub async fn wrapped_data_key(&self, key: &str) -> Result<String> {
        let answer = self.post("datakey/wrapped", key, Object::new().number("bits", 256)).await?;
        Ok(answer.data::<Ciphertext>()?.ciphertext)
    }

    /// Opens a wrapped data key.
    pub async fn unwrap_data_key(&self, key: &str, wrapped: &str) -> Result<Secret<[u8; 32]>> {
        key_bytes(&self.decrypt(key, wrapped, &[]).await?)
    }

    /// Signs a message; the answer is `vault:vN:…`.
    pub async fn sign(&self, key: &str, message: &[u8]) -> Result<String> {
        let answer = self.post("sign", key, Object::new().string("input", &to_base64(message))).await?;
        Ok(answer.data::<Signed>()?.signature)
    }

    /// Whether the signature is this key's over this message.
    pub async fn verify(&self, key: &str, message: &[u8], signature: &str) -> Result<bool> {
        let body = Object::new().string("input", &to_base64(message)).string("signature", signature).finish();
        let answer = self.client.post(&self.at("verify", key)).json(body).reads_only().send().await?;
        Ok(answer.data::<Verified>()?.valid)
    }

    async fn post(&self, what: &str, key: &str, body: Object) -> Result<Answer> {
        self.client.post(&self.at(what, key)).json(body.finish()).send().await
    }

    async fn batch(&self, what: &str, key: &str, items: impl Iterator<Item = Object>) -> Result<Answer> {
        self.post(what, key, Object::new().array("batch_input", items.fold(Array::new(), Array::object)))
            .await
    }

    fn at(&self, what: &str, key: &str) -> String {
        format!("{}/{what}/{key}", self.mount)
    }
}

/// A data key as it comes.
#[derive(Deserialize)]
struct Both {
    #[serde(deserialize_with = "cleared")]
    plaintext: Zeroizing<String>,
    ciphertext: String,
}

impl Both {
    fn opened(self) -> Result<DataKey> {
        Ok(DataKey { plain: key_bytes(&from_base64(&self.plaintext)?)?, wrapped: self.ciphertext })
    }
}

#[derive(Deserialize)]
struct Signed {
    signature: String,
}

#[derive(Deserialize)]
struct Verified {
    valid: bool,
}

#[derive(Deserialize)]
struct Ciphertext {
    #[serde(default)]
    ciphertext: String,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Plaintext {
    #[serde(default, deserialize_with = "cleared")]
    plaintext: Zeroizing<String>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Results<T> {
    batch_results: Vec<T>,
}

trait Outcome {
    fn failed(&self) -> bool;
}

impl Outcome for Ciphertext {
    fn failed(&self) -> bool {
        !self.error.is_empty()
    }
}

impl Outcome for Plaintext {
    fn failed(&self) -> bool {
        !self.error.is_empty()
    }
}

impl<T: Outcome> Results<T> {
    /// All or none: a batch that failed in part is no answer to build on.
    fn complete(self, expected: usize) -> Result<Vec<T>> {
        if self.batch_results.len() != expected {
            return Err(Error::Unexpected("it has another number of results than the batch"));
        }
        if self.batch_results.iter().any(Outcome::failed) {
            return Err(Error::Unexpected("a part of the batch failed"));
        }
        Ok(self.batch_results)
    }
}

fn with_associated(body: Object, associated: &[u8]) -> Object {
    if associated.is_empty() { body } else { body.string("associated_data", &to_base64(associated)) }
}

fn to_base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(bytes))
}

fn from_base64(text: &str) -> Result<Secret<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = STANDARD
        .decode_slice(text.as_bytes(), &mut bytes)
        .map_err(|_| Error::Unexpected("its plaintext is not base64"))?;
    bytes.truncate(length);
    Ok(bytes.into())
}

fn key_bytes(bytes: &Secret<Vec<u8>>) -> Result<Secret<[u8; 32]>> {
    let key = bytes.expose().as_slice().try_into();
    key.map(Secret::new).map_err(|_| Error::Unexpected("its data key has not 32 bytes"))
}

/// Reads an answer as each that a transit mount gives: what is opened is what was sent, to the last bit.
pub(crate) fn fuzz(answer: &Answer) {
    if let Some(key) = data::<KeyInfo>(answer) {
        assert!(key.versions().len() <= key.keys.len());
    }
    if let Some(both) = data::<Both>(answer) {
        let plain = both.plaintext.clone();
        if let Ok(key) = both.opened() {
            assert_eq!(*to_base64(key.plain.expose()), *plain);
        }
    }
    if let Some(plaintext) = data::<Plaintext>(answer)
        && let Ok(bytes) = from_base64(&plaintext.plaintext)
    {
        assert_eq!(*to_base64(bytes.expose()), *plaintext.plaintext);
    }
    for expected in [1, 2] {
        if let Some(batch) = data::<Results<Plaintext>>(answer)
            && let Ok(results) = batch.complete(expected)
        {
            assert!(results.len() == expected && !results.iter().any(Outcome::failed));
        }
        if let Some(batch) = data::<Results<Ciphertext>>(answer)
            && let Ok(results) = batch.complete(expected)
        {
            assert!(results.len() == expected && !results.iter().any(Outcome::failed));
        }
    }
    let _ = (data::<Ciphertext>(answer), data::<Signed>(answer), data::<Verified>(answer));
}
