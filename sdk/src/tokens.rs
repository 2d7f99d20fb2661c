//! Tokens: made, looked up, renewed and revoked; and the login that a client certificate allows.
use crate::client::{Answer, Client, write};
use crate::error::{Error, Result};
use crate::secret::Secret;
use coffer_wire::Object;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The token store of an environment.
#[derive(Clone)]
pub struct Tokens {
    client: Client,
}

/// A token to be made; what is `None` is the daemon's default.
#[derive(Serialize, Clone, Debug, Default)]
pub struct NewToken {
    /// What it may do; the caller's own policies unless given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// How long it lives, such as `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// How long it can live by being renewed, such as `24h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explicit_max_ttl: Option<String>,
    /// Lives as long as it is renewed within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// How many requests it is good for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_uses: Option<u64>,
    /// Whether it outlives the token that made it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_parent: bool,
    /// Whether it goes without the `default` policy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_default_policy: bool,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The caller's own pairs, which the audit log shows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
}

/// A token as it was given. No `Debug`.
#[non_exhaustive]
pub struct Token {
    /// The token.
    pub token: Secret<String>,
    /// A name for it that gives no access.
    pub accessor: String,
    /// What it may do.
    pub policies: Vec<String>,
    /// How long it lives, in seconds; 0 for ever.
    pub ttl_seconds: u64,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// A token as it is looked up.
#[derive(Deserialize, Clone, Debug)]
#[non_exhaustive]
pub struct TokenInfo {
    /// A name for it that gives no access.
    #[serde(default)]
    pub accessor: String,
    /// What it may do.
    #[serde(default)]
    pub policies: Vec<String>,
    /// How long it will live, in seconds; 0 for ever.
    #[serde(default)]
    pub ttl: u64,
    /// How long it was given to live when it was made, in seconds; 0 for ever.
    #[serde(default)]
    pub creation_ttl: u64,
    /// Whether it can be renewed.
    #[serde(default)]
    pub renewable: bool,
    /// How many requests it is good for; 0 for any number.
    #[serde(default)]
    pub num_uses: u64,
    /// Whether it has no parent.
    #[serde(default)]
    pub orphan: bool,
    /// Where it was made.
    #[serde(default)]
    pub path: String,
    /// For people.
    #[serde(default)]
    pub display_name: String,
    /// The maker's own pairs.
    #[serde(default)]
    pub meta: Option<BTreeMap<String, String>>,
}

impl Client {
    /// The token store of this client's environment.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        Tokens { client: self.clone() }
    }

    /// Logs in by the client certificate at the auth mount `mount`, as the role `role` or the one that matches.
    ///
    /// A token is needed only to hand it on or to make children: a request without one is authenticated by the
    /// certificate itself.
    ///
    /// # Errors
    /// As every call; see [`Error`].
    pub async fn login_by_certificate(&self, mount: &str, role: Option<&str>) -> Result<Token> {
        let body = match role {
            Some(role) => Object::new().string("name", role),
            None => Object::new(),
        };
        let path = format!("auth/{}/login", mount.trim_matches('/'));
        let client = self.without_token();
        token(&client.post(&path).json(body.finish()).send().await?)
    }
}

#[allow(clippy::missing_errors_doc, reason = "every call fails alike; see `Error`")]
impl Tokens {
    /// Makes a token, a child of the caller's.
    pub async fn create(&self, new: &NewToken) -> Result<Token> {
        token(&self.client.post("auth/token/create").json(write(new)?).send().await?)
    }

    /// The caller's own token.
    pub async fn lookup_self(&self) -> Result<TokenInfo> {
        self.client.get("auth/token/lookup-self").send().await?.data()
    }

    /// Another token.
    pub async fn lookup(&self, token: &Secret<String>) -> Result<TokenInfo> {
        let body = Object::new().string("token", token.expose()).finish();
        self.client.post("auth/token/lookup").json(body).reads_only().send().await?.data()
    }

    /// A token by its accessor.
    pub async fn lookup_accessor(&self, accessor: &str) -> Result<TokenInfo> {
        let body = Object::new().string("accessor", accessor).finish();
        self.client.post("auth/token/lookup-accessor").json(body).reads_only().send().await?.data()
    }

    /// Lets the caller's own token live on, for `seconds` more where given.
    pub async fn renew_self(&self, seconds: Option<u64>) -> Result<Token> {
        let body = seconds.map_or(Object::new(), |seconds| Object::new().number("increment", seconds));
        token(&self.client.post("auth/token/renew-self").json(body.finish()).send().await?)
    }

    /// Lets another token live on.
    pub async fn renew(&self, other: &Secret<String>, seconds: Option<u64>) -> Result<Token> {
        let mut body = Object::new().string("token", other.expose());
        if let Some(seconds) = seconds {
            body = body.number("increment", seconds);
        }
        token(&self.client.post("auth/token/renew").json(body.finish()).send().await?)
    }

    /// Ends the caller's own token and its children.
    pub async fn revoke_self(&self) -> Result<()> {
        self.client.post("auth/token/revoke-self").send().await.map(drop)
    }

    /// Ends another token and its children.
    pub async fn revoke(&self, token: &Secret<String>) -> Result<()> {
        let body = Object::new().string("token", token.expose()).finish();
        self.client.post("auth/token/revoke").json(body).send().await.map(drop)
    }

    /// Ends a token and its children by its accessor.
    pub async fn revoke_accessor(&self, accessor: &str) -> Result<()> {
        let body = Object::new().string("accessor", accessor).finish();
        self.client.post("auth/token/revoke-accessor").json(body).send().await.map(drop)
    }
}

pub(crate) fn token(answer: &Answer) -> Result<Token> {
    let auth = answer.envelope()?.auth.ok_or(Error::Unexpected("there is no token in it"))?;
    Ok(Token {
        token: auth.client_token.into(),
        accessor: auth.accessor,
        policies: auth.policies,
        ttl_seconds: auth.lease_duration,
        renewable: auth.renewable,
    })
}
