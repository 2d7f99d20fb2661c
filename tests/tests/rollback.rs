//! An older store put in the place of the present one: recognised by what the audit log tells of, refused, and accepted only
//! by a quorum that says so.
use coffer_tests::{Ask, Asked, House, Setup, TPM_OWNER, Tpm, eventually};
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
    let shares = house.shares[..2].join("\n");
    let refused = house.coffer_with("", &["operator", "unseal"], &shares);
    assert!(refused.code != 0 && refused.stderr.contains("--accept-rollback"), "{}", refused.stderr);
    house.coffer_with("", &["operator", "unseal", "--accept-rollback"], &shares).ok();
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

/// A house under a TPM that counts.
async fn counted(tpm: &Tpm) -> House {
    counted_with(tpm, Setup::default()).await
}

/// The same, which differs from a plain one in more.
pub(crate) async fn counted_with(tpm: &Tpm, mut setup: Setup) -> House {
    tpm.configure(&mut setup, "tpm2", "counter_index = 0x01500001");
    let house = House::with(setup).await;
    [TPM_OWNER, "tpm-pin-1234"].iter().for_each(|secret| house.canaries.add(secret));
    let root = house.root();
    let body = json!({ "owner_password": TPM_OWNER });
    let said = root.ask("POST", "sys/seals/counter", body.clone()).await.refused(400);
    assert!(said.contains("no seal of the store"), "{said}");
    let add = json!({ "add": "tpm2", "pin": "tpm-pin-1234", "owner_password": TPM_OWNER });
    let nonce = root.ask("POST", "sys/seals/change", add).await.ok().text("nonce");
    for share in &house.shares[..2] {
        root.ask("POST", "sys/seals/update", json!({ "key": share, "nonce": nonce })).await.done();
    }
    root.ask("POST", "sys/seals/counter", body).await.done();
    house.environment("prod").await;
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_the_time_before_the_counter_is_recognised_by_the_tpm() {
    let tpm = Tpm::new();
    let mut setup = Setup::default();
    tpm.configure(&mut setup, "tpm2", "counter_index = 0x01500001");
    let mut house = House::with(setup).await;
    [TPM_OWNER, "tpm-pin-1234"].iter().for_each(|secret| house.canaries.add(secret));
    let root = house.root();
    let add = json!({ "add": "tpm2", "pin": "tpm-pin-1234", "owner_password": TPM_OWNER });
    let nonce = root.ask("POST", "sys/seals/change", add).await.ok().text("nonce");
    for share in &house.shares[..2] {
        root.ask("POST", "sys/seals/update", json!({ "key": share, "nonce": nonce })).await.done();
    }
    // A TPM that does not count yet keeps nobody out.
    house.restart().await;
    assert!(house.stop().success());
    let (store, audit) = (house.at("store"), house.at("audit"));
    copy(&house.data().join("store"), &store);
    copy_tree(&house.audit(), &audit);
    house.start_process().await;
    house.unseal().await;
    house.root().ask("POST", "sys/seals/counter", json!({ "owner_password": TPM_OWNER })).await.done();
    assert!(house.stop().success());
    put_back(&house, &store);
    std::fs::remove_dir_all(house.audit()).unwrap();
    copy_tree(&audit, &house.audit());
    house.start_process().await;
    let said = give(&house, &[false, false]).await.refused(503);
    assert!(said.contains("the store knows nothing of it"), "{said}");
    assert_eq!(give(&house, &[true, true]).await.ok().body["sealed"], false);
}

async fn counter(house: &House) -> u64 {
    house.root().ask("GET", "sys/seals", Value::Null).await.ok().data()["counter"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_store_with_its_older_log_is_recognised_by_the_tpms_counter() {
    let tpm = Tpm::new();
    let mut house = counted(&tpm).await;
    write(&house, "yesterday").await;
    let before = counter(&house).await;
    assert!(house.stop().success());
    // Everything, as whoever has the disk would take it: store and log.
    let (store, audit) = (house.at("store"), house.at("audit"));
    copy(&house.data().join("store"), &store);
    copy_tree(&house.audit(), &audit);
    house.start_process().await;
    house.unseal().await;
    write(&house, "today").await;
    assert!(house.stop().success());
    put_back(&house, &store);
    std::fs::remove_dir_all(house.audit()).unwrap();
    copy_tree(&audit, &house.audit());
    house.start_process().await;
    let said = give(&house, &[false, false]).await.refused(503);
    assert!(said.contains("older than the TPM's counter"), "{said}");
    assert_eq!(give(&house, &[true, true]).await.ok().body["sealed"], false);
    assert_eq!(value(&house).await, "yesterday");
    house.restart().await;
    assert!(counter(&house).await > before);
    write(&house, "after").await;
    house.kill9();
    house.start_process().await;
    house.unseal().await;
    assert_eq!(value(&house).await, "after");
}

fn copy_tree(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_something_away_is_counted_and_a_lost_tpm_is_no_lost_store() {
    let mut tpm = Tpm::new();
    let mut house = counted(&tpm).await;
    // Once at the unsealing, which comes within half a minute.
    let before = counter(&house).await;
    let root = house.root();
    let token = house.token(&root, json!({ "policies": ["default"] })).await;
    root.ask("POST", "auth/token/revoke", json!({ "token": token })).await.done();
    house.restart().await;
    let after = counter(&house).await;
    assert!(after > before, "{before} {after}");
    assert!(house.stop().success());
    tpm.end();
    house.start_process().await;
    let said = give(&house, &[false, false]).await.refused(503);
    assert!(said.contains("can't be held against"), "{said}");
    assert_eq!(give(&house, &[true, true]).await.ok().body["sealed"], false);
    house.root().ask("DELETE", "sys/seals/counter", Value::Null).await.done();
    assert!(house.stop().success());
    house.set_sections("");
    house.start_process().await;
    house.unseal().await;
    eventually("it is open", || async {
        (house.root().ask("GET", "sys/mounts", Value::Null).await.status == 200).then_some(())
    })
    .await;
}
