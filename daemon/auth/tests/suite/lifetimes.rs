//! How long a token lives, by a clock turned by hand.
use crate::lab::*;
use crate::people::*;
use coffer_auth::token::{AuthFault, BindingMode, Bound, NewToken, TtlLimits, spend};
use coffer_types::{MountId, Timestamp};
use std::sync::Arc;

#[tokio::test]
async fn a_token_is_refused_from_the_very_instant_of_its_expiry() {
    let office = Office::new().await;
    let token = office.create(&office.root, r#"{"policies":["a"],"ttl":"10s"}"#).await;
    office.lab.clock.turn(9_999);
    assert!(office.is_live(&token).await);
    office.lab.clock.turn(1);
    assert!(matches!(office.who(&token).await, Err(AuthFault::Refused)));
    let lookup = format!(r#"{{"token":"{token}"}}"#);
    assert_eq!(refused(office.post(&office.root, "lookup", &lookup).await).0, 403);
    assert_eq!(
        refused(office.post(&office.root, "renew", &lookup).await),
        (400, "token not found".to_owned())
    );
}

#[tokio::test]
async fn no_renewal_moves_an_expiry_past_the_maximum() {
    for before_max in [2_000, 1_000, 1, 0] {
        for own_max in [true, false] {
            let office = Office::new().await;
            let begin = office.lab.now();
            let mut new = NewToken {
                policies: vec!["a".into()],
                ttl_seconds: 50,
                ..NewToken::login("auth/x/login", "x")
            };
            match own_max {
                true => new.limits = TtlLimits { default_seconds: 100, max_seconds: 100 },
                false => new.explicit_max_seconds = 100,
            }
            let token = office.issue(new).await;
            let renew = format!(r#"{{"token":"{token}","increment":"9999h"}}"#);
            office.lab.clock.turn(40_000);
            good(office.post(&office.root, "renew", &renew).await);
            office.lab.clock.set(Timestamp(begin.0 + 100_000 - before_max));
            let renewed = office.post(&office.root, "renew", &renew).await;
            match before_max {
                0 => assert_eq!(refused(renewed).0, 400),
                _ => {
                    let auth = json(&good(renewed));
                    assert!((1..=2).contains(&auth["lease_duration"].as_u64().unwrap()), "{before_max}");
                    let expires = office.lookup(&token).await["expire_time"].as_str().unwrap().to_owned();
                    assert_eq!(expires, Timestamp(begin.0 + 100_000).rfc3339());
                }
            }
            office.lab.clock.set(Timestamp(begin.0 + 100_000));
            assert!(!office.is_live(&token).await, "{before_max}");
        }
    }
}

#[tokio::test]
async fn a_renewal_gives_what_is_asked_and_the_first_ttl_where_nothing_is() {
    let office = Office::new().await;
    let token = office.create(&office.root, r#"{"policies":["a"],"ttl":60}"#).await;
    let asked =
        good(office.post(&office.root, "renew", &format!(r#"{{"token":"{token}","increment":1800}}"#)).await);
    assert_eq!(json(&asked)["lease_duration"], 1800);
    assert_eq!(json(&asked)["client_token"], token.as_str());
    let own = good(office.post(&token, "renew-self", "").await);
    assert_eq!(json(&own)["lease_duration"], 60);
}

#[tokio::test]
async fn a_periodic_token_lives_by_its_period_until_its_explicit_maximum() {
    let office = Office::new().await;
    let forever = office.create(&office.root, r#"{"policies":["a"],"period":"300s"}"#).await;
    let bounded =
        office.create(&office.root, r#"{"policies":["a"],"period":"300s","explicit_max_ttl":"1000s"}"#).await;
    for _ in 0..10_000 / 250 {
        office.lab.clock.turn(250_000);
        let renewed = good(office.post(&forever, "renew-self", r#"{"increment":9000}"#).await);
        assert_eq!(json(&renewed)["lease_duration"], 300);
        let _ = office.post(&bounded, "renew-self", "").await;
        let age = office.lab.now().0 - 1_700_000_000_000;
        assert_eq!(office.is_live(&bounded).await, age < 1_000_000, "{age}");
    }
    // Longer than any maximum of the system.
    office.lab.clock.turn(299_999);
    assert!(office.is_live(&forever).await);
    office.lab.clock.turn(1);
    assert!(!office.is_live(&forever).await);
}

#[tokio::test]
async fn a_token_that_is_not_renewable_or_does_not_expire_is_not_renewed() {
    let office = Office::new().await;
    let token = office.create(&office.root, r#"{"policies":["a"],"renewable":false}"#).await;
    for token in [&token, &office.root] {
        let renew = format!(r#"{{"token":"{token}"}}"#);
        assert_eq!(
            refused(office.post(&office.root, "renew", &renew).await),
            (400, "lease is not renewable".to_owned())
        );
    }
}

#[tokio::test]
async fn only_a_root_token_without_ttl_lives_without_end() {
    let office = Office::new().await;
    assert_eq!(office.lookup(&office.root).await["expire_time"], serde_json::Value::Null);
    let child = office.create(&office.root, "{}").await;
    let short = office.create(&office.root, r#"{"ttl":"1h"}"#).await;
    let capped = office.create(&office.root, r#"{"policies":["a"],"ttl":"9999h"}"#).await;
    let plain = office.create(&office.root, r#"{"policies":["a"]}"#).await;
    assert_eq!(office.lookup(&child).await["ttl"], 0);
    assert_eq!(office.lookup(&short).await["ttl"], 3600);
    assert_eq!(office.lookup(&capped).await["ttl"], 2_764_800);
    assert_eq!(office.lookup(&plain).await["ttl"], 2_764_800);
    let eternal = refused(office.post(&short, "create", "{}").await);
    assert_eq!(eternal, (400, "expiring root tokens cannot create non-expiring root tokens".to_owned()));
}

#[tokio::test]
async fn a_child_does_not_outlive_its_parent_even_if_nothing_is_swept() {
    let office = Office::new().await;
    let parent = office.create(&office.root, r#"{"policies":["a"],"ttl":"10s"}"#).await;
    let child = office.create(&parent, r#"{"ttl":"1h"}"#).await;
    let orphan = good(office.post(&parent, "create-orphan", r#"{"ttl":"1h"}"#).await);
    let orphan = json(&orphan)["client_token"].as_str().unwrap().to_owned();
    office.lab.clock.turn(10_000);
    assert!(!office.is_live(&child).await);
    assert!(office.is_live(&orphan).await);
}

#[tokio::test]
async fn uses_are_counted_exactly_when_many_ask_at_once() {
    let office = Office::new().await;
    let token = office.create(&office.root, r#"{"policies":["a"],"num_uses":10}"#).await;
    let caller = office.who(&token).await.ok().unwrap().token().unwrap();
    assert!(caller.is_use_limited);
    let barrier = Arc::clone(&office.lab.barrier);
    let uses = (0..64).map(|_| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move { barrier.commit(move |batch| spend(batch, caller)).await.is_ok() })
    });
    let mut spent = 0;
    for one in uses.collect::<Vec<_>>() {
        spent += usize::from(one.await.unwrap());
    }
    assert_eq!(spent, 10);
    assert!(matches!(office.who(&token).await, Err(AuthFault::Unknown)));
}

#[tokio::test]
async fn with_the_last_use_the_token_and_its_children_are_gone_in_that_commit() {
    let office = Office::new().await;
    let begin = office.records().await;
    let token = office.create(&office.root, r#"{"policies":["a"]}"#).await;
    let child = office.create(&token, "{}").await;
    // A limit that comes after the children: as a record of an older time could have it.
    let limited = office.create(&office.root, r#"{"policies":["a"],"num_uses":1}"#).await;
    let parent = office.who(&limited).await.ok().unwrap().token().unwrap();
    let below =
        office.issue(NewToken { parent: Some(parent.index), ..NewToken::login("auth/x/login", "x") }).await;
    assert!(office.is_live(&below).await);
    good(office.lab.change(move |batch| spend(batch, parent)).await);
    assert!(!office.is_live(&limited).await && !office.is_live(&below).await);
    assert!(office.is_live(&child).await);
    good(office.post(&office.root, "revoke", &format!(r#"{{"token":"{token}"}}"#)).await);
    assert_eq!(office.records().await, begin);
}

#[tokio::test]
async fn a_token_with_a_use_limit_makes_no_tokens() {
    let office = Office::new().await;
    let token = office.create(&office.root, r#"{"policies":["a"],"num_uses":5}"#).await;
    let made = refused(office.post(&token, "create", "{}").await);
    assert_eq!(made, (400, "restricted use token cannot generate child tokens".to_owned()));
}

#[tokio::test]
async fn a_bound_token_and_its_children_work_only_for_the_identity_they_were_given_to() {
    let office = Office::new().await;
    let bound =
        Bound { mount: MountId([9; 16]), role: "web".into(), mode: BindingMode::Identity, hash: [1; 32] };
    let login = NewToken {
        policies: vec!["a".into()],
        binding: Some(bound),
        mount: MountId([9; 16]),
        ..NewToken::login("auth/cert/login", "cert-web")
    };
    let token = office.issue(login).await;
    assert!(office.over_connection(&token, &Certificate([1; 32])).await.is_ok());
    for stranger in [[0; 32], [2; 32]] {
        assert!(matches!(
            office.over_connection(&token, &Certificate(stranger)).await,
            Err(AuthFault::Refused)
        ));
    }
    assert!(matches!(office.who(&token).await, Err(AuthFault::Refused)));
    let caller = office.over_connection(&token, &Certificate([1; 32])).await.ok().unwrap();
    let parent = caller.token().map(|token| token.index);
    let child = office.issue(NewToken { parent, ..NewToken::login("auth/token/create", "token") }).await;
    assert!(matches!(office.who(&child).await, Err(AuthFault::Refused)));
    let caller = office.over_connection(&child, &Certificate([1; 32])).await.ok().unwrap();
    assert_eq!(caller.auth_mount(), MountId([9; 16]));
}
