//! C12: what leaks into logs and audit, and what is missing there. Every house searches its log and its audit files for
//! its canaries when it goes; errors stand in rule_4_secrets.rs.
use coffer_tests::{Ask, House, Person};
use serde_json::{Value, json};

absent!(cve_2024_0831_log_raw_on_one_device, "no audit devices by API, no raw logging");
absent!(cve_2024_2877_headers_on_a_standby, "one node");
absent!(cve_2020_13223_proxy_credentials_in_the_log, "no outgoing connections, no proxy");
absent!(cve_2018_19786_root_key_when_an_auto_seal_fails, "no seal but shares yet");
absent!(cosmian_2026_014_debug_of_keys, "held at compile time: secret types have no Debug (secmem and sdk)");
absent!(cve_2026_77285_agent_templates, "no agent");
absent!(rustsec_2023_0125_cloud_credentials_at_trace, "no cloud clients; the log has no level below debug");

/// CVE-2024-8365, CVE-2025-62513, CVE-2025-62705: every kind of secret by every way in, then the search.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2024_8365_no_token_accessor_share_or_value_stands_in_log_or_audit() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    house
        .role(&prod, "app", json!({ "allowed_uri_sans": ["spiffe://x/*"], "token_policies": ["default"] }))
        .await;
    let app = house.issue(&Person::named("app").uri("spiffe://x/app"));
    let made = house
        .client(&app)
        .with_namespace("prod")
        .unwrap()
        .ask("POST", "auth/cert/login", json!({}))
        .await
        .ok();
    house.canaries.add(made.token());
    house.canaries.add(made.accessor());
    for value in [
        json!(house.canaries.plant("text")),
        json!([house.canaries.plant("list")]),
        json!({ "deep": { "er": house.canaries.plant("deep") } }),
        json!({ &house.canaries.plant("name"): null }),
    ] {
        prod.ask("POST", "secret/data/x", json!({ "data": { "k": value } })).await.done();
    }
    prod.ask("POST", "transit/keys/k", json!({})).await.done();
    let plain =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, house.canaries.plant("plain"));
    let sealed = prod.ask("POST", "transit/encrypt/k", json!({ "plaintext": plain, "associated_data": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, house.canaries.plant("associated")) })).await.ok();
    house.canaries.add(sealed.text("ciphertext"));
    prod.ask("POST", "auth/token/lookup", json!({ "token": made.token() })).await.done();
    prod.ask("POST", "auth/token/lookup-accessor", json!({ "accessor": made.accessor() })).await.done();
    prod.ask("POST", "auth/token/revoke-accessor", json!({ "accessor": made.accessor() })).await.done();
    house.root().sys().seal().await.unwrap();
    house
        .client(&house.operator)
        .ask("POST", "sys/unseal", json!({ "key": house.canaries.plant("share") }))
        .await
        .refused(400);
    assert_eq!(house.leaks(), Vec::<String>::new());
}

/// CVE-2025-4166 and its two successors: `rule_4_secrets::no_refusal_repeats_what_was_sent` has the corpus.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2025_4166_a_malformed_secret_is_echoed_nowhere() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let mut wire = house.wire();
    for body in [
        "{\"data\": \"@\"}",
        "{\"data\": @}",
        "{\"@\"",
        "@",
        "{\"data\":{\"k\":\"@}}",
        "{\"data\":{\"k\":\"@\"},\"options\":\"@\"}",
        "{\"data\":{\"k\":1},\"options\":{\"cas\":\"@\"}}",
        "[\"@\"]",
        "{\"data\":{\"k\":\"@\",\"k\":\"@\"}}",
    ] {
        let canary = house.canaries.plant("malformed");
        for path in [
            "secret/data/x",
            "secret/metadata/x",
            "transit/encrypt/x",
            "sys/policies/acl/p",
            "auth/token/create",
        ] {
            let reply = wire
                .ask(
                    "POST",
                    &format!("/v1/{path}"),
                    &[("x-vault-token", &house.root_token)],
                    body.replace('@', &canary).as_bytes(),
                )
                .unwrap();
            assert!(!reply.text().contains(&canary), "{path} {body}: {}", reply.text());
        }
    }
    assert_eq!(house.leaks(), Vec::<String>::new());
}

/// CVE-2026-46358: what is recorded is what was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_46358_the_leaf_is_of_the_request_as_it_came() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    prod.ask("GET", "secret/data/a/b", Value::Null).await.refused(404);
    house.root().ask("GET", "prod/secret/data/a/b", Value::Null).await.refused(404);
    // Headers of inline logins mean nothing here.
    let mut wire = house.wire();
    let inline = [
        ("x-vault-inline-auth-path", "auth/cert/login"),
        ("x-vault-inline-auth-operation", "update"),
        ("x-vault-namespace", "prod"),
    ];
    assert!(matches!(wire.ask("GET", "/v1/secret/data/a/b", &inline, b"").unwrap().status, 400 | 403));
    house.root().sys().seal().await.unwrap();
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    let reads: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|leaf: &Value| leaf["route"] == "kv2/data")
        .collect();
    let statuses: Vec<_> = reads.iter().map(|leaf| leaf["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses[..2], [404, 404], "{reads:#?}");
    assert!(statuses[2..].iter().all(|status| *status == 403), "{reads:#?}");
    assert!(reads.iter().all(|leaf| leaf["operation"] == "read"));
}

/// GHSA-vjg6-93fv-qv64: a failed login leaves exactly one leaf.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ghsa_vjg6_each_failed_login_leaves_one_leaf() {
    let house = House::start().await;
    house
        .role(
            &house.root(),
            "app",
            json!({ "allowed_uri_sans": ["spiffe://x/*"], "token_policies": ["default"] }),
        )
        .await;
    for _ in 0..7 {
        house.client(&house.operator).ask("POST", "auth/cert/login", json!({})).await.refused(403);
    }
    house.root().sys().seal().await.unwrap();
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    let logins = shown.lines().filter(|line| line.contains("cert/login") && line.contains("403")).count();
    assert_eq!(logins, 7);
}

/// CVE-2026-4525: a bearer token is a token, and shows nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_4525_a_bearer_token_is_taken_and_told_to_nobody() {
    let house = House::start().await;
    let mut wire = house.wire();
    let bearer = format!("Bearer {}", house.root_token);
    let reply = wire.ask("GET", "/v1/sys/mounts", &[("authorization", &bearer)], b"").unwrap();
    assert!(reply.status == 200 && !reply.text().contains(&house.root_token));
    let both = [("authorization", bearer.as_str()), ("x-vault-token", house.root_token.as_str())];
    assert_eq!(wire.ask("GET", "/v1/sys/mounts", &both, b"").unwrap().status, 400, "two tokens");
}

/// RUSTSEC-2025-0055: `rule_4_secrets::what_comes_in_headers_and_queries_is_in_no_log` sends the escapes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rustsec_2025_0055_no_escape_sequence_reaches_the_log() {
    let house = House::start().await;
    let mut wire = house.wire();
    for text in ["%1b%5b31m", "%0d%0aERROR forged", "%9b31m"] {
        let _refused = wire.ask(
            "GET",
            &format!("/v1/{text}"),
            &[("x-vault-token", &house.root_token), ("user-agent", "\u{9b}31m")],
            b"",
        );
    }
    assert!(!house.log().contains('\u{1b}') && !house.log().contains("forged"));
}
