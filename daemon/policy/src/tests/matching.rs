use super::{acl, allows, ask, environment, path};
use crate::permit::{Refusal, acts_at_home, decide};
use crate::{Acl, Policy, explain};
use coffer_types::{EnvironmentId, Operation, WriteMode};
use coffer_wire::Params;
use std::sync::Arc;

#[test]
fn the_more_specific_stanza_decides_alone() {
    for (specific, general) in [
        ("a/b", "a/*"),
        ("a/b", "a/+"),
        ("a/bc*", "a/b*"),
        ("a/b*", "a/+"),
        ("a/b/+/d", "a/+/c/d"),
        ("a/+/c", "a/+/*"),
        ("a/+", "a/*"),
        ("a/b/+/d", "a/b/+/+"),
        ("a/+/c/d*", "a/+/c/*"),
    ] {
        let sample = ["a/b", "a/bc", "a/b/c/d", "a/b/c"].into_iter().find(|sample| {
            let covers = |pattern: &str| {
                let text = format!("path \"{pattern}\" {{ capabilities = [\"read\"] }}");
                allows(&acl(&[&text]), Operation::Read, sample)
            };
            covers(specific) && covers(general)
        });
        let sample = sample.unwrap_or_else(|| panic!("no sample for {specific} and {general}"));
        for (own, other, is_allowed) in [("deny", "read", false), ("read", "deny", true)] {
            let one = format!("path \"{specific}\" {{ capabilities = [\"{own}\"] }}");
            let two = format!("path \"{general}\" {{ capabilities = [\"{other}\"] }}");
            for order in [[&*one, &*two], [&*two, &*one]] {
                assert_eq!(
                    allows(&acl(&order), Operation::Read, sample),
                    is_allowed,
                    "{order:?} on {sample}"
                );
            }
        }
    }
}

#[test]
fn of_stanzas_on_one_path_all_grants_count_and_a_denial_ends_it_in_any_order() {
    let (read, update) =
        (r#"path "a*" { capabilities = ["read"] }"#, r#"path "a*" { capabilities = ["update"] }"#);
    let deny = r#"path "a*" { capabilities = ["deny", "read"] }"#;
    assert_eq!(acl(&[read, update]).capabilities(&path("ab")), ["read", "update"]);
    for order in [[read, deny], [deny, read]] {
        assert_eq!(acl(&order).capabilities(&path("ab")), ["deny"]);
        assert_eq!(acl(&[&order.concat()]).capabilities(&path("ab")), ["deny"]);
    }
}

#[test]
fn a_plus_is_one_whole_segment_and_a_star_only_the_end() {
    let acl = acl(&[
        r#"path "x/+/z" { capabilities = ["read"] } path "pre*" { capabilities = ["read"] } path "q/+/r/*" { capabilities = ["read"] }"#,
    ]);
    for (at, is_allowed) in [
        ("x/a/z", true),
        ("x/a/y", false),
        ("x/z", false),
        ("x/a/b/z", false),
        ("x/a/z/b", false),
        ("pre", true),
        ("pre/a/b", true),
        ("pr", false),
        ("q/1/r/2/3", true),
        ("q/1/r", false),
        ("q/1/2/r/3", false),
    ] {
        assert_eq!(allows(&acl, Operation::Read, at), is_allowed, "{at}");
    }
}

#[test]
fn a_listing_meets_a_denial_in_whichever_spelling_it_stands() {
    for deny in
        ["s/metadata/r/*", "s/metadata/r", "s/metadata/r/", "s/metadata/r*", "s/metadata/+", "s/metadata/+/"]
    {
        let deny = format!("path \"{deny}\" {{ capabilities = [\"deny\"] }}");
        let acl = acl(&[r#"path "s/metadata/*" { capabilities = ["list", "scan", "read"] }"#, &deny]);
        assert!(!allows(&acl, Operation::List, "s/metadata/r"), "{deny}");
        assert!(!allows(&acl, Operation::Scan, "s/metadata/r"), "{deny}");
        assert!(!acl.capabilities(&path("s/metadata/r")).contains(&"list"), "{deny}");
    }
}

#[test]
fn a_denied_directory_stays_denied_beside_a_grant_with_a_slash() {
    for (deny, grant) in [("x/r", "x/r/"), ("x/+", "x/+/"), ("x/r/", "x/r")] {
        let text = format!(
            "path \"{deny}\" {{ capabilities = [\"deny\"] }} path \"{grant}\" {{ capabilities = [\"list\"] }}"
        );
        assert!(!allows(&acl(&[&text]), Operation::List, "x/r"), "{text}");
    }
}

#[test]
fn what_is_denied_below_a_directory_is_not_listed_by_a_grant_on_the_directory() {
    let text = r#"path "s/+" { capabilities = ["list"] } path "s/+/*" { capabilities = ["deny"] }"#;
    assert!(!allows(&acl(&[text]), Operation::List, "s/r"));
    let narrow = r#"path "s/*" { capabilities = ["deny"] } path "s/r/*" { capabilities = ["list"] }"#;
    assert!(allows(&acl(&[narrow]), Operation::List, "s/r"), "a narrower grant inside a wide denial");
}

#[test]
fn a_listing_is_granted_in_whichever_spelling_it_stands() {
    for grant in ["x/r", "x/r/", "x/r/*", "x/r*", "x/*", "x/+", "x/+/", "*"] {
        let acl = acl(&[&format!("path \"{grant}\" {{ capabilities = [\"list\"] }}")]);
        assert!(allows(&acl, Operation::List, "x/r"), "{grant}");
        assert!(!allows(&acl, Operation::Scan, "x/r"), "{grant}: scan is a capability of its own");
        assert!(!allows(&acl, Operation::Read, "x/r"), "{grant}");
    }
}

#[test]
fn a_slash_at_the_end_of_a_stanza_speaks_of_listings_only() {
    let acl = acl(&[r#"path "x/r/" { capabilities = ["read", "update", "list"] }"#]);
    assert!(!allows(&acl, Operation::Read, "x/r"));
    assert!(!allows(&acl, Operation::Write, "x/r"));
    assert!(!allows(&acl, Operation::Read, "x/r/a"));
    assert!(allows(&acl, Operation::List, "x/r"));
}

#[test]
fn a_name_that_is_the_same_in_any_case_is_denied_in_any_case() {
    let acl = acl(&[
        r#"path "*" { capabilities = ["read"] } path "auth/cert/certs/Admin" { capabilities = ["deny"] } path "sys/policies/acl/OPS*" { capabilities = ["deny"] }"#,
    ]);
    for at in [
        "auth/cert/certs/admin",
        "auth/cert/certs/AdMiN",
        "auth/cert/certs/Admin",
        "sys/policies/acl/ops",
        "sys/policies/acl/Ops2",
    ] {
        assert_eq!(ask(&acl, Operation::Read, at, "").err(), Some(Refusal::Denied), "{at}");
    }
    assert!(allows(&acl, Operation::Read, "auth/cert/certs/other"));
}

#[test]
fn a_write_may_do_what_is_granted_of_create_and_update() {
    for (granted, mode) in [
        (r#""create", "update""#, Some(WriteMode::Any)),
        (r#""create""#, Some(WriteMode::CreateOnly)),
        (r#""update""#, Some(WriteMode::UpdateOnly)),
        (r#""patch", "read""#, None),
    ] {
        let acl = acl(&[&format!("path \"a\" {{ capabilities = [{granted}] }}")]);
        assert_eq!(ask(&acl, Operation::Write, "a", "").ok().map(|grant| grant.write_mode), mode);
    }
}

#[test]
fn an_environment_below_is_reached_only_by_a_stanza_that_names_it() {
    let acl = acl(&[
        r#"path "*" { capabilities = ["read", "sudo"] } path "kv/a" { capabilities = ["read"] environments = ["acme/prod"] } path "own" { capabilities = ["read"] }"#,
    ]);
    let ask = |place: &str, at: &str| {
        decide(&acl, Some(&environment(place)), &path(at), Operation::Read, false, &Params::none(), None)
            .err()
    };
    assert_eq!(ask("acme/prod", "kv/a"), None);
    assert_eq!(ask("acme/prod", "kv/b"), Some(Refusal::NoStanza));
    assert_eq!(ask("acme/prod", "own"), Some(Refusal::NoStanza));
    for place in ["acme", "acme/prod2", "acme/prod/eu", "prod"] {
        assert_eq!(ask(place, "kv/a"), Some(Refusal::Environment), "{place}");
        assert_eq!(ask(place, "acme/prod/kv/a"), Some(Refusal::Environment), "{place}");
    }
    assert!(!allows(
        &self::acl(&[r#"path "kv/a" { capabilities = ["read"] environments = ["acme"] }"#]),
        Operation::Read,
        "kv/a"
    ));
}

#[test]
fn no_environment_above_or_beside_and_none_made_anew_is_home() {
    let (one, two) = (EnvironmentId([1; 16]), EnvironmentId([2; 16]));
    let (acme, prod, root) = (environment("acme"), environment("acme/prod"), environment(""));
    assert_eq!(acts_at_home((one, &acme), (one, &acme)), Ok(true));
    assert_eq!(acts_at_home((one, &acme), (two, &prod)), Ok(false));
    for (home, target) in [
        ((one, &acme), (two, &root)),
        ((one, &acme), (two, &environment("acmeprod"))),
        ((one, &acme), (two, &acme)),
        ((one, &acme), (one, &prod)),
        ((one, &prod), (two, &acme)),
    ] {
        assert_eq!(acts_at_home(home, target), Err(Refusal::Environment));
    }
}

#[test]
fn root_is_made_and_never_read() {
    let root = Acl::new(&[Arc::new(Policy::root())]);
    assert_eq!(root.capabilities(&path("sys/seal")), ["root"]);
    let all = r#"name = "root" path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo", "patch", "scan"] }"#;
    assert!(!acl(&[all]).is_root());
}

#[test]
fn a_mount_is_known_to_whoever_has_anything_below_it() {
    let acl = acl(&[
        r#"path "kv/data/team/*" { capabilities = ["read"] } path "+/x" { capabilities = ["read"] } path "hidden/*" { capabilities = ["deny"] }"#,
    ]);
    for (mount, is_known) in
        [("kv", true), ("kv/data/team", true), ("kv/other", false), ("other", true), ("kvx/y", false)]
    {
        assert_eq!(acl.reaches(None, &path(mount)), is_known, "{mount}");
    }
    let denied = self::acl(&[r#"path "hidden/*" { capabilities = ["deny"] }"#]);
    assert!(!denied.reaches(None, &path("hidden")));
}

#[test]
fn a_decision_can_be_explained() {
    let acl = acl(&[
        r#"path "a/*" { capabilities = ["read", "list"] } path "a/b" { capabilities = ["deny"] } path "sys/seal" { capabilities = ["update"] }"#,
    ]);
    let say = |operation, at: &str| explain(&acl, None, &path(at), operation).to_string();
    assert_eq!(say(Operation::Read, "a/x"), r#"allowed by "a/*" [list, read]"#);
    assert_eq!(say(Operation::Read, "a/b"), r#"refused (Denied) by "a/b" [deny]"#);
    assert_eq!(say(Operation::Write, "a/x"), r#"refused (Capability) by "a/*" [list, read]"#);
    assert_eq!(say(Operation::Read, "z"), "refused (NoStanza) [deny]");
    assert_eq!(say(Operation::Write, "sys/seal"), r#"refused (Sudo) by "sys/seal" [update]"#);
}
