//! C18: authorisation of objects, atomic changes, wrapping.
use coffer_tests::{Ask, House};
use serde_json::{Value, json};

absent!(openbao_3790_wrapping_on_a_standby, "no response wrapping yet, one node");
absent!(cve_2026_33343_rbac_of_etcd, "the store is embedded");

/// GHSA-rh46-vc3j-w2w3: no operation can be named but those of the API.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ghsa_rh46_no_internal_operation_can_be_named() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let mut wire = house.wire();
    for operation in [
        "alias-lookahead",
        "resolve-role",
        "revoke",
        "renew",
        "rollback",
        "help",
        "header",
        "internal",
        "create",
        "update",
        "sudo",
    ] {
        let headers = [
            ("x-vault-inline-auth-path", "auth/token/create"),
            ("x-vault-inline-auth-operation", operation),
            ("x-vault-operation", operation),
            ("x-http-method-override", operation),
        ];
        let reply = wire.ask("POST", "/v1/auth/token/create", &headers, b"{}").unwrap();
        assert!(matches!(reply.status, 400 | 403), "{operation}");
        for method in [operation.to_uppercase(), operation.to_owned()] {
            let reply = wire.ask(&method, "/v1/secret/data/x", &[("x-vault-token", &house.root_token)], b"");
            assert!(reply.map_or(400, |reply| reply.status) / 100 == 4, "{method}");
        }
    }
    for method in ["CONNECT", "TRACE", "OPTIONS", "get", "Post", "PROPFIND"] {
        let mut wire = house.wire();
        let reply = wire.ask(method, "/v1/sys/mounts", &[("x-vault-token", &house.root_token)], b"");
        assert!(reply.map_or(400, |reply| reply.status) / 100 == 4, "{method}");
    }
}

/// COSMIAN-2026-016 to -018, -003: the matrix of rule_3_authorisation.rs; here the pairs that were wrong there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosmian_2026_016_a_right_to_use_a_key_is_none_to_change_it() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.ask("POST", "transit/keys/k", json!({})).await.done();
    let user = house
        .token_for(
            &root,
            "user",
            &[
                ("transit/encrypt/k", &["update"]),
                ("transit/decrypt/k", &["update"]),
                ("transit/keys/k", &["read"]),
            ],
        )
        .await;
    let user = house.with_token(&user);
    user.ask("POST", "transit/encrypt/k", json!({ "plaintext": "aGk=" })).await.done();
    for (method, path) in [
        ("POST", "transit/keys/k/rotate"),
        ("POST", "transit/keys/k/config"),
        ("POST", "transit/keys/k/trim"),
        ("DELETE", "transit/keys/k"),
        ("POST", "transit/keys/k"),
        ("POST", "transit/rewrap/k"),
        ("POST", "transit/datakey/plaintext/k"),
        ("LIST", "transit/keys"),
        ("POST", "transit/encrypt/other"),
    ] {
        user.ask(method, path, if method == "POST" { json!({ "plaintext": "aGk=" }) } else { Value::Null })
            .await
            .refused(403);
    }
    // Encrypting under a name that is not there makes no key for who may not create.
    let updater = house.token_for(&root, "updater", &[("transit/encrypt/*", &["update"])]).await;
    assert!(
        house
            .with_token(&updater)
            .ask("POST", "transit/encrypt/fresh", json!({ "plaintext": "aGk=" }))
            .await
            .status
            >= 400
    );
    root.ask("GET", "transit/keys/fresh", Value::Null).await.refused(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosmian_2026_011_parallel_changes_of_one_thing_are_one_history() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.ask("POST", "secret/data/x", json!({ "data": { "at": 0 } })).await.done();
    for version in 1..=15 {
        let racing: Vec<_> = (0..16)
            .map(|at| {
                let root = root.clone();
                tokio::spawn(async move {
                    root.ask(
                        "POST",
                        "secret/data/x",
                        json!({ "data": { "by": at }, "options": { "cas": version } }),
                    )
                    .await
                    .status
                })
            })
            .collect();
        let mut won = 0;
        for one in racing {
            match one.await.unwrap() {
                200 => won += 1,
                status => assert_eq!(status, 400),
            }
        }
        assert_eq!(won, 1, "of sixteen that named version {version}");
    }
    root.ask("POST", "transit/keys/k", json!({})).await.done();
    let rotating: Vec<_> = (0..32)
        .map(|_| {
            let root = root.clone();
            tokio::spawn(async move { root.ask("POST", "transit/keys/k/rotate", json!({})).await.status })
        })
        .collect();
    let mut rotated = 0;
    for one in rotating {
        rotated += u64::from(one.await.unwrap() < 300);
    }
    assert_eq!(
        root.ask("GET", "transit/keys/k", Value::Null).await.ok().data()["latest_version"],
        rotated + 1
    );
}

/// CVE-2026-27802, -27803, -27898: what works on many asks as much as what works on one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_27802_a_batch_is_no_way_around_a_check() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    for key in ["mine", "theirs"] {
        root.ask("POST", &format!("transit/keys/{key}"), json!({})).await.done();
    }
    let theirs = root.transit("transit").encrypt("theirs", b"x", b"").await.unwrap();
    let token = house
        .token_for(
            &root,
            "p",
            &[
                ("transit/+/mine", &["update"]),
                ("secret/delete/mine", &["update"]),
                ("secret/destroy/mine", &["update"]),
            ],
        )
        .await;
    let client = house.with_token(&token);
    let answer = client.ask("POST", "transit/decrypt/mine", json!({ "batch_input": [{ "ciphertext": theirs, "name": "theirs", "key": "theirs", "mount": "x" }] })).await;
    assert!(!answer.body.to_string().contains("eA=="), "{}", answer.body);
    for verb in ["delete", "destroy", "undelete"] {
        client.ask("POST", &format!("secret/{verb}/theirs"), json!({ "versions": [1] })).await.refused(403);
    }
    root.ask("POST", "secret/data/theirs", json!({ "data": {} })).await.done();
    for body in [json!({ "versions": [1], "path": "theirs" }), json!({ "versions": ["1", "../theirs"] })] {
        let _whatever = client.ask("POST", "secret/destroy/mine", body).await;
    }
    root.ask("GET", "secret/data/theirs", Value::Null).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2025_49829_a_name_of_another_kind_reaches_nothing() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.ask("POST", "secret/data/x", json!({ "data": {} })).await.done();
    root.ask("POST", "transit/keys/x", json!({})).await.done();
    root.sys().put_policy("x", "path \"y\" { capabilities = [\"read\"] }").await.unwrap();
    for path in [
        "transit/keys/secret",
        "transit/keys/data",
        "sys/policies/acl/keys",
        "auth/token/roles/x",
        "sys/namespaces/x",
        "sys/mounts/x",
        "secret/data/keys/x",
    ] {
        let status = root.ask("GET", path, Value::Null).await.status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
}

/// CVE-2021-28235: no debug routes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2021_28235_there_are_no_debug_routes() {
    let house = House::start().await;
    let mut wire = house.wire();
    for target in [
        "/debug/pprof/",
        "/debug/vars",
        "/debug/requests",
        "/metrics",
        "/v1/debug",
        "/v1/sys/pprof/",
        "/v1/sys/debug",
        "/server-status",
        "/v2/keys",
        "/",
        "/ui",
        "/v1",
        "/v1/",
    ] {
        let reply = wire.ask("GET", target, &[("x-vault-token", &house.root_token)], b"").unwrap();
        assert!(matches!(reply.status, 400 | 404), "{target}: {}", reply.status);
    }
}
