//! Revocation: a tree ends at once, and is cleared away in steps.
use crate::lab::*;
use crate::people::*;
use coffer_auth::token::NewToken;
use coffer_types::MountId;

fn token(text: &str) -> String {
    format!(r#"{{"token":"{text}"}}"#)
}

#[tokio::test]
async fn revoking_a_token_revokes_its_tree_and_leaves_no_record() {
    let office = Office::new().await;
    let begin = office.records().await;
    let parent = office.create(&office.root, r#"{"policies":["a"]}"#).await;
    let child = office.create(&parent, "{}").await;
    let grandchild = office.create(&child, "{}").await;
    let stranger = office.create(&office.root, r#"{"policies":["a"]}"#).await;
    good(office.post(&office.root, "revoke", &token(&parent)).await);
    for gone in [&parent, &child, &grandchild] {
        assert!(!office.is_live(gone).await);
    }
    assert!(office.is_live(&stranger).await);
    good(office.post(&stranger, "revoke-self", "").await);
    assert!(!office.is_live(&stranger).await);
    assert_eq!(office.records().await, begin);
}

#[tokio::test]
async fn revoking_twice_or_something_unknown_is_no_mistake() {
    let office = Office::new().await;
    let gone = office.create(&office.root, r#"{"policies":["a"]}"#).await;
    for _ in 0..2 {
        good(office.post(&office.root, "revoke", &token(&gone)).await);
    }
    good(office.post(&office.root, "revoke", &token("hvs.unknown")).await);
    assert_eq!(
        refused(office.post(&office.root, "revoke", "{}").await),
        (400, "missing token ID".to_owned())
    );
}

#[tokio::test]
async fn orphaned_children_go_on() {
    let office = Office::new().await;
    let parent = office.create(&office.root, r#"{"policies":["a"]}"#).await;
    let child = office.create(&parent, "{}").await;
    assert_eq!(office.lookup(&child).await["orphan"], false);
    assert_eq!(refused(office.post(&parent, "revoke-orphan", &token(&parent)).await).0, 403);
    good(office.post(&office.root, "revoke-orphan", &token(&parent)).await);
    assert!(!office.is_live(&parent).await);
    assert_eq!(office.lookup(&child).await["orphan"], true);
    good(office.post(&office.root, "revoke", &token(&child)).await);
    assert_eq!(office.records().await, [1, 1, 0, 0]);
    let absent = refused(office.post(&office.root, "revoke-orphan", &token(&parent)).await);
    assert_eq!(absent, (400, "token to revoke not found".to_owned()));
}

#[tokio::test]
async fn a_tree_too_large_for_one_commit_ends_at_once_and_is_swept_to_the_last_record() {
    let office = Office::new().await;
    let begin = office.records().await;
    let parent = office.create(&office.root, r#"{"policies":["a"]}"#).await;
    let above = office.who(&parent).await.ok().unwrap().token().unwrap().index;
    let maker = office.tokens.clone();
    let last = office.lab.change(move |batch| {
        let tx = &mut batch.mount(MountId::default());
        let mut last = None;
        for _ in 0..1100 {
            let child = maker.issue(tx, &NewToken { parent: Some(above), ..NewToken::login("x", "x") })?;
            last =
                Some(maker.issue(tx, &NewToken { parent: Some(child.index), ..NewToken::login("x", "x") })?);
        }
        Ok(last.unwrap().token.to_string())
    });
    let last = good(last.await);
    good(office.post(&office.root, "revoke", &token(&parent)).await);
    assert!(!office.is_live(&last).await);
    let mut steps = 0;
    while office.sweep().await > 0 {
        steps += 1;
        assert!(steps < 20, "the sweep must come to an end");
    }
    assert!(steps > 0, "the tree was to be larger than one commit clears");
    assert_eq!(office.records().await, begin);
}

#[tokio::test]
async fn the_sweep_takes_what_expired_and_files_anew_what_was_renewed() {
    let office = Office::new().await;
    let begin = office.records().await;
    let renewed = office.create(&office.root, r#"{"policies":["a"],"ttl":"10m"}"#).await;
    let parent = office.create(&office.root, r#"{"policies":["a"],"ttl":"10m"}"#).await;
    office.create(&parent, r#"{"ttl":"700h"}"#).await;
    assert_eq!(office.sweep().await, 0);
    office.lab.clock.turn(500_000);
    good(office.post(&renewed, "renew-self", r#"{"increment":"2h"}"#).await);
    office.lab.clock.turn(3_600_000);
    assert_eq!(office.sweep().await, 2);
    assert!(office.is_live(&renewed).await);
    assert_eq!(
        office.records().await.map(|count| count - 1),
        [1, 1, 0, 0].map(|more: usize| more + begin[0] - 1)
    );
    // Expired while nobody looked: also after a jump of years.
    office.lab.clock.turn(3 * 365 * 86_400_000);
    assert!(!office.is_live(&renewed).await);
    assert_eq!(office.sweep().await, 1);
    assert_eq!(office.records().await, begin);
}

#[tokio::test]
async fn a_token_has_at_most_32_ancestors() {
    let office = Office::new().await;
    let mut token = office.root.clone();
    for _ in 0..32 {
        token = office.create(&token, r#"{"ttl":"1h"}"#).await;
    }
    let deeper = refused(office.post(&token, "create", r#"{"ttl":"1h"}"#).await);
    assert_eq!(deeper, (400, "a token has at most 32 ancestors".to_owned()));
}
