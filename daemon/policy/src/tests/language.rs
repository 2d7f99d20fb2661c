use super::{acl, path};
use crate::{DEFAULT_POLICY, Policy, PolicyError};
use proptest::prelude::*;

fn refusal(text: &str) -> PolicyError {
    match Policy::parse(text) {
        Ok(_) => panic!("taken: {text}"),
        Err(error) => error,
    }
}

#[test]
fn hcl_and_json_say_the_same() {
    let texts = [
        r#"path "a/*" { capabilities = ["read", "list"] } path "b" { policy = "write" }"#,
        r#"{"path": {"a/*": {"capabilities": ["read", "list"]}, "b": {"policy": "write"}}}"#,
        r#"{"path": [{"a/*": {"capabilities": ["read", "list"]}}, {"b": [{"policy": "write"}]}]}"#,
        "name = \"x\" # a comment\n// another\n/* and\n * another */ path = { \"/a/*\" = { capabilities = [\"read\", \"list\",] }, b = { policy = \"write\" } }",
    ];
    for text in texts {
        let acl = acl(&[text]);
        assert_eq!(acl.capabilities(&path("a/x")), ["list", "read"]);
        assert_eq!(acl.capabilities(&path("b")), ["create", "delete", "list", "read", "update"]);
        assert_eq!(acl.capabilities(&path("c")), ["deny"]);
    }
}

#[test]
fn an_error_names_its_line_and_column() {
    for (text, line, column) in [
        ("path \"a\" {", 1, 11),
        ("path \"a\" { capabilities = [\"fly\"] }", 1, 28),
        ("path \"a\" {\n  capabilities = [\"read\"]\n  colour = \"blue\"\n}", 3, 3),
        ("# é\npath \"é\" { capabilities = [read] }", 2, 28),
        ("{\"path\": {\"a\": {\"capabilities\": [\"read\"],}}}", 1, 42),
        ("policy \"a\" {}", 1, 1),
    ] {
        let error = refusal(text);
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
    }
}

#[test]
fn an_error_never_carries_the_text() {
    for text in [
        "path \"canary\" { canary = \"canary\" }",
        "canary \"canary\" {",
        "path \"canary*canary\" {}",
        "path \"canary\" { capabilities = [\"canary\"] }",
        "{\"canary\": 1}",
    ] {
        assert!(!refusal(text).to_string().contains("canary"), "{text}");
    }
}

#[test]
fn what_can_not_be_honoured_is_refused_and_not_left_out() {
    for stanza in [
        r#"path "a" { control_group = { ttl = "1h" } }"#,
        r#"path "a" { control_group { factor "x" { identity { group_names = ["g"] approvals = 1 } } } }"#,
        r#"path "a" { mfa_methods = ["m"] }"#,
        r#"path "a" { expiration = "2030-01-01T00:00:00Z" }"#,
        r#"path "a" { list_scan_response_keys_filter_path = "x" }"#,
        r#"path "a/{{identity.entity.id}}" { capabilities = ["deny"] }"#,
        r#"path "a/*/b" { capabilities = ["deny"] }"#,
        r#"path "a/+*" { capabilities = ["deny"] }"#,
        r#"path "a//b" { capabilities = ["deny"] }"#,
        r#"path "a/../b" { capabilities = ["deny"] }"#,
        r#"path "//" { capabilities = ["deny"] }"#,
        "path \"e\u{301}\" { capabilities = [\"deny\"] }",
        r#"path "a\u0000" { capabilities = ["deny"] }"#,
        r#"path "a" { capabilities = ["READ"] }"#,
        r#"path "a" { capabilities = "read" }"#,
        r#"path "a" { Capabilities = ["read"] }"#,
        r#"Path "a" { capabilities = ["read"] }"#,
        r#"path "a" { capabilities = ["read"]; }"#,
        r#"path "a" { capabilities = [" read"] }"#,
        r#"path "a" { capabilities = ["root"] }"#,
        r#"path "a" { capabilities = ["read"] capabilities = ["deny"] }"#,
        r#"path "a" { policy = "admin" }"#,
        r#"path "a" { min_wrapping_ttl = "2m" max_wrapping_ttl = "1m" }"#,
        r#"path "a" { min_wrapping_ttl = "soon" }"#,
        r#"path "a" { pagination_limit = -1 }"#,
        r#"path "a" { pagination_limit = "ten" }"#,
        r#"path "a" { environments = [] }"#,
        r#"path "a" { environments = ["root"] }"#,
        r#"path "a" { environments = ["a b"] }"#,
        r#"path "a" { allowed_parameters = { "x" = [] "X" = [] } }"#,
        r#"path "a" "b" { capabilities = ["read"] }"#,
        r#"path { capabilities = ["read"] }"#,
        r#"path "a" = { capabilities = ["read"] }"#,
        "path \"a\" { capabilities = <<E\nread\nE\n}",
        "path \"a\" { capabilities = [\"read\"] } }",
        "path \"a\nb\" {}",
        "/* not closed",
        "{\"path\": {}} {}",
    ] {
        refusal(stanza);
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| {
        format!(
            "path \"a\" {{ denied_parameters = {{ \"x\" = {}{} }} }}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(Policy::parse(&nested(14)).is_ok());
    assert_eq!(refusal(&nested(15)).what, "nested too deeply");
    assert_eq!(refusal(&nested(200_000)).what, "nested too deeply");
    assert_eq!(refusal(&"#".repeat(2 << 20)).what, "a policy has at most 1 MiB");
    assert_eq!(refusal(&"path \"a\" {}\n".repeat(10_001)).what, "a policy has at most 10,000 paths");
}

#[test]
fn the_default_policy_covers_what_a_token_does_with_itself() {
    let acl = acl(&[DEFAULT_POLICY]);
    for (at, capability) in [
        ("auth/token/lookup-self", "read"),
        ("auth/token/renew-self", "update"),
        ("auth/token/revoke-self", "update"),
        ("sys/capabilities-self", "update"),
        ("sys/wrapping/unwrap", "update"),
        ("sys/internal/ui/resultant-acl", "read"),
        ("cubbyhole/x", "read"),
    ] {
        assert!(acl.capabilities(&path(at)).contains(&capability), "{at}");
    }
    assert_eq!(acl.capabilities(&path("auth/token/create")), ["deny"]);
    assert_eq!(acl.capabilities(&path("sys/policies/acl/default")), ["deny"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_text_makes_the_reader_panic(text in r#"(path|name|policy|"|\{|\}|\[|\]|=|:|,|#|/\*|\*/|\\u|\\|[a-z*+/. \n]){0,60}"#) {
        crate::fuzz(text.as_bytes());
    }

    #[test]
    fn a_damaged_policy_is_read_or_refused(at in 0..DEFAULT_POLICY.len(), byte in any::<u8>(), cut in 0..DEFAULT_POLICY.len()) {
        let mut text = DEFAULT_POLICY.as_bytes().to_vec();
        text[at] = byte;
        crate::fuzz(&text);
        text.truncate(cut);
        crate::fuzz(&text);
    }
}
