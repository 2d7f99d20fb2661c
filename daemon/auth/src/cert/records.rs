//! What is kept of roles and of the mount's settings: JSON inside the barrier. A field is added, never changed.
use coffer_barrier::BarrierError;
use coffer_types::Kind;
use serde::{Deserialize, Serialize};

/// A role, as it was written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleRecord {
    /// Random; a role made anew under an old name is another one, and old tokens are not its.
    pub(crate) id: [u8; 16],
    /// PEM.
    pub(crate) certificate: String,
    pub(crate) display_name: String,
    #[serde(default)]
    pub(crate) allowed_names: Vec<String>,
    #[serde(default)]
    pub(crate) allowed_common_names: Vec<String>,
    #[serde(default)]
    pub(crate) allowed_dns_sans: Vec<String>,
    #[serde(default)]
    pub(crate) allowed_email_sans: Vec<String>,
    #[serde(default)]
    pub(crate) allowed_uri_sans: Vec<String>,
    #[serde(default)]
    pub(crate) allowed_organizational_units: Vec<String>,
    /// `oid:pattern`.
    #[serde(default)]
    pub(crate) required_extensions: Vec<String>,
    /// Dotted OIDs.
    #[serde(default)]
    pub(crate) allowed_metadata_extensions: Vec<String>,
    #[serde(default)]
    pub(crate) token_policies: Vec<String>,
    #[serde(default)]
    pub(crate) token_no_default_policy: bool,
    #[serde(default)]
    pub(crate) token_ttl: u64,
    #[serde(default)]
    pub(crate) token_max_ttl: u64,
    #[serde(default)]
    pub(crate) token_explicit_max_ttl: u64,
    #[serde(default)]
    pub(crate) token_period: u64,
    #[serde(default)]
    pub(crate) token_num_uses: u64,
    #[serde(default)]
    pub(crate) bind: Bind,
    #[serde(default)]
    pub(crate) login_required: bool,
}

/// What of the certificate tokens are bound to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bind {
    #[default]
    Identity,
    Key,
    Cert,
}

/// The mount's settings.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigRecord {
    #[serde(default)]
    pub(crate) enable_identity_alias_metadata: bool,
}

impl RoleRecord {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, BarrierError> {
        serde_json::to_vec(self).map_err(|_| BarrierError::TooLarge)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BarrierError> {
        serde_json::from_slice(bytes).map_err(|_| BarrierError::Damaged(Kind::CertRole))
    }
}

impl ConfigRecord {
    pub(crate) fn encode(self) -> Result<Vec<u8>, BarrierError> {
        serde_json::to_vec(&self).map_err(|_| BarrierError::TooLarge)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BarrierError> {
        serde_json::from_slice(bytes).map_err(|_| BarrierError::Damaged(Kind::AuthConfig))
    }
}

impl Bind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Key => "key",
            Self::Cert => "cert",
        }
    }
}
