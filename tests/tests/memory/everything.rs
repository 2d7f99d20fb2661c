//! Everything that brings a secret in: ten thousand of them, over every route, rightly and wrongly.
use super::world::World;
use crate::audit_log::checkpoint;
use coffer_sdk::{Cas, Client, KeyType, NewMount, Secret};
use coffer_tests::{Ask, Person, Wire, policy};
use serde_json::{Map, Value, json};
use std::io::Cursor;
use tokio::task::JoinSet;

/// How many values there are at least.
pub(super) const CANARIES: usize = 10_000;
/// How many clients write at once.
const CLIENTS: usize = 8;
/// Paths that hold one value each.
const SINGLE: usize = 960;
/// Bodies that hold many names and values each, and how many.
const BODIES: usize = 64;
const IN_A_BODY: usize = 50;

/// Stores secrets, and what belongs to them, until there are ten thousand.
pub(super) async fn store(world: &World) {
    let prod = world.at("prod");
    let single: Vec<_> = (0..SINGLE).map(|_| (world.canary(), world.canary())).collect();
    let bodies: Vec<_> = (0..BODIES).map(|_| (world.canary(), body(world))).collect();
    let mut writers = JoinSet::new();
    for client in 0..CLIENTS {
        // A connection of its own each.
        let prod = world.at("prod");
        let single: Vec<_> = single.iter().skip(client).step_by(CLIENTS).cloned().collect();
        let bodies: Vec<_> = bodies.iter().skip(client).step_by(CLIENTS).cloned().collect();
        writers.spawn(async move {
            for (path, value) in single {
                let path = format!("app/{path}");
                prod.kv("secret").put(&path, &json!({ "k": value }), Cas::New).await.unwrap();
                assert_eq!(prod.kv("secret").get::<Value>(&path).await.unwrap()["k"], value.as_str());
            }
            for (path, body) in bodies {
                prod.kv("secret").put(&path, &body, Cas::New).await.unwrap();
                assert_eq!(prod.kv("secret").get::<Value>(&path).await.unwrap(), body);
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    prod.transit("transit").create("batch", KeyType::Aes256Gcm96).await.unwrap();
    while world.house.canaries.len() < CANARIES {
        let plain: Vec<_> = (0..200).map(|_| world.canary()).collect();
        let plain: Vec<_> = plain.iter().map(String::as_bytes).collect();
        let sealed = prod.transit("transit").encrypt_batch("batch", &plain).await.unwrap();
        let sealed: Vec<_> = sealed.iter().map(String::as_str).collect();
        prod.transit("transit").decrypt_batch("batch", &sealed).await.unwrap();
    }
}

fn body(world: &World) -> Value {
    let members = (0..IN_A_BODY).map(|_| (world.canary(), json!(world.canary())));
    Value::Object(members.collect::<Map<_, _>>())
}

/// Every engine and method, in an environment.
pub(super) async fn use_all(world: &World, here: &Client) {
    kv(world, here).await;
    old_kv(world, here).await;
    transit(world, here).await;
    tokens(world, here).await;
    methods(world, here).await;
    audit(here).await;
    wrongly(world, here).await;
}

async fn kv(world: &World, here: &Client) {
    let kv = here.kv("secret");
    let path = format!("deep/{}", world.canary());
    for cas in [Cas::New, Cas::Any, Cas::Any] {
        kv.put(&path, &json!({ &world.canary(): { "deep": [world.canary(), 7, null] } }), cas).await.unwrap();
    }
    kv.patch(&path, &json!({ "more": world.canary() }), Cas::Any).await.unwrap();
    kv.get_version::<Value>(&path, 1).await.unwrap();
    kv.get_newest::<Value>(&path).await.unwrap();
    let about = json!({ "custom_metadata": { "owner": world.canary() }, "max_versions": 9 });
    here.ask("POST", &format!("secret/metadata/{path}"), about).await.done();
    here.ask(
        "PATCH",
        &format!("secret/metadata/{path}"),
        json!({ "custom_metadata": { "b": world.canary() } }),
    )
    .await
    .done();
    kv.metadata(&path).await.unwrap();
    kv.list("deep").await.unwrap();
    here.ask("LIST", "secret/metadata/deep?limit=2", Value::Null).await.done();
    here.ask("SCAN", "secret/metadata", Value::Null).await.done();
    kv.delete(&path).await.unwrap();
    kv.undelete(&path, &[4]).await.unwrap();
    kv.destroy(&path, &[1, 2]).await.unwrap();
    let gone = world.canary();
    kv.put(&gone, &json!({ "k": world.canary() }), Cas::New).await.unwrap();
    kv.delete_all(&gone).await.unwrap();
}

async fn old_kv(world: &World, here: &Client) {
    here.sys().mount("old", &NewMount::of("kv")).await.unwrap();
    let (kv, path) = (here.kv_v1("old"), world.canary());
    kv.put(&path, &json!({ "k": world.canary() })).await.unwrap();
    kv.get::<Value>(&path).await.unwrap();
    kv.list("").await.unwrap();
    kv.delete(&path).await.unwrap();
    here.sys().unmount("old").await.unwrap();
}

async fn transit(world: &World, here: &Client) {
    let transit = here.transit("transit");
    for key_type in [
        "aes128-gcm96",
        "aes256-gcm96",
        "chacha20-poly1305",
        "ed25519",
        "ecdsa-p256",
        "ecdsa-p384",
        "ecdsa-p521",
        "rsa-2048",
        "rsa-3072",
        "rsa-4096",
    ] {
        here.ask("POST", &format!("transit/keys/{key_type}"), json!({ "type": key_type })).await.done();
        // Another version of a long RSA key would show nothing but patience.
        if !key_type.starts_with("rsa-") {
            transit.rotate(key_type).await.unwrap();
        }
        let plain = world.canary();
        if !key_type.starts_with('e') {
            let sealed = transit.encrypt(key_type, plain.as_bytes(), b"").await.unwrap();
            assert_eq!(transit.decrypt(key_type, &sealed, b"").await.unwrap().expose(), plain.as_bytes());
            transit.rewrap(key_type, &sealed, b"").await.unwrap();
            let key = transit.data_key(key_type).await.unwrap();
            world.house.canaries.add(key.plain.expose());
            world.house.canaries.add(transit.unwrap_data_key(key_type, &key.wrapped).await.unwrap().expose());
        }
        if key_type.starts_with('e') || key_type.starts_with("rsa") {
            let signature = transit.sign(key_type, plain.as_bytes()).await.unwrap();
            assert!(transit.verify(key_type, plain.as_bytes(), &signature).await.unwrap());
        }
        let input = json!({ "input": base64(&world.canary()) });
        here.ask("POST", &format!("transit/hmac/{key_type}"), input).await.done();
    }
    let random = here.ask("POST", "transit/random", json!({ "bytes": 32, "format": "hex" })).await.ok();
    world.house.canaries.add(hex::decode(random.text("random_bytes")).unwrap());
    here.ask("POST", "transit/hash", json!({ "input": base64(&world.canary()) })).await.done();
    here.ask("POST", "transit/keys/ed25519/config", json!({ "deletion_allowed": true })).await.done();
    here.ask("POST", "transit/keys/chacha20-poly1305/trim", json!({ "min_available_version": 1 })).await;
    // The SDK's own encryption under data keys.
    let (envelope, secret) = (here.envelope("transit", "aes256-gcm96"), world.canary());
    let message = envelope.seal(secret.as_bytes(), b"").await.unwrap();
    assert_eq!(envelope.open(&message, b"").await.unwrap().expose(), secret.as_bytes());
}

async fn tokens(world: &World, here: &Client) {
    let house = &world.house;
    let reader = house.token_for(here, "reader", &[("secret/data/*", &["read"])]).await;
    let one = house
        .token(here, json!({ "policies": ["reader"], "ttl": "1h", "meta": { "of": world.canary() } }))
        .await;
    let by = house.with_token(&one).with_namespace(here.namespace()).unwrap();
    by.tokens().lookup_self().await.unwrap();
    by.tokens().renew_self(None).await.unwrap();
    by.ask("GET", "sys/mounts", Value::Null).await.refused(403);
    here.tokens().lookup(&Secret::new(reader.clone())).await.unwrap();
    here.ask("POST", "auth/token/roles/role", json!({ "allowed_policies": ["reader"] })).await.done();
    house.token(here, json!({ "policies": ["reader"], "no_parent": true, "num_uses": 3 })).await;
    let capabilities = json!({ "token": reader, "paths": [world.canary()] });
    here.ask("POST", "sys/capabilities", capabilities).await.done();
    here.tokens().revoke(&Secret::new(one)).await.unwrap();
}

async fn methods(world: &World, here: &Client) {
    let house = &world.house;
    here.sys().enable_auth("up", &NewMount::of("userpass")).await.unwrap();
    let (first, second) = (world.canary(), world.canary());
    here.ask("POST", "auth/up/users/bob", json!({ "password": first, "token_policies": "default" }))
        .await
        .done();
    let nobody = house.client(&house.operator).with_namespace(here.namespace()).unwrap();
    let login =
        async |password: &str| nobody.ask("POST", "auth/up/login/bob", json!({ "password": password })).await;
    house.canaries.add(login(&first).await.ok().token());
    here.ask("POST", "auth/up/users/bob/password", json!({ "password": second })).await.done();
    login(&world.canary()).await.refused(400);
    house.canaries.add(login(&second).await.ok().token());
    let role = json!({ "allowed_uri_sans": ["spiffe://x/app"], "token_policies": ["reader"] });
    house.role(here, "app", role).await;
    let app = house.client(&house.issue(&Person::named("app").uri("spiffe://x/app")));
    let app = app.with_namespace(here.namespace()).unwrap();
    house.canaries.add(app.login_by_certificate("cert", None).await.unwrap().token.expose());
    app.ask("GET", "secret/data/none", Value::Null).await.refused(404);
    let text = policy(&[(&format!("secret/data/{}", world.canary()), &["read"])]);
    here.sys().put_policy("other", &text).await.unwrap();
    here.sys().policy("other").await.unwrap();
    here.sys().delete_policy("other").await.unwrap();
}

async fn audit(here: &Client) {
    checkpoint(here).await;
    for path in ["sys/audit/receipt/2", "sys/storage/fsck", "sys/key-status", "sys/seals", "sys/mounts"] {
        here.ask("GET", path, Value::Null).await;
    }
    here.ask("POST", "sys/audit/disclose/2", json!({ "field": "path" })).await;
}

/// Wrong in ways that could end in an error's text.
async fn wrongly(world: &World, here: &Client) {
    let canary = || world.canary();
    for (method, path, body) in [
        ("POST", "secret/data/x".to_owned(), json!(canary())),
        ("POST", "secret/data/x".to_owned(), json!({ "data": canary() })),
        (
            "POST",
            "secret/data/x".to_owned(),
            json!({ "data": { "k": canary() }, "options": { "cas": canary() } }),
        ),
        ("POST", format!("secret/data/a//{}", canary()), json!({ "data": {} })),
        ("GET", format!("secret/data/{}", canary()), Value::Null),
        ("POST", format!("none/{}", canary()), json!({ "k": canary() })),
        ("POST", "transit/encrypt/batch".to_owned(), json!({ "plaintext": format!("?{}", canary()) })),
        ("POST", "transit/decrypt/batch".to_owned(), json!({ "ciphertext": canary() })),
        ("POST", "auth/token/create".to_owned(), json!({ "policies": canary(), "ttl": canary() })),
        ("POST", "auth/token/lookup".to_owned(), json!({ "token": canary() })),
        ("POST", "sys/policies/acl/p".to_owned(), json!({ "policy": canary() })),
        ("POST", "sys/wrapping/wrap".to_owned(), json!({ "k": canary() })),
    ] {
        let answer = here.ask(method, &path, body).await;
        assert!(answer.status >= 400, "{method} {path}: {}", answer.status);
    }
    let stranger = world.house.with_token(&canary()).with_namespace(here.namespace()).unwrap();
    stranger.ask("GET", "secret/data/x", Value::Null).await.refused(403);
    let mut wire = world.house.wire();
    let headers =
        [("x-vault-token", world.house.root_token.as_str()), ("x-vault-namespace", here.namespace())];
    let broken = format!("{{\"data\": {{\"k\": \"{}\", }}", canary());
    assert_eq!(wire.ask("POST", "/v1/secret/data/x", &headers, broken.as_bytes()).unwrap().status, 400);
    // More than a body may have.
    let long = format!("{{\"data\": {{\"k\": \"{}\"}}}}", canary().repeat((34 << 20) / 28));
    let refused = wire.ask("POST", "/v1/secret/data/x", &headers, long.as_bytes());
    assert!(refused.is_err() || refused.unwrap().status == 413);
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// What is asked of the whole store: a backup, and a wrong one to be restored.
pub(super) async fn back_up(world: &World) -> Vec<u8> {
    let mut backup = Vec::new();
    world.house.root().sys().save_snapshot(&mut backup).await.unwrap();
    let nobody = world.house.client(&world.house.operator);
    assert!(nobody.sys().restore_snapshot(Cursor::new(backup.clone())).await.is_err(), "it has a store");
    nobody.sys().seal_status().await.unwrap();
    nobody.sys().health().await.unwrap();
    backup
}

/// Connections that stay, each with something in its buffers.
pub(super) struct Kept {
    wires: Vec<Wire>,
    _clients: Vec<Client>,
}

impl Kept {
    pub(super) async fn new(world: &World) -> Self {
        let token = &world.house.root_token;
        let headers = [("x-vault-token", token.as_str()), ("x-vault-namespace", "prod")];
        let path = format!("/v1/secret/data/{}", world.canary());
        let body = |length: usize| json!({ "data": { "k": world.canary().repeat(length) } }).to_string();
        let mut wires: Vec<_> = (0..6).map(|_| world.house.wire()).collect();
        // Answered, and waiting for the next.
        assert_eq!(wires[0].ask("POST", &path, &headers, body(1).as_bytes()).unwrap().status, 200);
        assert_eq!(wires[0].ask("GET", &path, &headers, b"").unwrap().status, 200);
        let head = |method: &str, length: usize| {
            format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-vault-token: {token}\r\nx-vault-namespace: prod\r\ncontent-length: {length}\r\n\r\n"
            )
        };
        // Half a body, small and large; half a header; two requests at once.
        wires[1].send((head("POST", 900) + &body(1)).as_bytes()).unwrap();
        wires[2].send((head("POST", 900_000) + &body(20_000)).as_bytes()).unwrap();
        wires[3].send(head("POST", 900).split_at(120).0.as_bytes()).unwrap();
        wires[4].send((head("GET", 0) + &head("GET", 0)).as_bytes()).unwrap();
        // A large answer that nobody reads.
        let (large, value) = (format!("{path}-large"), body(100_000));
        assert_eq!(world.house.wire().ask("POST", &large, &headers, value.as_bytes()).unwrap().status, 200);
        let get = format!(
            "GET {large} HTTP/1.1\r\nhost: localhost\r\nx-vault-token: {token}\r\nx-vault-namespace: prod\r\n\r\n"
        );
        wires[5].send(get.as_bytes()).unwrap();
        // HTTP/2, idle.
        let clients: Vec<_> = (0..3).map(|_| world.at("prod")).collect();
        for client in &clients {
            client.ask("POST", &path[4..], json!({ "data": { "k": world.canary() } })).await.done();
        }
        Self { wires, _clients: clients }
    }

    /// Whether the daemon has closed them all.
    pub(super) fn are_closed(&mut self) -> bool {
        self.wires.iter_mut().all(Wire::is_closed)
    }
}

/// Clients that go on asking until they are told that the daemon is sealed; and the value that they write and read.
pub(super) fn restless(world: &World) -> (JoinSet<()>, String) {
    let (mut asking, value) = (JoinSet::new(), world.canary());
    for _ in 0..2 {
        let (kv, value) = (world.at("prod").kv("secret"), json!({ "k": value }));
        asking.spawn(async move {
            while kv.put("restless", &value, Cas::Any).await.is_ok()
                && kv.get::<Value>("restless").await.is_ok()
            {}
        });
    }
    (asking, value)
}
