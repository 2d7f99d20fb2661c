//! Secrets with versions (KV v2), and without (KV v1), read and written as the caller's own types.
use crate::client::{Client, write};
use crate::error::{Error, Result};
use coffer_wire::{Array, Object};
use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A KV v2 mount.
#[derive(Clone)]
pub struct Kv {
    client: Client,
    mount: String,
}

/// On which condition a value is written ("check and set").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cas {
    /// Whatever is there.
    Any,
    /// Only if nothing is there.
    New,
    /// Only if this is the current version.
    Version(u64),
}

/// One version as its mount describes it.
#[derive(Deserialize, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionInfo {
    /// The version's number, from 1 on.
    #[serde(default)]
    pub version: u64,
    /// RFC 3339.
    #[serde(default)]
    pub created_time: String,
    /// RFC 3339; empty while it is neither deleted nor due to be.
    #[serde(default)]
    pub deletion_time: String,
    /// Whether the value is gone for good.
    #[serde(default)]
    pub destroyed: bool,
}

/// A value and its version. `Debug` only where the value has it.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Which version it is.
    pub info: VersionInfo,
}

/// All that is known of a secret but its values.
#[derive(Deserialize, Clone, Debug)]
#[non_exhaustive]
pub struct Metadata {
    /// The newest version's number; 0 for none.
    #[serde(default)]
    pub current_version: u64,
    /// The oldest version's number that is kept.
    #[serde(default)]
    pub oldest_version: u64,
    /// How many versions are kept; 0 for the mount's own number.
    #[serde(default)]
    pub max_versions: u64,
    /// Whether every write must name the version it replaces.
    #[serde(default)]
    pub cas_required: bool,
    /// RFC 3339.
    #[serde(default)]
    pub created_time: String,
    /// RFC 3339.
    #[serde(default)]
    pub updated_time: String,
    /// After how long a version is deleted by itself, such as `1h0m0s`; `0s` for never.
    #[serde(default)]
    pub delete_version_after: String,
    /// The caller's own pairs.
    #[serde(default)]
    pub custom_metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    versions: BTreeMap<String, VersionInfo>,
}

impl Metadata {
    /// The versions, oldest first.
    #[must_use]
    pub fn versions(&self) -> Vec<VersionInfo> {
        let numbered = self
            .versions
            .iter()
            .filter_map(|(number, info)| Some(VersionInfo { version: number.parse().ok()?, ..info.clone() }));
        let mut versions: Vec<_> = numbered.collect();
        versions.sort_by_key(|info| info.version);
        versions
    }
}

/// What to change in a secret's metadata; what is `None` stays.
#[derive(Serialize, Clone, Debug, Default)]
pub struct MetadataChange {
    /// How many versions are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<u64>,
    /// Whether every write must name the version it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas_required: Option<bool>,
    /// After how long a version is deleted by itself, such as `90d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_version_after: Option<String>,
    /// The caller's own pairs; they replace the old ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, String>>,
}

impl Client {
    /// The KV v2 mount at this path, such as `secret`.
    #[must_use]
    pub fn kv(&self, mount: &str) -> Kv {
        Kv { client: self.clone(), mount: mount.trim_matches('/').to_owned() }
    }

    /// The KV v1 mount at this path.
    #[must_use]
    pub fn kv_v1(&self, mount: &str) -> KvV1 {
        KvV1 { client: self.clone(), mount: mount.trim_matches('/').to_owned() }
    }
}

#[allow(clippy::missing_errors_doc, reason = "every call fails alike; see `Error`")]
impl Kv {
    /// The newest version's value.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        Ok(self.read(path, None).await?.value)
    }

    /// The newest version's value, and which version that is.
    pub async fn get_newest<T: DeserializeOwned>(&self, path: &str) -> Result<Versioned<T>> {
        self.read(path, None).await
    }

    /// One version's value.
    pub async fn get_version<T: DeserializeOwned>(&self, path: &str, version: u64) -> Result<Versioned<T>> {
        self.read(path, Some(version)).await
    }

    /// Writes a new version; the value must be an object in JSON.
    pub async fn put<T: Serialize + ?Sized>(&self, path: &str, value: &T, cas: Cas) -> Result<VersionInfo> {
        let body = write_body(value, cas)?;
        self.client.post(&self.at("data", path)).json(body).send().await?.data()
    }

    /// Writes a new version that changes only what `change` names (RFC 7396: `null` removes).
    pub async fn patch<T: Serialize + ?Sized>(
        &self,
        path: &str,
        change: &T,
        cas: Cas,
    ) -> Result<VersionInfo> {
        let body = write_body(change, cas)?;
        self.client.call(Method::PATCH, &self.at("data", path)).json(body).send().await?.data()
    }

    /// The versions there are, oldest first.
    pub async fn versions(&self, path: &str) -> Result<Vec<VersionInfo>> {
        Ok(self.metadata(path).await?.versions())
    }

    /// Deletes the newest version, so that it can be undeleted.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.client.delete_call(&self.at("data", path)).send().await.map(drop)
    }

    /// Deletes these versions, so that they can be undeleted.
    pub async fn delete_versions(&self, path: &str, versions: &[u64]) -> Result<()> {
        self.on_versions("delete", path, versions).await
    }

    /// Takes back the deletion of these versions.
    pub async fn undelete(&self, path: &str, versions: &[u64]) -> Result<()> {
        self.on_versions("undelete", path, versions).await
    }

    /// Removes these versions' values for good.
    pub async fn destroy(&self, path: &str, versions: &[u64]) -> Result<()> {
        self.on_versions("destroy", path, versions).await
    }

    /// What is known of the secret beside its values.
    pub async fn metadata(&self, path: &str) -> Result<Metadata> {
        self.client.get(&self.at("metadata", path)).send().await?.data()
    }

    /// Changes what is known of the secret beside its values.
    pub async fn put_metadata(&self, path: &str, change: &MetadataChange) -> Result<()> {
        self.client.post(&self.at("metadata", path)).json(write(change)?).send().await.map(drop)
    }

    /// Removes the secret with all its versions for good.
    pub async fn delete_all(&self, path: &str) -> Result<()> {
        self.client.delete_call(&self.at("metadata", path)).send().await.map(drop)
    }

    /// The names directly below `path`; those that end in a slash have names below them. Empty where there are none.
    pub async fn list(&self, path: &str) -> Result<Vec<String>> {
        list(&self.client, &self.at("metadata", path)).await
    }

    async fn read<T: DeserializeOwned>(&self, path: &str, version: Option<u64>) -> Result<Versioned<T>> {
        let mut call = self.client.get(&self.at("data", path));
        if let Some(version) = version {
            call = call.query("version", &version.to_string());
        }
        let read: Read<T> = call.send().await?.data()?;
        Ok(Versioned { value: read.data, info: read.metadata })
    }

    async fn on_versions(&self, what: &str, path: &str, versions: &[u64]) -> Result<()> {
        let numbers = versions.iter().fold(Array::new(), |array, version| array.number(*version));
        let body = Object::new().array("versions", numbers).finish();
        self.client.post(&self.at(what, path)).json(body).send().await.map(drop)
    }

    fn at(&self, what: &str, path: &str) -> String {
        format!("{}/{what}/{}", self.mount, path.trim_matches('/'))
    }
}

/// A KV v1 mount: one value at a path, without versions.
#[derive(Clone)]
pub struct KvV1 {
    client: Client,
    mount: String,
}

#[allow(clippy::missing_errors_doc, reason = "every call fails alike; see `Error`")]
impl KvV1 {
    /// The value.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.client.get(&self.at(path)).send().await?.data()
    }

    /// Replaces the value, which must be an object in JSON.
    pub async fn put<T: Serialize + ?Sized>(&self, path: &str, value: &T) -> Result<()> {
        self.client.post(&self.at(path)).json(write(value)?).send().await.map(drop)
    }

    /// Removes the value for good.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.client.delete_call(&self.at(path)).send().await.map(drop)
    }

    /// The names directly below `path`. Empty where there are none.
    pub async fn list(&self, path: &str) -> Result<Vec<String>> {
        list(&self.client, &self.at(path)).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{}", self.mount, path.trim_matches('/'))
    }
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(crate) struct Read<T> {
    pub(crate) data: T,
    metadata: VersionInfo,
}

#[derive(Deserialize)]
pub(crate) struct Keys {
    keys: Vec<String>,
}

/// The API answers 404 without a sentence where a list is empty.
pub(crate) async fn list(client: &Client, path: &str) -> Result<Vec<String>> {
    match client.list_call(path.trim_end_matches('/')).send().await {
        Ok(answer) => Ok(answer.data::<Keys>()?.keys),
        Err(Error::Refused(refusal)) if refusal.status == 404 && refusal.sentences.is_empty() => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn write_body<T: Serialize + ?Sized>(value: &T, cas: Cas) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let body = Object::new().raw("data", &write(value)?);
    Ok(match cas {
        Cas::Any => body,
        Cas::New => body.object("options", Object::new().number("cas", 0)),
        Cas::Version(version) => body.object("options", Object::new().number("cas", version)),
    }
    .finish())
}
