//! An older store put in the place of the present one: recognised by what the audit log tells of, refused, and accepted only
//! by a quorum that says so.
use coffer_tests::{Ask, Asked, House};
use serde_json::{Value, json};
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Puts yesterday's store back; the audit log stays.
fn put_back(house: &House, yesterday: &Path) {
    let store = house.data().join("store");
    std::fs::remove_dir_all(&store).unwrap();
    copy(yesterday, &store);
}

async fn give(house: &House, accepting: &[bool]) -> Asked {
    let client = house.client(&house.operator);
    let mut last = None;
    for (share, accepts) in house.shares.iter().zip(accepting) {
        let body = json!({ "key": share, "accept_rollback": accepts });
        last = Some(client.ask("POST", "sys/unseal", body).await);
    }
    last.unwrap()
}

async fn value(house: &House) -> Value {
    let prod = house.root().with_namespace("prod").unwrap();
    prod.ask("GET", "secret/data/app", Value::Null).await.ok().data()["data"]["v"].clone()
}

async fn write(house: &House, value: &str) {
    let prod = house.root().with_namespace("prod").unwrap();
    prod.ask("POST", "secret/data/app", json!({ "data": { "v": value } })).await.done();
}

/// A house whose store is of yesterday and whose log is of today.
async fn rolled_back() -> House {
    let mut house = House::start().await;
    house.environment("prod").await;
    write(&house, "yesterday").await;
    assert!(house.stop().success());
    let yesterday = house.at("yesterday");
    copy(&house.data().join("store"), &yesterday);
    house.start_process().await;
    house.unseal().await;
    assert_eq!(value(&house).await, "yesterday", "the copy is taken at rest, and opens as it is");
    write(&house, "today").await;
    house.kill9();
    put_back(&house, &yesterday);
    house.start_process().await;
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_store_is_refused_with_what_is_wrong_and_nothing_of_it_is_served() {
    let mut house = rolled_back().await;
    for _ in 0..2 {
        let said = give(&house, &[false, false]).await.refused(503);
        assert!(said.contains("older than its audit log") && said.contains("accept_rollback"), "{said}");
        house.root().ask("GET", "sys/mounts", Value::Null).await.refused(503);
    }
    // Not by one of two holders, in either order.
    give(&house, &[true, false]).await.refused(503);
    give(&house, &[false, true]).await.refused(503);
    // Nor after a restart.
    house.kill9();
    house.start_process().await;
    give(&house, &[false, false]).await.refused(503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quorum_accepts_an_older_store_and_its_log_begins_anew() {
    let mut house = rolled_back().await;
    assert_eq!(give(&house, &[true, true]).await.ok().body["sealed"], false);
    assert_eq!(value(&house).await, "yesterday");
    write(&house, "after").await;
    // Accepted once: from here on it is as any other.
    house.restart().await;
    assert_eq!(value(&house).await, "after");
    assert!(house.stop().success());
    let verified = house.coffer("", &["audit", "verify", house.audit().to_str().unwrap()]);
    assert_eq!(verified.code, 0, "{} {}", verified.stdout, verified.stderr);
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    assert!(shown.contains("rollback"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leave_for_a_rollback_changes_nothing_where_there_is_none() {
    let mut house = House::start().await;
    house.environment("prod").await;
    write(&house, "kept").await;
    house.kill9();
    house.start_process().await;
    assert_eq!(give(&house, &[true, true]).await.ok().body["sealed"], false);
    assert_eq!(value(&house).await, "kept");
    assert!(house.stop().success());
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    assert!(!shown.contains("rollback"), "{shown}");
}
