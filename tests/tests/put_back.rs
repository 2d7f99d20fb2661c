//! Somebody with the disk puts records back from an earlier day: reading says so, and so does `coffer operator fsck`.
use crate::stored;
use coffer_sdk::Cas;
use coffer_store::Entry;
use coffer_tests::{Ask, House};
use coffer_types::{EnvironmentId, Kind};
use keystore_format::index::Path;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_back_from_yesterdays_disk_is_named_by_reading_it_and_by_fsck() {
    let mut house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    for at in ["app/db", "app/old", "bystander"] {
        house.root().kv("secret").put(at, &json!({ "day": "yesterday" }), Cas::New).await.unwrap();
    }
    assert_eq!(house.coffer("", &["operator", "fsck"]).code, 0);
    assert!(house.stop().success());
    let yesterday = stored::entries(house.data());

    house.start_process().await;
    house.unseal().await;
    house.root().kv("secret").put("app/db", &json!({ "day": "today" }), Cas::Version(1)).await.unwrap();
    house.root().ask("DELETE", "secret/metadata/app/old", Value::Null).await.done();
    assert!(house.stop().success());
    let today = stored::entries(house.data());
    let [root] = stored::open(&today, &house.shares).try_into().ok().unwrap();
    let metadata = |path: &str| -> Vec<Entry> {
        let all = stored::of_kind(&yesterday, Kind::KvV2Metadata).into_iter();
        all.filter(|entry| root.is_path(entry, path)).collect()
    };
    let (db, old) = (metadata("app/db"), metadata("app/old"));
    assert_eq!((db.len(), old.len()), (1, 1));
    stored::overwrite(house.data(), db.clone()).await;
    stored::write(house.data(), old).await;

    house.start_process().await;
    house.unseal().await;
    for at in ["app/db", "app/old"] {
        let said = house.root().ask("GET", &format!("secret/data/{at}"), Value::Null).await.refused(500);
        assert!(said.contains("an older copy of a record was put back on disk"), "{at}: {said}");
        // Nor is it built upon.
        let body = json!({ "data": { "day": "tomorrow" } });
        let said = house.root().ask("POST", &format!("secret/data/{at}"), body).await.refused(500);
        assert!(said.contains("an older copy of a record was put back on disk"), "{at}: {said}");
    }
    let listed = house.root().ask("LIST", "secret/metadata/app", Value::Null).await.refused(500);
    assert!(listed.contains("on disk"), "{listed}");
    let read = house.root().ask("GET", "secret/data/bystander", Value::Null).await.ok();
    assert_eq!(read.data()["data"]["day"], "yesterday");
    let key = format!("store_key={}", hex::encode(&db[0].key));
    let log = house.log();
    assert!(
        log.lines()
            .any(|line| line.contains(&key) && line.contains("an older copy of a record was put back"))
    );

    let said = house.coffer("", &["operator", "fsck"]);
    assert_eq!(said.code, 4, "{said:?}");
    for part in
        ["ALTERED ON DISK: ", "put back", "brought back", "secret/", "app/db", "app/old", "KV v2 metadata"]
    {
        assert!(said.stdout.contains(part), "{part:?} is not in:\n{}", said.stdout);
    }
    let said = house.coffer("", &["operator", "fsck", "--format", "json"]);
    assert_eq!(said.code, 4, "{said:?}");
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    let found = |wrong: &str| {
        let all = json["findings"].as_array().unwrap().iter();
        let mut paths: Vec<_> = all
            .filter(|finding| finding["wrong"] == wrong)
            .map(|finding| finding["path"].as_str().unwrap().to_owned())
            .collect();
        paths.sort();
        paths
    };
    assert_eq!(found("replayed"), ["app/db"]);
    assert_eq!(found("returned"), ["app/old"]);
    assert_eq!(found("directory"), ["app"]);
    assert_eq!((&json["whole"], &json["count"]), (&json!(false), &json!(3)));

    // Today's bytes in their place again: all is well.
    let is_put_back = |entry: &&Entry| db.iter().any(|back| back.key == entry.key);
    let right: Vec<Entry> = today.iter().filter(is_put_back).cloned().collect();
    assert!(house.stop().success());
    stored::overwrite(house.data(), right).await;
    stored::remove(house.data(), metadata("app/old")).await;
    house.start_process().await;
    house.unseal().await;
    assert_eq!(house.coffer("", &["operator", "fsck"]).code, 0);
    let read = house.root().ask("GET", "secret/data/app/db", Value::Null).await.ok();
    assert_eq!(read.data()["data"]["day"], "today");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_backup_is_new_enough_a_quorum_takes_what_is_there() {
    let mut house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    for at in ["app/db", "app/lost", "app/new"] {
        house.root().kv("secret").put(at, &json!({ "day": "yesterday" }), Cas::New).await.unwrap();
    }
    assert!(house.stop().success());
    let yesterday = stored::entries(house.data());
    house.start_process().await;
    house.unseal().await;
    house.root().kv("secret").put("app/db", &json!({ "day": "today" }), Cas::Version(1)).await.unwrap();
    house.root().kv("secret").put("app/new", &json!({ "day": "today" }), Cas::Version(1)).await.unwrap();
    assert!(house.stop().success());
    let [root] = stored::open(&yesterday, &house.shares).try_into().ok().unwrap();
    let metadata = |path: &str| -> Vec<Entry> {
        let all = stored::of_kind(&yesterday, Kind::KvV2Metadata).into_iter();
        all.filter(|entry| root.is_path(entry, path)).collect()
    };
    stored::overwrite(house.data(), metadata("app/db")).await;
    stored::remove(house.data(), metadata("app/lost")).await;

    house.start_process().await;
    let say = async |house: &House, rebuilt: [&[&str]; 2]| {
        let client = house.client(&house.operator);
        for (share, rebuilt) in house.shares.iter().zip(rebuilt) {
            let body = json!({ "key": share, "rebuild_index": rebuilt });
            client.ask("POST", "sys/unseal", body).await.done();
        }
    };
    // Not by one of two holders, nor for another environment.
    for rebuilt in [[&["root"][..], &[]], [&[], &["root"]], [&["prod"], &["prod"]]] {
        say(&house, rebuilt).await;
        let said = house.coffer("", &["operator", "fsck"]);
        assert!(said.code == 4 && said.stdout.contains("--rebuild-index"), "{said:?}");
        house.root().ask("POST", "secret/data/app/lost", json!({ "data": {} })).await.refused(500);
        house.root().sys().seal().await.unwrap();
    }
    let wrong = json!({ "key": house.shares[0], "rebuild_index": ["no/such name"] });
    let said = house.client(&house.operator).ask("POST", "sys/unseal", wrong).await.refused(400);
    assert!(said.contains("rebuild_index"), "{said}");
    let shares = house.shares[..2].join("\n");
    house.coffer_with("", &["operator", "unseal", "--rebuild-index", "root"], &shares).ok();
    assert_eq!(house.coffer("", &["operator", "fsck"]).code, 0);
    house.root().ask("LIST", "secret/metadata/app", Value::Null).await.done();
    house.root().ask("POST", "secret/data/app/lost", json!({ "data": { "day": "after" } })).await.done();
    for (at, day) in [("db", "yesterday"), ("new", "today"), ("lost", "after")] {
        let read = house.root().ask("GET", &format!("secret/data/app/{at}"), Value::Null).await.ok();
        assert_eq!(read.data()["data"]["day"], day, "{at}");
    }
    house.restart().await;
    assert_eq!(house.coffer("", &["operator", "fsck"]).code, 0);
    assert!(house.stop().success());
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    assert!(shown.contains("index-rebuilt"), "{shown}");
    house.coffer("", &["audit", "verify", house.audit().to_str().unwrap()]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holders_of_one_environment_take_what_is_there_in_that_one() {
    let mut house = House::start().await;
    let body = json!({ "secret_shares": 1, "secret_threshold": 1 });
    let made = house.root().ask("POST", "sys/namespaces/acme", body).await.ok();
    let share = made.data()["shares"][0].as_str().unwrap().to_owned();
    house.canaries.add(&share);
    let acme = house.root().with_namespace("acme").unwrap();
    coffer_tests::furnish(&acme).await;
    acme.ask("POST", "secret/data/lost", json!({ "data": {} })).await.done();
    assert!(house.stop().success());
    let lost = stored::of_kind(&stored::entries(house.data()), Kind::KvV2Metadata);
    assert_eq!(lost.len(), 1);
    let acme_id: [u8; 16] = lost[0].key[1..17].try_into().unwrap();
    stored::remove(house.data(), lost).await;
    house.start_process().await;
    house.unseal().await;
    let root_id = house.root().sys().seal_status().await.unwrap().cluster_id.replace('-', "");
    let root_id: [u8; 16] = hex::decode(root_id).unwrap().try_into().unwrap();
    house.coffer_with("", &["env", "unseal", "acme"], &share).ok();
    assert_eq!(house.coffer("acme", &["operator", "fsck"]).code, 4);
    house.coffer("", &["env", "seal", "acme"]).ok();
    house.coffer_with("", &["env", "unseal", "acme", "--rebuild-index"], &share).ok();
    assert_eq!(house.coffer("acme", &["operator", "fsck"]).code, 0);
    let acme = house.root().with_namespace("acme").unwrap();
    acme.ask("POST", "secret/data/lost", json!({ "data": {} })).await.done();

    // Without the root of its index it says what to do, and so does the whole store.
    assert!(house.stop().success());
    let shares = house.shares[..2].join("\n");
    for environment in [acme_id, root_id] {
        let node = Path::ROOT.store_key(EnvironmentId(environment));
        let entries = stored::entries(house.data()).into_iter();
        stored::remove(house.data(), entries.filter(|entry| entry.key == node).collect()).await;
    }
    house.start_process().await;
    let refused = house.coffer_with("", &["operator", "unseal"], &shares);
    assert!(refused.stderr.contains("coffer operator unseal --rebuild-index"), "{refused:?}");
    house.coffer_with("", &["operator", "unseal", "--rebuild-index", "root"], &shares).ok();
    let refused = house.coffer_with("", &["env", "unseal", "acme"], &share);
    assert!(refused.stderr.contains("coffer env unseal ENVIRONMENT --rebuild-index"), "{refused:?}");
    house.coffer_with("", &["env", "unseal", "acme", "--rebuild-index"], &share).ok();
    for name in ["", "acme"] {
        assert_eq!(house.coffer(name, &["operator", "fsck"]).code, 0);
    }
}
