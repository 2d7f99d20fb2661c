//! Rule 2: ids are tuples; an id of another kind, mount or environment is none.
use coffer_sdk::{Cas, KeyType, NewMount};
use coffer_tests::{Ask, House};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_in_two_mounts_is_two_things() {
    let house = House::start().await;
    let root = house.root();
    for mount in ["a", "a-b", "ab", "x/a"] {
        root.sys().mount(mount, &NewMount::kv_v2()).await.unwrap();
        root.kv(mount).put("b/c/x", &json!({ "in": mount }), Cas::New).await.unwrap();
    }
    for mount in ["a", "a-b", "ab", "x/a"] {
        assert_eq!(root.kv(mount).get::<Value>("b/c/x").await.unwrap()["in"], mount);
    }
    root.sys().unmount("a").await.unwrap();
    assert_eq!(root.kv("x/a").get::<Value>("b/c/x").await.unwrap()["in"], "x/a");
    root.sys().mount("a", &NewMount::kv_v2()).await.unwrap();
    assert_eq!(
        root.ask("GET", "a/data/b/c/x", Value::Null).await.status,
        404,
        "an old mount's data in a new one"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_one_mount_opens_nothing_of_another() {
    let house = House::start().await;
    let root = house.root();
    for mount in ["t1", "t2"] {
        root.sys().mount(mount, &NewMount::of("transit")).await.unwrap();
        root.transit(mount).create("key", KeyType::Aes256Gcm96).await.unwrap();
    }
    let sealed = root.transit("t1").encrypt("key", b"text", b"").await.unwrap();
    root.ask("POST", "t2/decrypt/key", json!({ "ciphertext": sealed })).await.refused(400);
    root.transit("t1").create("other", KeyType::Aes256Gcm96).await.unwrap();
    root.ask("POST", "t1/decrypt/other", json!({ "ciphertext": sealed })).await.refused(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_another_kind_is_none() {
    let house = House::start().await;
    let root = house.root();
    let made = root.ask("POST", "auth/token/create", json!({})).await.ok();
    let (token, accessor) = (made.token(), made.accessor());
    house.canaries.add(&token);
    for (path, body) in [
        ("auth/token/lookup", json!({ "token": accessor })),
        ("auth/token/lookup-accessor", json!({ "accessor": token })),
        ("auth/token/renew", json!({ "token": accessor })),
        ("auth/token/renew-accessor", json!({ "accessor": token })),
        ("auth/token/revoke-accessor", json!({ "accessor": token })),
        ("auth/token/lookup-accessor", json!({ "accessor": "../" })),
        ("auth/token/lookup-accessor", json!({ "accessor": format!("{accessor}\u{0}") })),
        ("auth/token/lookup-accessor", json!({ "accessor": format!(" {accessor}") })),
        ("sys/capabilities", json!({ "token": accessor, "paths": ["x"] })),
        ("sys/capabilities-accessor", json!({ "accessor": token, "paths": ["x"] })),
    ] {
        let answer = root.ask("POST", path, body.clone()).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.body.to_string().contains(&token), "{path} echoes the token");
    }
    // An accessor is no token.
    house.with_token(&accessor).ask("GET", "auth/token/lookup-self", Value::Null).await.refused(403);
    house.with_token(&token).ask("GET", "auth/token/lookup-self", Value::Null).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_root_policy_of_one_environment_reaches_neither_its_neighbour_nor_above() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    for path in ["staging", "prod/team"] {
        house.environment(path).await;
    }
    let token = house.token(&prod, json!({ "policies": ["root"] })).await;
    for (environment, reaches) in [("prod", true), ("prod/team", true), ("", false), ("staging", false)] {
        let here = house.with_token(&token).with_namespace(environment).unwrap();
        let answer = here.ask("GET", "sys/mounts", Value::Null).await;
        assert_eq!(answer.status == 200, reaches, "{environment:?}: {}", answer.status);
        assert!(reaches || answer.status == 403, "{environment:?}: {}", answer.status);
    }
}
