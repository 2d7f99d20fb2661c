//! Wrong, missing, huge, deep and foreign input for every endpoint: a 4xx with one sentence, nothing changed, no value echoed.
use coffer_sdk::{Client, KeyType};
use coffer_tests::{Ask, House, Wire};
use serde_json::{Value, json};

/// An endpoint that takes a body: its path, and a body that it would take.
fn endpoints() -> Vec<(&'static str, Value)> {
    vec![
        ("secret/data/kept", json!({ "data": { "k": 1 }, "options": { "cas": 1 } })),
        (
            "secret/metadata/kept",
            json!({ "max_versions": 3, "cas_required": true, "delete_version_after": "1h", "custom_metadata": { "a": "b" } }),
        ),
        ("secret/delete/kept", json!({ "versions": [1] })),
        ("secret/undelete/kept", json!({ "versions": [1] })),
        ("secret/destroy/kept", json!({ "versions": [1] })),
        ("secret/config", json!({ "max_versions": 3, "cas_required": true, "delete_version_after": "1h" })),
        ("transit/keys/new", json!({ "type": "ed25519" })),
        ("transit/keys/kept/config", json!({ "min_decryption_version": 1, "deletion_allowed": true })),
        ("transit/encrypt/kept", json!({ "plaintext": "aGk=", "associated_data": "aGk=", "key_version": 1 })),
        ("transit/decrypt/kept", json!({ "ciphertext": "vault:v1:AAAA", "associated_data": "aGk=" })),
        ("transit/rewrap/kept", json!({ "ciphertext": "vault:v1:AAAA" })),
        ("transit/datakey/plaintext/kept", json!({ "bits": 256 })),
        ("transit/sign/kept", json!({ "input": "aGk=" })),
        ("transit/verify/kept", json!({ "input": "aGk=", "signature": "vault:v1:AAAA" })),
        ("sys/policies/acl/kept", json!({ "policy": "path \"x\" { capabilities = [\"read\"] }" })),
        (
            "sys/mounts/new",
            json!({ "type": "kv", "options": { "version": "2" }, "config": { "max_lease_ttl": "1h" } }),
        ),
        ("sys/mounts/secret/tune", json!({ "max_lease_ttl": "1h", "description": "x" })),
        ("sys/auth/new", json!({ "type": "cert" })),
        ("sys/namespaces/new", json!({ "custom_metadata": { "a": "b" } })),
        ("sys/capabilities", json!({ "token": "x", "paths": ["x"] })),
        ("sys/capabilities-self", json!({ "paths": ["x"] })),
        (
            "auth/token/create",
            json!({ "policies": ["default"], "ttl": "1h", "num_uses": 1, "meta": { "a": "b" }, "explicit_max_ttl": "1h" }),
        ),
        (
            "auth/token/roles/new",
            json!({ "allowed_policies": ["default"], "token_period": "1h", "orphan": true }),
        ),
        ("auth/token/lookup-accessor", json!({ "accessor": "x" })),
        ("auth/token/renew", json!({ "token": "x", "increment": "1h" })),
        (
            "auth/cert/certs/kept",
            json!({ "allowed_common_names": ["x"], "token_ttl": "1h", "bind": "key", "token_policies": ["default"] }),
        ),
        ("auth/cert/crls/new", json!({ "crl": "x" })),
        ("auth/cert/login", json!({ "name": "kept" })),
        ("sys/audit/disclose/0", json!({ "field": "path" })),
    ]
}

/// Values that are of no member's type, or beyond every bound.
fn wrong_values(canary: &str) -> Vec<Value> {
    vec![
        json!({ canary: { canary: [canary] } }),
        json!([[canary]]),
        json!([{ canary: 1 }]),
        json!(-1),
        json!(1.5e300),
        json!("\u{0}"),
        json!(format!("{canary}\u{0}\n")),
        json!(format!("../{canary}")),
        json!(canary.repeat(3000)),
        json!(vec![canary; 2000]),
    ]
}

/// All that a stranger's body must not change.
async fn state(root: &Client) -> Vec<Value> {
    let mut all = Vec::new();
    for (method, path) in [
        ("GET", "sys/mounts"),
        ("GET", "sys/auth"),
        ("GET", "sys/policies/acl/kept"),
        ("GET", "transit/keys/kept"),
        ("GET", "secret/config"),
        ("GET", "secret/metadata/kept"),
        ("GET", "auth/cert/certs/kept"),
        ("LIST", "transit/keys"),
        ("LIST", "auth/cert/crls"),
        ("LIST", "sys/namespaces"),
        ("LIST", "auth/token/roles"),
        ("LIST", "sys/policies/acl"),
        ("GET", "sys/mounts/secret/tune"),
        ("LIST", "secret/metadata"),
    ] {
        all.push(root.ask(method, path, Value::Null).await.body["data"].clone());
    }
    all
}

async fn furnished() -> House {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.ask("POST", "secret/data/kept", json!({ "data": { "k": 1 } })).await.done();
    root.transit("transit").create("kept", KeyType::Aes256Gcm96).await.unwrap();
    root.sys().put_policy("kept", "path \"kept\" { capabilities = [\"read\"] }").await.unwrap();
    house
        .role(&root, "kept", json!({ "allowed_common_names": ["nobody"], "token_policies": ["default"] }))
        .await;
    house
}

#[track_caller]
fn is_one_sentence(house: &House, what: &str, reply: &coffer_tests::Reply) {
    let errors = reply.json()["errors"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| panic!("{what}: {} {}", reply.status, reply.text()));
    assert!(
        errors.len() <= 1 && errors.iter().all(|error| error.as_str().unwrap().lines().count() == 1),
        "{what}: {}",
        reply.text()
    );
    assert!(house.canaries.found_in(&reply.body).is_empty(), "{what} is echoed: {}", reply.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_none_is_refused_by_every_endpoint_and_changes_nothing() {
    let house = furnished().await;
    let root = house.root();
    let before = state(&root).await;
    let canary = house.canaries.plant("body");
    let deep = format!("{{\"data\":{}{}}}", "[".repeat(400), "]".repeat(400));
    let bodies = [
        canary.clone(),
        format!("\"{canary}\""),
        format!("[\"{canary}\"]"),
        "true".into(),
        "7".into(),
        "{".into(),
        "{}}".into(),
        format!("{{\"{canary}\":}}"),
        "\u{feff}{}".into(),
        deep,
        format!("{{\"{canary}\":1,\"{canary}\":1}}"),
        "{\"a\":01}".into(),
        "{'a':1}".into(),
        "{\"a\":1,}".into(),
        format!("policy={canary}&type=kv"),
        "<xml/>".into(),
    ];
    let mut wire = house.wire();
    for (path, _) in endpoints() {
        for body in &bodies {
            let reply = wire
                .ask("POST", &format!("/v1/{path}"), &[("x-vault-token", &house.root_token)], body.as_bytes())
                .unwrap();
            assert_eq!(reply.status, 400, "{path} {body:.60}: {}", reply.text());
            is_one_sentence(&house, path, &reply);
        }
        // Bytes that are no text.
        let reply = wire
            .ask(
                "POST",
                &format!("/v1/{path}"),
                &[("x-vault-token", &house.root_token)],
                b"{\"a\":\"\xff\xfe\"}",
            )
            .unwrap();
        assert_eq!(reply.status, 400, "{path}: no UTF-8");
    }
    assert_eq!(before, state(&root).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_the_wrong_type_is_refused_by_every_endpoint_or_means_nothing_and_is_never_echoed() {
    let house = furnished().await;
    let canary = house.canaries.plant("member");
    let mut wire = house.wire();
    let mut refused = 0;
    for (path, good) in endpoints() {
        for name in good.as_object().unwrap().keys() {
            for wrong in wrong_values(&canary) {
                let mut body = good.clone();
                body[name] = wrong.clone();
                let text = serde_json::to_vec(&body).unwrap();
                let reply = wire
                    .ask("POST", &format!("/v1/{path}"), &[("x-vault-token", &house.root_token)], &text)
                    .unwrap();
                let what = format!("{path} {name}={:.40}", wrong.to_string());
                assert!(reply.status < 500, "{what}: {} {}", reply.status, reply.text());
                if reply.status >= 400 {
                    refused += 1;
                    is_one_sentence(&house, &what, &reply);
                }
            }
        }
    }
    assert!(refused > 300, "{refused}");
    house.root().ask("GET", "sys/mounts", Value::Null).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_methods_and_content_types_are_refused_or_mean_nothing() {
    let house = furnished().await;
    let root = house.root();
    let before = state(&root).await;
    let ask = |wire: &mut Wire, method: &str, path: &str, kind: &str| {
        wire.ask(
            method,
            &format!("/v1/{path}"),
            &[("x-vault-token", &house.root_token), ("content-type", kind)],
            b"{}",
        )
        .unwrap()
    };
    let mut wire = house.wire();
    for (path, _) in endpoints() {
        for method in ["BREW", "OPTIONS", "TRACE", "MKCOL"] {
            let reply = ask(&mut wire, method, path, "application/json");
            assert_eq!(reply.status, 405, "{method} {path}");
            is_one_sentence(&house, path, &reply);
        }
        // PATCH is for merge patches alone.
        for kind in ["application/json", "text/plain", "application/json-patch+json"] {
            let reply = ask(&mut wire, "PATCH", path, kind);
            assert!(
                matches!(reply.status, 400 | 404 | 405 | 415),
                "PATCH {path} as {kind}: {}",
                reply.status
            );
            is_one_sentence(&house, path, &reply);
        }
    }
    assert_eq!(before, state(&root).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named() {
    let house = furnished().await;
    let root = house.root();
    for (path, member) in [
        ("transit/encrypt/kept", "plaintext"),
        ("transit/decrypt/kept", "ciphertext"),
        ("transit/sign/kept", "input"),
        ("sys/policies/acl/new", "policy"),
        ("sys/mounts/new", "type"),
        ("auth/token/lookup-accessor", "accessor"),
        ("auth/cert/crls/new", "crl"),
        ("auth/cert/certs/new", "certificate"),
        ("sys/capabilities-self", "paths"),
        ("sys/audit/disclose/0", "field"),
        ("sys/unseal", "key"),
        ("secret/data/new", "data"),
        ("secret/destroy/kept", "version"),
    ] {
        let sentence = root.ask("POST", path, json!({})).await.refused(400);
        assert!(sentence.contains(member), "{path}: {sentence}");
    }
}
