//! A house with one of everything, and all of it that a stranger's input must not change.
use coffer_sdk::{Client, KeyType, NewMount};
use coffer_tests::{Ask, House};
use serde_json::{Value, json};

/// What good bodies refer to.
#[derive(Default)]
pub(crate) struct Furniture {
    pub(crate) token: String,
    pub(crate) accessor: String,
    /// Tokens to be revoked.
    pub(crate) spare: [String; 2],
    pub(crate) spare_accessor: String,
    /// By `transit/keys/kept`.
    pub(crate) ciphertext: String,
    /// By `transit/keys/signer`, of `hi`.
    pub(crate) signature: String,
    pub(crate) authority: String,
    pub(crate) revocation_list: String,
}

/// A house with something called `kept` of every kind.
pub(crate) async fn furnished() -> (House, Furniture) {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.sys().mount("kv1", &NewMount::of("kv")).await.unwrap();
    root.sys().enable_auth("userpass", &NewMount::of("userpass")).await.unwrap();
    root.sys().create_namespace("kept").await.unwrap();
    root.sys().put_policy("kept", "path \"kept\" { capabilities = [\"read\"] }").await.unwrap();
    let transit = root.transit("transit");
    transit.create("kept", KeyType::Aes256Gcm96).await.unwrap();
    transit.create("signer", KeyType::EcdsaP256).await.unwrap();
    for (path, body) in [
        ("secret/data/kept", json!({ "data": { "k": 1 } })),
        ("secret/data/patched", json!({ "data": { "k": 1 } })),
        ("kv1/kept", json!({ "k": 1 })),
        ("transit/keys/kept/config", json!({ "min_encryption_version": 1 })),
        ("auth/token/roles/kept", json!({ "allowed_policies": ["default"] })),
        ("auth/userpass/users/kept", json!({ "password": "a password" })),
    ] {
        root.ask("POST", path, body).await.done();
    }
    for (role, name) in [("kept", "nobody"), ("operator", "operator")] {
        let body = json!({ "allowed_common_names": [name], "token_policies": ["default"] });
        house.role(&root, role, body).await;
    }
    let made = root.ask("POST", "auth/token/create", json!({ "policies": ["default"] })).await.ok();
    let spare = root.ask("POST", "auth/token/create", json!({})).await.ok();
    // What is disclosed must be covered by a checkpoint.
    coffer_tests::eventually("a checkpoint covers the first leaves", || async {
        (root.ask("GET", "sys/audit/receipt/2", Value::Null).await.status == 200).then_some(())
    })
    .await;
    let signed = json!({ "input": "aGk=", "prehashed": false });
    let furniture = Furniture {
        token: made.token(),
        accessor: made.accessor(),
        spare: [house.token(&root, json!({})).await, house.token(&root, json!({})).await],
        spare_accessor: spare.accessor(),
        ciphertext: root
            .ask("POST", "transit/encrypt/kept", json!({ "plaintext": "aGk=" }))
            .await
            .text("ciphertext"),
        signature: root.ask("POST", "transit/sign/signer", signed).await.text("signature"),
        authority: house.authority.pem(),
        revocation_list: house.authority.revocation_list(1, &[]),
    };
    (house, furniture)
}

/// All that it must not change.
pub(crate) async fn state(root: &Client, of: &Furniture) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for (method, path) in [
        ("GET", "sys/seal-status"),
        ("GET", "sys/mounts"),
        ("GET", "sys/mounts/secret/tune"),
        ("GET", "sys/auth"),
        ("GET", "sys/auth/cert/tune"),
        ("GET", "sys/policies/acl/kept"),
        ("LIST", "sys/policies/acl"),
        ("GET", "sys/namespaces/kept"),
        ("LIST", "sys/namespaces"),
        ("GET", "sys/key-status"),
        ("LIST", "auth/token/accessors"),
        ("LIST", "auth/token/roles"),
        ("GET", "auth/token/roles/kept"),
        ("GET", "auth/cert/certs/kept"),
        ("LIST", "auth/cert/certs"),
        ("LIST", "auth/cert/crls"),
        ("GET", "auth/cert/config"),
        ("GET", "auth/userpass/users/kept"),
        ("LIST", "auth/userpass/users"),
        ("GET", "kv1/kept"),
        ("LIST", "kv1"),
        ("GET", "secret/config"),
        ("GET", "secret/metadata/kept"),
        ("GET", "secret/data/kept"),
        ("GET", "secret/data/patched"),
        ("LIST", "secret/metadata"),
        ("GET", "transit/keys/kept"),
        ("GET", "transit/keys/signer"),
        ("LIST", "transit/keys"),
    ] {
        let mut body = root.ask(method, path, Value::Null).await.body;
        if let Some(object) = body.as_object_mut() {
            object.remove("request_id");
        }
        // How often a key was used is counted, whatever for.
        if path == "sys/key-status" {
            body = body["data"]["term"].clone();
        }
        all.push((path, body));
    }
    for token in [&of.token, &of.spare[0], &of.spare[1]] {
        let mut data =
            root.ask("POST", "auth/token/lookup", json!({ "token": token })).await.ok().body["data"].take();
        // It runs on.
        data["ttl"].take();
        all.push(("auth/token/lookup", data));
    }
    all
}

/// That nothing is different, said by the path that is.
#[track_caller]
pub(crate) fn is_unchanged(before: &[(&'static str, Value)], after: &[(&'static str, Value)]) {
    for ((path, before), (_, after)) in before.iter().zip(after) {
        assert_eq!(before, after, "{path} was changed");
    }
}

/// That a refusal is at most one sentence, and says back nothing of what was sent.
#[track_caller]
pub(crate) fn is_one_sentence(house: &House, what: &str, reply: &coffer_tests::Reply) {
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
