//! Backups: saved from one state while writes go on, brought back into a new daemon, refused where they are not whole.
use coffer_sdk::{Cas, Error, Secret};
use coffer_tests::{Ask, House, Setup};
use serde_json::{Value, json};
use std::io::Cursor;

async fn saved(house: &House) -> Vec<u8> {
    let mut bytes = Vec::new();
    house.root().sys().save_snapshot(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_brings_the_old_data_back_in_a_new_daemon_and_a_new_incarnation_of_the_log() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let secret = house.canaries.plant("value");
    prod.kv("secret").put("app/db", &json!({ "k": secret }), Cas::New).await.unwrap();
    let origin = async |house: &House| {
        let client = house.root().with_namespace("prod").unwrap();
        crate::audit_log::checkpoint(&client).await.lines().next().unwrap().to_owned()
    };
    let before = origin(&house).await;
    let backup = saved(&house).await;
    assert!(house.canaries.found_in(&backup).is_empty(), "the backup shows a secret");
    prod.kv("secret").put("app/db", &json!({ "k": "after the backup" }), Cas::Any).await.unwrap();

    let mut other = House::empty(Setup::default()).await;
    let status = other.client(&other.operator).sys().restore_snapshot(Cursor::new(backup)).await.unwrap();
    assert_eq!((status.sealed, status.threshold), (true, 2));
    // Its people are the old ones: the shares and the token of the house that was saved.
    (other.shares, other.root_token) = (house.shares.clone(), house.root_token.clone());
    other.canaries.add(&other.root_token);
    other.unseal().await;
    let restored = other.root().with_namespace("prod").unwrap();
    assert_eq!(restored.kv("secret").get::<Value>("app/db").await.unwrap()["k"], secret.as_str());
    let after = origin(&other).await;
    assert_ne!(before, after, "the old log goes on under its old name");
    let environment = |origin: &str| origin.split('/').nth(1).unwrap().to_owned();
    assert_eq!(environment(&before), environment(&after));
    restored.kv("secret").put("new", &json!({}), Cas::New).await.unwrap();
    other.restart().await;
    let restored = other.root().with_namespace("prod").unwrap();
    assert_eq!(restored.kv("secret").get::<Value>("app/db").await.unwrap()["k"], secret.as_str());
    other.ask_to_stop();
    assert!(other.wait().success());
    assert_eq!(other.coffer("", &["audit", "verify", other.audit().to_str().unwrap()]).code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coffer_saves_inspects_and_restores() {
    let house = House::start().await;
    house.environment("prod").await.kv("secret").put("a", &json!({ "k": "v" }), Cas::New).await.unwrap();
    let file = house.at("backup");
    house.coffer("", &["operator", "snapshot", "save", file.to_str().unwrap()]).ok();
    house.coffer("", &["operator", "snapshot", "inspect", file.to_str().unwrap()]).ok();
    let mut other = House::empty(Setup::default()).await;
    let shares = format!("{}\n{}\n", house.shares[0], house.shares[1]);
    let output = other.coffer_with("", &["operator", "snapshot", "restore", file.to_str().unwrap()], &shares);
    assert_eq!(output.code, 0, "{output:?}");
    other.root_token = house.root_token.clone();
    let client = other.root().with_namespace("prod").unwrap();
    if other.root().sys().seal_status().await.unwrap().sealed {
        other.shares = house.shares.clone();
        other.unseal().await;
    }
    assert_eq!(client.kv("secret").get::<Value>("a").await.unwrap()["k"], "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_is_refused_before_the_first_write() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    for at in 0..30 {
        prod.kv("secret").put(&format!("a/{at}"), &json!({ "k": "x".repeat(2000) }), Cas::New).await.unwrap();
    }
    let whole = saved(&house).await;
    let other = House::empty(Setup::default()).await;
    let sys = other.client(&other.operator).sys();
    let mut cases =
        vec![("nothing", Vec::new()), ("noise", vec![0x5a; 5000]), ("text", b"a backup, honestly".to_vec())];
    cases.push(("cut off", whole[..whole.len() - 1].to_vec()));
    cases.push(("half", whole[..whole.len() / 2].to_vec()));
    cases.push(("longer", [whole.as_slice(), b"x"].concat()));
    for at in [0, 10, 60, 200, whole.len() / 2, whole.len() - 20] {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        cases.push(("a bit flipped", flipped));
    }
    for (what, bytes) in cases {
        let mut refusal = sys.restore_snapshot(Cursor::new(bytes)).await.err();
        if refusal.is_none() {
            for share in &house.shares {
                refusal = sys.unseal(&Secret::new(share.clone())).await.err();
                if refusal.is_some() {
                    break;
                }
            }
        }
        let Some(Error::Refused(refusal)) = refusal else {
            panic!("{what}: {}", refusal.map_or("was restored".into(), |error| error.to_string()))
        };
        assert_eq!((refusal.status, refusal.sentences.len()), (400, 1), "{what}: {refusal}");
    }
    // Nothing was written: the whole one still goes in.
    sys.restore_snapshot(Cursor::new(whole)).await.unwrap();
    for share in &house.shares[..2] {
        sys.unseal(&Secret::new(share.clone())).await.unwrap();
    }
    assert!(!sys.seal_status().await.unwrap().sealed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_does_not_go_into_a_daemon_that_has_data_nor_open_with_other_shares() {
    let (house, other) = (House::start().await, House::start().await);
    let backup = saved(&house).await;
    let Err(Error::Refused(refusal)) = other.root().sys().restore_snapshot(Cursor::new(backup.clone())).await
    else {
        panic!("restored over data")
    };
    assert_eq!(refusal.status, 400);
    other.root().ask("GET", "sys/mounts", Value::Null).await.done();
    let empty = House::empty(Setup::default()).await;
    let sys = empty.client(&empty.operator).sys();
    sys.restore_snapshot(Cursor::new(backup)).await.unwrap();
    for share in &other.shares {
        assert_eq!(sys.unseal(&Secret::new(share.clone())).await.err().unwrap().status(), Some(400));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_half_way_leaves_a_daemon_that_takes_it_again() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    for at in 0..60 {
        prod.kv("secret")
            .put(&format!("a/{at}"), &json!({ "k": "x".repeat(20_000) }), Cas::New)
            .await
            .unwrap();
    }
    let backup = saved(&house).await;
    let mut other = House::empty(Setup::default()).await;
    for delay_millis in [0, 3, 8, 15, 22, 30, 45] {
        let sys = other.client(&other.operator).sys();
        let status = sys.seal_status().await.unwrap();
        if !status.initialized {
            sys.restore_snapshot(Cursor::new(backup.clone())).await.unwrap();
        }
        sys.unseal(&Secret::new(house.shares[0].clone())).await.unwrap();
        let last = Secret::new(house.shares[1].clone());
        let opening = tokio::spawn(async move { sys.unseal(&last).await });
        tokio::time::sleep(std::time::Duration::from_millis(delay_millis)).await;
        other.kill9();
        let _whether_it_was_answered = opening.await.unwrap();
        other.start_process().await;
    }
    (other.shares, other.root_token) = (house.shares.clone(), house.root_token.clone());
    let sys = other.client(&other.operator).sys();
    if !sys.seal_status().await.unwrap().initialized {
        sys.restore_snapshot(Cursor::new(backup)).await.unwrap();
    }
    other.unseal().await;
    let restored = other.root().with_namespace("prod").unwrap();
    for at in 0..60 {
        restored.kv("secret").get::<Value>(&format!("a/{at}")).await.unwrap();
    }
}
