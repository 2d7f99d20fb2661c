//! Which mount a path is in, and how that mount keeps secrets.
use crate::shapes::text;
use crate::words::Failure;
use serde_json::Value;

/// A secret's place.
pub(super) struct Place {
    /// The mount's path, which ends in a slash.
    pub(super) mount: String,
    /// The secret's path below it.
    rest: String,
    pub(super) has_versions: bool,
}

impl Place {
    /// The place that `full` is, by what the daemon answered about the mount it is in.
    pub(super) fn of(full: &str, known: &Value) -> Result<Self, Failure> {
        let (mount, kind) = (text(known, "path"), text(known, "type"));
        if !matches!(kind.as_str(), "kv" | "generic") {
            return Err(Failure::NotKv { mount, kind });
        }
        let rest = format!("{full}/").strip_prefix(&mount).unwrap_or_default().trim_matches('/').to_owned();
        let version = known.get("options").map(|options| text(options, "version")).unwrap_or_default();
        Ok(Self { mount, rest, has_versions: version == "2" })
    }

    /// This place, which must be more than the mount.
    pub(super) fn secret(self) -> Result<Self, Failure> {
        if self.rest.is_empty() { Err(Failure::NoSecretPath(self.mount)) } else { Ok(self) }
    }

    /// The API's path: `secret/data/app/db`, or `secret/app/db` where there are no versions.
    pub(super) fn api(&self, what: &str) -> String {
        let path = if self.has_versions {
            format!("{}{what}/{}", self.mount, self.rest)
        } else {
            format!("{}{}", self.mount, self.rest)
        };
        path.trim_end_matches('/').to_owned()
    }

    /// As people say it: `secret/app/db`.
    pub(super) fn shown(&self) -> String {
        format!("{}{}", self.mount, self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn place(full: &str, known: &Value) -> Place {
        Place::of(full, known).ok().unwrap()
    }

    #[test]
    fn the_part_that_speaks_of_versions_comes_behind_the_mount_however_deep_that_is() {
        let known = json!({ "path": "team/a/kv/", "type": "kv", "options": { "version": "2" } });
        assert_eq!(place("team/a/kv/app/db", &known).api("data"), "team/a/kv/data/app/db");
        assert_eq!(place("team/a/kv", &known).api("metadata"), "team/a/kv/metadata");
        assert_eq!(place("team/a/kv/app", &known).shown(), "team/a/kv/app");
        assert!(matches!(place("team/a/kv", &known).secret(), Err(Failure::NoSecretPath(_))));
    }

    #[test]
    fn a_mount_without_versions_has_no_such_part() {
        for options in [json!(null), json!({}), json!({ "version": "1" })] {
            let known = json!({ "path": "old/", "type": "kv", "options": options });
            assert_eq!(place("old/app", &known).api("data"), "old/app");
        }
    }

    #[test]
    fn a_mount_that_holds_no_secrets_is_named_with_what_it_holds() {
        let known = json!({ "path": "transit/", "type": "transit", "options": null });
        assert!(
            matches!(Place::of("transit/x", &known), Err(Failure::NotKv { mount, kind }) if mount == "transit/" && kind == "transit")
        );
    }
}
