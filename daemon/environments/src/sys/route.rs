//! The routes below `sys/`, as a list that the router, the audit log and the authorisation matrix share.

/// One route below `sys/`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is its pattern, see `Route::pattern`")]
pub enum Route {
    Mounts,
    Mount,
    MountTune,
    Auths,
    Auth,
    AuthTune,
    Policies,
    Policy,
    LegacyPolicies,
    LegacyPolicy,
    Capabilities,
    CapabilitiesAccessor,
    CapabilitiesSelf,
    Namespaces,
    Namespace,
    Seal,
    KeyStatus,
    Rotate,
    RotateKeyring,
    UiMounts,
    UiMount,
    AuditReceipt,
    AuditCheckpoint,
    AuditConsistency,
    AuditDisclose,
    Snapshot,
}

/// All routes.
const ALL: [Route; 26] = [
    Route::Mounts,
    Route::Mount,
    Route::MountTune,
    Route::Auths,
    Route::Auth,
    Route::AuthTune,
    Route::Policies,
    Route::Policy,
    Route::LegacyPolicies,
    Route::LegacyPolicy,
    Route::Capabilities,
    Route::CapabilitiesAccessor,
    Route::CapabilitiesSelf,
    Route::Namespaces,
    Route::Namespace,
    Route::Seal,
    Route::KeyStatus,
    Route::Rotate,
    Route::RotateKeyring,
    Route::UiMounts,
    Route::UiMount,
    Route::AuditReceipt,
    Route::AuditCheckpoint,
    Route::AuditConsistency,
    Route::AuditDisclose,
    Route::Snapshot,
];

/// All routes below `sys/` by pattern: what the authorisation matrix is made from.
pub fn routes() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|route| route.pattern())
}

impl Route {
    /// The route of a path (in segments, without `sys`), and what its `:path` or `:name` stands for.
    #[must_use]
    pub fn find(segments: &[&str]) -> Option<(Self, String)> {
        let found = match segments {
            ["mounts"] => (Self::Mounts, String::new()),
            ["mounts", path @ .., "tune"] if !path.is_empty() => (Self::MountTune, path.join("/")),
            ["mounts", path @ ..] => (Self::Mount, path.join("/")),
            ["auth"] => (Self::Auths, String::new()),
            ["auth", path @ .., "tune"] if !path.is_empty() => (Self::AuthTune, path.join("/")),
            ["auth", path @ ..] => (Self::Auth, path.join("/")),
            ["policies", "acl"] => (Self::Policies, String::new()),
            ["policies", "acl", name @ ..] => (Self::Policy, name.join("/")),
            ["policy"] => (Self::LegacyPolicies, String::new()),
            ["policy", name @ ..] => (Self::LegacyPolicy, name.join("/")),
            ["capabilities"] => (Self::Capabilities, String::new()),
            ["capabilities-accessor"] => (Self::CapabilitiesAccessor, String::new()),
            ["capabilities-self"] => (Self::CapabilitiesSelf, String::new()),
            ["namespaces"] => (Self::Namespaces, String::new()),
            ["namespaces", path @ ..] => (Self::Namespace, path.join("/")),
            ["seal"] => (Self::Seal, String::new()),
            ["key-status"] => (Self::KeyStatus, String::new()),
            ["rotate"] => (Self::Rotate, String::new()),
            ["rotate", "keyring"] => (Self::RotateKeyring, String::new()),
            ["internal", "ui", "mounts"] => (Self::UiMounts, String::new()),
            ["internal", "ui", "mounts", path @ ..] => (Self::UiMount, path.join("/")),
            ["audit", "receipt", index] => (Self::AuditReceipt, (*index).to_owned()),
            ["audit", "checkpoint"] => (Self::AuditCheckpoint, String::new()),
            ["audit", "consistency"] => (Self::AuditConsistency, String::new()),
            ["audit", "disclose", index] => (Self::AuditDisclose, (*index).to_owned()),
            ["storage", "raft", "snapshot"] => (Self::Snapshot, String::new()),
            _ => return None,
        };
        Some(found)
    }

    /// The route as people write it; its name in the audit log.
    #[must_use]
    pub const fn pattern(self) -> &'static str {
        match self {
            Self::Mounts => "sys/mounts",
            Self::Mount => "sys/mounts/:path",
            Self::MountTune => "sys/mounts/:path/tune",
            Self::Auths => "sys/auth",
            Self::Auth => "sys/auth/:path",
            Self::AuthTune => "sys/auth/:path/tune",
            Self::Policies => "sys/policies/acl",
            Self::Policy => "sys/policies/acl/:name",
            Self::LegacyPolicies => "sys/policy",
            Self::LegacyPolicy => "sys/policy/:name",
            Self::Capabilities => "sys/capabilities",
            Self::CapabilitiesAccessor => "sys/capabilities-accessor",
            Self::CapabilitiesSelf => "sys/capabilities-self",
            Self::Namespaces => "sys/namespaces",
            Self::Namespace => "sys/namespaces/:path",
            Self::Seal => "sys/seal",
            Self::KeyStatus => "sys/key-status",
            Self::Rotate => "sys/rotate",
            Self::RotateKeyring => "sys/rotate/keyring",
            Self::UiMounts => "sys/internal/ui/mounts",
            Self::UiMount => "sys/internal/ui/mounts/:path",
            Self::AuditReceipt => "sys/audit/receipt/:index",
            Self::AuditCheckpoint => "sys/audit/checkpoint",
            Self::AuditConsistency => "sys/audit/consistency",
            Self::AuditDisclose => "sys/audit/disclose/:index",
            Self::Snapshot => "sys/storage/raft/snapshot",
        }
    }

    /// Whether the names below this route are the same in any case: then they are folded before anything compares them.
    #[must_use]
    pub const fn folds(self) -> bool {
        matches!(self, Self::Policy | Self::LegacyPolicy | Self::Namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_by_its_own_pattern() {
        for route in ALL {
            let path =
                route.pattern().replace(":path", "some/path").replace(":name", "name").replace(":index", "7");
            let segments: Vec<_> = path.split('/').skip(1).collect();
            assert_eq!(Route::find(&segments).map(|(found, _)| found), Some(route), "{path}");
        }
    }

    #[test]
    fn what_is_not_listed_does_not_exist() {
        for path in
            ["raw/x", "policies", "internal/ui", "audit", "mountsx", "rotate/keyring/x", "tools/random"]
        {
            assert_eq!(Route::find(&path.split('/').collect::<Vec<_>>()), None, "{path}");
        }
    }

    #[test]
    fn a_mount_called_tune_is_not_its_own_tuning() {
        assert_eq!(Route::find(&["mounts", "tune"]), Some((Route::Mount, "tune".into())));
    }
}
