//! The declared lists: what is public, what any caller may ask, what needs `sudo`.
use coffer_types::Operation;

/// What may be asked for without being anybody: entries of one short list, each with its path and operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PublicRoute {
    /// `sys/init`: whether initialised; initialise.
    Init,
    /// `sys/unseal`: give a share.
    Unseal,
    /// `sys/seal-status`.
    SealStatus,
    /// `sys/health`.
    Health,
    /// `sys/leader`.
    Leader,
    /// `auth/<mount>/login` and `auth/<mount>/login/<name>`: the method behind it asks for a proof of its own.
    Login,
}

impl PublicRoute {
    /// The whole list.
    pub const ALL: [Self; 6] =
        [Self::Init, Self::Unseal, Self::SealStatus, Self::Health, Self::Leader, Self::Login];

    /// Whether the entry is about this path and operation.
    #[must_use]
    pub fn covers(self, path: &str, operation: Operation) -> bool {
        use Operation::{Read, Write};
        match self {
            Self::Init => path == "sys/init" && matches!(operation, Read | Write),
            Self::Unseal => path == "sys/unseal" && operation == Write,
            Self::SealStatus => path == "sys/seal-status" && operation == Read,
            Self::Health => path == "sys/health" && operation == Read,
            Self::Leader => path == "sys/leader" && operation == Read,
            Self::Login => {
                let is_mount = |mount: &str| !mount.is_empty() && mount != "token";
                let is_login = |path: &str| path.strip_suffix("/login").is_some_and(is_mount);
                let by_name = |path: &str| {
                    path.rsplit_once('/').is_some_and(|(above, name)| !name.is_empty() && is_login(above))
                };
                let below = path.strip_prefix("auth/");
                below.is_some_and(|path| is_login(path) || by_name(path)) && operation == Write
            }
        }
    }
}

/// What every caller may read without a stanza, unless one denies it; the handler shows only what the caller's policies
/// reach. Clients ask this before anything else. A `*` at the end is any continuation.
pub const ANY_CALLER: [&str; 2] = ["sys/internal/ui/mounts", "sys/internal/ui/mounts/*"];

/// What needs the capability `sudo` besides the operation's own. A `*` at the end is any continuation.
pub const SUDO: [&str; 28] = [
    "auth/token/accessors",
    "auth/token/accessors/*",
    "auth/token/revoke-orphan",
    "auth/token/revoke-orphan/*",
    "sys/audit",
    "sys/audit/disclose/*",
    "sys/auth/*",
    "sys/config/auditing/*",
    "sys/config/cors",
    "sys/config/ui/headers",
    "sys/config/ui/headers/*",
    "sys/internal/inspect/*",
    "sys/leases",
    "sys/leases/lookup/*",
    "sys/leases/revoke-force/*",
    "sys/leases/revoke-prefix/*",
    "sys/plugins/catalog/*",
    "sys/raw",
    "sys/raw/*",
    "sys/remount",
    "sys/revoke-force/*",
    "sys/revoke-prefix/*",
    "sys/rotate",
    "sys/rotate/keyring",
    "sys/rotate/root",
    "sys/seal",
    "sys/step-down",
    "sys/storage/raft/snapshot-force",
];

/// Whether `path` is on the list of what needs `sudo`.
#[must_use]
pub fn needs_sudo(path: &str) -> bool {
    is_listed(&SUDO, path)
}

pub(crate) fn is_for_any_caller(path: &str, operation: Operation) -> bool {
    operation == Operation::Read && is_listed(&ANY_CALLER, path)
}

fn is_listed(list: &[&str], path: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == *entry,
    })
}
