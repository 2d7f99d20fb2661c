//! The command against a daemon: set COFFER_ADDR, COFFER_CACERT, COFFER_CLIENT_CERT, COFFER_CLIENT_KEY and COFFER_TOKEN (as
//! `cofferd dev` prints them) and run with `--ignored`. Each test makes an environment of its own and deletes it.
#![allow(clippy::unwrap_used, reason = "a test")]
mod support;

use serde_json::Value;
use support::online;

/// An environment for one test.
struct Scratch(String);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("check-{name}-{}", std::process::id());
        let (code, _, err) = online("", &["env", "create", &name], b"");
        assert_eq!(code, 0, "{err}");
        Self(name)
    }

    /// Runs a command that must succeed.
    fn ok(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let (code, out, err) = online(&self.0, arguments, input);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out
    }

    fn json(&self, arguments: &[&str], input: &[u8]) -> Value {
        serde_json::from_slice(&self.ok(&[arguments, &["--format", "json"]].concat(), input)).unwrap()
    }

    /// Runs a command that must fail with this code, and gives its one line.
    fn fails(&self, arguments: &[&str], expected: i32) -> String {
        let (code, out, err) = online(&self.0, arguments, b"");
        assert_eq!(
            (code, err.lines().count()),
            (expected, 1),
            "{arguments:?}: {err}{}",
            String::from_utf8_lossy(&out)
        );
        err
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (code, _, err) = online("", &["env", "delete", &self.0, "--yes"], b"");
        assert!(code == 0 || std::thread::panicking(), "{err}");
    }
}

#[test]
#[ignore = "needs a daemon: set COFFER_ADDR and the others"]
fn secrets_live_through_versions_deletion_and_destruction() {
    let scratch = Scratch::new("kv");
    scratch.ok(&["secrets", "enable", "kv-v2", "--path", "deep/kv"], b"");
    scratch.ok(&["kv", "put", "deep/kv/app/db", "user=app", "password=-"], b"correct horse\n");
    assert_eq!(scratch.ok(&["kv", "get", "-field=password", "deep/kv/app/db"], b""), b"correct horse");
    scratch.ok(&["kv", "patch", "deep/kv/app/db", "user=new"], b"");
    assert!(scratch.fails(&["kv", "put", "deep/kv/app/db", "a=b", "--cas", "1"], 1).contains("kv get"));
    let newest = scratch.json(&["kv", "get", "deep/kv/app/db"], b"");
    assert_eq!((&newest["data"]["user"], &newest["metadata"]["version"]), (&"new".into(), &2.into()));

    scratch.ok(&["kv", "delete", "deep/kv/app/db"], b"");
    assert!(scratch.fails(&["kv", "get", "deep/kv/app/db"], 1).contains("--versions 2` brings it back"));
    scratch.ok(&["kv", "undelete", "deep/kv/app/db", "--versions", "2"], b"");
    assert!(scratch.fails(&["kv", "destroy", "deep/kv/app/db", "--versions", "1"], 1).contains("--yes"));
    scratch.ok(&["kv", "destroy", "deep/kv/app/db", "--versions", "1", "--yes"], b"");
    assert!(scratch.fails(&["kv", "get", "deep/kv/app/db", "--version", "1"], 1).contains("for good"));
    assert_eq!(scratch.json(&["kv", "list", "deep/kv"], b"")["keys"], serde_json::json!(["app/"]));
    assert!(scratch.fails(&["kv", "get", "nowhere/at/all"], 1).contains("no mount that you may use"));
}

#[test]
#[ignore = "needs a daemon: set COFFER_ADDR and the others"]
fn bytes_go_through_transit_unchanged() {
    let scratch = Scratch::new("transit");
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    scratch.ok(&["secrets", "enable", "transit"], b"");
    scratch.ok(&["transit", "keys", "create", "k"], b"");
    scratch.ok(&["transit", "keys", "create", "s", "--type", "ed25519"], b"");
    let sealed = scratch.ok(&["transit", "encrypt", "k", "--associated", "a"], &bytes);
    assert!(sealed.starts_with(b"vault:v1:"));
    scratch.ok(&["transit", "keys", "rotate", "k"], b"");
    let rewrapped = scratch.ok(&["transit", "rewrap", "k", "--associated", "a"], &sealed);
    assert!(rewrapped.starts_with(b"vault:v2:"));
    assert_eq!(scratch.ok(&["transit", "decrypt", "k", "--associated", "a"], &rewrapped), bytes);

    let signature = String::from_utf8(scratch.ok(&["transit", "sign", "s"], &bytes)).unwrap();
    scratch.ok(&["transit", "verify", "s", "--signature", signature.trim()], &bytes);
    let (code, _, _) =
        online(&scratch.0, &["transit", "verify", "s", "--signature", signature.trim()], b"other");
    assert_eq!(code, 4);
}

#[test]
#[ignore = "needs a daemon: set COFFER_ADDR and the others"]
fn a_token_does_what_its_policy_says_until_it_is_revoked() {
    let scratch = Scratch::new("token");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let with = ["--token-file", file.to_str().unwrap()];
    scratch.ok(&["secrets", "enable", "kv", "--path", "old"], b"");
    scratch.ok(&["kv", "put", "old/a", "k=v"], b"");
    scratch.ok(&["policy", "write", "reader", "-"], b"path \"old/*\" { capabilities = [\"read\"] }");
    scratch.ok(&["token", "create", "--policy", "reader", "--ttl", "5m", "--out", with[1]], b"");
    let own = scratch.json(&[&["token", "lookup"], &with[..]].concat(), b"");
    assert_eq!(own["policies"], serde_json::json!(["default", "reader"]));
    assert!(own.get("id").is_none(), "the token itself is not shown");
    scratch.ok(&[&["kv", "get", "old/a"], &with[..]].concat(), b"");
    let refused = scratch.fails(&[&["kv", "put", "old/a", "k=w"], &with[..]].concat(), 1);
    assert!(refused.contains("coffer capabilities old/a"), "{refused}");
    scratch.ok(&["token", "revoke", "--accessor", own["accessor"].as_str().unwrap()], b"");
    scratch.fails(&[&["kv", "get", "old/a"], &with[..]].concat(), 1);
}
