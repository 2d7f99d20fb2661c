//! What an environment stores about itself, as JSON under the barrier. A member once released keeps its meaning;
//! new ones have a default.
use crate::mounts::{Class, Mount, MountKind};
use coffer_types::MountId;
use serde::{Deserialize, Serialize};

/// The mount table: one record, so that two mounts never race for a path.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct MountsRecord {
    /// All mounts.
    pub(crate) mounts: Vec<MountRecord>,
    /// Ids of disabled mounts whose records are still being erased. Nothing reaches them.
    #[serde(default)]
    pub(crate) erasing: Vec<String>,
}

impl MountsRecord {
    /// Whether a secrets engine's path begins with this name of an environment, which is the same in any case.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let first = |mount: &MountRecord| mount.path.split('/').next().map(str::to_lowercase);
        self.mounts.iter().any(|mount| mount.class == "secret" && first(mount).as_deref() == Some(name))
    }
}

/// One mount.
#[derive(Serialize, Deserialize, Clone)]
pub struct MountRecord {
    /// 16 bytes in hexadecimal.
    pub id: String,
    /// Without `auth/`, without slashes at the ends.
    pub path: String,
    /// `secret` or `auth`.
    pub class: String,
    /// The API's `type`.
    pub kind: String,
    /// `options.version`, for KV.
    #[serde(default)]
    pub version: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// The API's `accessor`.
    pub accessor: String,
    /// Kept and shown for clients; this node is the only one.
    #[serde(default)]
    pub local: bool,
    /// Kept and shown for clients; everything is sealed anyway.
    #[serde(default)]
    pub seal_wrap: bool,
    /// Seconds; 0 for the system's default.
    #[serde(default)]
    pub default_lease_ttl: u64,
    /// Seconds; 0 for the system's maximum.
    #[serde(default)]
    pub max_lease_ttl: u64,
    /// `hidden` or `unauth`.
    #[serde(default)]
    pub listing_visibility: String,
}

impl MountRecord {
    /// `secret`, `auth/cert`: where it hangs in the environment.
    #[must_use]
    pub fn full_path(&self) -> String {
        if self.class == "auth" { format!("auth/{}", self.path) } else { self.path.clone() }
    }

    /// The mount; None where its kind is not known.
    #[must_use]
    pub fn mount(&self) -> Option<Mount> {
        let class = if self.class == "auth" { Class::Auth } else { Class::Secret };
        let kind = match (class, self.kind.as_str()) {
            (Class::Auth, "token") => MountKind::Token,
            (class, kind) => MountKind::named(class, kind, self.version.as_deref())?,
        };
        Some(Mount { id: mount_id(&self.id)?, class, kind, record: self.clone() })
    }

    #[cfg(test)]
    pub(crate) fn example(path: &str) -> Self {
        Self {
            id: "00112233445566778899aabbccddeeff".into(),
            path: path.into(),
            class: "secret".into(),
            kind: "kv".into(),
            version: Some("1".into()),
            description: String::new(),
            accessor: "kv_1".into(),
            local: false,
            seal_wrap: false,
            default_lease_ttl: 0,
            max_lease_ttl: 0,
            listing_visibility: String::new(),
        }
    }
}

/// A child environment as its parent knows it.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ChildRecord {
    /// 16 bytes in hexadecimal.
    pub(crate) id: String,
    /// What it is now.
    pub(crate) state: ChildState,
    /// Whether it came with a backup and was not opened since: then its log begins anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_restored: bool,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// The root environment's generation before it was made; 0 where that is not known. A backup of that generation or an
    /// earlier one does not hold it: times would not do, since a clock may have been set back.
    #[serde(default)]
    pub(crate) root_generation: u64,
    /// For people, as the API has it.
    #[serde(default)]
    pub(crate) custom_metadata: std::collections::BTreeMap<String, String>,
}

/// The life of a child environment.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(crate) enum ChildState {
    /// It is there.
    Active,
    /// Its wrap is gone from here; its records are being erased.
    Deleting {
        /// Milliseconds since 1970.
        at: u64,
        /// Until when a registered backup may still hold its wrap; milliseconds since 1970.
        recoverable_until: u64,
        /// The last checkpoint of its audit tree.
        last_checkpoint: String,
    },
    /// Erased here; a backup may hold it until the date.
    Deleted {
        /// Milliseconds since 1970.
        at: u64,
        /// Until when a registered backup may still hold its wrap; milliseconds since 1970.
        recoverable_until: u64,
        /// The last checkpoint of its audit tree.
        last_checkpoint: String,
    },
}

/// A backup that was made: what it can bring back, it keeps from being destroyed.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct BackupRecord {
    /// Milliseconds since 1970.
    pub(crate) made: u64,
    /// When it is to be gone; milliseconds since 1970.
    pub(crate) expires: u64,
    /// The root environment's generation before the commit whose state it holds.
    #[serde(default)]
    pub(crate) generation: Option<u64>,
}

/// 16 bytes from hexadecimal.
pub(crate) fn mount_id(text: &str) -> Option<MountId> {
    id16(text).map(MountId)
}

/// 16 bytes from hexadecimal.
pub(crate) fn id16(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut id = [0; 16];
    for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(id)
}
