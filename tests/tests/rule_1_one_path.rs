//! Rule 1: one canonical path, decoded once, compared by everyone; what is not canonical is refused.
use coffer_tests::{Ask, House, Wire};
use serde_json::{Value, json};

/// Spellings that a careless parser could take for `name`, with what stands before it.
pub(crate) fn spellings(prefix: &str, name: &str) -> Vec<String> {
    let upper = name.to_uppercase();
    let mixed: String = name
        .chars()
        .enumerate()
        .map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c })
        .collect();
    let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let encoded_twice = encoded.replace('%', "%25");
    let mut all = Vec::new();
    for name in [name, &upper, &mixed, &encoded, &encoded_twice] {
        for before in [
            "",
            "./",
            "%2e/",
            "../x/../",
            "x/../",
            "x/%2e%2e/",
            "/",
            "%2f",
            "x%2f..%2f",
            "\\",
            "%5c",
            ".%00/",
        ] {
            for after in [
                "",
                "/",
                "//",
                "/.",
                "/./",
                "%2f",
                "%00",
                "%20",
                "+",
                "%0a",
                "%09",
                ".",
                "%e2%80%8b",
                "%cc%81",
                ";x",
                "%3f",
                "%23",
                "/%2e",
                "*",
            ] {
                all.push(format!("{prefix}{before}{name}{after}"));
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

/// A kind of resource: where it lies, its name, and the methods that show or change it.
const RESOURCES: [(&str, &str, &[&str]); 8] = [
    ("secret/data/", "guarded", &["GET", "POST", "DELETE"]),
    ("secret/metadata/", "guarded", &["GET", "POST", "DELETE", "LIST"]),
    ("sys/policies/acl/", "guarded", &["GET", "POST", "DELETE"]),
    ("auth/cert/certs/", "guarded", &["GET", "POST", "DELETE"]),
    ("auth/token/roles/", "guarded", &["GET", "POST", "DELETE"]),
    ("transit/keys/", "guarded", &["GET", "POST", "DELETE"]),
    ("transit/encrypt/", "guarded", &["POST"]),
    ("sys/namespaces/", "guarded", &["GET", "POST", "DELETE"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_name_is_denied_in_every_spelling() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    house.role(&root, "guarded", json!({ "allowed_common_names": ["guarded"] })).await;
    root.ask("POST", "secret/data/guarded", json!({ "data": { "k": house.canaries.plant("guarded") } }))
        .await
        .done();
    root.ask(
        "POST",
        "sys/policies/acl/guarded",
        json!({ "policy": "path \"x\" { capabilities = [\"read\"] }" }),
    )
    .await
    .done();
    root.ask("POST", "auth/token/roles/guarded", json!({ "allowed_policies": "default" })).await.done();
    root.ask("POST", "transit/keys/guarded", json!({})).await.done();
    root.sys().create_namespace("guarded").await.unwrap();
    let mut rules = String::from(
        "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"patch\", \"delete\", \"list\", \"sudo\"] }\n",
    );
    for (prefix, name, _) in RESOURCES {
        rules.push_str(&format!("path \"{prefix}{name}\" {{ capabilities = [\"deny\"] }}\n"));
    }
    root.sys().put_policy("careful", &rules).await.unwrap();
    let token = house.token(&root, json!({ "policies": ["careful"] })).await;
    let state = async || {
        let mut all = Vec::new();
        for (prefix, name, methods) in RESOURCES {
            if methods.contains(&"GET") {
                let read = root.ask("GET", &format!("{prefix}{name}"), Value::Null).await.ok();
                all.push(read.body["data"].to_string());
            }
        }
        all
    };
    let before = state().await;
    let mut wire = house.wire();
    let mut tried = 0;
    for (prefix, name, methods) in RESOURCES {
        for target in spellings(prefix, name) {
            for method in methods {
                tried += 1;
                let reply = send(&house, &mut wire, method, &target, &token);
                // Another, canonical name may be there or not; the guarded one it is not.
                let is_other = target.contains(';')
                    || target.contains('+')
                    || target.contains('*')
                    || target.contains("%25")
                    || target.contains("%20")
                    || target.contains("%5c")
                    || target.contains('\\')
                    || target.contains("%3f")
                    || target.contains("%23")
                    || target.contains("%e2")
                    || target.contains("%cc")
                    || target.ends_with('.')
                    || is_cased(prefix, &target);
                assert!(matches!(reply, 400 | 403 | 404 | 405) || is_other, "{method} {target}: {reply}");
            }
        }
    }
    assert!(tried > 2000, "{tried}");
    assert_eq!(before, state().await, "one of {tried} spellings changed what it should not reach");
}

/// Whether names below this prefix differ by case, and this one does.
fn is_cased(prefix: &str, target: &str) -> bool {
    let is_folded =
        ["sys/policies/acl/", "auth/cert/certs/", "auth/token/roles/", "sys/namespaces/"].contains(&prefix);
    let has_upper = target[prefix.len()..].chars().any(|c| c.is_ascii_uppercase())
        || target.contains("%47")
        || target.contains("%4");
    !is_folded && has_upper
}

fn send(house: &House, wire: &mut Wire, method: &str, target: &str, token: &str) -> u16 {
    let body: &[u8] = if method == "POST" {
        b"{\"policy\":\"path \\\"y\\\" {}\",\"data\":{\"k\":1},\"plaintext\":\"aGVsbG8=\"}"
    } else {
        b""
    };
    let headers = [("x-vault-token", token)];
    match wire.ask(method, &format!("/v1/{target}"), &headers, body) {
        Ok(reply) => reply.status,
        // hyper closes where the request line itself is none.
        Err(_) => {
            *wire = house.wire();
            400
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_is_folded_where_a_name_is_and_nowhere_else() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.sys().put_policy("Mixed", "path \"x\" { capabilities = [\"read\"] }").await.unwrap();
    assert!(root.sys().policies().await.unwrap().contains(&"mixed".to_owned()));
    root.ask("GET", "sys/policies/acl/MIXED", Value::Null).await.done();
    root.ask("POST", "secret/data/Name", json!({ "data": {} })).await.done();
    root.ask("GET", "secret/data/name", Value::Null).await.refused(404);
    root.ask("GET", "SECRET/data/Name", Value::Null).await.refused(404);
    root.ask("GET", "SYS/mounts", Value::Null).await.refused(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_listing_loses_a_slash_at_its_end() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.ask("POST", "secret/data/dir/name", json!({ "data": {} })).await.done();
    let mut wire = house.wire();
    let headers = [("x-vault-token", house.root_token.as_str())];
    let mut ask = |method: &str, target: &str| wire.ask(method, target, &headers, b"").unwrap().status;
    assert_eq!(ask("LIST", "/v1/secret/metadata/dir/"), 200);
    assert_eq!(ask("GET", "/v1/secret/metadata/dir/?list=true"), 200);
    assert_eq!(ask("LIST", "/v1/secret/metadata/dir//"), 400);
    for method in ["GET", "DELETE"] {
        assert_eq!(ask(method, "/v1/secret/data/dir/name/"), 400, "{method}");
    }
    root.ask("GET", "secret/data/dir/name", Value::Null).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_decoded_once_everywhere() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let mut wire = house.wire();
    let headers = [("x-vault-token", house.root_token.as_str())];
    // `%2573` is the name `%73`, and no `s`.
    for target in [
        "/v1/sys/internal/ui/mounts/%2573ecret",
        "/v1/%2573ecret/data/x",
        "/v1/sys/mounts/%2573ecret",
        "/v1/sys/mounts/%2573ecret/tune",
    ] {
        let status = wire.ask("GET", target, &headers, b"").unwrap().status;
        assert!(matches!(status, 400 | 403 | 404), "{target}: {status}");
    }
    let answer = root.ask("POST", "sys/capabilities-self", json!({ "paths": ["%73ys/mounts"] })).await;
    assert!(answer.status == 400 || answer.data()["%73ys/mounts"].is_array());
    let reader = house.token_for(&root, "reader", &[("secret/data/x", &["read"])]).await;
    let answer = house
        .with_token(&reader)
        .ask("POST", "sys/capabilities-self", json!({ "paths": ["%73ecret/data/x"] }))
        .await
        .ok();
    assert_eq!(answer.data()["%73ecret/data/x"], json!(["deny"]), "a path in a body was decoded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_has_one_form_in_unicode() {
    let house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    let mut wire = house.wire();
    let headers = [("x-vault-token", house.root_token.as_str())];
    // é in one piece is a name; as e and an accent it would be a second one that looks the same.
    for (name, status) in [("%c3%a9", 200), ("e%cc%81", 400)] {
        let target = format!("/v1/secret/data/{name}");
        let reply = wire.ask("POST", &target, &headers, b"{\"data\":{}}").unwrap();
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
    }
    let body = "{\"paths\":[\"secret/data/e\u{301}\"]}";
    assert_eq!(wire.ask("POST", "/v1/sys/capabilities-self", &headers, body.as_bytes()).unwrap().status, 400);
}
