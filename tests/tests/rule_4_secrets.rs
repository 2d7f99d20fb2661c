//! Rule 4: no error, answer header or log shows what came in; the audit log says only what its list allows.
use coffer_tests::{Ask, House, ask};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refusal_repeats_what_was_sent() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.ask("POST", "transit/keys/key", json!({})).await.done();
    let mut tried = 0;
    for path in [
        "secret/data/x",
        "secret/metadata/x",
        "secret/delete/x",
        "secret/config",
        "transit/encrypt/key",
        "transit/decrypt/key",
        "transit/sign/key",
        "transit/keys/key/config",
        "transit/keys/new",
        "auth/token/create",
        "auth/token/lookup",
        "auth/token/renew",
        "auth/token/revoke",
        "auth/token/lookup-accessor",
        "auth/token/roles/r",
        "auth/cert/certs/r",
        "auth/cert/crls/c",
        "sys/policies/acl/p",
        "sys/mounts/m",
        "sys/auth/m",
        "sys/namespaces/n",
        "sys/capabilities",
        "sys/capabilities-self",
        "sys/unseal",
        "sys/init",
        "sys/audit/disclose/0",
    ] {
        let canary = house.canaries.plant("sent");
        // In the right place, in wrong ones, as a name, as the wrong type, and not as JSON at all.
        let members = [
            "data",
            "options",
            "plaintext",
            "ciphertext",
            "input",
            "token",
            "accessor",
            "policy",
            "certificate",
            "crl",
            "type",
            "key",
            "ttl",
            "policies",
            "paths",
            "path",
            "versions",
            "field",
            "max_versions",
            "min_decryption_version",
            "custom_metadata",
            "secret_shares",
            "bind",
            "allowed_policies",
        ];
        let mut bodies: Vec<Vec<u8>> =
            members.iter().map(|name| json!({ *name: canary }).to_string().into_bytes()).collect();
        bodies.extend(
            members.iter().map(|name| json!({ *name: { &canary: [canary] } }).to_string().into_bytes()),
        );
        bodies.extend(members.iter().map(|name| json!({ *name: [canary, 5] }).to_string().into_bytes()));
        bodies.push(json!({ &canary: 1 }).to_string().into_bytes());
        bodies.push(json!([canary]).to_string().into_bytes());
        bodies.push(json!(canary).to_string().into_bytes());
        bodies.push(canary.clone().into_bytes());
        bodies.push(format!("{{\"data\": {{\"{canary}\": {canary}}}}}").into_bytes());
        bodies.push(format!("{{\"{canary}\":1,\"{canary}\":2}}").into_bytes());
        let mut wire = house.wire();
        for body in bodies {
            tried += 1;
            let headers = [("x-vault-token", house.root_token.as_str()), ("x-canary", canary.as_str())];
            let reply = wire.ask("POST", &format!("/v1/{path}?q={canary}"), &headers, &body).unwrap();
            if reply.status >= 400 {
                let found = house.canaries.found_in(&reply.body);
                assert!(found.is_empty(), "{path}: {} {}", reply.status, reply.text());
                assert!(reply.headers.iter().all(|(_, value)| !value.contains(&canary)));
                let errors = reply.json()["errors"]
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| panic!("{path}: {}", reply.text()));
                assert!(errors.len() <= 1, "{path}: {}", reply.text());
                assert!(reply.status < 500, "{path}: {} {}", reply.status, reply.text());
            }
        }
    }
    assert!(tried > 1500, "{tried}");
    // The names of paths are the caller's, too.
    let canary = house.canaries.plant("path");
    for path in [
        format!("secret/data/{canary}"),
        format!("{canary}/x"),
        format!("sys/{canary}"),
        format!("auth/{canary}/login"),
    ] {
        let answer = root.ask("GET", &path, Value::Null).await;
        assert!(!answer.body.to_string().contains(&canary), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_in_headers_and_queries_is_in_no_log() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let mut wire = house.wire();
    for name in [
        "x-vault-token",
        "authorization",
        "x-vault-namespace",
        "x-coffer-nonce",
        "x-forwarded-for",
        "x-vault-wrap-ttl",
        "cookie",
        "user-agent",
        "content-type",
        "x-vault-inline-auth-parameter-x",
    ] {
        let canary = house.canaries.plant("header");
        let value = if name == "authorization" { format!("Bearer {canary}") } else { canary.clone() };
        let reply =
            wire.ask("GET", &format!("/v1/secret/data/x?{canary}={canary}"), &[(name, &value)], b"").unwrap();
        assert!(reply.status >= 400 && !reply.text().contains(&canary), "{name}: {}", reply.text());
    }
    // ESC and line ends do not make lines of the log.
    let lines = house.log().lines().count();
    let _refused =
        ask(&house.with_token("x"), "GET", "secret/data/%1b[31m%0aINFO forged", &Value::Null).await.unwrap();
    assert!(!house.log().contains("forged") && !house.log().contains('\u{1b}'), "after line {lines}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_shows_no_more_than_its_list() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let token = house.token_for(&prod, "reader", &[("secret/data/*", &["read", "create"])]).await;
    let client = house.with_token(&token).with_namespace("prod").unwrap();
    client
        .ask(
            "POST",
            &format!("secret/data/{}", house.canaries.plant("path")),
            json!({ "data": { "k": house.canaries.plant("value") } }),
        )
        .await
        .done();
    house.root().sys().seal().await.unwrap();
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    let listed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/audit/fields.txt")).unwrap();
    // What a tree says of itself in its first leaf, and the node log of all trees in its rounds.
    let own = [
        "origin",
        "incarnation",
        "old_origin",
        "old_size",
        "old_root",
        "key",
        "order",
        "reason",
        "cut_bytes",
        "known_origin",
        "known_size",
        "known_root",
    ];
    let allowed: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').nth(1)).chain(own).collect();
    for line in shown.lines() {
        let leaf: Value = serde_json::from_str(line).unwrap();
        for (name, value) in leaf["plain"].as_object().into_iter().flatten() {
            // A round names the trees by their environments' ids.
            let is_tree = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_tree || allowed.contains(&name.as_str()), "{name} is in the log in clear");
            assert!(value.is_string() || value.is_number(), "{name}: {value}");
        }
    }
}
