//! Requests that meet, and clients that go away.
use crate::node::{Node, abandoned, sentence, until};
use coffer_environments::MountKind;
use coffer_room::Fault;
use coffer_types::{EnvironmentPath, Operation};
use std::future::Future;
use std::sync::Arc;

const KV1: &str = r#"{"type":"kv"}"#;

fn path(text: &str) -> EnvironmentPath {
    EnvironmentPath::parse(text).unwrap()
}

fn token_in(answer: &str) -> String {
    answer.split("\"client_token\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_free_again_only_when_what_had_it_is_erased() {
    let node = Node::open().await;
    node.ask(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    node.ask(Operation::Delete, "sys/namespaces/acme", "").await.ok().unwrap();
    let refused = node.ask(Operation::Write, "sys/namespaces/acme", "").await;
    assert!(sentence(refused).contains("still being erased"));
    assert!(node.registry.work().await);
    node.ask(Operation::Write, "sys/namespaces/acme", "").await.ok().unwrap();
    node.ask(Operation::Write, "acme/sys/mounts/kv", KV1).await.ok().unwrap();
    node.ask(Operation::Write, "acme/kv/a", r#"{"v":"1"}"#).await.ok().unwrap();
    node.registry.work().await;
    node.registry.seal().await;
    node.unseal().await;
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
    node.unseal().await;
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
    let made = node.ask(Operation::Write, "auth/token/create", r#"{"policies":["mounts"]}"#).await;
    let token = token_in(&made.ok().unwrap());
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
