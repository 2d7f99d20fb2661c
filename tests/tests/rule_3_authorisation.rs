//! Rule 3: who may do what is a generated matrix of route × operation × grant, kept as a file under review.
//!
//! `COFFER_WRITE_MATRIX=1` writes the file anew.
use coffer_engines::Engine;
use coffer_policy::PublicRoute;
use coffer_sdk::{Client, KeyType, NewMount};
use coffer_tests::{Ask, House, policy};
use coffer_types::Operation;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const OPERATIONS: [(&str, &str); 6] = [
    ("read", "GET"),
    ("list", "LIST"),
    ("scan", "SCAN"),
    ("write", "POST"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
];
const CAPABILITIES: [&str; 7] = ["create", "read", "update", "patch", "delete", "list", "scan"];
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/authorisation-matrix.txt");

/// Each declared route of an environment, and a path that takes it.
fn routes() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for pattern in coffer_environments::routes() {
        // What is not mounted is hidden from everyone there.
        let pattern_path =
            if pattern == "sys/internal/ui/mounts/:path" { "sys/internal/ui/mounts/secret" } else { pattern };
        let path =
            pattern_path.replace(":path", "example").replace(":name", "example").replace(":index", "0");
        all.push((pattern.to_owned(), path));
    }
    for route in coffer_auth::token::routes() {
        let path = match *route {
            "token/create-role" => "token/create/example".to_owned(),
            "token/roles" => "token/roles/example".to_owned(),
            other => other.to_owned(),
        };
        all.push(((*route).to_owned(), format!("auth/{path}")));
    }
    for route in coffer_auth::cert::routes() {
        let path = match *route {
            "cert/certs" | "cert/crls" => format!("auth/{route}/example"),
            other => format!("auth/{other}"),
        };
        all.push(((*route).to_owned(), path));
    }
    for route in coffer_auth::userpass::routes() {
        let path = match *route {
            "userpass/users/password" => "userpass/users/example/password".to_owned(),
            "userpass/users/policies" => "userpass/users/example/policies".to_owned(),
            other => format!("{other}/example"),
        };
        all.push(((*route).to_owned(), format!("auth/{path}")));
    }
    for (engine, mount) in [(Engine::KvV1, "kv1"), (Engine::KvV2, "secret"), (Engine::Transit, "transit")] {
        for route in engine.routes() {
            let below = route.split_once('/').map_or("", |(_, below)| below);
            let path = match *route {
                "kv2/config" | "transit/keys" => below.to_owned(),
                "transit/datakey" => "datakey/plaintext/example".to_owned(),
                "transit/random" | "transit/hash" => below.to_owned(),
                other if other.starts_with("transit/keys/name") => below.replace("name", "example"),
                _ => format!("{below}/example"),
            };
            all.push(((*route).to_owned(), format!("{mount}/{}", path.trim_start_matches('/'))));
        }
    }
    // Listings have paths of their own.
    for (route, path) in [
        ("token/roles", "auth/token/roles"),
        ("cert/certs", "auth/cert/certs"),
        ("cert/crls", "auth/cert/crls"),
        ("userpass/users", "auth/userpass/users"),
        ("kv2/metadata", "secret/metadata"),
        ("kv1", "kv1"),
    ] {
        all.push((format!("{route} (all)"), path.to_owned()));
    }
    all
}

/// What the node itself answers, at the root alone.
fn node_paths() -> impl Iterator<Item = &'static str> {
    PublicRoute::ALL.iter().filter_map(|route| route.node_path())
}

/// The grants: what a token may have, and what it is called in the file.
fn grants() -> Vec<(String, Vec<&'static str>)> {
    let mut all = Vec::new();
    for capability in CAPABILITIES {
        all.push((capability.to_owned(), vec![capability]));
    }
    for capability in CAPABILITIES {
        all.push((format!("{capability}+sudo"), vec![capability, "sudo"]));
    }
    all.push(("sudo".to_owned(), vec!["sudo"]));
    all
}

async fn tokens(house: &House, here: &Client) -> Vec<(String, Client)> {
    let nobody = house.client(&house.operator).with_namespace("matrix").unwrap();
    let mut all = vec![("nobody".to_owned(), nobody)];
    let with = |token: &str| house.with_token(token).with_namespace("matrix").unwrap();
    let token = house.token(here, json!({ "policies": ["default"] })).await;
    all.push(("default".to_owned(), with(&token)));
    for (name, _) in grants() {
        let policy = name.replace('+', "-");
        let token = house.token(here, json!({ "policies": [policy], "no_default_policy": true })).await;
        all.push((name, with(&token)));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_lets_pass_whom_the_matrix_names_and_nobody_else() {
    let house = House::start().await;
    let here = house.environment("matrix").await;
    here.sys().mount("kv1", &NewMount::of("kv")).await.unwrap();
    house.role(&here, "someone-else", json!({ "allowed_common_names": ["someone else"] })).await;
    here.sys().enable_auth("userpass", &NewMount::of("userpass")).await.unwrap();
    here.ask("POST", "auth/userpass/users/example", json!({ "password": "example" })).await.done();
    here.transit("transit").create("example", KeyType::Aes256Gcm96).await.unwrap();
    for (name, capabilities) in grants() {
        here.sys().put_policy(&name.replace('+', "-"), &policy(&[("*", &capabilities)])).await.unwrap();
    }
    let everything: &[&str] = &["create", "read", "update", "patch", "delete", "list", "scan", "sudo"];
    let all = routes();
    let rules: Vec<_> = [("*", everything)]
        .into_iter()
        .chain(all.iter().map(|(_, path)| (path.as_str(), ["deny"].as_slice())))
        .collect();
    here.sys().put_policy("everything", &policy(&[("*", everything)])).await.unwrap();
    here.sys().put_policy("denied", &policy(&rules)).await.unwrap();
    let denied = house.token(&here, json!({ "policies": ["denied"], "no_default_policy": true })).await;
    let denied = house.with_token(&denied).with_namespace("matrix").unwrap();

    let mut text = String::from(
        "# Who passes the gate: route, operation, and every single grant on the path with which it lets a request through.\n\
         # nobody: a client certificate that matches no role; default: the policy `default` alone. Generated by\n\
         # rule_3_authorisation.rs, which fails where the daemon decides otherwise. An operation without a line is none (405).\n\n",
    );
    let mut seen = BTreeSet::new();
    for (route, path) in routes() {
        // Anew for each route: some of them end the caller's own token.
        let people = tokens(&house, &here).await;
        let sealed = here.transit("transit").encrypt("example", b"x", b"").await.unwrap();
        for (operation, method) in OPERATIONS {
            let body = match method {
                // So that no request is refused for its body before its grant is looked at a second time, by the engine.
                "POST" if path.starts_with("transit/") => {
                    json!({ "plaintext": "aGk=", "input": "aGk=", "ciphertext": sealed, "signature": sealed, "min_available_version": 1 })
                }
                "POST" if path.ends_with("/password") => json!({ "password": "another" }),
                "POST" if path.ends_with("/policies") => json!({ "token_policies": "default" }),
                "POST" | "PATCH" => json!({}),
                _ => Value::Null,
            };
            let able =
                house.token(&here, json!({ "policies": ["everything"], "no_default_policy": true })).await;
            let able = house
                .with_token(&able)
                .with_namespace("matrix")
                .unwrap()
                .ask(method, &path, body.clone())
                .await;
            if able.status == 405
                || (able.status == 403 && here.ask(method, &path, body.clone()).await.status == 405)
            {
                continue;
            }
            let mut passed = Vec::new();
            for (name, client) in &people {
                let status = client.ask(method, &path, body.clone()).await.status;
                assert!(matches!(status, 200..=299 | 400..=499), "{method} {path} as {name}: {status}");
                if status != 403 {
                    passed.push(name.as_str());
                }
            }
            seen.insert(route.clone());
            if passed.first() != Some(&"nobody") && !route.starts_with("sys/internal/ui/mounts") {
                denied.ask(method, &path, body.clone()).await.refused(403);
            }
            let is_public = method == "POST" && PublicRoute::Login.covers(&path, Operation::Write);
            let who = match (is_public, passed.is_empty()) {
                (true, _) => "anybody: the method behind it asks for a proof of its own".to_owned(),
                (false, true) => "no single grant".to_owned(),
                (false, false) => passed.join(" "),
            };
            writeln!(text, "{route:34} {operation:7} {who}").unwrap();
            restore(&here).await;
        }
        assert!(seen.contains(&route), "{route} takes no operation at all");
    }
    let nobody = house.client(&house.operator);
    for path in node_paths() {
        for (operation, method) in OPERATIONS {
            let body = if method == "POST" { json!({}) } else { Value::Null };
            match nobody.ask(method, path, body).await.status {
                405 => continue,
                status => assert!(matches!(status, 200 | 400), "{method} {path}: {status}"),
            }
            writeln!(text, "{path:34} {operation:7} anybody: the node answers for itself").unwrap();
        }
    }
    if std::env::var_os("COFFER_WRITE_MATRIX").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    let changed: Vec<_> = text
        .lines()
        .filter(|line| !kept.contains(line))
        .chain(kept.lines().filter(|line| !text.contains(line)))
        .collect();
    assert!(
        kept == text,
        "the matrix is not as in {FILE}; COFFER_WRITE_MATRIX=1 writes it anew:\n{}",
        changed.join("\n")
    );
}

/// What the requests may have changed, so that each row begins alike.
async fn restore(here: &Client) {
    if here.sys().namespaces().await.unwrap().contains(&"example/".to_owned()) {
        here.sys().delete_namespace("example").await.unwrap();
    }
    if here.ask("GET", "auth/userpass/users/example", Value::Null).await.status == 404 {
        here.ask("POST", "auth/userpass/users/example", json!({ "password": "example" })).await.done();
    }
    if here.ask("GET", "transit/keys/example", Value::Null).await.status == 404 {
        here.transit("transit").create("example", KeyType::Aes256Gcm96).await.unwrap();
    }
}

#[test]
fn every_row_of_the_matrix_is_a_declared_route() {
    let declared: BTreeSet<_> =
        routes().into_iter().map(|(route, _)| route).chain(node_paths().map(str::to_owned)).collect();
    let kept = std::fs::read_to_string(FILE).unwrap();
    let rows: BTreeSet<_> = kept
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line[..34].trim().to_owned())
        .collect();
    assert_eq!(declared, rows);
}

/// All that is answered without being anybody, by environment. Whoever adds a line here opens a door.
const PUBLIC: [(&str, &str, &str); 12] = [
    ("", "read", "sys/health"),
    ("", "read", "sys/init"),
    ("", "read", "sys/leader"),
    ("", "read", "sys/metrics"),
    ("", "read", "sys/seal-status"),
    ("", "write", "auth/cert/login"),
    ("", "write", "auth/userpass/login/example"),
    ("", "write", "sys/init"),
    ("", "write", "sys/storage/raft/snapshot-restore"),
    ("", "write", "sys/unseal"),
    ("matrix", "write", "auth/cert/login"),
    ("matrix", "write", "auth/userpass/login/example"),
];

/// Paths that other servers of this API answer, or that look like public ones.
const NOT_THERE: [&str; 16] = [
    "sys",
    "sys/health/x",
    "sys/HEALTH",
    "sys/init/x",
    "sys/metrics/x",
    "sys/unseal/x",
    "sys/rekey/backup",
    "sys/rekey-recovery-key/init",
    "sys/internal/specs/openapi",
    "sys/internal/counters/activity",
    "sys/wrapping/unwrap",
    "sys/raw/x",
    "auth/token/login",
    "auth/cert/login/x",
    "auth/nowhere/login",
    "secret/login",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_nobody_is_answered_at_the_declared_public_paths_and_nowhere_else() {
    let declared: BTreeSet<_> = PublicRoute::ALL
        .iter()
        .filter_map(|route| Some((route.node_path()?, route)))
        .flat_map(|(path, route)| route.operations().iter().map(move |operation| (operation.name(), path)))
        .collect();
    let expected = PUBLIC.into_iter().map(|(_, operation, path)| (operation, path));
    assert_eq!(declared, expected.filter(|(_, path)| path.starts_with("sys/")).collect());

    let house = House::start().await;
    let here = house.environment("matrix").await;
    coffer_tests::furnish(&house.root()).await;
    for client in [&here, &house.root()] {
        client.sys().mount("kv1", &NewMount::of("kv")).await.unwrap();
        client.sys().enable_auth("userpass", &NewMount::of("userpass")).await.unwrap();
        house.role(client, "someone-else", json!({ "allowed_common_names": ["someone else"] })).await;
    }
    let elsewhere = node_paths().chain(NOT_THERE).map(str::to_owned);
    let paths: BTreeSet<_> = routes().into_iter().map(|(_, path)| path).chain(elsewhere).collect();
    for (refusal, is_open) in [(403, true), (503, false)] {
        let mut answered = Vec::new();
        // Side by side, so that refusals share their syncs of the log.
        let (house, paths) = (&house, &paths);
        std::thread::scope(|scope| {
            let asking: Vec<_> = ["", "matrix"]
                .into_iter()
                .flat_map(|namespace| OPERATIONS.map(|operation| (namespace, operation)))
                .map(|asked| scope.spawn(move || answered_to_nobody(house, refusal, asked, paths)))
                .collect();
            answered.extend(asking.into_iter().flat_map(|thread| thread.join().unwrap()));
        });
        answered.sort_unstable();
        // Sealed, there is no environment to log in to.
        let expected: Vec<_> =
            PUBLIC.into_iter().filter(|(_, _, path)| is_open || path.starts_with("sys/")).collect();
        assert_eq!(answered, expected, "open: {is_open}");
        house.root().sys().seal().await.unwrap_or_else(|error| assert!(!is_open, "{error}"));
    }
}

/// Which paths answer this operation with anything but this refusal.
fn answered_to_nobody<'p>(
    house: &House,
    refusal: u16,
    (namespace, (operation, method)): (&'static str, (&'static str, &str)),
    paths: &'p BTreeSet<String>,
) -> Vec<(&'static str, &'static str, &'p str)> {
    let mut wire = house.wire();
    let mut is_answered = |path: &str| {
        let headers = [("x-vault-namespace", namespace)];
        // A name that is none: a login says so, before it says that the certificate has no role.
        let reply = wire.ask(method, &format!("/v1/{path}"), &headers, br#"{"name":{}}"#).unwrap();
        let is_refused = reply.status == refusal && reply.json().get("errors").is_some();
        // The node says of its own paths that they take no other operation.
        let is_other = reply.status == 405 && namespace.is_empty() && node_paths().any(|own| own == path);
        !is_refused && !is_other
    };
    let answered = paths.iter().filter(|path| is_answered(path));
    answered.map(|path| (namespace, operation, path.as_str())).collect()
}
