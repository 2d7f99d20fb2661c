//! Backups: saved from one state while writes go on, brought back into a new daemon, refused where they are not whole.
use crate::stored;
use coffer_sdk::{Cas, Error, Secret};
use coffer_tests::{Ask, House, Moments, Setup, eventually};
use keystore_format::ids::EnvironmentId;
use keystore_format::tables::{MetaItem, Slot, meta_key};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;

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
    // More than is written in one commit: what is damaged at the end must be seen before the first.
    for at in 0..30 {
        let value = json!({ "k": "x".repeat(200_000) });
        prod.kv("secret").put(&format!("a/{at}"), &value, Cas::New).await.unwrap();
    }
    let whole = saved(&house).await;
    let mut other = House::empty(Setup::default()).await;
    assert!(other.stop().success());
    let before = stored::entries(other.data());
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
        other.start_process().await;
        let sys = other.client(&other.operator).sys();
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
        assert!(other.stop().success());
        assert_eq!(stored::entries(other.data()), before, "{what}: something was written");
    }
    // The whole one goes in.
    other.start_process().await;
    let sys = other.client(&other.operator).sys();
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

/// What lies in the store of a daemon that was killed in a restore.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Restored {
    Nothing,
    /// Records, but not yet the store's id, which makes them count.
    Half,
    Whole,
}

fn restored(house: &House) -> Restored {
    let entries = stored::entries(house.data());
    let id = meta_key(EnvironmentId::default(), MetaItem::StoreId, Slot::A);
    if entries.iter().any(|entry| entry.key == id) {
        return Restored::Whole;
    }
    if entries.is_empty() { Restored::Nothing } else { Restored::Half }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_half_way_leaves_a_daemon_that_takes_it_again() {
    const SECRETS: usize = 60;
    let house = House::start().await;
    let prod = house.environment("prod").await;
    for at in 0..SECRETS {
        let value = json!({ "at": at, "k": "x".repeat(200_000) });
        prod.kv("secret").put(&format!("a/{at}"), &value, Cas::New).await.unwrap();
    }
    let backup = saved(&house).await;
    let mut moments = Moments::up_to(Duration::from_secs(2));
    let mut seen: BTreeMap<Restored, u32> = BTreeMap::new();
    let mut other = House::empty(Setup::default()).await;
    loop {
        assert!(seen.values().sum::<u32>() < 30, "not every moment was met: {seen:?}");
        let sys = other.client(&other.operator).sys();
        sys.restore_snapshot(Cursor::new(backup.clone())).await.unwrap();
        sys.unseal(&Secret::new(house.shares[0].clone())).await.unwrap();
        let last = Secret::new(house.shares[1].clone());
        let (begun, moment) = (Instant::now(), moments.next());
        let opening = tokio::spawn(async move { sys.unseal(&last).await });
        Moments::wait(begun, moment);
        other.kill9();
        let _whether_it_was_answered = opening.await.unwrap();
        let now = restored(&other);
        *seen.entry(now).or_default() += 1;
        match now {
            Restored::Nothing | Restored::Half => moments.was_early(moment),
            Restored::Whole => moments.was_late(moment),
        }
        other.start_process().await;
        let status = other.client(&other.operator).sys().seal_status().await.unwrap();
        assert_eq!(status.initialized, now == Restored::Whole, "{now:?}");
        if now == Restored::Whole {
            (other.shares, other.root_token) = (house.shares.clone(), house.root_token.clone());
            other.unseal().await;
            let restored = other.root().with_namespace("prod").unwrap();
            for at in 0..SECRETS {
                let read = restored.kv("secret").get::<Value>(&format!("a/{at}")).await.unwrap();
                assert_eq!(read["at"], at);
            }
            if seen.contains_key(&Restored::Half) {
                break;
            }
            other = House::empty(Setup::default()).await;
        }
    }
    eprintln!("{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_amid_writes_is_of_one_state() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    for at in 0..60 {
        let value = json!({ "k": "x".repeat(200_000) });
        prod.kv("secret").put(&format!("bulk/{at}"), &value, Cas::New).await.unwrap();
    }
    // Each writes one key and then another, over and over: at no time is the second ahead of the first.
    let done: Arc<Vec<AtomicU64>> = Arc::new((0..3).map(|_| AtomicU64::new(0)).collect());
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..done.len())
        .map(|writer| {
            let (prod, done, is_over) = (prod.clone(), Arc::clone(&done), Arc::clone(&is_over));
            tokio::spawn(async move {
                for at in 1_u64.. {
                    for key in ["first", "second"] {
                        let path = format!("pair/{writer}/{key}");
                        prod.kv("secret").put(&path, &json!({ "at": at }), Cas::Any).await.unwrap();
                    }
                    done[writer].store(at, Ordering::SeqCst);
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                }
            })
        })
        .collect();
    let counts = || done.iter().map(|at| at.load(Ordering::SeqCst)).collect::<Vec<_>>();
    let all_beyond = async |than: Vec<u64>| {
        eventually("more writes of all", || {
            let is_so = counts().iter().zip(&than).all(|(now, then)| now >= &(then + 5));
            std::future::ready(is_so.then_some(()))
        })
        .await;
    };
    all_beyond(vec![0; 3]).await;
    // Read slowly: the daemon is in the middle of it until all have written more.
    let (mut reader, mut writer) = tokio::io::duplex(64 * 1024);
    let root = house.root();
    let before = counts();
    let saving = tokio::spawn(async move { root.sys().save_snapshot(&mut writer).await.map(drop) });
    let mut backup = vec![0; 1024];
    reader.read_exact(&mut backup).await.unwrap();
    let begun = counts();
    all_beyond(begun).await;
    assert!(!saving.is_finished(), "the backup was over before the writes were");
    reader.read_to_end(&mut backup).await.unwrap();
    saving.await.unwrap().unwrap();
    is_over.store(true, Ordering::SeqCst);
    for one in writers {
        one.await.unwrap();
    }
    let after = counts();

    let mut other = House::empty(Setup::default()).await;
    let sys = other.client(&other.operator).sys();
    sys.restore_snapshot(Cursor::new(backup)).await.unwrap();
    (other.shares, other.root_token) = (house.shares.clone(), house.root_token.clone());
    other.unseal().await;
    let restored = other.root().with_namespace("prod").unwrap();
    for (writer, (before, after)) in before.into_iter().zip(after).enumerate() {
        let at = async |key: &str| {
            let path = format!("pair/{writer}/{key}");
            restored.kv("secret").get::<Value>(&path).await.unwrap()["at"].as_u64().unwrap()
        };
        let (first, second) = (at("first").await, at("second").await);
        assert!(first == second || first == second + 1, "{writer}: {first} and {second} never were together");
        // Not older than what was acknowledged before, nor newer than the backup's one state can be.
        assert!(
            second >= before && first < after,
            "{writer}: {second} {first}, not from {before} to {after}"
        );
    }
}
