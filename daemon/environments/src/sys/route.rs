//! The routes below `sys/`, as a list that the router, the audit log and the authorisation matrix share.

/// Makes the routes, and every list of them, from one table: none can be in one place and not in the other.
macro_rules! routes {
    ($($route:ident => $pattern:literal,)+) => {
        /// One route below `sys/`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "each is its pattern, see `Route::pattern`")]
        pub enum Route {
            $($route,)+
        }

        const ALL: &[Route] = &[$(Route::$route,)+];

        impl Route {
            /// The route as people write it; its name in the audit log.
            #[must_use]
            pub const fn pattern(self) -> &'static str {
                match self {
                    $(Self::$route => $pattern,)+
                }
            }
        }
    };
}

routes! {
    Mounts => "sys/mounts",
    Mount => "sys/mounts/:path",
    MountTune => "sys/mounts/:path/tune",
    Auths => "sys/auth",
    Auth => "sys/auth/:path",
    AuthTune => "sys/auth/:path/tune",
    Policies => "sys/policies/acl",
    Policy => "sys/policies/acl/:name",
    LegacyPolicies => "sys/policy",
    LegacyPolicy => "sys/policy/:name",
    Capabilities => "sys/capabilities",
    CapabilitiesAccessor => "sys/capabilities-accessor",
    CapabilitiesSelf => "sys/capabilities-self",
    Namespaces => "sys/namespaces",
    Namespace => "sys/namespaces/:path",
    NamespaceSeal => "sys/namespaces/:path/seal",
    NamespaceSealStatus => "sys/namespaces/:path/seal-status",
    NamespaceUnseal => "sys/namespaces/:path/unseal",
    NamespaceDeleteSealed => "sys/namespaces/:path/delete-sealed",
    Seal => "sys/seal",
    KeyStatus => "sys/key-status",
    Rotate => "sys/rotate",
    RotateKeyring => "sys/rotate/keyring",
    RotateRoot => "sys/rotate/root",
    Rekey => "sys/rekey/init",
    RekeyUpdate => "sys/rekey/update",
    RekeyVerify => "sys/rekey/verify",
    RekeyCancel => "sys/rekey/cancel",
    RotateRootInit => "sys/rotate/root/init",
    RotateRootUpdate => "sys/rotate/root/update",
    RotateRootVerify => "sys/rotate/root/verify",
    RotateRootCancel => "sys/rotate/root/cancel",
    RootToken => "sys/generate-root/attempt",
    RootTokenUpdate => "sys/generate-root/update",
    RootTokenCancel => "sys/generate-root/cancel",
    RootTokenAttempt => "sys/generate-root-token/attempt",
    RootTokenAttemptUpdate => "sys/generate-root-token/update",
    RootTokenAttemptCancel => "sys/generate-root-token/cancel",
    Seals => "sys/seals",
    SealChange => "sys/seals/change",
    SealUpdate => "sys/seals/update",
    SealVerify => "sys/seals/verify",
    SealCounter => "sys/seals/counter",
    SealApprove => "sys/seals/approve",
    UiMounts => "sys/internal/ui/mounts",
    UiMount => "sys/internal/ui/mounts/:path",
    AuditReceipt => "sys/audit/receipt/:index",
    AuditCheckpoint => "sys/audit/checkpoint",
    AuditConsistency => "sys/audit/consistency",
    AuditDisclose => "sys/audit/disclose/:index",
    Fsck => "sys/storage/fsck",
    Snapshot => "sys/storage/raft/snapshot",
}

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
            ["namespaces", path @ .., "seal"] if !path.is_empty() => (Self::NamespaceSeal, path.join("/")),
            ["namespaces", path @ .., "seal-status"] if !path.is_empty() => {
                (Self::NamespaceSealStatus, path.join("/"))
            }
            ["namespaces", path @ .., "unseal"] if !path.is_empty() => {
                (Self::NamespaceUnseal, path.join("/"))
            }
            ["namespaces", path @ .., "delete-sealed"] if !path.is_empty() => {
                (Self::NamespaceDeleteSealed, path.join("/"))
            }
            ["namespaces", path @ ..] => (Self::Namespace, path.join("/")),
            ["seal"] => (Self::Seal, String::new()),
            ["key-status"] => (Self::KeyStatus, String::new()),
            ["rotate"] => (Self::Rotate, String::new()),
            ["rotate", "keyring"] => (Self::RotateKeyring, String::new()),
            ["rotate", "root"] => (Self::RotateRoot, String::new()),
            ["rekey", "init"] => (Self::Rekey, String::new()),
            ["rekey", "update"] => (Self::RekeyUpdate, String::new()),
            ["rekey", "verify"] => (Self::RekeyVerify, String::new()),
            ["rekey", "cancel"] => (Self::RekeyCancel, String::new()),
            ["rotate", "root", "init"] => (Self::RotateRootInit, String::new()),
            ["rotate", "root", "update"] => (Self::RotateRootUpdate, String::new()),
            ["rotate", "root", "verify"] => (Self::RotateRootVerify, String::new()),
            ["rotate", "root", "cancel"] => (Self::RotateRootCancel, String::new()),
            ["generate-root", "attempt"] => (Self::RootToken, String::new()),
            ["generate-root", "update"] => (Self::RootTokenUpdate, String::new()),
            ["generate-root", "cancel"] => (Self::RootTokenCancel, String::new()),
            ["generate-root-token", "attempt"] => (Self::RootTokenAttempt, String::new()),
            ["generate-root-token", "update"] => (Self::RootTokenAttemptUpdate, String::new()),
            ["generate-root-token", "cancel"] => (Self::RootTokenAttemptCancel, String::new()),
            ["seals"] => (Self::Seals, String::new()),
            ["seals", "change"] => (Self::SealChange, String::new()),
            ["seals", "update"] => (Self::SealUpdate, String::new()),
            ["seals", "verify"] => (Self::SealVerify, String::new()),
            ["seals", "counter"] => (Self::SealCounter, String::new()),
            ["seals", "approve"] => (Self::SealApprove, String::new()),
            ["internal", "ui", "mounts"] => (Self::UiMounts, String::new()),
            ["internal", "ui", "mounts", path @ ..] => (Self::UiMount, path.join("/")),
            ["audit", "receipt", index] => (Self::AuditReceipt, (*index).to_owned()),
            ["audit", "checkpoint"] => (Self::AuditCheckpoint, String::new()),
            ["audit", "consistency"] => (Self::AuditConsistency, String::new()),
            ["audit", "disclose", index] => (Self::AuditDisclose, (*index).to_owned()),
            ["storage", "fsck"] => (Self::Fsck, String::new()),
            ["storage", "raft", "snapshot"] => (Self::Snapshot, String::new()),
            _ => return None,
        };
        Some(found)
    }

    /// Whether the names below this route are the same in any case: then they are folded before anything compares them.
    #[must_use]
    pub const fn folds(self) -> bool {
        matches!(self, Self::Policy | Self::LegacyPolicy | Self::Namespace) || self.has_word_last()
    }

    /// Whether a word of the route stands behind what folds.
    #[must_use]
    pub const fn has_word_last(self) -> bool {
        matches!(
            self,
            Self::NamespaceSeal
                | Self::NamespaceSealStatus
                | Self::NamespaceUnseal
                | Self::NamespaceDeleteSealed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_by_its_own_pattern() {
        for &route in ALL {
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
