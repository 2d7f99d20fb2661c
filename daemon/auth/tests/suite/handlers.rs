//! `auth/token/*`: shapes, rules, and bad input.
use crate::lab::*;
use crate::people::*;
use coffer_auth::token::{Asker, AuthFault, TokenStore, TtlLimits, handle, policy_name, route, routes};
use coffer_types::{CanonicalPath, EnvironmentPath, Operation, WriteMode};
use std::sync::Arc;

#[tokio::test]
async fn a_new_token_looks_as_clients_expect() {
    let office = Office::new().await;
    let body = r#"{"policies":["b","a","a"],"ttl":"10m","display_name":"d n!","meta":{"k":"v"}}"#;
    let auth = json(&good(office.post(&office.root, "create", body).await));
    let token = auth["client_token"].as_str().unwrap();
    assert!(token.starts_with("hvs.") && token.len() == 4 + 43);
    assert_eq!(auth["policies"], serde_json::json!(["a", "b", "default"]));
    assert_eq!(
        (&auth["lease_duration"], &auth["renewable"], &auth["orphan"]),
        (&600.into(), &true.into(), &false.into())
    );
    assert_eq!(
        (&auth["token_type"], &auth["entity_id"], &auth["num_uses"]),
        (&"service".into(), &"".into(), &0.into())
    );
    assert_eq!(auth["metadata"], serde_json::json!({"k": "v"}));

    let data = office.lookup(token).await;
    assert_eq!(data["id"], token);
    assert_eq!(
        (&data["display_name"], &data["path"], &data["type"]),
        (&"token-d-n".into(), &"auth/token/create".into(), &"service".into())
    );
    assert_eq!(
        (&data["creation_ttl"], &data["ttl"], &data["meta"]["k"]),
        (&600.into(), &600.into(), &"v".into())
    );
    let own = json(&good(office.ask(token, Operation::Read, "lookup-self", "").await));
    assert_eq!(own, data);
    let by_accessor = format!(r#"{{"accessor":{}}}"#, data["accessor"]);
    let by_accessor = json(&good(office.post(&office.root, "lookup-accessor", &by_accessor).await));
    assert_eq!((&by_accessor["id"], &by_accessor["accessor"]), (&"".into(), &data["accessor"]));
    let listed = json(&good(office.ask(&office.root, Operation::List, "accessors", "").await));
    assert!(listed["keys"].as_array().unwrap().contains(&data["accessor"]));
    assert_eq!(refused(office.ask(token, Operation::List, "accessors", "").await).0, 403);
}

#[tokio::test]
async fn the_store_never_learns_a_token() {
    let office = Office::new().await;
    let view = office.lab.barrier.view(Default::default());
    let secret = office.root.strip_prefix("hvs.").unwrap();
    for kind in [coffer_types::Kind::Token, coffer_types::Kind::TokenAccessor] {
        for name in view.scan(kind, &Default::default(), None, 9).await.unwrap() {
            let plain = view.get(kind, &CanonicalPath::parse(&name).unwrap(), None).await.unwrap().unwrap();
            assert!(!String::from_utf8_lossy(&plain.bytes).contains(secret) && !name.contains(secret));
        }
    }
}

#[tokio::test]
async fn what_is_no_token_proves_nothing() {
    let office = Office::new().await;
    let long = format!("hvs.{}", "A".repeat(100_000));
    let mut altered = office.root.clone();
    let last = if altered.pop() == Some('A') { 'E' } else { 'A' };
    altered.push(last);
    let padded = format!("{}=", office.root);
    let spaced = format!(" {}", office.root);
    let bare = office.root.replace("hvs.", "");
    for text in [
        "",
        "hvs.",
        "hvs",
        "root",
        "s.abc",
        "hvs.\u{e9}",
        "hvs.!!!",
        &long,
        &altered,
        &padded,
        &spaced,
        &bare,
    ] {
        assert!(matches!(office.who(text).await, Err(AuthFault::Unknown)), "{:.20}", text);
    }
    assert!(office.is_live(&office.root).await);
}

#[tokio::test]
async fn ids_of_another_environment_are_as_if_they_did_not_exist() {
    let office = Office::new().await;
    let other = Office::over(office.lab.neighbour()).await;
    let token = office.create(&office.root, r#"{"policies":["a"]}"#).await;
    let accessor = office.lookup(&token).await["accessor"].as_str().unwrap().to_owned();
    assert!(matches!(other.who(&token).await, Err(AuthFault::Unknown)));
    for path in ["lookup-accessor", "renew-accessor", "revoke-accessor"] {
        let answer = other.post(&other.root, path, &format!(r#"{{"accessor":"{accessor}"}}"#)).await;
        assert_eq!(refused(answer), (404, "invalid accessor".to_owned()), "{path}");
    }
    let by_token = format!(r#"{{"token":"{token}"}}"#);
    assert_eq!(refused(other.post(&other.root, "lookup", &by_token).await).0, 403);
    assert_eq!(refused(other.post(&other.root, "renew", &by_token).await).0, 400);
    assert_eq!(refused(other.post(&other.root, "revoke-orphan", &by_token).await).0, 400);
    good(other.post(&other.root, "revoke", &by_token).await);
    assert!(office.is_live(&token).await);
}

#[tokio::test]
async fn a_caller_from_above_makes_orphans_below_and_only_with_sudo() {
    let office = Office::new().await;
    let lab = office.lab.neighbour();
    let below = TokenStore::new(Arc::clone(&lab.barrier), EnvironmentPath::parse("prod").unwrap());
    let admin = office.create(&office.root, r#"{"policies":["admin"]}"#).await;
    for (token, wanted) in [(&admin, None), (&office.root, Some(true))] {
        let caller = office.who(token).await.ok().unwrap();
        let asker = Asker { caller: &caller, shown: None, has_sudo: false, limits: TtlLimits::default() };
        let request = request(Operation::Write, "create", r#"{"policies":["app"]}"#);
        let made = lab.run(handle(&lab.room(0), &below, asker, request).await).await;
        match wanted {
            None => assert_eq!(refused(made).0, 403),
            Some(is_orphan) => assert_eq!(json(&good(made))["orphan"], is_orphan),
        }
    }
}

#[tokio::test]
async fn a_holder_gives_no_more_than_it_has() {
    let office = Office::new().await;
    let holder = office.create(&office.root, r#"{"policies":["a","b"],"no_default_policy":true}"#).await;
    let child = json(&good(office.post(&holder, "create", r#"{"policies":["a"]}"#).await));
    assert_eq!(child["policies"], serde_json::json!(["a"]));
    let same = json(&good(office.post(&holder, "create", "{}").await));
    assert_eq!(same["policies"], serde_json::json!(["a", "b"]));
    let before = office.records().await;
    for body in [
        r#"{"policies":["c"]}"#,
        r#"{"policies":["root"]}"#,
        r#"{"policies":["ROOT"]}"#,
        r#"{"policies":["a"," root"]}"#,
        r#"{"policies":["default"]}"#,
        r#"{"no_parent":true}"#,
        r#"{"period":"1h"}"#,
    ] {
        assert_eq!(refused(office.post(&holder, "create", body).await).0, 400, "{body}");
    }
    assert_eq!(office.records().await, before);
}

#[tokio::test]
async fn bad_input_is_refused_makes_nothing_and_is_not_repeated() {
    let office = Office::new().await;
    let before = office.records().await;
    let deep = format!(r#"{{"meta":{}1{}}}"#, r#"{"k":"#.repeat(40), "}".repeat(40));
    let many = format!(
        r#"{{"policies":[{}]}}"#,
        (0..300).map(|n| format!(r#""p{n}""#)).collect::<Vec<_>>().join(",")
    );
    let long = format!(r#"{{"policies":["{}"]}}"#, "s3cret".repeat(50));
    for body in [
        r#"{"type":"batch"}"#,
        r#"{"type":"s3cret"}"#,
        r#"{"id":"s3cret"}"#,
        r#"{"entity_alias":"s3cret"}"#,
        r#"{"role_name":"s3cret"}"#,
        r#"{"policies":{"s3cret":1}}"#,
        r#"{"policies":["s3cret "]}"#,
        r#"{"ttl":"s3cret"}"#,
        r#"{"ttl":-1}"#,
        r#"{"ttl":1e3}"#,
        r#"{"period":"-5s"}"#,
        r#"{"num_uses":-1}"#,
        r#"{"num_uses":18446744073709551616}"#,
        r#"{"renewable":"s3cret"}"#,
        r#"{"meta":["s3cret"]}"#,
        &deep,
        &many,
        &long,
    ] {
        let (status, sentence) = refused(office.post(&office.root, "create", body).await);
        assert_eq!(status, 400, "{body:.60}");
        assert!(!sentence.is_empty() && !sentence.contains("s3cret"), "{sentence}");
    }
    for path in ["lookup-accessor", "renew-accessor", "revoke-accessor"] {
        assert_eq!(refused(office.post(&office.root, path, "{}").await).0, 400);
        for text in ["s3cret", "a/b", "..", "\u{e9}", "0123456789abcdefghijklm/"] {
            let answer =
                refused(office.post(&office.root, path, &format!(r#"{{"accessor":"{text}"}}"#)).await);
            assert_eq!(answer, (404, "invalid accessor".to_owned()));
        }
    }
    assert_eq!(office.records().await, before);
}

#[tokio::test]
async fn a_ttl_at_the_end_of_time_is_capped() {
    let office = Office::new().await;
    let token = office.create(&office.root, &format!(r#"{{"policies":["a"],"ttl":{}}}"#, u64::MAX)).await;
    assert_eq!(office.lookup(&token).await["ttl"], 2_764_800);
    let eternal = office
        .create(
            &office.root,
            &format!(r#"{{"policies":["a"],"period":{0},"explicit_max_ttl":{0}}}"#, u64::MAX),
        )
        .await;
    assert_eq!(office.lookup(&eternal).await["ttl"], 2_764_800);
}

#[tokio::test]
async fn roles_decide_what_tokens_come_of_them() {
    let office = Office::new().await;
    let role = r#"{"allowed_policies":"pa1,pa2","orphan":true,"token_period":"1h","path_suffix":"sfx"}"#;
    good(office.post(&office.root, "roles/r1", role).await);
    let shown = json(&good(office.ask(&office.root, Operation::Read, "roles/r1", "").await));
    assert_eq!(
        (&shown["token_period"], &shown["renewable"], &shown["name"]),
        (&3600.into(), &true.into(), &"r1".into())
    );
    let holder = office.create(&office.root, r#"{"policies":["a"]}"#).await;
    let made = json(&good(office.post(&holder, "create/r1", r#"{"policies":["pa1"]}"#).await));
    let data = office.lookup(made["client_token"].as_str().unwrap()).await;
    assert_eq!(
        (&data["orphan"], &data["creation_ttl"], &data["role"]),
        (&true.into(), &3600.into(), &"r1".into())
    );
    assert_eq!(
        (&data["path"], &data["policies"]),
        (&"auth/token/create/r1/sfx".into(), &serde_json::json!(["default", "pa1"]))
    );
    let all = json(&good(office.post(&holder, "create/r1", "{}").await));
    assert_eq!(all["policies"], serde_json::json!(["default", "pa1", "pa2"]));
    for body in [r#"{"policies":["other"]}"#, r#"{"policies":["root"]}"#] {
        assert_eq!(refused(office.post(&holder, "create/r1", body).await).0, 400);
    }
    assert_eq!(refused(office.post(&holder, "create/none", "{}").await).0, 400);
    let listed = json(&good(office.ask(&office.root, Operation::List, "roles", "").await));
    assert_eq!(listed["keys"], serde_json::json!(["r1"]));
    good(office.post(&office.root, "roles/r1", r#"{"orphan":false}"#).await);
    let kept = json(&good(office.ask(&office.root, Operation::Read, "roles/r1", "").await));
    assert_eq!(
        (&kept["orphan"], &kept["allowed_policies"]),
        (&false.into(), &serde_json::json!(["pa1", "pa2"]))
    );
    good(office.ask(&office.root, Operation::Delete, "roles/r1", "").await);
    assert_eq!(refused(office.ask(&office.root, Operation::Read, "roles/r1", "").await).0, 404);
    assert_eq!(refused(office.ask(&office.root, Operation::List, "roles", "").await).0, 404);
}

#[tokio::test]
async fn what_a_role_could_not_keep_is_refused_when_it_is_written() {
    let office = Office::new().await;
    for body in [
        r#"{"token_bound_cidrs":"10.0.0.0/8"}"#,
        r#"{"allowed_entity_aliases":["x"]}"#,
        r#"{"token_type":"batch"}"#,
        r#"{"allowed_policies":["a b"]}"#,
        r#"{"path_suffix":"../x"}"#,
        r#"{"token_period":"never"}"#,
    ] {
        assert_eq!(refused(office.post(&office.root, "roles/r", body).await).0, 400, "{body}");
    }
    assert_eq!(refused(office.post(&office.root, "roles/a b", "{}").await).0, 400);
    assert_eq!(refused(office.post(&office.root, "roles/a/b", "{}").await).0, 404);
    assert_eq!(refused(office.ask(&office.root, Operation::List, "roles", "").await).0, 404);
}

#[tokio::test]
async fn create_alone_is_no_grant_for_what_creates_no_path() {
    let office = Office::new().await;
    let caller = office.who(&office.root).await.ok().unwrap();
    let asker = Asker { caller: &caller, shown: None, has_sudo: false, limits: TtlLimits::default() };
    let mut request = request(Operation::Write, "create", "{}");
    request.write_mode = WriteMode::CreateOnly;
    assert_eq!(refused(handle(&office.lab.room(0), &office.tokens, asker, request).await).0, 403);
}

#[tokio::test]
async fn every_path_has_its_route_and_others_have_none() {
    let office = Office::new().await;
    let named = |path: &str| route(&CanonicalPath::parse(path).unwrap());
    assert_eq!(named("create/r1"), Some("token/create-role"));
    assert_eq!(named("roles/r1"), Some("token/roles"));
    for name in ["", "nonesuch", "create/a/b", "create-role", "lookup/x", "accessors/x", "roles/a/b"] {
        assert_eq!(named(name), None, "{name}");
    }
    assert!(routes().is_sorted());
    assert_eq!(
        refused(office.post(&office.root, "nonesuch", "{}").await),
        (404, "unsupported path".to_owned())
    );
    assert_eq!(refused(office.ask(&office.root, Operation::Read, "create", "").await).0, 405);
    assert_eq!(refused(office.ask(&office.root, Operation::Delete, "lookup", "").await).0, 405);
    assert!(policy_name("default").is_ok());
}

#[tokio::test]
async fn tidy_takes_a_step_of_the_sweep() {
    let office = Office::new().await;
    let begin = office.records().await;
    office.create(&office.root, r#"{"policies":["a"],"ttl":"1s"}"#).await;
    office.lab.clock.turn(3_600_000);
    let answer = good(office.post(&office.root, "tidy", "").await);
    assert_eq!((answer.status, answer.warnings.len()), (Some(202), 1));
    assert_eq!(office.records().await, begin);
}
