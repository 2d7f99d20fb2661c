//! Requests that meet, and clients that go away.
use crate::node::{Node, ROTATE_AFTER, abandoned, sentence, until};
use coffer_environments::MountKind;
use coffer_room::Fault;
use coffer_store::faulty::Call;
use coffer_store::{CommitError, Store as _, StoreError};
use coffer_types::{EnvironmentPath, Operation};
use keystore_format::tables::{MetaItem, Slot, meta_key};
use std::future::Future;
use std::sync::Arc;

const KV1: &str = r#"{"type":"kv"}"#;

fn path(text: &str) -> EnvironmentPath {
    EnvironmentPath::parse(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_free_again_only_when_what_had_it_is_erased() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    node.ask(Operation::Delete, "sys/namespaces/acme", "").await.ok().unwrap();
    let refused = node.ask(Operation::Write, "sys/namespaces/acme", "").await;
    assert!(sentence(refused).contains("still being erased"));
    node.registry.work().await;
    node.ask(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    node.ask(Operation::Write, "acme/sys/mounts/kv", KV1).await.ok().unwrap();
    node.ask(Operation::Write, "acme/kv/a", r#"{"v":"1"}"#).await.ok().unwrap();
    node.registry.work().await;
    node.registry.seal().await;
    assert!(node.unseal().await);
    assert!(node.ask(Operation::Read, "acme/kv/a", "").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_deleted_before_it_was_opened_does_not_open() {
    let node = Node::open().await;
    node.recorded(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    node.recorded(Operation::Delete, "sys/namespaces/acme", "").await.ok().unwrap();
    node.registry.settle().await;
    assert!(node.registry.open().unwrap().at(&path("acme")).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_only_when_what_it_asked_for_is_done_whoever_does_it() {
    let node = Node::open().await;
    node.recorded(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    // Another request does it, and is not done yet.
    let registry = Arc::clone(&node.registry);
    let mut other = Box::pin(async move { registry.settle().await });
    std::future::poll_fn(|context| {
        let _ = other.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
    node.registry.settle().await;
    assert!(node.registry.open().unwrap().at(&path("acme")).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_does_not_stop_a_seal_half_way() {
    let node = Node::open().await;
    node.recorded(Operation::Write, "sys/seal", "").await.ok().unwrap();
    abandoned(node.registry.settle()).await;
    until("the seal", || node.registry.seal_status().is_sealed).await;
    assert!(node.unseal().await);
    assert!(node.ask(Operation::Read, "sys/mounts", "").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_is_done_in_the_background() {
    let node = Node::open().await;
    node.recorded(Operation::Write, "sys/seal", "").await.ok().unwrap();
    node.registry.jobs_wanted().await;
    node.registry.work().await;
    assert!(node.registry.seal_status().is_sealed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_and_a_mount_can_t_have_names_that_differ_in_case_only() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/mounts/ACME", KV1).await.ok().unwrap();
    assert!(sentence(node.ask(Operation::Write, "sys/namespaces/acme", "").await).contains("already in use"));
    node.ask(Operation::Write, "sys/namespaces/prod", "").await.ok().unwrap();
    assert!(sentence(node.ask(Operation::Write, "sys/mounts/Prod/kv", KV1).await).contains("already in use"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auth_method_is_not_disabled_by_way_of_the_secrets_engines() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/auth/cert", r#"{"type":"cert"}"#).await.ok().unwrap();
    // `sys/auth/*` needs sudo, `sys/mounts/*` does not.
    let policy = r#"{"policy":"path \"sys/mounts/*\" { capabilities = [\"update\", \"delete\"] }"}"#;
    node.ask(Operation::Write, "sys/policies/acl/mounts", policy).await.ok().unwrap();
    let token = node.token(r#"{"policies":["mounts"]}"#).await;
    let _ = node.recorded_as(&token, Operation::Delete, "sys/mounts/auth/cert", "").await;
    assert!(node.ask(Operation::Read, "sys/auth", "").await.ok().unwrap().contains("cert/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tuning_a_mount_does_not_undo_the_upgrade_that_came_between() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/mounts/kv", KV1).await.ok().unwrap();
    let describe = node.acted("sys/mounts/kv/tune", r#"{"description":"d"}"#).await;
    node.ask(Operation::Write, "sys/mounts/kv/tune", r#"{"options":{"version":"2"}}"#).await.ok().unwrap();
    assert!(describe.record().await.is_ok());
    let open = node.registry.open().unwrap();
    let mount = open.at(&path("")).unwrap().mounts().at("kv").cloned().unwrap();
    assert_eq!(mount.kind, MountKind::KvV2);
    assert_eq!(mount.record.description, "d");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_in_a_mount_that_is_disabled_is_not_written_behind_the_erasing() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/mounts/kv", KV1).await.ok().unwrap();
    let write = node.acted("kv/a", r#"{"v":"1"}"#).await;
    node.ask(Operation::Delete, "sys/mounts/kv", "").await.ok().unwrap();
    node.registry.work().await;
    assert!(matches!(write.record().await, Err(Fault::NoRoute(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_slash_before_the_path_is_not_dropped() {
    let node = Node::open().await;
    assert!(matches!(node.ask(Operation::Read, "/sys/mounts", "").await, Err(Fault::BadRequest(_))));
}

/// A policy `creator` with leave to create alone, on both KV engines and on roles, and a token of it.
async fn creator(node: &Node) -> String {
    node.ask(Operation::Write, "sys/mounts/one", KV1).await.ok().unwrap();
    node.ask(Operation::Write, "sys/mounts/two", r#"{"type":"kv","options":{"version":"2"}}"#)
        .await
        .ok()
        .unwrap();
    let policy = r#"{"policy":"path \"+/*\" { capabilities = [\"create\"] }"}"#;
    node.ask(Operation::Write, "sys/policies/acl/creator", policy).await.ok().unwrap();
    node.token(r#"{"policies":["creator"]}"#).await
}

const PLACES: [(&str, &str); 2] =
    [("one/a", r#"{"v":"WRITER"}"#), ("two/data/a", r#"{"data":{"v":"WRITER"}}"#)];

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_may_only_create_the_second_to_be_recorded_is_refused() {
    let node = Node::open().await;
    let token = creator(&node).await;
    for (place, body) in PLACES {
        // Both were permitted and acted upon while there was nothing yet.
        let first = node.acted_as(&token, place, &body.replace("WRITER", "first")).await;
        let second = node.acted_as(&token, place, &body.replace("WRITER", "second")).await;
        assert!(second.record().await.is_ok(), "{place}");
        assert!(matches!(first.record().await, Err(Fault::PermissionDenied)), "{place}");
        assert!(node.ask(Operation::Read, place, "").await.ok().unwrap().contains("second"), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_may_only_create_one_does_and_its_value_stays() {
    let node = Arc::new(Node::open().await);
    let token = creator(&node).await;
    for (place, body) in PLACES {
        let writers = (0..64).map(|writer| {
            let (node, token) = (Arc::clone(&node), token.clone());
            let body = body.replace("WRITER", &format!("writer-{writer}."));
            tokio::spawn(async move { node.recorded_as(&token, Operation::Write, place, &body).await })
        });
        let mut winners = Vec::new();
        for (writer, written) in writers.collect::<Vec<_>>().into_iter().enumerate() {
            match written.await.unwrap() {
                Ok(_) => winners.push(writer),
                Err(fault) => assert!(matches!(fault, Fault::PermissionDenied), "{place}"),
            }
        }
        let &[winner] = &winners[..] else { panic!("{place}: {winners:?} all created it") };
        let kept = node.ask(Operation::Read, place, "").await.ok().unwrap();
        assert!(kept.contains(&format!("writer-{winner}.")), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_not_for_free_when_the_seal_comes_before_it_is_taken() {
    let node = Node::open().await;
    let once = node.token(r#"{"policies":["default"],"num_uses":2}"#).await;
    let who = node.identified(&once, "auth/token/lookup-self").await;
    node.registry.seal().await;
    // No change at all would let the request end with its use untaken.
    assert!(node.registry.spend(&who).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_above_one_that_does_not_open_is_not_deleted() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    node.ask(Operation::Write, "acme/sys/namespaces/prod", "").await.ok().unwrap();
    let below = node.registry.open().unwrap().at(&path("acme/prod")).unwrap().id;
    node.registry.seal().await;
    for slot in [Slot::A, Slot::B] {
        let key = meta_key(below, MetaItem::Keyring, slot);
        let damage =
            move |transaction: &mut dyn coffer_store::Transaction| -> Result<(), CommitError<Fault>> {
                transaction.put(key.clone(), b"damaged".to_vec()).map(drop).map_err(CommitError::Store)
            };
        coffer_store::commit(&*node.store, damage).await.ok().unwrap();
    }
    assert!(node.unseal().await);
    assert!(node.registry.open().unwrap().at(&path("acme/prod")).is_none());
    let refused = node.ask(Operation::Delete, "sys/namespaces/acme", "").await;
    assert!(sentence(refused).contains("environments below it"));
    // What is closed can go by its name, and then nothing is below.
    node.ask(Operation::Delete, "acme/sys/namespaces/prod", "").await.ok().unwrap();
    node.ask(Operation::Delete, "sys/namespaces/acme", "").await.ok().unwrap();
}

async fn state_of(node: &Node, name: &str) -> String {
    let shown = node.ask(Operation::Read, &format!("sys/namespaces/{name}"), "").await.ok().unwrap();
    shown.split("\"state\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_called_destroyed_only_when_the_file_was_written_anew_without_it() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    node.store.fail(Call::Compact, 0, 1, StoreError::Full);
    node.ask(Operation::Delete, "sys/namespaces/acme", "").await.ok().unwrap();
    node.registry.work().await;
    assert_eq!(state_of(&node, "acme").await, "deleting");
    // Not at once again: it needs as much space as the store has.
    node.registry.work().await;
    assert_eq!(state_of(&node, "acme").await, "deleting");
    // Also by another process that finds it so.
    node.registry.seal().await;
    assert!(node.unseal().await);
    node.clock.forward(61);
    node.registry.work().await;
    assert_eq!(state_of(&node, "acme").await, "destroyed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_registered_while_a_deletion_is_under_way_counts() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    let addressed = node.registry.address(None, "sys/namespaces/acme", Operation::Delete).ok().unwrap();
    let deletion = node.acted_on(addressed).await;
    node.ask(Operation::Read, "sys/storage/raft/snapshot", "").await.ok().unwrap();
    assert!(deletion.record().await.is_ok());
    node.registry.settle().await;
    node.registry.work().await;
    let state = state_of(&node, "acme").await;
    assert!(state.starts_with("deleted, recoverable until "), "{state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_checkpoint_of_a_deleted_environment_covers_its_last_request() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    for _ in 0..3 {
        node.ask(Operation::Read, "acme/sys/mounts", "").await.ok().unwrap();
    }
    node.ask(Operation::Delete, "sys/namespaces/acme", "").await.ok().unwrap();
    let shown = node.ask(Operation::Read, "sys/namespaces/acme", "").await.ok().unwrap();
    let checkpoint = shown.split("\"last_checkpoint\":\"").nth(1).unwrap();
    // The first leaf names the tree; then the requests.
    assert_eq!(checkpoint.split("\\n").nth(1), Some("4"), "{checkpoint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_patch_of_an_environments_metadata_adds_changes_and_removes() {
    let node = Node::open().await;
    let made = r#"{"custom_metadata":{"a":"1","b":"2"}}"#;
    node.ask(Operation::Write, "sys/namespaces/acme", made).await.ok().unwrap();
    let patch = r#"{"custom_metadata":{"a":null,"b":"3","c":"4","d":null}}"#;
    let shown = node.ask(Operation::Patch, "sys/namespaces/acme", patch).await.ok().unwrap();
    assert!(shown.contains(r#""custom_metadata":{"b":"3","c":"4"}"#), "{shown}");
    let wrong = node.ask(Operation::Patch, "sys/namespaces/acme", r#"{"custom_metadata":{"a":[]}}"#).await;
    assert!(sentence(wrong).contains("texts and nulls"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_log_can_not_be_written_nothing_is_initialised() {
    let node = Node::empty().await;
    node.journal.close().unwrap();
    assert!(node.registry.init(Some(1), Some(1)).await.is_err());
    // Shares that nobody got must not be the only ones.
    assert!(!node.registry.seal_status().is_initialized);
    assert_eq!(node.store.revision(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_log_can_not_be_written_nothing_opens() {
    let node = Node::open().await;
    node.registry.seal().await;
    node.journal.close().unwrap();
    assert!(!node.unseal().await);
    assert!(node.registry.open().is_none() && node.registry.seal_status().is_sealed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_records_rotates_by_itself_and_they_move_to_the_next() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/mounts/kv", KV1).await.ok().unwrap();
    let status = async || {
        let shown = node.ask(Operation::Read, "sys/key-status", "").await.ok().unwrap();
        let number = |name: &str| -> u64 {
            let (_, rest) = shown.split_once(name).unwrap();
            rest.split([',', '}']).next().unwrap().parse().unwrap()
        };
        (number("\"term\":"), number("\"encryptions\":"))
    };
    for at in 0.. {
        let (term, encryptions) = status().await;
        if encryptions >= ROTATE_AFTER {
            break;
        }
        node.registry.work().await;
        assert_eq!(term, 1, "long before its time");
        node.ask(Operation::Write, &format!("kv/{at}"), r#"{"v":"1"}"#).await.ok().unwrap();
    }
    node.registry.work().await;
    let (term, encryptions) = status().await;
    assert!(term == 2 && encryptions < ROTATE_AFTER, "{term} {encryptions}");
    assert!(node.ask(Operation::Read, "kv/0", "").await.is_ok());
    node.registry.work().await;
    assert_eq!(status().await.0, 2, "once is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_seal_record_that_was_altered_to_look_unsettled_keeps_nothing_closed() {
    let node = Node::open().await;
    let root = node.registry.open().unwrap().at(&path("")).unwrap().id;
    node.registry.seal().await;
    let key = meta_key(root, MetaItem::SealRecord, Slot::A);
    let mut copy = node.store.get(&key).await.unwrap().unwrap();
    // The state of the first wrap: current becomes pending. Its MAC is wrong from now on.
    assert_eq!(copy[91], 2);
    copy[91] = 1;
    let alter = move |transaction: &mut dyn coffer_store::Transaction| -> Result<(), CommitError<Fault>> {
        transaction.put(key.clone(), copy.clone()).map(drop).map_err(CommitError::Store)
    };
    coffer_store::commit(&*node.store, alter).await.ok().unwrap();
    assert!(node.unseal().await);
    assert!(node.ask(Operation::Read, "sys/mounts", "").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekey_whose_commit_fails_hands_out_nothing_and_takes_the_shares_again() {
    let node = Node::open().await;
    let body = r#"{"secret_shares":1,"secret_threshold":1}"#;
    let begun = node.ask(Operation::Write, "sys/rekey/init", body).await.ok().unwrap();
    let nonce = begun.split("\"nonce\":\"").nth(1).unwrap().split('"').next().unwrap();
    let give = format!(r#"{{"key":"{}","nonce":"{nonce}"}}"#, node.share);
    node.store.fail(Call::OrdinaryCommit, 0, 1, StoreError::Full);
    assert!(matches!(node.ask(Operation::Write, "sys/rekey/update", &give).await, Err(Fault::Full)));
    node.registry.seal().await;
    assert!(node.unseal().await, "the old share is void");
    let begun = node.ask(Operation::Write, "sys/rekey/init", body).await.ok().unwrap();
    let nonce = begun.split("\"nonce\":\"").nth(1).unwrap().split('"').next().unwrap();
    let give = format!(r#"{{"key":"{}","nonce":"{nonce}"}}"#, node.share);
    node.store.fail(Call::OrdinaryCommit, 0, 1, StoreError::Full);
    assert!(node.ask(Operation::Write, "sys/rekey/update", &give).await.is_err());
    let made = node.ask(Operation::Write, "sys/rekey/update", &give).await.ok().unwrap();
    assert!(made.contains(r#""complete":true"#), "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekey_that_is_begun_while_another_is_being_recorded_goes_on() {
    let node = Node::open().await;
    let body = r#"{"secret_shares":1,"secret_threshold":1}"#;
    let begun = node.ask(Operation::Write, "sys/rekey/init", body).await.ok().unwrap();
    let nonce = begun.split("\"nonce\":\"").nth(1).unwrap().split('"').next().unwrap();
    let give = format!(r#"{{"key":"{}","nonce":"{nonce}"}}"#, node.share);
    let first = node.acted("sys/rekey/update", &give).await;
    node.ask(Operation::Delete, "sys/rekey/init", "").await.ok().unwrap();
    node.ask(Operation::Write, "sys/rekey/init", body).await.ok().unwrap();
    assert!(first.record().await.is_ok_and(|made| made.contains(r#""complete":true"#)));
    let status = node.ask(Operation::Read, "sys/rekey/init", "").await.ok().unwrap();
    assert!(status.contains(r#""started":true"#), "{status}");
}
