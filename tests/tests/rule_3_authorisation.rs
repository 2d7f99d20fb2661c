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

/// Each declared route, and a path that takes it.
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
        ("kv2/metadata", "secret/metadata"),
        ("kv1", "kv1"),
    ] {
        all.push((format!("{route} (all)"), path.to_owned()));
    }
    all
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
                    json!({ "plaintext": "aGk=", "input": "aGk=", "ciphertext": sealed, "signature": sealed })
                }
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
    if here.ask("GET", "transit/keys/example", Value::Null).await.status == 404 {
        here.transit("transit").create("example", KeyType::Aes256Gcm96).await.unwrap();
    }
}

#[test]
fn every_row_of_the_matrix_is_a_declared_route() {
    let declared: BTreeSet<_> = routes().into_iter().map(|(route, _)| route).collect();
    let kept = std::fs::read_to_string(FILE).unwrap();
    let rows: BTreeSet<_> = kept
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line[..34].trim().to_owned())
        .collect();
    assert_eq!(declared, rows);
}
