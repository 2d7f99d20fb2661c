//! What an operator does: initialise, unseal, seal, rotate, mount, and say who may do what.
use crate::client::{Client, write};
use crate::error::{Error, Result};
use crate::kv::list;
use crate::secret::Secret;
use coffer_wire::Object;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The daemon's and the environment's own matters.
#[derive(Clone)]
pub struct Sys {
    pub(crate) client: Client,
}

/// How the daemon is.
#[derive(Deserialize, Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether a root key was ever made.
    pub initialized: bool,
    /// Whether the root key is not in memory.
    pub sealed: bool,
    /// Whether another node leads.
    #[serde(default)]
    pub standby: bool,
    /// The daemon's version.
    #[serde(default)]
    pub version: String,
}

/// Where unsealing has got to.
#[derive(Deserialize, Clone, Debug)]
#[non_exhaustive]
pub struct SealStatus {
    /// The seal's type, such as `shamir`.
    #[serde(rename = "type", default)]
    pub seal_type: String,
    /// Whether a root key was ever made.
    #[serde(default)]
    pub initialized: bool,
    /// Whether the root key is not in memory.
    pub sealed: bool,
    /// How many shares open the seal.
    #[serde(rename = "t", default)]
    pub threshold: u64,
    /// How many shares there are.
    #[serde(rename = "n", default)]
    pub shares: u64,
    /// How many were given so far.
    #[serde(default)]
    pub progress: u64,
    /// The daemon's version.
    #[serde(default)]
    pub version: String,
    /// The store's id, in the form of a UUID; empty before there is one.
    #[serde(default)]
    pub cluster_id: String,
    /// The newest signed checkpoints of the logs: told to whoever opened the store, to be kept.
    #[serde(default)]
    pub checkpoints: Vec<String>,
    /// How many of the checkpoints given were of what was opened.
    #[serde(default)]
    pub checkpoints_compared: u64,
}

/// What a holder says beside a share.
#[derive(Clone, Default, Debug)]
pub struct UnsealTerms {
    /// Signed notes that were kept: the store opens only where its logs go on from them.
    pub checkpoints: Vec<String>,
    /// A store that is older than it should be opens where each holder of the quorum says so; its log begins anew.
    pub accepts_rollback: bool,
    /// Environments whose replay index is made anew of what is on the disk, where each holder of the quorum says so.
    pub rebuilt: Vec<String>,
}

/// What initialising gives, once and never again. No `Debug`.
#[derive(Deserialize)]
#[non_exhaustive]
pub struct Initialized {
    /// The shares as people type them (Bech32m, 82 characters): one for each holder. Only Coffer gives these.
    #[serde(default)]
    pub shares: Vec<Secret<String>>,
    /// The same shares in hexadecimal.
    #[serde(rename = "keys")]
    pub shares_hex: Vec<Secret<String>>,
    /// The same shares in base64.
    #[serde(rename = "keys_base64", default)]
    pub shares_base64: Vec<Secret<String>>,
    /// The first root token, to be revoked when policies and roles stand.
    pub root_token: Secret<String>,
}

/// The epoch that new records are sealed under.
#[derive(Deserialize, Clone, Debug)]
#[non_exhaustive]
pub struct KeyStatus {
    /// The epoch.
    pub term: u64,
    /// RFC 3339.
    #[serde(default)]
    pub install_time: String,
    /// How often its key has been used, where the daemon counts.
    #[serde(default)]
    pub encryptions: u64,
}

/// A secrets engine or auth method, and where it hangs.
#[derive(Deserialize, Clone, Debug)]
#[non_exhaustive]
pub struct Mount {
    /// The engine's or method's name, such as `kv` or `cert`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// A name for the mount that no other ever has.
    #[serde(default)]
    pub accessor: String,
    /// The engine's options, such as `version` = `2`.
    #[serde(default)]
    pub options: Option<BTreeMap<String, String>>,
}

/// A secrets engine or auth method to be mounted.
#[derive(Serialize, Clone, Debug, Default)]
pub struct NewMount {
    /// The engine's or method's name, such as `kv`, `transit` or `cert`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The engine's options, such as `version` = `2`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

impl NewMount {
    /// A mount of this type without options.
    #[must_use]
    pub fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::default() }
    }

    /// KV with versions.
    #[must_use]
    pub fn kv_v2() -> Self {
        Self { options: [("version".to_owned(), "2".to_owned())].into(), ..Self::of("kv") }
    }
}

/// An environment as its parent lists it.
#[derive(Deserialize, Clone, Debug)]
#[non_exhaustive]
pub struct Namespace {
    /// The environment's id.
    #[serde(default)]
    pub id: String,
    /// Its path, which ends in a slash.
    #[serde(default)]
    pub path: String,
    /// `active`, `deleting`, `deleted, recoverable until …` (RFC 3339), or `destroyed`: neither the daemon nor a
    /// registered backup holds its keys. Only Coffer says so.
    #[serde(default)]
    pub state: String,
    /// The last checkpoint of its audit log, once it is deleted.
    #[serde(default)]
    pub last_checkpoint: String,
    /// The caller's own pairs.
    #[serde(default)]
    pub custom_metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
pub(crate) struct Text {
    policy: String,
}

impl Client {
    /// The daemon's and the environment's own matters.
    #[must_use]
    pub fn sys(&self) -> Sys {
        Sys { client: self.clone() }
    }
}

#[allow(clippy::missing_errors_doc, reason = "every call fails alike; see `Error`")]
impl Sys {
    /// How the daemon is; answers whatever its state, without a token.
    pub async fn health(&self) -> Result<Health> {
        let answer = self.client.get("sys/health").send_any_status().await?;
        answer.json()
    }

    /// Where unsealing has got to; answers without a token.
    pub async fn seal_status(&self) -> Result<SealStatus> {
        self.client.get("sys/seal-status").send().await?.json()
    }

    /// Makes the root key, splits its wrapping key into `shares`, any `threshold` of which open the seal, and
    /// gives them and the first root token.
    pub async fn init(&self, shares: u64, threshold: u64) -> Result<Initialized> {
        let body = Object::new().number("secret_shares", shares).number("secret_threshold", threshold);
        self.client.post("sys/init").json(body.finish()).send().await?.json()
    }

    /// Gives one share, in any of its spellings.
    pub async fn unseal(&self, share: &Secret<String>) -> Result<SealStatus> {
        let body = Object::new().string("key", share.expose().trim()).finish();
        self.client.post("sys/unseal").json(body).send().await?.json()
    }

    /// As [`Sys::unseal`], with what its holder says beside the share.
    pub async fn unseal_with(&self, share: &Secret<String>, terms: &UnsealTerms) -> Result<SealStatus> {
        let body = Object::new()
            .string("key", share.expose().trim())
            .strings("checkpoints", &terms.checkpoints)
            .boolean("accept_rollback", terms.accepts_rollback)
            .strings("rebuild_index", &terms.rebuilt)
            .finish();
        self.client.post("sys/unseal").json(body).send().await?.json()
    }

    /// Forgets the shares given so far.
    pub async fn unseal_reset(&self) -> Result<SealStatus> {
        self.client
            .post("sys/unseal")
            .json(Object::new().boolean("reset", true).finish())
            .send()
            .await?
            .json()
    }

    /// Takes the root key out of memory.
    pub async fn seal(&self) -> Result<()> {
        self.client.post("sys/seal").send().await.map(drop)
    }

    /// Adds an epoch to the keyring; records move to it in the background.
    pub async fn rotate(&self) -> Result<()> {
        self.client.post("sys/rotate").send().await.map(drop)
    }

    /// The epoch that new records are sealed under.
    pub async fn key_status(&self) -> Result<KeyStatus> {
        self.client.get("sys/key-status").send().await?.data()
    }

    /// The secrets engines by path.
    pub async fn mounts(&self) -> Result<BTreeMap<String, Mount>> {
        self.client.get("sys/mounts").send().await?.data()
    }

    /// Mounts a secrets engine.
    pub async fn mount(&self, path: &str, mount: &NewMount) -> Result<()> {
        self.post("sys/mounts", path, mount).await
    }

    /// Removes a secrets engine and all that it holds.
    pub async fn unmount(&self, path: &str) -> Result<()> {
        self.delete("sys/mounts", path).await
    }

    /// The auth methods by path.
    pub async fn auth_methods(&self) -> Result<BTreeMap<String, Mount>> {
        self.client.get("sys/auth").send().await?.data()
    }

    /// Mounts an auth method.
    pub async fn enable_auth(&self, path: &str, method: &NewMount) -> Result<()> {
        self.post("sys/auth", path, method).await
    }

    /// Removes an auth method, its roles and the tokens it gave.
    pub async fn disable_auth(&self, path: &str) -> Result<()> {
        self.delete("sys/auth", path).await
    }

    /// The policies' names.
    pub async fn policies(&self) -> Result<Vec<String>> {
        list(&self.client, "sys/policies/acl").await
    }

    /// A policy's text.
    pub async fn policy(&self, name: &str) -> Result<String> {
        let answer = self.client.get(&format!("sys/policies/acl/{name}")).send().await?;
        Ok(answer.data::<Text>()?.policy)
    }

    /// Writes a policy, in HCL or JSON.
    pub async fn put_policy(&self, name: &str, text: &str) -> Result<()> {
        let body = Object::new().string("policy", text).finish();
        self.client.post(&format!("sys/policies/acl/{name}")).json(body).send().await.map(drop)
    }

    /// Removes a policy.
    pub async fn delete_policy(&self, name: &str) -> Result<()> {
        self.delete("sys/policies/acl", name).await
    }

    /// What the caller may do with each path: `read`, `create`, …, `deny`.
    pub async fn capabilities(&self, paths: &[&str]) -> Result<BTreeMap<String, Vec<String>>> {
        let body = Object::new().strings("paths", paths).finish();
        let call = self.client.post("sys/capabilities-self").json(body).reads_only();
        let mut found: BTreeMap<String, Vec<String>> = call.send().await?.data()?;
        found.retain(|path, _| paths.contains(&path.as_str()));
        Ok(found)
    }

    /// The environments directly below this one.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        list(&self.client, "sys/namespaces").await
    }

    /// What is known of an environment below this one.
    pub async fn namespace(&self, path: &str) -> Result<Namespace> {
        self.client.get(&format!("sys/namespaces/{}", path.trim_matches('/'))).send().await?.data()
    }

    /// Makes an environment below this one.
    pub async fn create_namespace(&self, path: &str) -> Result<Namespace> {
        let path = format!("sys/namespaces/{}", path.trim_matches('/'));
        self.client.post(&path).json(Object::new().finish()).send().await?.data()
    }

    /// Deletes an environment below this one, with all that it holds. [`Sys::namespace`] then says in its state
    /// until when a backup can bring it back.
    pub async fn delete_namespace(&self, path: &str) -> Result<()> {
        self.delete("sys/namespaces", path).await
    }

    async fn post(&self, base: &str, path: &str, body: &impl Serialize) -> Result<()> {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Err(Error::Configuration("a mount needs a path".to_owned()));
        }
        self.client.post(&format!("{base}/{path}")).json(write(body)?).send().await.map(drop)
    }

    async fn delete(&self, base: &str, path: &str) -> Result<()> {
        self.client.delete_call(&format!("{base}/{}", path.trim_matches('/'))).send().await.map(drop)
    }
}
