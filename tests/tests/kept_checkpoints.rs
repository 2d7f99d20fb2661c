//! Store and log put back together, with nothing on the disk that could tell: the checkpoint that an operator, an
//! application or an auditor keeps does.
use coffer_tests::{Ask, Asked, House};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn copy_tree(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// All that lies on the daemon's disk.
fn put_back(house: &House, copy: &Path) {
    for folder in [house.data().to_owned(), house.audit()] {
        let name = folder.file_name().unwrap().to_owned();
        std::fs::remove_dir_all(&folder).unwrap();
        copy_tree(&copy.join(name), &folder);
    }
}

fn take(house: &House) -> PathBuf {
    let copy = house.at("copy-of-the-disk");
    std::fs::create_dir(&copy).unwrap();
    for folder in [house.data().to_owned(), house.audit()] {
        copy_tree(&folder, &copy.join(folder.file_name().unwrap()));
    }
    copy
}

async fn write(house: &House, value: &str) {
    let prod = house.root().with_namespace("prod").unwrap();
    prod.ask("POST", "secret/data/app", json!({ "data": { "v": value } })).await.done();
}

async fn value(house: &House) -> Value {
    let prod = house.root().with_namespace("prod").unwrap();
    prod.ask("GET", "secret/data/app", Value::Null).await.ok().data()["data"]["v"].clone()
}

/// Gives two shares, with these checkpoints beside the first, or the second.
async fn give(house: &House, checkpoints: [&[String]; 2]) -> Asked {
    let client = house.client(&house.operator);
    let mut last = None;
    for (share, checkpoints) in house.shares.iter().zip(checkpoints) {
        last =
            Some(client.ask("POST", "sys/unseal", json!({ "key": share, "checkpoints": checkpoints })).await);
    }
    last.unwrap()
}

/// The last checkpoint of `prod`'s log, as a daemon that was stopped left it.
fn left(house: &House, prod: &str) -> String {
    let log = house.audit().join(prod);
    let incarnation = std::fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    std::fs::read_to_string(incarnation.join("checkpoint")).unwrap()
}

/// The id of `prod`.
async fn id(house: &House) -> String {
    house.root().ask("GET", "sys/namespaces/prod", Value::Null).await.ok().text("uuid")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_command_keeps_the_checkpoint_and_finds_out_a_disk_that_was_put_back() {
    let mut house = House::start().await;
    house.environment("prod").await;
    write(&house, "yesterday").await;
    let shares = house.shares[..2].join("\n");
    assert!(house.stop().success());
    let copy = take(&house);
    house.start_process().await;
    // The first time there is nothing to hold it against.
    let said = house.coffer_with("", &["operator", "unseal"], &shares).ok();
    assert!(said.contains("are kept in") && said.contains("held against them"), "{said}");
    write(&house, "today").await;
    assert!(house.stop().success());
    house.start_process().await;
    let said = house.coffer_with("", &["operator", "unseal"], &shares).ok();
    assert!(said.contains("goes on from the checkpoints that were kept here"), "{said}");
    assert!(house.stop().success());

    put_back(&house, &copy);
    house.start_process().await;
    let refused = house.coffer_with("", &["operator", "unseal"], &shares);
    assert_ne!(refused.code, 0);
    let said = &refused.stderr;
    assert!(said.contains("older than a checkpoint that was kept"), "{said}");
    assert!(said.contains("--accept-rollback"), "{said}");
    house.root().ask("GET", "sys/mounts", Value::Null).await.refused(503);
    // Nothing is forgotten by a refusal.
    assert_ne!(house.coffer_with("", &["operator", "unseal"], &shares).code, 0);
    house.coffer_with("", &["operator", "unseal", "--accept-rollback"], &shares).ok();
    assert_eq!(value(&house).await, "yesterday");
    assert!(house.stop().success());
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    assert!(shown.contains("rollback"), "{shown}");
    house.start_process().await;
    house.coffer_with("", &["operator", "unseal"], &shares).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_keeps_checkpoints_finds_out_an_older_store_that_serves() {
    let mut house = House::start().await;
    house.environment("prod").await;
    assert!(house.stop().success());
    let copy = take(&house);
    house.start_process().await;
    house.unseal().await;
    for _ in 0..20 {
        write(&house, "today").await;
    }
    // So that all of it is under a checkpoint.
    house.restart().await;
    let said = house.coffer("prod", &["audit", "checkpoint"]).ok();
    assert!(said.contains("Kept: the log of environment prod has"), "{said}");
    let folder = house.at(".local/state/coffer/checkpoints");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let before = std::fs::read_to_string(file).unwrap();
    assert!(house.stop().success());
    put_back(&house, &copy);
    house.start_process().await;
    // As a device would open it: with nobody's checkpoint.
    house.unseal().await;
    let said = house.coffer("prod", &["audit", "checkpoint"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.stdout.contains("An older store serves: the log of environment prod has"), "{said:?}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), before, "the evidence stays");
    assert!(house.stop().success());
    house.start_process().await;
    let refused = house.coffer_with("", &["operator", "unseal"], house.shares[..2].join("\n"));
    assert!(refused.stderr.contains("older than a checkpoint that was kept"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_holder_may_bring_the_checkpoint_of_any_environment() {
    let mut house = House::start().await;
    house.environment("prod").await;
    write(&house, "yesterday").await;
    assert!(house.stop().success());
    let copy = take(&house);
    house.start_process().await;
    house.unseal().await;
    write(&house, "today").await;
    let prod = id(&house).await;
    assert!(house.stop().success());
    let seen = left(&house, &prod);
    let file = house.at("as-an-auditor-keeps-it");
    std::fs::write(&file, &seen).unwrap();
    let kept = [seen];
    house.start_process().await;
    let answer = give(&house, [&kept, &[]]).await.ok();
    assert_eq!((&answer.body["sealed"], &answer.body["checkpoints_compared"]), (&json!(false), &json!(1)));
    assert_eq!(answer.body["checkpoints"].as_array().unwrap().len(), 2, "{:?}", answer.body);
    // Told to whoever opened it, and to nobody after.
    let after = house.client(&house.operator).ask("POST", "sys/unseal", json!({ "key": "x" })).await.ok();
    assert_eq!(after.body.get("checkpoints"), None);
    assert!(house.stop().success());

    put_back(&house, &copy);
    house.start_process().await;
    for checkpoints in [[&kept[..], &[]], [&[], &kept[..]]] {
        let said = give(&house, checkpoints).await.refused(503);
        assert!(said.contains("older than a checkpoint that was kept"), "{said}");
    }
    let shares = house.shares[..2].join("\n");
    let refused =
        house.coffer_with("", &["operator", "unseal", "--checkpoint", file.to_str().unwrap()], &shares);
    assert!(refused.stderr.contains("older than a checkpoint that was kept"), "{}", refused.stderr);
    // With nothing kept, nobody can tell.
    assert_eq!(give(&house, [&[], &[]]).await.ok().body["sealed"], false);
    assert_eq!(value(&house).await, "yesterday");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_checkpoint_of_this_log_is_refused_and_keeps_nobody_out() {
    let mut house = House::start().await;
    house.environment("prod").await;
    write(&house, "kept").await;
    let prod = id(&house).await;
    assert!(house.stop().success());
    let seen = left(&house, &prod);
    house.start_process().await;
    let client = house.client(&house.operator);
    let share = house.shares[0].clone();
    for bad in [json!(["x"]), json!([seen.replace("\n\n", "\n")]), json!(7), json!([seen.repeat(20)])] {
        let said = client.ask("POST", "sys/unseal", json!({ "key": share, "checkpoints": bad })).await;
        let said = said.refused(400);
        assert!(said.contains("checkpoints"), "{said}");
    }
    // Beside what is no share, nothing is taken: who has none can't keep the store closed.
    let (first, rest) = seen.split_once('\n').unwrap();
    let (size, rest) = rest.split_once('\n').unwrap();
    let forged = format!("{first}\n{size}0\n{rest}");
    let body = json!({ "key": "coffer1nonsense", "checkpoints": [forged] });
    client.ask("POST", "sys/unseal", body).await.refused(400);
    let said = give(&house, [std::slice::from_ref(&forged), &[]]).await.refused(503);
    assert!(said.contains("is not signed by the key of this environment's log"), "{said}");
    assert!(!said.contains("accept"), "a forgery is no older store: {said}");
    assert_eq!(give(&house, [&[], &[seen]]).await.ok().body["checkpoints_compared"], 1);
    assert_eq!(value(&house).await, "kept");
}
