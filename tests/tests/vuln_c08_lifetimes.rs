//! C8: lifetimes and revocation of tokens.
use coffer_tests::{Ask, House, Person, eventually};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

absent!(cve_2020_25816_leases_of_batch_tokens, "no batch tokens: they are refused by name");
absent!(cve_2019_18616_leases_outlive_a_token, "no leases yet; children of a token end with it, see below");
absent!(cve_2023_24999_accessor_of_another_approle, "no AppRole");
absent!(ghsa_qhjf_key_rotation_with_an_access_token, "no API keys");
absent!(cve_2021_29653_tidy_drops_revoked_certificates, "no PKI engine");

async fn lives(house: &House, token: &str) -> bool {
    house.with_token(token).ask("GET", "auth/token/lookup-self", Value::Null).await.status == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2021_32923_a_renewal_at_the_very_end_does_not_make_a_token_immortal() {
    let house = House::start().await;
    for at_millis in [1000, 1900, 1990, 1999] {
        let token = house.token(&house.root(), json!({ "ttl": "2s", "explicit_max_ttl": "2s" })).await;
        let made = Instant::now();
        tokio::time::sleep(Duration::from_millis(at_millis)).await;
        let renewed =
            house.with_token(&token).ask("POST", "auth/token/renew-self", json!({ "increment": 3600 })).await;
        if renewed.status == 200 {
            let left = renewed.body["auth"]["lease_duration"].as_u64().unwrap();
            assert!((1..=2).contains(&left), "renewed for {left} s");
        }
        eventually("its end", || async { (!lives(&house, &token).await).then_some(()) }).await;
        assert!(made.elapsed() < Duration::from_secs(4), "{:?}", made.elapsed());
    }
}

/// CVE-2020-7220 and CVE-2026-42186: `environments::a_deletion_killed_half_way_is_whole_after_the_restart` kills it;
/// here nothing of it is left in the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2020_7220_nothing_is_left_of_a_deleted_environment() {
    let house = House::start().await;
    let store = || std::fs::metadata(house.data().join("store/coffer.redb")).unwrap().len();
    let before = store();
    let here = house.environment("gone").await;
    for at in 0..60 {
        here.ask("POST", &format!("secret/data/x{at}"), json!({ "data": { "k": "z".repeat(20_000) } }))
            .await
            .done();
    }
    let token = house.token_for(&here, "p", &[("*", &["read"])]).await;
    let full = store();
    assert!(full > before + 1_000_000);
    house.root().sys().delete_namespace("gone").await.unwrap();
    assert!(!lives(&house, &token).await);
    eventually("a smaller store", || async { (store() < before + (full - before) / 2).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2020_12757_the_shortest_of_all_maxima_wins() {
    let house = House::start().await;
    let root = house.root();
    house.role(&root, "r", json!({ "allowed_uri_sans": ["spiffe://x/*"], "token_policies": ["default"], "token_ttl": "2h", "token_max_ttl": "3h" })).await;
    let app = house.client(&house.issue(&Person::named("a").uri("spiffe://x/a")));
    let given = async || {
        let answer = app.ask("POST", "auth/cert/login", json!({})).await.ok();
        house.canaries.add(answer.token());
        answer.body["auth"]["lease_duration"].as_u64().unwrap()
    };
    assert_eq!(given().await, 7200);
    root.ask("POST", "sys/auth/cert/tune", json!({ "max_lease_ttl": "1h" })).await.done();
    assert!(given().await <= 3600, "the mount's maximum does not count");
    let token = root
        .ask("POST", "auth/token/create", json!({ "ttl": "100000h", "policies": ["default"] }))
        .await
        .ok();
    house.canaries.add(token.token());
    assert!(token.body["auth"]["lease_duration"].as_u64().unwrap() <= 768 * 3600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_46405_a_request_that_fails_mints_no_token() {
    let house = House::start().await;
    let root = house.root();
    house
        .role(&root, "r", json!({ "allowed_uri_sans": ["spiffe://x/*"], "token_policies": ["default"] }))
        .await;
    let count = async || {
        root.ask("LIST", "auth/token/accessors", Value::Null).await.ok().data()["keys"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = count().await;
    let app = house.client(&house.issue(&Person::named("a").uri("spiffe://x/a")));
    for body in [json!({ "name": "none" }), json!({ "name": 5 }), json!({ "name": { "a": 1 } }), json!([1])] {
        assert!(app.ask("POST", "auth/cert/login", body.clone()).await.status >= 400 || body["name"] == 5);
    }
    for body in [
        json!({ "ttl": "x" }),
        json!({ "type": "batch" }),
        json!({ "policies": [""] , "meta": 5 }),
        json!({ "num_uses": -1 }),
        json!({ "explicit_max_ttl": "-1h" }),
        json!({ "display_name": "x".repeat(600) }),
    ] {
        root.ask("POST", "auth/token/create", body).await.refused(400);
    }
    assert_eq!(count().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_43911_what_came_from_a_revoked_credential_is_dead() {
    let house = House::start().await;
    let root = house.root();
    let rules: &[(&str, &[&str])] = &[("auth/token/*", &["create", "update"])];
    let parent = house.token_for(&root, "maker", rules).await;
    let child = house.token(&house.with_token(&parent), json!({})).await;
    let grandchild = house.token(&house.with_token(&child), json!({})).await;
    let orphan = house.token(&house.with_token(&child), json!({ "policies": ["default"] })).await;
    root.ask("POST", "auth/token/revoke", json!({ "token": parent })).await.done();
    for token in [&parent, &child, &grandchild, &orphan] {
        assert!(!lives(&house, token).await);
    }
}

/// Vault 0.5.3 to 1.0.2: use limits, expiry while down, a revocation that is done or said to have failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vault_0_5_3_a_use_limit_counts_every_request_over_restarts_and_in_parallel() {
    let mut house = House::start().await;
    let token = house.token(&house.root(), json!({ "num_uses": 3 })).await;
    assert!(lives(&house, &token).await);
    house.kill9();
    house.start_process().await;
    house.unseal().await;
    assert!(lives(&house, &token).await && lives(&house, &token).await);
    assert!(!lives(&house, &token).await, "a fourth use");
    let token = house.token(&house.root(), json!({ "num_uses": 5 })).await;
    let client = house.with_token(&token);
    let asking: Vec<_> = (0..40)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                client.ask("GET", "auth/token/lookup-self", Value::Null).await.status == 200
            })
        })
        .collect();
    let mut served = 0;
    for one in asking {
        served += u32::from(one.await.unwrap());
    }
    assert_eq!(served, 5);
    house
        .with_token(&house.token(&house.root(), json!({ "num_uses": 5 })).await)
        .ask("POST", "auth/token/create", json!({}))
        .await
        .refused(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosmian_2026_008_a_revoked_token_and_a_deleted_key_are_served_from_no_cache() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.ask("POST", "transit/keys/k", json!({})).await.done();
    root.ask("POST", "transit/keys/k/config", json!({ "deletion_allowed": true })).await.done();
    let sealed = root.transit("transit").encrypt("k", b"x", b"").await.unwrap();
    for _ in 0..20 {
        let token = house.token(&root, json!({ "policies": ["default"] })).await;
        let client = house.with_token(&token);
        let asking = tokio::spawn(async move {
            let mut statuses = Vec::new();
            while statuses.last() != Some(&403) {
                statuses.push(client.ask("GET", "auth/token/lookup-self", Value::Null).await.status);
            }
        });
        root.ask("POST", "auth/token/revoke", json!({ "token": token })).await.done();
        assert!(!lives(&house, &token).await, "served after its revocation was answered");
        asking.await.unwrap();
    }
    root.ask("DELETE", "transit/keys/k", Value::Null).await.done();
    assert!(root.ask("POST", "transit/decrypt/k", json!({ "ciphertext": sealed })).await.status >= 400);
    // The same name again is another key.
    root.ask("POST", "transit/keys/k", json!({})).await.done();
    root.ask("POST", "transit/decrypt/k", json!({ "ciphertext": sealed })).await.refused(400);
}
