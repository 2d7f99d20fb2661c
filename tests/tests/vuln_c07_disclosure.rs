//! C7: enumeration, timing, and what is told to nobody in particular.
use coffer_sdk::Cas;
use coffer_tests::{Ask, House};
use serde_json::{Value, json};

absent!(cve_2020_35177_ldap_error_texts_differ, "no LDAP");
absent!(
    cve_2026_63132_recovery_token_compared_in_variable_time,
    "no recovery tokens; tokens are looked up by HMAC"
);
absent!(ghsa_c7x2_api_key_compared_in_variable_time, "tokens are looked up by HMAC, never compared");
absent!(cve_2021_27668_license_read_without_login, "no licences, no second node");

absent!(
    cve_2025_6011_userpass_timing_tells_users_apart,
    "timed in daemon/auth/tests/userpass, where nothing else runs"
);

/// CVE-2025-6010, CVE-2025-6004: a lockout counts the name, not its spelling, and says nothing of whether it exists.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2025_6010_a_lockout_is_the_same_for_known_and_unknown_names_in_every_spelling() {
    let house = House::start().await;
    let root = house.root();
    root.sys().enable_auth("people", &coffer_sdk::NewMount::of("userpass")).await.unwrap();
    let user = json!({ "password": "correct horse", "token_policies": "default" }).to_string();
    root.request(coffer_sdk::Method::POST, "auth/people/users/ann", Some(user.as_bytes())).await.unwrap();
    let nobody = root.without_token();
    let wrong = json!({ "password": "wrong" }).to_string();
    let mut seen = Vec::new();
    for spellings in [["ann", "Ann", "aNN", "ANN", "anN", "ann"], ["eve", "Eve", "eVE", "EVE", "evE", "eve"]]
    {
        let mut answers = Vec::new();
        for name in spellings {
            let path = format!("auth/people/login/{name}");
            let call = nobody.call(coffer_sdk::Method::POST, &path).json(wrong.as_bytes().to_vec().into());
            let answer = call.send_any_status().await.unwrap();
            answers.push((answer.status(), String::from_utf8_lossy(answer.body()).into_owned()));
        }
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0][0].0, 400);
    assert_eq!(seen[0][5].0, 403, "the sixth try of one name in other spellings is locked out");
    let right = json!({ "password": "correct horse" }).to_string();
    let locked =
        nobody.request(coffer_sdk::Method::POST, "auth/people/login/ann", Some(right.as_bytes())).await;
    assert_eq!(locked.err().and_then(|error| error.status()), Some(403));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2020_25594_what_is_there_and_what_is_not_look_alike_to_nobody() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    prod.kv("secret").put("app/db", &json!({}), Cas::New).await.unwrap();
    house.role(&prod, "r", json!({ "allowed_common_names": ["someone"] })).await;
    let nobody = house.client(&house.operator);
    let powerless = house.with_token(
        &house.token(&house.root(), json!({ "policies": ["default"], "no_default_policy": true })).await,
    );
    for client in [nobody, powerless] {
        let mut seen = std::collections::BTreeSet::new();
        for namespace in ["", "prod", "none", "prod/none"] {
            let client = client.with_namespace(namespace).unwrap();
            for path in [
                "secret/data/app/db",
                "secret/data/none",
                "secret/metadata/app",
                "none/data/x",
                "transit/keys/x",
                "sys/mounts",
                "sys/policies/acl/root",
                "sys/none",
                "auth/cert/certs/r",
                "auth/none/certs/r",
                "sys/internal/ui/mounts/secret",
                "sys/internal/ui/mounts/none",
                "prod/secret/data/app/db",
                "sys/namespaces/prod",
                "sys/namespaces/none",
            ] {
                for method in ["GET", "LIST", "DELETE"] {
                    let answer = client.ask(method, path, Value::Null).await;
                    if answer.status == 400 && namespace == "none" {
                        continue;
                    }
                    seen.insert((answer.status, answer.body.to_string()));
                }
            }
        }
        assert_eq!(seen.len(), 1, "{seen:#?}");
        assert_eq!(seen.first().unwrap().0, 403);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2021_3024_no_error_names_a_host_an_address_or_a_file() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let mut wire = house.wire();
    for (method, target, body) in [
        ("GET", "/v1/none/x", ""),
        ("POST", "/v1/secret/data/x", "{"),
        ("POST", "/v1/sys/unseal", "{}"),
        ("POST", "/v1/sys/init", "{}"),
        ("PUT", "/v1/sys/unseal", "{\"key\":\"x\"}"),
        ("BREW", "/v1/x", ""),
        ("GET", "/", ""),
        ("GET", "/ui/", ""),
        ("POST", "/v1/sys/storage/raft/snapshot-restore", "x"),
        ("POST", "/v1/auth/cert/certs/r", "{\"certificate\":\"x\"}"),
        ("GET", "/v1/../../etc/passwd", ""),
        ("GET", "/v1/%ff", ""),
    ] {
        let reply =
            wire.ask(method, target, &[("x-vault-token", &house.root_token)], body.as_bytes()).unwrap();
        let text = format!("{}{:?}", reply.text(), reply.headers);
        for leak in [
            "127.0.0.1",
            "localhost",
            "/tmp",
            "coffer-house",
            ".rs:",
            "src/",
            "panicked",
            env!("CARGO_MANIFEST_DIR"),
            "Os {",
        ] {
            assert!(!text.contains(leak), "{method} {target} tells {leak}: {text}");
        }
        assert!(reply.header("server").is_none());
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{method} {target}");
    }
}

/// What somebody without token or role is answered on; `public.rs` of the gateway has the same list.
const PUBLIC: [&str; 7] = [
    "sys/health",
    "sys/seal-status",
    "sys/metrics",
    "sys/init",
    "sys/leader",
    "sys/unseal",
    "sys/storage/raft/snapshot-restore",
];

/// COSMIAN-2026-012, -013: what answers somebody who is nobody is exactly the declared list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosmian_2026_012_nobody_is_answered_on_the_declared_paths_only() {
    let house = House::start().await;
    let nobody = house.client(&house.operator);
    let mut answered = Vec::new();
    let known = [
        "sys/health",
        "sys/seal-status",
        "sys/metrics",
        "sys/init",
        "sys/leader",
        "sys/unseal",
        "sys/storage/raft/snapshot-restore",
        "sys/server-info",
        "sys/version",
        "sys/config",
        "sys/ha-status",
        "sys/host-info",
        "sys/replication/status",
        "sys/license/status",
        "sys/internal/specs/openapi",
        "sys/internal/counters/activity",
        "sys/wrapping/lookup",
        "sys/generate-root/attempt",
        "sys/rekey/init",
        "sys/audit/checkpoint",
        "metrics",
        "healthz",
        "debug/pprof",
    ];
    for path in known.into_iter().chain(coffer_environments::routes()) {
        for method in ["GET", "POST"] {
            let body = if method == "POST" { json!({}) } else { Value::Null };
            if nobody.ask(method, path, body).await.status != 403 && !answered.contains(&path) {
                answered.push(path);
            }
        }
    }
    answered.sort_unstable();
    let mut declared = PUBLIC.to_vec();
    declared.sort_unstable();
    assert_eq!(answered, declared);
}

/// CVE-2023-32082: whoever looks up an accessor learns nothing but what is said of a token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2023_32082_a_lookup_by_accessor_shows_no_token_and_no_path() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let made = root.ask("POST", "auth/token/create", json!({ "policies": ["default"] })).await.ok();
    house.canaries.add(made.token());
    house
        .with_token(&made.token())
        .ask("GET", &format!("secret/data/{}", house.canaries.plant("path")), Value::Null)
        .await
        .refused(403);
    let shown =
        root.ask("POST", "auth/token/lookup-accessor", json!({ "accessor": made.accessor() })).await.ok();
    assert!(house.canaries.found_in(shown.body.to_string().as_bytes()).is_empty(), "{}", shown.body);
}
