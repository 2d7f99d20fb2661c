//! Which server, who asks it, and which of its keys.
use crate::{
    device::{DeviceError, DeviceTrouble},
    secret_source::{SecretSource, Words},
};
use keystore_format::transit_wrap::MAX_KEY_LEN;
use std::{path::PathBuf, time::Duration};

/// How long an operation may take where nothing else is configured.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How sentences name the token.
pub(super) const TOKEN: Words =
    Words { it: "the token", whose: "the token for the transit server", any: "a token" };

/// A transit key of another Coffer, OpenBao or Vault, as an operator names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransitConfig {
    /// The server, as `https://host:port`.
    pub address: String,
    /// The name that the server's certificate must carry, where it differs from the address.
    pub server_name: Option<String>,
    /// A PEM file with the certificates that may have signed the server's; no other is trusted. Read for each operation,
    /// as are the client's own, so that renewed files need no restart.
    pub ca: PathBuf,
    /// The client's certificate. Alone it is an identity for Coffer only; other servers want a token besides.
    pub identity: Option<Identity>,
    /// Where the token lies. Without one the client certificate is the identity.
    pub token: Option<SecretSource>,
    /// The environment (namespace) of the mount, such as `seals`; none for the root.
    pub namespace: Option<String>,
    /// The path of the transit mount, such as `transit`.
    pub mount: String,
    /// The key's name. The server's policy for this client needs `update` on `<mount>/encrypt/<key>` and
    /// `<mount>/decrypt/<key>`, better not `create`, which lets an encryption make the key; and `read` on
    /// `<mount>/keys/<key>` to be told more exactly what is wrong.
    pub key: String,
    /// Whether the server authenticates the wrap's place together with it: true for AEAD keys (`aes256-gcm96`,
    /// `chacha20-poly1305`). RSA keys can't.
    pub associated_data: bool,
    /// How long an operation may take, connecting included; half of it for connecting.
    pub deadline: Duration,
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// A PEM file with the chain, the client's own first.
    pub certificate: PathBuf,
    /// A PEM file with the private key, which only its owner can read.
    pub key: PathBuf,
}

impl TransitConfig {
    /// What can be wrong without asking the server.
    pub(super) fn check(&self) -> Result<(), DeviceError> {
        let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(char::is_control);
        let wrong = if !self.address.starts_with("https://") {
            "address must be https://host:port of the transit server"
        } else if !self.mount.split('/').all(is_name) {
            "mount must be the path of the transit mount, without slashes around it, such as \"transit\""
        } else if !is_name(&self.key) || self.key.contains('/') || self.key.len() > MAX_KEY_LEN {
            "key must be the name of a transit key: at most 255 bytes, without slashes"
        } else if self.identity.is_none() && self.token.is_none() {
            "a client certificate with its key, a token, or both must be configured: else the transit server knows nobody"
        } else if self.deadline.is_zero() {
            "deadline must be longer than nothing"
        } else {
            return Ok(());
        };
        Err(DeviceError::new(DeviceTrouble::Configuration, wrong))
    }
}
