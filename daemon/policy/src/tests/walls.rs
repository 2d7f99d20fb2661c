use super::{acl, allows, ask};
use crate::permit::Refusal;
use crate::{ANY_CALLER, PublicRoute, SUDO, Target, public};
use coffer_types::{CanonicalPath, EnvironmentId, EnvironmentPath, Operation};

const OPERATIONS: [Operation; 6] = [
    Operation::Read,
    Operation::Write,
    Operation::Patch,
    Operation::Delete,
    Operation::List,
    Operation::Scan,
];

/// Every path that the declared lists or the API's ordinary routes know, and some that look like them.
const PATHS: [&str; 33] = [
    "sys/init",
    "sys/unseal",
    "sys/seal-status",
    "sys/health",
    "sys/leader",
    "sys/seal",
    "sys/init/x",
    "sys/health/x",
    "sys/unsealed",
    "sys/policies/acl/default",
    "sys/mounts",
    "sys/rekey/init",
    "sys/generate-root/attempt",
    "sys/internal/specs/openapi",
    "sys/metrics",
    "sys/metrics/x",
    "sys/storage/raft/snapshot",
    "sys/storage/raft/snapshot-restore",
    "auth/cert/login",
    "auth/a/b/login",
    "auth/login",
    "auth//login",
    "auth/token/login",
    "auth/cert/login/x",
    "auth/a/b/login/x",
    "auth/cert/login/x/y",
    "auth/cert/login/",
    "auth/login/x",
    "auth//login/x",
    "auth/token/login/x",
    "auth/cert/logins/x",
    "secret/login/x",
    "secret/login",
];

#[test]
fn what_is_public_is_exactly_the_declared_list() {
    let mut found = Vec::new();
    for at in PATHS {
        for operation in OPERATIONS {
            for route in PublicRoute::ALL.iter().filter(|route| route.covers(at, operation)) {
                found.push(format!("{} {at} {route:?}", operation.name()));
            }
        }
    }
    assert_eq!(
        found,
        [
            "read sys/init Init",
            "write sys/init Init",
            "write sys/unseal Unseal",
            "read sys/seal-status SealStatus",
            "read sys/health Health",
            "read sys/leader Leader",
            "read sys/metrics Metrics",
            "write sys/storage/raft/snapshot-restore Restore",
            "write auth/cert/login Login",
            "write auth/a/b/login Login",
            "write auth/cert/login/x Login",
            "write auth/a/b/login/x Login",
        ]
    );
}

#[test]
fn a_public_permit_is_good_for_its_own_path_only() {
    let target = |at: &str, operation| Target {
        environment: EnvironmentId([1; 16]),
        environment_path: EnvironmentPath::root(),
        path: CanonicalPath::parse(at).unwrap(),
        operation,
        needs_sudo: false,
        wrap_seconds: None,
    };
    assert_eq!(
        public(target("secret/a", Operation::Read), PublicRoute::Health).err(),
        Some(Refusal::NotPublic)
    );
    assert_eq!(
        public(target("sys/unseal", Operation::Read), PublicRoute::Unseal).err(),
        Some(Refusal::NotPublic)
    );
    let permit = public(target("sys/health", Operation::Read), PublicRoute::Health).ok().unwrap();
    assert!(permit.caller().is_none() && !permit.is_sudo() && !permit.is_root());
}

#[test]
fn what_is_on_the_sudo_list_needs_sudo_as_well() {
    let plain = acl(&[
        r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "patch", "scan"] }"#,
    ]);
    let sudo = acl(&[
        r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "patch", "scan", "sudo"] }"#,
    ]);
    let only = acl(&[r#"path "*" { capabilities = ["sudo"] }"#]);
    for entry in SUDO {
        let at = entry.replace('*', "x");
        for operation in OPERATIONS {
            assert_eq!(ask(&plain, operation, &at, "").err(), Some(Refusal::Sudo), "{at}");
            assert!(allows(&sudo, operation, &at), "{at}");
            assert!(!allows(&only, operation, &at), "{at}: sudo alone grants nothing");
        }
    }
    assert!(allows(&plain, Operation::Read, "sys/auth"));
    assert!(allows(&plain, Operation::Write, "auth/token/create"));
}

#[test]
fn the_list_for_any_caller_is_read_only_and_a_denial_overrules_it() {
    let nothing = acl(&[]);
    for entry in ANY_CALLER {
        let at = entry.replace('*', "x");
        assert!(allows(&nothing, Operation::Read, &at));
        assert!(!allows(&nothing, Operation::Write, &at));
        assert!(!allows(&nothing, Operation::List, &at));
        assert!(!allows(&acl(&[r#"path "sys/*" { capabilities = ["deny"] }"#]), Operation::Read, &at));
    }
    assert!(!allows(&nothing, Operation::Read, "sys/mounts"));
}
