//! Reading answers: the Vault envelope and its error shape, as a client meets them.
//!
//! They borrow from the answer's buffer, which the caller keeps in a type that clears it.
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// An answer of the Vault API. No `Debug`: `data` and `auth` hold secrets.
#[derive(Deserialize)]
pub struct Envelope<'a> {
    /// The request's id in the daemon's logs.
    #[serde(default)]
    pub request_id: String,
    /// The lease that the answer belongs to, empty where there is none.
    #[serde(default)]
    pub lease_id: String,
    /// Whether that lease can be renewed.
    #[serde(default)]
    pub renewable: bool,
    /// The lease's length in seconds.
    #[serde(default)]
    pub lease_duration: u64,
    /// The answer itself, still as text.
    #[serde(default, borrow)]
    pub data: Option<&'a RawValue>,
    /// The token that a login or a token creation gave.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// The wrapping token, where the answer was wrapped.
    #[serde(default)]
    pub wrap_info: Option<WrapInfo>,
    /// Sentences for people.
    #[serde(default)]
    pub warnings: Option<Vec<String>>,
}

/// A token as a login or a token creation gives it. No `Debug`.
#[derive(Deserialize)]
pub struct Auth {
    /// The token.
    #[serde(deserialize_with = "cleared")]
    pub client_token: Zeroizing<String>,
    /// Its accessor.
    #[serde(default)]
    pub accessor: String,
    /// All policies in force.
    #[serde(default)]
    pub policies: Vec<String>,
    /// The policies of the token itself.
    #[serde(default)]
    pub token_policies: Vec<String>,
    /// Its time to live in seconds; 0 for none.
    #[serde(default)]
    pub lease_duration: u64,
    /// Whether it can be renewed.
    #[serde(default)]
    pub renewable: bool,
    /// `service` or `batch`.
    #[serde(default)]
    pub token_type: String,
    /// Whether it has no parent.
    #[serde(default)]
    pub orphan: bool,
}

/// A wrapping token. No `Debug`.
#[derive(Deserialize)]
pub struct WrapInfo {
    /// The token that unwraps.
    #[serde(deserialize_with = "cleared")]
    pub token: Zeroizing<String>,
    /// Its accessor.
    #[serde(default)]
    pub accessor: String,
    /// Its time to live in seconds.
    #[serde(default)]
    pub ttl: u64,
    /// RFC 3339.
    #[serde(default)]
    pub creation_time: String,
    /// The path whose answer is wrapped.
    #[serde(default)]
    pub creation_path: String,
}

/// The shape of every refusal.
#[derive(Deserialize, Debug)]
pub struct Errors {
    /// One sentence each; empty for a plain 404.
    pub errors: Vec<String>,
}

/// Reads text into a type that clears it.
///
/// # Errors
/// Where the value is not text.
pub fn cleared<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}
