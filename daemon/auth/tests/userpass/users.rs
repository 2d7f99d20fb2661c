use crate::desk::{Desk, MOUNT};
use crate::lab::{good, json, refused, text};
use coffer_auth::userpass::{route, routes};
use coffer_types::{CanonicalPath, Operation, WriteMode};
use serde_json::json;

#[tokio::test]
async fn what_is_not_given_keeps_its_value() {
    let desk = Desk::new().await;
    let shown = json(&good(desk.read("users/bob").await));
    assert_eq!(
        shown,
        json!({
            "token_bound_cidrs": [], "token_explicit_max_ttl": 0, "token_max_ttl": 0,
            "token_no_default_policy": false, "token_num_uses": 0, "token_period": 0,
            "token_policies": [], "token_ttl": 0, "token_type": "default"
        })
    );
    desk.user(
        "bob",
        r#"{"policies":"B,a","ttl":"1h","max_ttl":7200,"period":"5s","token_explicit_max_ttl":9}"#,
    )
    .await;
    desk.user("bob", r#"{"token_num_uses":3,"token_no_default_policy":true}"#).await;
    let shown = json(&good(desk.read("users/BoB").await));
    assert_eq!(shown["token_policies"], json!(["a", "b"]));
    assert_eq!((&shown["token_ttl"], &shown["token_max_ttl"]), (&3600.into(), &7200.into()));
    assert_eq!((&shown["token_period"], &shown["token_explicit_max_ttl"]), (&5.into(), &9.into()));
    assert_eq!((&shown["token_num_uses"], &shown["token_no_default_policy"]), (&3.into(), &true.into()));
    let auth = json(&good(desk.login("bob", "right").await));
    assert_eq!(auth["policies"], json!(["a", "b"]), "the password kept its value too");
    good(desk.write("users/bob/policies", r#"{"policies":""}"#).await);
    assert_eq!(json(&good(desk.read("users/bob").await))["token_policies"], json!([]));
}

#[tokio::test]
async fn a_users_name_is_the_same_in_any_case() {
    let desk = Desk::new().await;
    desk.user("AdMin", r#"{"password":"p"}"#).await;
    let list = |query: &'static str| desk.ask_at(MOUNT, Operation::List, query, "");
    assert_eq!(text(&good(list("users/").await)), r#"{"keys":["admin","bob"]}"#);
    assert_eq!(text(&good(list("users?limit=1").await)), r#"{"keys":["admin"]}"#);
    assert_eq!(text(&good(list("users?after=admin").await)), r#"{"keys":["bob"]}"#);
    for name in ["admin", "bob"] {
        good(desk.ask_at(MOUNT, Operation::Delete, &format!("users/{name}"), "").await);
    }
    assert_eq!(refused(list("users").await).0, 404);
    let long = "x".repeat(129);
    for name in ["-x", "x-", "x.", "a%20b", "%C3%A4", "a+b", "a%25", &long] {
        let target = format!("users/{name}");
        assert_eq!(refused(desk.write(&target, r#"{"password":"p"}"#).await).0, 400, "{name}");
        assert_eq!(refused(desk.read(&target).await).0, 400, "{name}");
        assert_eq!(refused(desk.ask_at(MOUNT, Operation::Delete, &target, "").await).0, 400, "{name}");
    }
}

#[tokio::test]
async fn what_would_be_weaker_than_it_reads_is_refused_and_changes_nothing() {
    let desk = Desk::new().await;
    let before = text(&good(desk.read("users/bob").await));
    let long = format!(r#"{{"password":"{}"}}"#, "p".repeat(4097));
    for body in [
        r#"{"token_bound_cidrs":"10.0.0.0/8","token_ttl":9}"#,
        r#"{"bound_cidrs":["10.0.0.0/8"],"token_ttl":9}"#,
        r#"{"token_strictly_bind_ip":true,"token_ttl":9}"#,
        r#"{"token_type":"batch","token_ttl":9}"#,
        r#"{"password_hash":"$2a$10$x","token_ttl":9}"#,
        r#"{"token_policies":"root","token_ttl":9}"#,
        r#"{"policies":["a","ROOT"],"token_ttl":9}"#,
        r#"{"token_policies":" root ","password":9}"#,
        r#"{"token_policies":["root "],"token_ttl":9}"#,
        r#"{"token_ttl":"2h","token_max_ttl":"1h"}"#,
        r#"{"token_ttl":-1}"#,
        r#"{"token_num_uses":"many"}"#,
        r#"{"password":""}"#,
        r#"{"password":["right"]}"#,
        r#"{"password":{"a":1}}"#,
        &long,
    ] {
        let (status, sentence) = refused(desk.write("users/bob", body).await);
        assert_eq!(status, 400, "{body}");
        assert!(!sentence.is_empty() && !sentence.contains("10.0.0.0") && !sentence.contains("ppp"));
        assert_eq!(text(&good(desk.read("users/bob").await)), before, "{body}");
    }
    for body in ["{}", r#"{"token_policies":"root"}"#, r#"{"policies":{"a":1}}"#, r#"{"policies":["a b"]}"#] {
        assert_eq!(refused(desk.write("users/bob/policies", body).await).0, 400, "{body}");
        assert_eq!(text(&good(desk.read("users/bob").await)), before, "{body}");
    }
    for body in ["{}", r#"{"password":""}"#, r#"{"password":null}"#, &long] {
        assert_eq!(refused(desk.write("users/bob/password", body).await).0, 400);
        assert_eq!(refused(desk.write("login/bob", body).await).0, 400);
    }
    good(desk.login("bob", "right").await);
    good(desk.write("users/bob", r#"{"token_bound_cidrs":[],"token_type":"default"}"#).await);
}

#[tokio::test]
async fn a_user_is_made_with_a_password_and_only_by_who_may_create() {
    let desk = Desk::new().await;
    let made = desk.write("users/ann", r#"{"token_ttl":1}"#).await;
    assert_eq!(refused(made), (400, "'password' must be given".into()));
    for path in ["users/ann/password", "users/ann/policies"] {
        let body = r#"{"password":"p","policies":"a"}"#;
        assert_eq!(refused(desk.write(path, body).await).0, 404, "{path}");
        assert_eq!(refused(desk.write_as(WriteMode::CreateOnly, path, body).await).0, 403, "{path}");
    }
    let body = r#"{"password":"p"}"#;
    assert_eq!(refused(desk.write_as(WriteMode::UpdateOnly, "users/ann", body).await).0, 403);
    good(desk.write_as(WriteMode::CreateOnly, "users/ann", body).await);
    assert_eq!(refused(desk.write_as(WriteMode::CreateOnly, "users/ann", body).await).0, 403);
    good(desk.write_as(WriteMode::UpdateOnly, "users/ann", body).await);
}

#[tokio::test]
async fn every_route_is_declared_and_nothing_else_is_there() {
    let desk = Desk::new().await;
    let found = ["login/x", "users", "users/x", "users/x/password", "users/x/policies"]
        .map(|path| route(&CanonicalPath::parse(path).unwrap()).unwrap());
    assert!(found.iter().all(|route| routes().contains(route)));
    assert!(routes().iter().all(|route| found.contains(route)));
    for path in ["", "login", "login/a/b", "users/x/y", "users/x/password/y", "config", "user/x"] {
        assert_eq!(route(&CanonicalPath::parse(path).unwrap()), None, "{path}");
        assert_eq!(refused(desk.write(path, r#"{"password":"right"}"#).await).0, 404, "{path}");
    }
    for (operation, path) in [
        (Operation::Read, "login/bob"),
        (Operation::List, "login/bob"),
        (Operation::Delete, "login/bob"),
        (Operation::Write, "users"),
        (Operation::List, "users/bob"),
        (Operation::Read, "users/bob/password"),
        (Operation::Delete, "users/bob/policies"),
    ] {
        let asked = desk.ask_at(MOUNT, operation, path, r#"{"password":"right"}"#).await;
        assert_eq!(refused(asked).0, 405, "{path}");
    }
}
