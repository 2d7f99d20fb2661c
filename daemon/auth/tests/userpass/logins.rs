use crate::desk::{Desk, MOUNT, OTHER, wrong};
use crate::lab::{good, json, refused, text};
use coffer_auth::token::Unbound;
use coffer_room::Outcome;
use coffer_types::{MountId, Operation, WriteMode};
use serde_json::json;

#[tokio::test]
async fn the_right_password_gives_a_token_of_the_user() {
    let desk = Desk::new().await;
    desk.user("Ann.B@x", r#"{"password":"pä ss","policies":"Ops,a","token_ttl":"5m","token_num_uses":3}"#)
        .await;
    let answer = good(desk.login("ANN.b@X", "pä ss").await);
    let committed: Vec<_> = answer.committed.iter().map(|(name, value)| (*name, value.as_slice())).collect();
    let auth = json(&answer);
    assert_eq!(
        committed,
        [
            ("accessor", auth["accessor"].as_str().unwrap().as_bytes()),
            ("subject", b"userpass:up/ann.b@x".as_slice())
        ]
    );
    assert_eq!(auth["policies"], json!(["a", "default", "ops"]));
    assert_eq!(auth["metadata"], json!({ "username": "ann.b@x" }));
    assert_eq!(
        (&auth["lease_duration"], &auth["num_uses"], &auth["orphan"], &auth["renewable"]),
        (&300.into(), &3.into(), &true.into(), &true.into())
    );
    let token = auth["client_token"].as_str().unwrap();
    let caller = desk.tokens.authenticate(token, &Unbound, desk.lab.now()).await.ok().unwrap();
    assert_eq!(caller.display_name(), "up-ann.b@x");
    assert_eq!(caller.auth_mount(), MountId([MOUNT; 16]));
    assert!(caller.binding().is_none() && caller.token().is_some_and(|token| token.is_use_limited));
}

#[tokio::test]
async fn an_unknown_name_is_answered_as_a_wrong_password() {
    let desk = Desk::new().await;
    for password in ["wrong", "right ", "Right", "", "righ"] {
        let (known, unknown) = (desk.fails("bob", password).await, desk.fails("nobody", password).await);
        assert_eq!(known, unknown);
        assert_eq!(known.0, 400);
        if password.is_empty() {
            assert_eq!(known.1, "'password' must be given");
        } else {
            assert_eq!(known, wrong());
        }
    }
}

#[tokio::test]
async fn an_unknown_name_costs_the_work_of_a_known_one() {
    // What takes the time is one Argon2id at the same cost: without it an unknown name is a hundred times quicker.
    let desk = Desk::new().await;
    let mut spent = [Vec::new(), Vec::new()];
    for round in 0..9 {
        for (at, name) in ["bob", "nobody"].into_iter().enumerate() {
            desk.turn_seconds(900);
            let begun = std::time::Instant::now();
            assert_eq!(desk.fails(name, &format!("no{round}")).await, wrong());
            spent[at].push(begun.elapsed());
        }
    }
    // The quickest of each: other tests only ever add to it.
    let [known, unknown] = spent.map(|times| times.into_iter().min().unwrap());
    assert!(unknown * 10 > known && known * 10 > unknown, "known {known:?}, unknown {unknown:?}");
}

#[tokio::test]
async fn a_user_of_one_mount_is_nobody_at_another() {
    let desk = Desk::new().await;
    let body = r#"{"password":"right"}"#;
    assert_eq!(refused(desk.ask_at(OTHER, Operation::Write, "login/bob", body).await), wrong());
    good(desk.ask_at(OTHER, Operation::Write, "users/bob", r#"{"password":"else"}"#).await);
    assert_eq!(refused(desk.ask_at(OTHER, Operation::Write, "login/bob", body).await), wrong());
    good(desk.login("bob", "right").await);
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_and_no_token() {
    let desk = Desk::new().await;
    let token = desk.token("bob", "right").await;
    good(desk.write("users/bob/password", r#"{"password":"new"}"#).await);
    assert_eq!(desk.fails("bob", "right").await, wrong());
    good(desk.login("bob", "new").await);
    good(desk.write("users/bob", r#"{"password":"newer"}"#).await);
    assert_eq!(desk.fails("bob", "new").await, wrong());
    good(desk.login("bob", "newer").await);
    assert!(desk.is_live(&token).await);
}

#[tokio::test]
async fn deleting_a_user_ends_logins_and_no_token() {
    let desk = Desk::new().await;
    let token = desk.token("bob", "right").await;
    good(desk.ask_at(MOUNT, Operation::Delete, "users/BOB", "").await);
    assert_eq!(desk.fails("bob", "right").await, wrong());
    assert!(desk.is_live(&token).await);
    assert_eq!(refused(desk.read("users/bob").await).0, 404);
    good(desk.ask_at(MOUNT, Operation::Delete, "users/bob", "").await);
}

#[tokio::test]
async fn a_login_that_is_overtaken_by_a_change_of_the_user_gives_no_token() {
    let desk = Desk::new().await;
    let judged = async || {
        let body = r#"{"password":"right"}"#;
        desk.outcome(MOUNT, Operation::Write, "login/bob", body, WriteMode::Any).await
    };
    let outcome = judged().await;
    assert!(matches!(outcome, Ok(Outcome::Change(_))));
    good(desk.write("users/bob/policies", r#"{"token_policies":"late"}"#).await);
    let auth = json(&good(desk.lab.run(outcome).await));
    assert_eq!(auth["policies"], json!(["default", "late"]), "the policies in force when the token is made");

    let outcome = judged().await;
    good(desk.write("users/bob/password", r#"{"password":"new"}"#).await);
    assert_eq!(refused(desk.lab.run(outcome).await), wrong());

    good(desk.write("users/bob/password", r#"{"password":"right"}"#).await);
    let outcome = judged().await;
    good(desk.ask_at(MOUNT, Operation::Delete, "users/bob", "").await);
    assert_eq!(refused(desk.lab.run(outcome).await), wrong());
}

#[tokio::test]
async fn a_token_ends_at_its_users_maximum_and_at_the_mounts() {
    let mut desk = Desk::new().await;
    desk.user("short", r#"{"password":"p","token_ttl":60,"token_max_ttl":90}"#).await;
    desk.user("long", r#"{"password":"p","token_ttl":"100h"}"#).await;
    desk.user("explicit", r#"{"password":"p","token_explicit_max_ttl":30}"#).await;
    desk.user("periodic", r#"{"password":"p","token_period":20}"#).await;
    desk.limits = desk.limits.within(0, 3600);
    let lives =
        async |name: &str| json(&good(desk.login(name, "p").await))["lease_duration"].as_u64().unwrap();
    assert_eq!(
        [lives("short").await, lives("long").await, lives("explicit").await, lives("periodic").await],
        [60, 3600, 30, 20]
    );
    let token = desk.token("short", "p").await;
    desk.turn_seconds(59);
    assert!(desk.is_live(&token).await);
    desk.turn_seconds(1);
    assert!(!desk.is_live(&token).await);
}

#[tokio::test]
async fn nothing_that_is_kept_or_said_holds_the_password() {
    let desk = Desk::new().await;
    let secret = "correct-horse-battery-staple";
    desk.user("ann", &json!({ "password": secret }).to_string()).await;
    let view = desk.lab.barrier.view(MountId([MOUNT; 16]));
    let path = coffer_types::CanonicalPath::parse("ann").unwrap();
    let kept = view.get(coffer_types::Kind::UserpassUser, &path, None).await.unwrap().unwrap();
    let kept = String::from_utf8(kept.bytes.to_vec()).unwrap();
    assert!(!kept.contains(secret) && kept.contains("argon2id"));
    let answer = good(desk.login("ann", secret).await);
    assert!(!text(&answer).contains(secret));
    assert!(answer.committed.iter().all(|(_, value)| !String::from_utf8_lossy(value).contains(secret)));
    assert!(!text(&good(desk.read("users/ann").await)).contains("password"));
    assert!(!desk.fails("nobody", secret).await.1.contains(secret));
}

#[tokio::test]
async fn equal_passwords_have_different_verifiers() {
    let desk = Desk::new().await;
    desk.user("ann", r#"{"password":"right"}"#).await;
    let view = desk.lab.barrier.view(MountId([MOUNT; 16]));
    let mut hashes = Vec::new();
    for name in ["ann", "bob"] {
        let path = coffer_types::CanonicalPath::parse(name).unwrap();
        let kept = view.get(coffer_types::Kind::UserpassUser, &path, None).await.unwrap().unwrap();
        let kept: serde_json::Value = serde_json::from_slice(&kept.bytes).unwrap();
        assert_eq!(kept["password"]["cost"], json!({ "memory_kib": 19456, "passes": 2, "lanes": 1 }));
        hashes.push(kept["password"]["hash"].clone());
    }
    assert_ne!(hashes[0], hashes[1]);
}
