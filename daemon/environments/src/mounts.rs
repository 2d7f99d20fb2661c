//! What hangs where in an environment's path tree.
use crate::records::MountRecord;
use coffer_types::{CanonicalPath, MountId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Secrets engines and auth methods hang in two trees: `secret/`, and `auth/cert/`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// A secrets engine.
    Secret,
    /// An auth method, below `auth/`.
    Auth,
}

/// What a mount does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MountKind {
    /// KV without versions.
    KvV1,
    /// KV with versions.
    KvV2,
    /// Encryption as a service.
    Transit,
    /// The environment's tokens: always there, once.
    Token,
    /// Client certificates.
    Cert,
    /// Users with a password.
    Userpass,
}

impl MountKind {
    /// The kind by the API's `type`, and `options.version` for KV.
    #[must_use]
    pub fn named(class: Class, name: &str, version: Option<&str>) -> Option<Self> {
        match (class, name, version) {
            (Class::Secret, "kv", None | Some("1")) => Some(Self::KvV1),
            (Class::Secret, "kv", Some("2")) | (Class::Secret, "kv-v2", None | Some("2")) => Some(Self::KvV2),
            (Class::Secret, "kv-v1", None | Some("1")) => Some(Self::KvV1),
            (Class::Secret, "transit", None) => Some(Self::Transit),
            (Class::Auth, "cert", None) => Some(Self::Cert),
            (Class::Auth, "userpass", None) => Some(Self::Userpass),
            _ => None,
        }
    }

    /// The API's `type`.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::KvV1 | Self::KvV2 => "kv",
            Self::Transit => "transit",
            Self::Token => "token",
            Self::Cert => "cert",
            Self::Userpass => "userpass",
        }
    }

    /// `options.version`, for KV.
    #[must_use]
    pub const fn version(self) -> Option<&'static str> {
        match self {
            Self::KvV1 => Some("1"),
            Self::KvV2 => Some("2"),
            _ => None,
        }
    }
}

/// One mount of an open environment.
pub struct Mount {
    /// Its id: where its records lie.
    pub id: MountId,
    /// Secret or auth.
    pub class: Class,
    /// What it does.
    pub kind: MountKind,
    /// As stored.
    pub record: MountRecord,
}

/// The mounts of an open environment, by full path without slashes at the ends (`secret`, `auth/cert`).
#[derive(Default, Clone)]
pub struct MountTable {
    by_path: BTreeMap<String, Arc<Mount>>,
}

impl MountTable {
    /// The table of stored records; None where one has a kind that this build does not know.
    pub(crate) fn of(records: &[MountRecord]) -> Option<Self> {
        let mounts = records.iter().map(|record| Some((record.full_path(), Arc::new(record.mount()?))));
        Some(Self { by_path: mounts.collect::<Option<_>>()? })
    }

    /// The mount that `path` lies at or below, and the path below it.
    #[must_use]
    pub fn find(&self, path: &CanonicalPath) -> Option<(&Arc<Mount>, CanonicalPath)> {
        let text = path.as_str();
        let ends = text.match_indices('/').map(|(at, _)| at).chain([text.len()]);
        // No mount lies below another, so the first that fits is the only one.
        ends.filter_map(|end| text.get(..end))
            .find_map(|prefix| self.by_path.get(prefix).and_then(|mount| Some((mount, path.below(prefix)?))))
    }

    /// The mount at exactly this full path.
    #[must_use]
    pub fn at(&self, full_path: &str) -> Option<&Arc<Mount>> {
        self.by_path.get(full_path)
    }

    /// Whether a mount at `full_path` would lie at, above or below another.
    #[must_use]
    pub fn collides(&self, full_path: &str) -> bool {
        self.by_path.keys().any(|other| {
            let (short, long) = if other.len() < full_path.len() {
                (other.as_str(), full_path)
            } else {
                (full_path, other.as_str())
            };
            long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether the auth mount that a token comes from is there; tokens of the token mount itself name no other.
    #[must_use]
    pub fn has_auth(&self, id: MountId) -> bool {
        id == MountId::default() || self.of_class(Class::Auth).any(|mount| mount.id == id)
    }

    /// Whether the mount of this id is there.
    #[must_use]
    pub fn has(&self, id: MountId) -> bool {
        self.by_path.values().any(|mount| mount.id == id)
    }

    /// All mounts of a class, by path.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &Arc<Mount>> {
        self.by_path.values().filter(move |mount| mount.class == class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(paths: &[&str]) -> MountTable {
        let records: Vec<_> = paths.iter().map(|path| MountRecord::example(path)).collect();
        MountTable::of(&records).unwrap()
    }

    #[test]
    fn a_path_finds_its_mount_by_whole_segments() {
        let table = table(&["secret", "a/b/c"]);
        let find = |path: &str| {
            table
                .find(&CanonicalPath::parse(path).unwrap())
                .map(|(mount, rest)| (mount.record.path.clone(), rest.to_string()))
        };
        assert_eq!(find("secret/data/x"), Some(("secret".into(), "data/x".into())));
        assert_eq!(find("a/b/c"), Some(("a/b/c".into(), String::new())));
        assert_eq!(find("secretly/x"), None);
        assert_eq!(find("a/b"), None);
    }

    #[test]
    fn no_mount_may_lie_above_or_below_another() {
        let table = table(&["a/b"]);
        assert!(table.collides("a") && table.collides("a/b") && table.collides("a/b/c"));
        assert!(!table.collides("a/bc") && !table.collides("b"));
    }
}
