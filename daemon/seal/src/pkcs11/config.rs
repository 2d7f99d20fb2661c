//! Which module, token, key and mechanism, and where the PIN comes from.
use crate::{
    device::{DeviceError, DeviceTrouble},
    secret_source::Words,
};
use keystore_format::device_wraps::{OaepHash, Pkcs11Mechanism};
use std::{path::PathBuf, time::Duration};

/// How long a module may take for one answer where nothing else is configured.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// A PKCS#11 key, as an operator names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pkcs11Config {
    /// The vendor's library; an absolute path.
    pub module: PathBuf,
    /// Which token.
    pub token: TokenName,
    /// `CKA_LABEL` of the key. Label or id, or both.
    pub key_label: Option<String>,
    /// `CKA_ID` of the key.
    pub key_id: Option<Vec<u8>>,
    /// How the key wraps.
    pub mechanism: Pkcs11Mechanism,
    /// Where the user's PIN is read, each time that it is needed.
    pub pin: PinSource,
    /// How long one answer may take, with everything that it needs (loading, login).
    pub deadline: Duration,
}

/// Which token, in whatever slot it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenName {
    /// Its label, which must be the only one of that name.
    Label(String),
    /// Its serial number.
    Serial(String),
}

/// Where a PIN lies.
pub use crate::secret_source::SecretSource as PinSource;

/// How sentences name the PIN.
pub(super) const PIN: Words = Words { it: "the PIN", whose: "the PIN of the token's user", any: "a PIN" };

/// Reads `mechanism` and `oaep_hash` of a configuration.
///
/// # Errors
/// What the two keys may be.
pub fn mechanism(mechanism: &str, oaep_hash: Option<&str>) -> Result<Pkcs11Mechanism, &'static str> {
    let hash = match (mechanism, oaep_hash) {
        ("aes-gcm", None) => return Ok(Pkcs11Mechanism::AesGcm),
        ("aes-key-wrap-pad", None) => return Ok(Pkcs11Mechanism::AesKeyWrapPad),
        ("aes-key-wrap", None) => return Ok(Pkcs11Mechanism::AesKeyWrap),
        ("aes-gcm" | "aes-key-wrap-pad" | "aes-key-wrap", Some(_)) => {
            return Err("oaep_hash belongs to the mechanism \"rsa-oaep\" only");
        }
        ("rsa-oaep", hash) => hash,
        _ => {
            return Err(
                "mechanism must be \"aes-gcm\", \"aes-key-wrap-pad\", \"aes-key-wrap\" or \"rsa-oaep\"",
            );
        }
    };
    Ok(Pkcs11Mechanism::RsaOaep(match hash {
        Some("sha1") => OaepHash::Sha1,
        Some("sha256") => OaepHash::Sha256,
        Some("sha384") => OaepHash::Sha384,
        Some("sha512") => OaepHash::Sha512,
        _ => return Err("oaep_hash must be \"sha1\", \"sha256\", \"sha384\" or \"sha512\""),
    }))
}

impl Pkcs11Config {
    /// What can be wrong without asking the module.
    pub(super) fn check(&self) -> Result<(), DeviceError> {
        let (TokenName::Label(token) | TokenName::Serial(token)) = &self.token;
        let wrong = if !self.module.is_absolute() {
            "module must be the absolute path of the vendor's PKCS#11 library"
        } else if token.is_empty() {
            "token_label or token_serial must name the token"
        } else if self.key_label.is_none() && self.key_id.is_none() {
            "key_label or key_id must name the token's key"
        } else if self.key_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 255) {
            "key_id must be 1 to 255 bytes"
        } else {
            return Ok(());
        };
        Err(DeviceError::new(DeviceTrouble::Configuration, wrong))
    }
}
