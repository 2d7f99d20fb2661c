//! From version 1 to version 2.
use crate::lab::*;
use crate::mounted::*;
use coffer_engines::{Engine, kv2};
use coffer_types::{MountId, Operation};
use serde_json::json;

/// A mount of version 1 with secrets, tuned to version 2.
async fn upgraded(paths: &[&str]) -> Mounted {
    let mut kv = Mounted::new(Engine::KvV1);
    for path in paths {
        good(kv.post(path, &format!(r#"{{"v":1.50,"of":"{path}"}}"#)).await);
    }
    let mount = MountId([kv.mount; 16]);
    good(kv.lab.change(move |batch| kv2::upgrade(&mut batch.mount(mount))).await);
    kv.engine = Engine::KvV2;
    kv
}

async fn step(kv: &Mounted, limit: usize) -> bool {
    match good(kv2::upgrade_step(&kv.room(), limit).await) {
        Some(mut change) => {
            good(kv.lab.change(move |batch| change.run(batch)).await);
            true
        }
        None => false,
    }
}

#[tokio::test]
async fn every_secret_is_there_at_once_before_during_and_after() {
    let paths = ["a", "b/c", "b/d/e", "z"];
    let kv = upgraded(&paths).await;
    let mut steps = 0;
    loop {
        for path in paths {
            let read = text(&good(kv.get(&format!("data/{path}")).await));
            assert!(
                read.starts_with(&format!(r#"{{"data":{{"v":1.50,"of":"{path}"}},"metadata":"#)),
                "{read}"
            );
            let metadata = kv.json(&format!("metadata/{path}")).await;
            assert_eq!((&metadata["current_version"], &metadata["oldest_version"]), (&1.into(), &1.into()));
            assert_eq!(metadata["created_time"], "2023-11-14T22:13:20.000Z");
        }
        assert_eq!(kv.keys(Operation::List, "metadata").await, json!(["a", "b/", "z"]));
        assert_eq!(kv.keys(Operation::Scan, "metadata").await, json!(paths));
        assert_eq!(kv.keys(Operation::Scan, "metadata?limit=2&after=a").await, json!(["b/c", "b/d/e"]));
        kv.lab.clock.turn(1000);
        if !step(&kv, 1).await {
            break;
        }
        steps += 1;
        assert!(steps < 10, "an upgrade comes to its end");
    }
    assert_eq!(steps, 5);
    // Settings, and two records for each secret.
    assert_eq!(kv.records().await, 1 + 2 * 4);
}

#[tokio::test]
async fn a_secret_can_be_changed_before_it_was_taken_over() {
    let kv = upgraded(&["a", "b", "c", "d", "e"]).await;
    assert_eq!(refused(kv.post("data/a", r#"{"data":{},"options":{"cas":0}}"#).await).0, 400);
    assert_eq!(kv.put("data/a", r#"{"data":{"v":2},"options":{"cas":1}}"#).await["version"], 2);
    assert_eq!(kv.json("data/a?version=1").await["data"]["of"], "a");
    good(kv.patch("data/b", r#"{"data":{"n":1}}"#).await);
    assert_eq!(kv.json("data/b").await["data"], json!({"v":1.5,"of":"b","n":1}));
    good(kv.delete("data/c").await);
    assert_eq!(refused(kv.get("data/c").await).0, 404);
    good(kv.delete("metadata/d").await);
    good(kv.post("destroy/e", r#"{"versions":[1]}"#).await);
    while step(&kv, 100).await {}
    assert_eq!(kv.keys(Operation::List, "metadata").await, json!(["a", "b", "c", "e"]));
    assert_eq!(refused(kv.get("data/e").await).0, 404);
    assert_eq!(kv.json("data/a").await["data"]["v"], 2);
}

#[tokio::test]
async fn an_empty_mount_is_done_after_one_step() {
    let kv = upgraded(&[]).await;
    assert!(step(&kv, 100).await);
    assert!(!step(&kv, 100).await);
    good(kv.post("data/x", r#"{"data":{}}"#).await);
    assert_eq!(kv.keys(Operation::List, "metadata").await, json!(["x"]));
}

#[tokio::test]
async fn a_change_of_version_1_that_comes_after_the_upgrade_is_refused_and_not_lost_silently() {
    let mut kv = upgraded(&["a"]).await;
    kv.engine = Engine::KvV1;
    assert_eq!(refused(kv.post("a", r#"{"v":2}"#).await).0, 503);
    assert_eq!(refused(kv.delete("a").await).0, 503);
    kv.engine = Engine::KvV2;
    assert_eq!(kv.json("data/a").await["data"]["of"], "a");
}
