//! C10: control endpoints that nobody guards.
use coffer_sdk::Secret;
use coffer_tests::{Ask, House, Setup};
use serde_json::{Value, json};

absent!(cve_2022_36129_raft_join_changes_voters, "one node: no joining");
absent!(cve_2021_3282_remove_peer_without_login, "one node: no peers");
absent!(cve_2024_8185_raft_join_fills_memory, "one node: no joining");
absent!(cve_2026_33413_apis_of_the_backing_store, "the store is embedded: it has no network API");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_5807_nobody_starts_or_cancels_a_generation_or_a_rekey() {
    let house = House::start().await;
    let nobody = house.client(&house.operator);
    for path in [
        "sys/generate-root/attempt",
        "sys/generate-root/update",
        "sys/generate-root-token/attempt",
        "sys/rekey/init",
        "sys/rekey/update",
        "sys/rekey/verify",
        "sys/rekey-recovery-key/init",
        "sys/rotate/root/init",
        "sys/rotate/root/update",
        "sys/rotate/root",
        "sys/rotate",
        "sys/seal",
        "sys/step-down",
    ] {
        for (method, body) in [
            ("GET", Value::Null),
            ("POST", json!({ "secret_shares": 1, "secret_threshold": 1 })),
            ("DELETE", Value::Null),
        ] {
            nobody.ask(method, path, body).await.refused(403);
        }
    }
    // A storm of cancellations by those who may not stops no rekey.
    let root = house.root();
    let body = json!({ "secret_shares": 3, "secret_threshold": 2 });
    let nonce = root.ask("POST", "sys/rekey/init", body).await.ok().text("nonce");
    let holder = house.token_for(&root, "holder", &[("sys/rekey/update", &["update"])]).await;
    for share in &house.shares[..2] {
        for cancelling in [&nobody, &house.with_token(&holder)] {
            cancelling.ask("DELETE", "sys/rekey/init", Value::Null).await.refused(403);
            cancelling.ask("DELETE", "sys/rekey/verify", Value::Null).await.refused(403);
        }
        root.ask("POST", "sys/rekey/update", json!({ "key": share, "nonce": nonce })).await.done();
    }
    assert_eq!(root.ask("GET", "sys/rekey/init", Value::Null).await.ok().body["started"], false);
}

/// Vault 0.5.0: whoever cancels a rekey and begins another gets no share that was meant for the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vault_0_5_0_a_share_is_given_to_one_rekey_and_to_no_other() {
    let house = House::start().await;
    let root = house.root();
    let body = json!({ "secret_shares": 3, "secret_threshold": 2 });
    let shown = root.ask("POST", "sys/rekey/init", body.clone()).await.ok().text("nonce");
    let give = async |share: &str| {
        root.ask("POST", "sys/rekey/update", json!({ "key": share, "nonce": shown })).await
    };
    give(&house.shares[0]).await.done();
    root.ask("DELETE", "sys/rekey/init", Value::Null).await.done();
    root.ask("POST", "sys/rekey/init", body).await.done();
    give(&house.shares[1]).await.refused(400);
    assert_eq!(root.ask("GET", "sys/rekey/init", Value::Null).await.ok().body["progress"], 0);
}

/// CVE-2025-52894: a reset of the shares given so far is anybody's who holds a client certificate; it is in the node log,
/// and a storm of resets can't keep those who have enough shares from unsealing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2025_52894_a_storm_of_resets_is_recorded_and_stops_no_unsealing() {
    let mut house = House::start().await;
    house.root().sys().seal().await.unwrap();
    let sys = house.client(&house.operator).sys();
    let storm = {
        let sys = sys.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                let _storm = sys.unseal_reset().await;
            }
        })
    };
    let mut is_open = false;
    for _ in 0..2000 {
        for share in &house.shares[..2] {
            is_open |= sys.unseal(&Secret::new(share.clone())).await.is_ok_and(|status| !status.sealed);
        }
        if is_open {
            break;
        }
    }
    assert!(is_open, "a storm of resets keeps the daemon sealed");
    storm.await.unwrap();
    assert!(house.stop().success());
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    assert!(shown.matches("reset").count() >= 1, "no reset is in the node log");
}

/// A reset where there is nothing to reset is no event: whoever has a certificate could fill the log with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_of_an_open_daemon_leave_no_leaves() {
    let mut house = House::start().await;
    let sys = house.client(&house.operator).sys();
    for _ in 0..100 {
        assert!(!sys.unseal_reset().await.unwrap().sealed);
    }
    assert!(house.stop().success());
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    assert!(shown.contains("unsealed") && !shown.contains("reset"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosmian_2026_007_every_declared_route_asks_who_is_there() {
    let house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    let nobody = house.client(&house.operator);
    let mut paths: Vec<String> = coffer_environments::routes()
        .map(|route| route.replace(":path", "x").replace(":name", "x").replace(":index", "0"))
        .collect();
    paths.extend(coffer_auth::token::routes().iter().map(|route| format!("auth/{route}")));
    for (mount, engine) in
        [("secret", coffer_engines::Engine::KvV2), ("transit", coffer_engines::Engine::Transit)]
    {
        paths.extend(
            engine.routes().iter().map(|route| format!("{mount}/{}/x", route.split_once('/').unwrap().1)),
        );
    }
    for path in paths {
        for method in ["GET", "LIST", "SCAN", "POST", "PUT", "PATCH", "DELETE"] {
            let body = if matches!(method, "POST" | "PUT" | "PATCH") { json!({}) } else { Value::Null };
            nobody.ask(method, &path, body).await.refused(403);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_init_and_a_restore_over_data_are_refused() {
    let house = House::start().await;
    let nobody = house.client(&house.operator);
    for body in [json!({ "secret_shares": 1, "secret_threshold": 1 }), json!({})] {
        let answer = nobody.ask("POST", "sys/init", body).await;
        assert!(answer.body["root_token"].is_null());
        answer.refused(400);
    }
    nobody.ask("POST", "sys/storage/raft/snapshot-restore", json!({})).await.refused(400);
    let empty = House::empty(Setup::default()).await;
    let nobody = empty.client(&empty.operator);
    for (shares, threshold) in [(0, 0), (1, 2), (256, 3), (3, 0), (3, 1), (1_i64 << 40, 1_i64 << 40)] {
        let status = nobody
            .ask("POST", "sys/init", json!({ "secret_shares": shares, "secret_threshold": threshold }))
            .await
            .status;
        assert_eq!(status, 400, "{threshold} of {shares}");
    }
    for body in [
        json!({ "secret_shares": "x" }),
        json!({ "secret_shares": -1 }),
        json!({ "secret_shares": 3.5 }),
        json!({ "pgp_keys": ["x"] }),
        json!([3, 2]),
    ] {
        nobody.ask("POST", "sys/init", body).await.refused(400);
    }
    assert!(!nobody.sys().health().await.unwrap().initialized);
}
