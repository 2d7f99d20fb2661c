//! C1: paths and URLs compared before they are canonical; matching of policies.
use coffer_engines::Engine;
use coffer_policy::PublicRoute;
use coffer_sdk::Cas;
use coffer_tests::{Ask, House, policy};
use serde_json::{Value, json};

/// CVE-2026-89322, GHSA-fg5x-7whg-6c28: `rule_1_one_path::a_denied_name_is_denied_in_every_spelling` sends the variants;
/// here the very case of the advisory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_89322_a_deny_on_a_role_holds_in_any_case() {
    let house = House::start().await;
    let root = house.root();
    house.role(&root, "admin", json!({ "allowed_common_names": ["x"], "token_policies": ["default"] })).await;
    let token = house
        .token_for(
            &root,
            "p",
            &[
                ("auth/cert/certs/*", &["create", "read", "update", "delete"]),
                ("auth/cert/certs/admin", &["deny"]),
            ],
        )
        .await;
    for name in ["admin", "AdMiN", "ADMIN", "adm\u{131}n", "admi\u{ff4e}"] {
        let path = format!("auth/cert/certs/{name}");
        for (method, body) in
            [("GET", Value::Null), ("POST", json!({ "token_policies": ["root"] })), ("DELETE", Value::Null)]
        {
            let status = house.with_token(&token).ask(method, &path, body).await.status;
            assert!(matches!(status, 400 | 403 | 404) || !name.is_ascii(), "{method} {name}: {status}");
        }
    }
    let role = root.ask("GET", "auth/cert/certs/admin", Value::Null).await.ok();
    assert_eq!(role.data()["token_policies"], json!(["default"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_12624_a_listing_with_a_slash_does_not_pass_a_denying_glob() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.kv("secret").put("r/x", &json!({}), Cas::New).await.unwrap();
    root.kv("secret").put("open/x", &json!({}), Cas::New).await.unwrap();
    let token = house
        .token_for(&root, "p", &[("secret/metadata/*", &["list"]), ("secret/metadata/r/*", &["deny"])])
        .await;
    let mut wire = house.wire();
    let headers = [("x-vault-token", token.as_str())];
    for (method, target) in [
        ("LIST", "r"),
        ("LIST", "r/"),
        ("LIST", "r//"),
        ("GET", "r?list=true"),
        ("GET", "r/?list=true"),
        ("GET", "r//?list=true"),
        ("SCAN", "r"),
        ("SCAN", "r/"),
        ("GET", "r/?scan=true"),
        ("LIST", "r/y"),
        ("LIST", "./r"),
        ("LIST", "r%2f"),
        ("GET", "r?list=1"),
        ("GET", "r?list=true&list=false"),
    ] {
        let status =
            wire.ask(method, &format!("/v1/secret/metadata/{target}"), &headers, b"").unwrap().status;
        assert!(matches!(status, 400 | 403), "{method} {target}: {status}");
    }
    assert_eq!(wire.ask("LIST", "/v1/secret/metadata/open/", &headers, b"").unwrap().status, 200);
    // A scan from above must not show what is denied below.
    let scanned = wire.ask("SCAN", "/v1/secret/metadata/", &headers, b"").unwrap();
    assert!(scanned.status == 403 || !scanned.text().contains("r/x"), "{}", scanned.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_3605_dot_segments_delete_nobodys_secret() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.kv("secret").put("b/x", &json!({ "k": 1 }), Cas::New).await.unwrap();
    let token = house
        .token_for(
            &root,
            "p",
            &[
                ("secret/metadata/a/*", &["delete", "read", "list"]),
                ("secret/data/a/*", &["delete", "create", "update"]),
            ],
        )
        .await;
    let mut wire = house.wire();
    let headers = [("x-vault-token", token.as_str())];
    for dots in ["..", "%2e%2e", "%252e%252e", ".%2e", "%2e.", "..%2f", "%2e%2e%2f", "..;", "a/../.."] {
        for engine in ["metadata", "data"] {
            let target = format!("/v1/secret/{engine}/a/{dots}/b/x");
            let status = wire.ask("DELETE", &target, &headers, b"").unwrap().status;
            let is_plain_name = dots.contains("%25") || dots.contains(';');
            assert!(status == 400 || is_plain_name, "{target}: {status}");
            if coffer_tests::find("curl").is_some() {
                let (status, _) = house.curl(
                    &house.operator,
                    &target[4..],
                    &["--http2", "--path-as-is", "-X", "DELETE", "-H", &format!("X-Vault-Token: {token}")],
                );
                assert!(status == 400 || is_plain_name, "h2 {target}: {status}");
            }
        }
    }
    assert_eq!(root.kv("secret").get::<Value>("b/x").await.unwrap()["k"], 1);
}

/// CVE-2021-42135 (a new route under an old grant): the whole list of routes is under review in
/// `authorisation-matrix.txt`; `rule_3_authorisation::every_row_of_the_matrix_is_a_declared_route` fails for a new one.
#[test]
fn cve_2021_42135_a_new_route_shows_in_the_matrix() {
    let matrix = include_str!("authorisation-matrix.txt");
    let rows: Vec<_> = matrix.lines().filter_map(|line| line.split_ascii_whitespace().next()).collect();
    let declared = coffer_environments::routes()
        .chain(coffer_auth::token::routes().iter().copied())
        .chain(coffer_auth::cert::routes().iter().copied())
        .chain(coffer_auth::userpass::routes().iter().copied())
        .chain(
            [Engine::KvV1, Engine::KvV2, Engine::Transit].iter().flat_map(|engine| engine.routes()).copied(),
        )
        .chain(PublicRoute::ALL.iter().filter_map(|route| route.node_path()));
    for route in declared {
        assert!(rows.contains(&route), "{route} is not in the matrix");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2020_10661_an_older_policy_gives_nothing_in_a_newer_environment() {
    let house = House::start().await;
    let all: &[&str] = &["create", "read", "update", "delete", "list", "sudo"];
    let token =
        house.token_for(&house.root(), "p", &[("*", all), ("later/*", all), ("+/secret/*", all)]).await;
    house.environment("later").await.kv("secret").put("x", &json!({}), Cas::New).await.unwrap();
    house.with_token(&token).ask("GET", "later/secret/data/x", Value::Null).await.refused(403);
    house
        .with_token(&token)
        .with_namespace("later")
        .unwrap()
        .ask("GET", "secret/data/x", Value::Null)
        .await
        .refused(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ghsa_hr5j_a_stanza_with_a_template_is_never_dropped_silently() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let text = "path \"secret/*\" { capabilities = [\"read\"] }\npath \"secret/data/{{identity.entity.metadata.missing}}/*\" { capabilities = [\"deny\"] }";
    // There are no templates here: the text is refused, or its stanza denies what it can't tell apart.
    let written = root.ask("POST", "sys/policies/acl/p", json!({ "policy": text })).await;
    if written.status < 300 {
        root.kv("secret").put("{{identity.entity.metadata.missing}}/x", &json!({}), Cas::New).await.unwrap();
        let token = house.token(&root, json!({ "policies": ["p"] })).await;
        house
            .with_token(&token)
            .ask("GET", "secret/data/{{identity.entity.metadata.missing}}/x", Value::Null)
            .await
            .refused(403);
    } else {
        let sentence = written.refused(400);
        assert!(!sentence.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openbao_3518_no_limit_is_no_way_around_a_page_limit() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    for at in 0..8 {
        root.kv("secret").put(&format!("d/{at}"), &json!({}), Cas::New).await.unwrap();
    }
    root.sys()
        .put_policy("p", "path \"secret/metadata/*\" { capabilities = [\"list\"] pagination_limit = 3 }")
        .await
        .unwrap();
    let token = house.token(&root, json!({ "policies": ["p"] })).await;
    let mut wire = house.wire();
    for limit in [
        "",
        "limit=0",
        "limit=-1",
        "limit=9223372036854775808",
        "limit=",
        "limit=NaN",
        "limit=4",
        "limit=1000000",
        "limit=3&limit=100",
        "LIMIT=100",
        "limit=%33%30",
    ] {
        let reply = wire
            .ask("LIST", &format!("/v1/secret/metadata/d?{limit}"), &[("x-vault-token", &token)], b"")
            .unwrap();
        let keys = reply.json()["data"]["keys"].as_array().map_or(0, Vec::len);
        assert!(keys <= 3, "{limit}: {keys}");
        assert!(reply.status < 500);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conjur_2907_of_allow_and_deny_deny_wins_in_any_order() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.kv("secret").put("x", &json!({}), Cas::New).await.unwrap();
    let (allow, deny) = (("secret/data/x", ["read"].as_slice()), ("secret/data/x", ["deny"].as_slice()));
    for (at, rules) in [[allow, deny], [deny, allow]].iter().enumerate() {
        let name = format!("both{at}");
        let written =
            root.ask("POST", &format!("sys/policies/acl/{name}"), json!({ "policy": policy(rules) })).await;
        if written.status < 300 {
            let token = house.token(&root, json!({ "policies": [name] })).await;
            house.with_token(&token).ask("GET", "secret/data/x", Value::Null).await.refused(403);
        }
    }
    root.sys().put_policy("a", &policy(&[allow])).await.unwrap();
    root.sys().put_policy("d", &policy(&[deny])).await.unwrap();
    for policies in [["a", "d"], ["d", "a"]] {
        let token = house.token(&root, json!({ "policies": policies })).await;
        house.with_token(&token).ask("GET", "secret/data/x", Value::Null).await.refused(403);
    }
}
