//! C9: crossing from one environment into another.
use coffer_sdk::Cas;
use coffer_tests::{Ask, House};
use serde_json::{Value, json};

absent!(cve_2026_45808_leases_across_namespaces, "no leases yet; tokens and accessors: environments.rs");
absent!(cve_2026_14886_batch_delete_of_entities, "no entities");
absent!(
    cve_2025_24365_organisation_id_in_two_parameters,
    "an environment is named by header and path only, which add up: environments.rs"
);

const EVERYTHING: &[&str] = &["create", "read", "update", "patch", "delete", "list", "sudo"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ghsa_mjch_no_policy_name_reaches_another_environments_policy() {
    let house = House::start().await;
    let (a, b) = (house.environment("a").await, house.environment("b").await);
    b.sys().put_policy("p", "path \"*\" { capabilities = [\"read\", \"sudo\"] }").await.unwrap();
    for name in ["../b/p", "b/p", "..%2fb%2fp", "b\u{0}p", "b:p", "/b/p", "p/../../b/p", "a/p"] {
        let made = a
            .ask("POST", "auth/token/create", json!({ "policies": [name], "no_default_policy": true }))
            .await;
        if made.status == 200 {
            let token = made.token();
            house.canaries.add(&token);
            for namespace in ["a", "b", ""] {
                house
                    .with_token(&token)
                    .with_namespace(namespace)
                    .unwrap()
                    .ask("GET", "sys/mounts", Value::Null)
                    .await
                    .refused(403);
            }
        }
        assert!(
            a.ask("POST", &format!("sys/policies/acl/{name}"), json!({ "policy": "path \"x\" {}" }))
                .await
                .status
                >= 400
                || name == "b:p"
        );
    }
    assert!(b.sys().policy("p").await.unwrap().contains("sudo"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_40264_accessors_of_a_neighbour_neither_renew_nor_revoke() {
    let house = House::start().await;
    let (a, b) = (house.environment("a").await, house.environment("b").await);
    let admin = house.token_for(&a, "admin", &[("*", EVERYTHING)]).await;
    let admin = house.with_token(&admin).with_namespace("a").unwrap();
    let made = b.ask("POST", "auth/token/create", json!({ "ttl": "1h" })).await.ok();
    house.canaries.add(made.token());
    for path in ["auth/token/renew-accessor", "auth/token/revoke-accessor", "auth/token/lookup-accessor"] {
        for namespace in ["a", "b", ""] {
            let status = admin
                .with_namespace(namespace)
                .unwrap()
                .ask("POST", path, json!({ "accessor": made.accessor() }))
                .await
                .status;
            assert!(matches!(status, 400 | 403 | 404), "{path} in {namespace}: {status}");
        }
        assert!(matches!(
            admin.ask("POST", &format!("../b/{path}"), json!({ "accessor": made.accessor() })).await.status,
            400 | 403
        ));
    }
    house
        .with_token(&made.token())
        .with_namespace("b")
        .unwrap()
        .ask("GET", "auth/token/lookup-self", Value::Null)
        .await
        .done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_55775_reserved_names_make_no_environment_in_any_spelling() {
    let house = House::start().await;
    let root = house.root();
    for name in [
        "root",
        "ROOT",
        "Root",
        "sys",
        "SYS",
        "auth",
        "audit",
        "cubbyhole",
        "identity",
        " root",
        "root ",
        "ro\u{200b}ot",
        "r\u{43e}ot",
        ".",
        "..",
        "a b",
        "a\u{0}",
        "a%2fb",
        "%72oot",
        "\u{ff52}oot",
    ] {
        for client in [root.clone(), root.with_namespace("root").unwrap()] {
            let status = client.ask("POST", &format!("sys/namespaces/{name}"), json!({})).await.status;
            assert_eq!(status, 400, "{name:?}");
        }
    }
    assert!(root.sys().namespaces().await.unwrap().is_empty());
    house.environment("a").await;
    root.with_namespace("a").unwrap().ask("POST", "sys/namespaces/root", json!({})).await.refused(400);
}

/// GHSA-cg72-x35g-xfp8: what belongs to the node is nobody's below the root.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ghsa_cg72_the_node_is_not_operated_from_an_environment() {
    let house = House::start().await;
    let a = house.environment("a").await;
    let admin = house.token_for(&a, "admin", &[("*", EVERYTHING)]).await;
    let admin = house.with_token(&admin).with_namespace("a").unwrap();
    admin.ask("POST", "sys/seal", json!({})).await.refused(400);
    admin.ask("GET", "sys/storage/raft/snapshot", Value::Null).await.refused(400);
    for path in ["sys/unseal", "sys/init", "sys/storage/raft/snapshot-restore"] {
        assert!(admin.ask("POST", path, json!({ "key": "x" })).await.status >= 400);
    }
    admin.with_namespace("").unwrap().ask("POST", "sys/seal", json!({})).await.refused(403);
    assert!(!house.root().sys().health().await.unwrap().sealed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2023_3775_a_policy_of_one_environment_changes_no_decision_in_another() {
    let house = House::start().await;
    let (a, b) = (house.environment("a").await, house.environment("b").await);
    b.kv("secret").put("x", &json!({}), Cas::New).await.unwrap();
    let token = house.token_for(&b, "same", &[("secret/data/x", &["read"])]).await;
    let client = house.with_token(&token).with_namespace("b").unwrap();
    let decide = async || {
        let mut statuses = Vec::new();
        for (method, path) in [
            ("GET", "secret/data/x"),
            ("GET", "secret/data/y"),
            ("LIST", "secret/metadata"),
            ("GET", "sys/mounts"),
            ("POST", "secret/data/x"),
        ] {
            statuses.push(
                client
                    .ask(method, path, if method == "POST" { json!({ "data": {} }) } else { Value::Null })
                    .await
                    .status,
            );
        }
        statuses
    };
    let before = decide().await;
    for environment in [a.clone(), house.root()] {
        for text in [
            "path \"*\" { capabilities = [\"deny\"] }",
            "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"list\", \"sudo\"] }",
        ] {
            environment.sys().put_policy("same", text).await.unwrap();
            assert_eq!(decide().await, before);
            environment.sys().put_policy("default", text).await.unwrap();
            assert_eq!(decide().await, before);
        }
        environment.sys().delete_policy("same").await.unwrap();
        assert_eq!(decide().await, before);
    }
}

/// CVE-2019-11075: `environments::a_deleted_environment_says_what_became_of_it_and_its_name_can_be_used_again` asks the
/// caches; CVE-2026-26012: a listing shows what its caller may read of, and a denied directory is not shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_26012_lists_and_mounts_show_only_what_the_caller_reaches() {
    let house = House::start().await;
    let root = house.root();
    for mount in ["mine", "theirs"] {
        root.sys().mount(mount, &coffer_sdk::NewMount::kv_v2()).await.unwrap();
    }
    let token = house.token_for(&root, "p", &[("mine/data/*", &["read"])]).await;
    let shown = house.with_token(&token).ask("GET", "sys/internal/ui/mounts", Value::Null).await.ok();
    let secret = shown.data()["secret"].as_object().unwrap();
    assert!(secret.contains_key("mine/") && !secret.contains_key("theirs/"), "{secret:?}");
    house.with_token(&token).ask("GET", "sys/internal/ui/mounts/theirs", Value::Null).await.refused(403);
    house.with_token(&token).ask("GET", "sys/internal/ui/mounts/mine", Value::Null).await.done();
}
