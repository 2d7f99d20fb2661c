//! The declared lists: what is public, what any caller may ask, what needs `sudo`.
use coffer_types::Operation;

/// Makes the public routes and the list of all of them from one table: none can be left out of the list.
macro_rules! public_routes {
    ($($(#[$doc:meta])+ $route:ident,)+) => {
        /// What may be asked for without being anybody: entries of one short list, each with its path and operations.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum PublicRoute {
            $($(#[$doc])+ $route,)+
        }

        impl PublicRoute {
            /// The whole list.
            pub const ALL: &[Self] = &[$(Self::$route,)+];
        }
    };
}

public_routes! {
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
    /// `sys/metrics`: counters, without a name or a path in them.
    Metrics,
    /// `sys/storage/raft/snapshot-restore`: upload a snapshot into a daemon that is not initialised.
    Restore,
    /// `auth/<mount>/login` and `auth/<mount>/login/<name>`: the method behind it asks for a proof of its own.
    Login,
}

impl PublicRoute {
    /// Where the node itself answers, before anything is opened; `None` for what is asked of an environment.
    #[must_use]
    pub const fn node_path(self) -> Option<&'static str> {
        match self {
            Self::Init => Some("sys/init"),
            Self::Unseal => Some("sys/unseal"),
            Self::SealStatus => Some("sys/seal-status"),
            Self::Health => Some("sys/health"),
            Self::Leader => Some("sys/leader"),
            Self::Metrics => Some("sys/metrics"),
            Self::Restore => Some("sys/storage/raft/snapshot-restore"),
            Self::Login => None,
        }
    }

    /// The entry that the node answers at `path`.
    #[must_use]
    pub fn of_node(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|route| route.node_path() == Some(path))
    }

    /// What may be asked of it.
    #[must_use]
    pub const fn operations(self) -> &'static [Operation] {
        match self {
            Self::Init => &[Operation::Read, Operation::Write],
            Self::SealStatus | Self::Health | Self::Leader | Self::Metrics => &[Operation::Read],
            Self::Unseal | Self::Restore | Self::Login => &[Operation::Write],
        }
    }

    /// Whether the entry is about this path and operation.
    #[must_use]
    pub fn covers(self, path: &str, operation: Operation) -> bool {
        let is_there = match self.node_path() {
            Some(own) => path == own,
            None => is_login(path),
        };
        is_there && self.operations().contains(&operation)
    }
}

fn is_login(path: &str) -> bool {
    let is_mount = |mount: &str| !mount.is_empty() && mount != "token";
    let is_plain = |path: &str| path.strip_suffix("/login").is_some_and(is_mount);
    let by_name =
        |path: &str| path.rsplit_once('/').is_some_and(|(above, name)| !name.is_empty() && is_plain(above));
    path.strip_prefix("auth/").is_some_and(|path| is_plain(path) || by_name(path))
}

/// What every caller may read without a stanza, unless one denies it; the handler shows only what the caller's policies
/// reach. Clients ask this before anything else. A `*` at the end is any continuation.
pub const ANY_CALLER: [&str; 2] = ["sys/internal/ui/mounts", "sys/internal/ui/mounts/*"];

/// What needs the capability `sudo` besides the operation's own. A `*` at the end is any continuation.
pub const SUDO: [&str; 41] = [
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
    "sys/generate-root-token/attempt",
    "sys/generate-root/attempt",
    "sys/internal/inspect/*",
    "sys/leases",
    "sys/leases/lookup/*",
    "sys/leases/revoke-force/*",
    "sys/leases/revoke-prefix/*",
    "sys/namespaces/+/delete-sealed",
    "sys/namespaces/+/seal",
    "sys/plugins/catalog/*",
    "sys/raw",
    "sys/raw/*",
    "sys/rekey/init",
    "sys/rekey/verify",
    "sys/remount",
    "sys/revoke-force/*",
    "sys/revoke-prefix/*",
    "sys/rotate",
    "sys/rotate/keyring",
    "sys/rotate/root",
    "sys/rotate/root/init",
    "sys/rotate/root/verify",
    "sys/seal",
    "sys/seals/approve",
    "sys/seals/change",
    "sys/seals/counter",
    "sys/seals/verify",
    "sys/step-down",
    "sys/storage/fsck",
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
        None if entry.contains('+') => {
            let fits = |(segment, wanted): (&str, &str)| wanted == "+" || segment == wanted;
            path.split('/').count() == entry.split('/').count()
                && path.split('/').zip(entry.split('/')).all(fits)
        }
        None => path == *entry,
    })
}
