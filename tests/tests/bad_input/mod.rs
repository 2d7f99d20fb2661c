//! Wrong, missing, huge, deep and foreign input for every endpoint: a 4xx with one sentence, nothing changed, no value
//! echoed. Which endpoints there are says the authorisation matrix.
mod endpoints;
mod furniture;
mod members;
mod queries;
mod the_node;

use coffer_tests::{Ask, House, Reply, Wire};
use endpoints::{Endpoint, endpoints};
use furniture::{Furniture, furnished, is_one_sentence, is_unchanged, state};
use serde_json::json;

fn send(house: &House, wire: &mut Wire, endpoint: &Endpoint, body: &[u8]) -> Reply {
    let token = endpoint.token.as_ref().unwrap_or(&house.root_token);
    let headers = [("x-vault-token", token.as_str()), ("content-type", endpoint.content_type())];
    wire.ask(endpoint.method, &format!("/v1/{}", endpoint.path), &headers, body).unwrap()
}

/// Each endpoint once: some stand in the list with several bodies.
fn once(of: &Furniture) -> Vec<Endpoint> {
    let mut all = endpoints(of);
    all.dedup_by(|one, other| one.path == other.path && one.method == other.method);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_none_is_refused_by_every_endpoint_and_changes_nothing() {
    let (house, of) = furnished().await;
    let root = house.root();
    let before = state(&root, &of).await;
    let canary = house.canaries.plant("body");
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
        format!("{{\"data\":{}{}}}", "[".repeat(400), "]".repeat(400)),
        format!("{{\"{canary}\":1,\"{canary}\":1}}"),
        "{\"a\":01}".into(),
        "{'a':1}".into(),
        "{\"a\":1,}".into(),
        format!("policy={canary}&type=kv"),
        "<xml/>".into(),
    ];
    let mut wire = house.wire();
    for endpoint in once(&of) {
        let Endpoint { method, path, .. } = &endpoint;
        // Bytes that are no text, besides.
        let bodies = bodies.iter().map(String::as_bytes).chain([b"{\"a\":\"\xff\xfe\"}".as_slice()]);
        for body in bodies {
            let what = format!("{method} {path} {:.60}", String::from_utf8_lossy(body));
            let reply = send(&house, &mut wire, &endpoint, body);
            assert_eq!(reply.status, 400, "{what}: {}", reply.text());
            is_one_sentence(&house, &what, &reply);
        }
    }
    is_unchanged(&before, &state(&root, &of).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_methods_and_content_types_are_refused_or_mean_nothing() {
    let (house, of) = furnished().await;
    let root = house.root();
    let before = state(&root, &of).await;
    let mut wire = house.wire();
    let mut ask = |method: &str, path: &str, kind: &str| {
        let headers = [("x-vault-token", house.root_token.as_str()), ("content-type", kind)];
        wire.ask(method, &format!("/v1/{path}"), &headers, b"{}").unwrap()
    };
    for Endpoint { path, .. } in once(&of) {
        for method in ["BREW", "OPTIONS", "TRACE", "MKCOL"] {
            let reply = ask(method, &path, "application/json");
            assert_eq!(reply.status, 405, "{method} {path}");
            is_one_sentence(&house, &path, &reply);
        }
        // PATCH is for merge patches alone.
        for kind in ["application/json", "text/plain", "application/json-patch+json"] {
            let reply = ask("PATCH", &path, kind);
            assert!(matches!(reply.status, 405 | 415), "PATCH {path} as {kind}: {}", reply.status);
            is_one_sentence(&house, &path, &reply);
        }
    }
    is_unchanged(&before, &state(&root, &of).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named() {
    let (house, of) = furnished().await;
    let root = house.root();
    let before = state(&root, &of).await;
    for (path, member) in [
        ("auth/cert/certs/new", "certificate"),
        ("auth/cert/crls/new", "crl"),
        ("auth/token/lookup-accessor", "accessor"),
        ("auth/token/renew", "token"),
        ("auth/token/renew-accessor", "accessor"),
        ("auth/token/revoke", "token"),
        ("auth/token/revoke-accessor", "accessor"),
        ("auth/token/revoke-orphan", "token"),
        ("auth/userpass/login/kept", "password"),
        ("auth/userpass/users/new", "password"),
        ("auth/userpass/users/kept/password", "password"),
        ("auth/userpass/users/kept/policies", "token_policies"),
        ("kv1/new", "data"),
        ("secret/data/new", "data"),
        ("secret/delete/kept", "version"),
        ("secret/destroy/kept", "version"),
        ("secret/undelete/kept", "version"),
        ("sys/audit/disclose/0", "field"),
        ("sys/auth/new", "type"),
        ("sys/capabilities", "token"),
        ("sys/capabilities-accessor", "accessor"),
        ("sys/capabilities-self", "paths"),
        ("sys/mounts/new", "type"),
        ("sys/policies/acl/new", "policy"),
        ("sys/policy/new", "policy"),
        ("sys/unseal", "key"),
        ("transit/decrypt/kept", "ciphertext"),
        ("transit/encrypt/kept", "plaintext"),
        ("transit/hash", "input"),
        ("transit/hmac/kept", "input"),
        ("transit/keys/kept/trim", "min_available_version"),
        ("transit/rewrap/kept", "ciphertext"),
        ("transit/sign/signer", "input"),
        ("transit/verify/signer", "signature"),
    ] {
        let sentence = root.ask("POST", path, json!({})).await.refused(400);
        assert!(sentence.contains(member), "{path}: {sentence}");
    }
    is_unchanged(&before, &state(&root, &of).await);
}
