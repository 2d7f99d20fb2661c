//! What happens when power, disk, clock or patience fail.
use crate::stored;
use coffer_sdk::{Cas, Client};
use coffer_store::Entry;
use coffer_tests::{Ask, House, Setup, ask, eventually, find, is_root, skip};
use coffer_types::Kind;
use keystore_format::name::StoreKey;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_is_there_after_a_kill_under_load() {
    let mut house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    for round in 0..3 {
        let acknowledged: Arc<Vec<AtomicU64>> = Arc::new((0..6).map(|_| AtomicU64::new(0)).collect());
        let writers: Vec<_> = (0..6)
            .map(|writer| {
                let (root, acknowledged) = (house.root(), Arc::clone(&acknowledged));
                tokio::spawn(async move {
                    for at in 1.. {
                        let body = json!({ "data": { "at": at, "also": at } });
                        let path = format!("secret/data/r{round}/w{writer}");
                        match ask(&root, "POST", &path, &body).await {
                            Ok(answer) if answer.status == 200 => {
                                acknowledged[writer].store(at, Ordering::SeqCst)
                            }
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        let all = Arc::clone(&acknowledged);
        eventually("writes of all", || async {
            all.iter().all(|at| at.load(Ordering::SeqCst) > 3).then_some(())
        })
        .await;
        house.kill9();
        for writer in writers {
            writer.await.unwrap();
        }
        house.start_process().await;
        house.unseal().await;
        for (writer, at) in acknowledged.iter().enumerate() {
            let read =
                house.root().kv("secret").get_newest::<Value>(&format!("r{round}/w{writer}")).await.unwrap();
            let (at, seen) = (at.load(Ordering::SeqCst), read.value["at"].as_u64().unwrap());
            assert!(seen == at || seen == at + 1, "acknowledged {at}, there is {seen}");
            assert_eq!((read.value["also"].as_u64(), read.info.version), (Some(seen), seen), "half a change");
        }
    }
}

/// A small disk of its own, unmounted when it goes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, mebibytes: u64) -> Option<Self> {
        if !is_root() || find("mount").is_none() {
            return None;
        }
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={mebibytes}m,mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).status().unwrap();
        mounted.success().then_some(Self(at))
    }

    /// Takes all space but this.
    fn fill(&self, all_but_bytes: u64) {
        let free = || {
            let stat = rustix::fs::statvfs(&self.0).unwrap();
            stat.f_bavail * stat.f_frsize
        };
        let take = free().saturating_sub(all_but_bytes);
        std::fs::write(self.0.join("filler"), vec![0_u8; usize::try_from(take).unwrap()]).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Writes until it is refused; gives the refusal's status.
async fn write_until_refused(client: &Client) -> (u16, u64) {
    for at in 0..3000 {
        let body = json!({ "data": { "k": "x".repeat(60_000) } });
        let answer = client.ask("POST", &format!("secret/data/fill/{at}"), body).await;
        if answer.status != 200 {
            return (answer.status, at);
        }
    }
    panic!("the disk is never full");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_store_writes_are_refused_and_reads_revocation_and_seal_work() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk"), 48) else {
        return skip("only root can mount a small disk");
    };
    let data = disk.0.join("data");
    std::fs::create_dir(&data).unwrap();
    set_private(&data);
    let house = House::with(Setup { data: Some(data), ..Setup::default() }).await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.kv("secret").put("kept", &json!({ "k": "before" }), Cas::New).await.unwrap();
    let token = house.token(&root, json!({ "policies": ["default"] })).await;
    let (status, at) = write_until_refused(&root).await;
    assert_eq!(status, 507, "after {at} writes; the log: {}", tail(&house.log()));
    // Nothing was changed by the refused one, and the last acknowledged one is whole.
    root.ask("GET", &format!("secret/data/fill/{at}"), Value::Null).await.refused(404);
    root.ask("GET", &format!("secret/data/fill/{}", at - 1), Value::Null).await.done();
    assert_eq!(root.kv("secret").get::<Value>("kept").await.unwrap()["k"], "before");
    root.ask("POST", "auth/token/revoke", json!({ "token": token })).await.done();
    house.with_token(&token).ask("GET", "auth/token/lookup-self", Value::Null).await.refused(403);
    root.ask("POST", "sys/seal", json!({})).await.done();
    assert!(house.client(&house.operator).sys().seal_status().await.unwrap().sealed);
    drop(house);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_audit_log_can_not_be_written_nothing_is_done_and_health_and_seal_work() {
    let mut house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    house.root().kv("secret").put("k", &json!({ "at": 1 }), Cas::New).await.unwrap();
    assert!(house.stop().success());
    // Only the log lies on the small disk.
    let beside = house.at("beside");
    copy(&house.audit(), &beside);
    let Some(disk) = SmallDisk::mount(house.audit(), 32) else {
        return skip("only root can mount a small disk");
    };
    copy(&beside, &house.audit());
    house.start_process().await;
    house.unseal().await;
    let root = house.root();
    root.ask("GET", "secret/data/k", Value::Null).await.done();
    disk.fill(0);
    use_up_the_log(&house).await;
    let refusal = eventually("the refusal of a small leaf", || async {
        let answer = root.ask("POST", "secret/data/k", json!({ "data": { "at": 2 } })).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    let written = root.ask("GET", "sys/health", Value::Null).await;
    assert_eq!(written.status, 200, "health");
    let sentence = refusal.refused(503);
    assert!(sentence.contains("audit log"), "{sentence}");
    for (method, path) in [
        ("GET", "secret/data/k"),
        ("GET", "sys/mounts"),
        ("LIST", "secret/metadata"),
        ("POST", "sys/rotate"),
        ("POST", "auth/token/create"),
    ] {
        let body = if method == "POST" { json!({}) } else { Value::Null };
        // A leaf that is smaller than the refused one may still have found its place.
        eventually(&format!("the refusal of {method} {path}"), || async {
            (root.ask(method, path, body.clone()).await.status == 503).then_some(())
        })
        .await;
    }
    // Space again: it goes on by itself, and nothing of what was refused was done.
    disk.free();
    let read = eventually("an answer again", || async {
        let answer = root.ask("GET", "secret/data/k", Value::Null).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    let version = read.data()["metadata"]["version"].as_u64().unwrap();
    root.ask("POST", "secret/data/k", json!({ "data": { "at": 3 } })).await.done();
    assert_eq!(root.kv("secret").get_newest::<Value>("k").await.unwrap().info.version, version + 1);
    disk.fill(0);
    use_up_the_log(&house).await;
    root.ask("POST", "sys/seal", json!({})).await.done();
    assert!(house.client(&house.operator).sys().seal_status().await.unwrap().sealed);
    house.kill9();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_end_when_they_should_and_not_later_over_restarts() {
    let mut house = House::start().await;
    let root = house.root();
    let short = house.token(&root, json!({ "ttl": "2s" })).await;
    let capped = house.token(&root, json!({ "ttl": "2s", "explicit_max_ttl": "3s" })).await;
    let period = house.token(&root, json!({ "period": "2s" })).await;
    let long = house.token(&root, json!({ "ttl": "1h" })).await;
    let begun = Instant::now();
    let lives = async |house: &House, token: &str| {
        house.with_token(token).ask("GET", "auth/token/lookup-self", Value::Null).await.status == 200
    };
    assert!(lives(&house, &short).await);
    eventually("the end of the short one", || async { (!lives(&house, &short).await).then_some(()) }).await;
    assert!(begun.elapsed() >= Duration::from_millis(1900), "ended early");
    house
        .with_token(&short)
        .ask("POST", "auth/token/renew-self", json!({ "increment": "1h" }))
        .await
        .refused(403);
    eventually("the end of a period that nobody renewed", || async {
        (!lives(&house, &period).await).then_some(())
    })
    .await;
    // Renewed as often as it likes, it does not pass its maximum.
    let capped_until = house.token(&root, json!({ "ttl": "1s", "explicit_max_ttl": "3s" })).await;
    let made = Instant::now();
    while lives(&house, &capped_until).await {
        let _may_end = house
            .with_token(&capped_until)
            .ask("POST", "auth/token/renew-self", json!({ "increment": "1h" }))
            .await;
        assert!(made.elapsed() < Duration::from_secs(5), "lives past its maximum");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(made.elapsed() > Duration::from_millis(2500), "a renewal did not count");
    assert!(!lives(&house, &capped).await);
    // What ends while the daemon is down has ended.
    let sleeping = house.token(&house.root(), json!({ "ttl": "1s" })).await;
    house.kill9();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    house.start_process().await;
    house.unseal().await;
    assert!(!lives(&house, &sleeping).await && !lives(&house, &short).await);
    assert!(lives(&house, &long).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_finishes_open_requests_and_refuses_new_ones() {
    let mut house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    // A request whose body is still on its way when the signal comes.
    let mut slow = house.wire();
    let body = serde_json::to_vec(&json!({ "data": { "k": "x".repeat(1000) } })).unwrap();
    let head = format!(
        "POST /v1/secret/data/slow HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\nx-vault-token: {}\r\ncontent-length: {}\r\n\r\n",
        house.root_token,
        body.len()
    );
    slow.send(head.as_bytes()).unwrap();
    // The daemon has begun with it: it asks for the body.
    assert_eq!(slow.reply(false).unwrap().status, 100);
    slow.send(&body[..500]).unwrap();
    let (address, tls) = (house.address(), house.tls(&house.operator));
    house.ask_to_stop();
    eventually("a closed door", || async { std::net::TcpStream::connect(address).is_err().then_some(()) })
        .await;
    slow.send(&body[500..]).unwrap();
    assert_eq!(slow.reply(false).unwrap().status, 200, "the open request was dropped");
    assert!(house.wait().success());
    assert!(coffer_tests::Wire::connect(address, &tls).is_err());
    house.start_process().await;
    house.unseal().await;
    house.root().ask("GET", "secret/data/slow", Value::Null).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_does_not_open_the_same_data() {
    let house = House::start().await;
    let mut config = std::fs::read_to_string(house.at("cofferd.toml")).unwrap();
    config.push('\n');
    std::fs::write(house.at("second.toml"), config).unwrap();
    let mut command = Command::new(coffer_tests::cofferd());
    command.args(["serve", "--config"]).arg(house.at("second.toml"));
    let said = coffer_tests::run(command, "");
    assert_ne!(said.code, 0);
    assert!(!said.stderr.is_empty() && !said.stderr.contains("panicked"), "{said:?}");
    house.root().ask("GET", "sys/mounts", Value::Null).await.done();
}

/// A house with forty secrets, stopped.
async fn stopped_house_with_secrets() -> House {
    let mut house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    for at in 0..40 {
        house
            .root()
            .kv("secret")
            .put(&format!("a/{at}"), &json!({ "at": at, "pad": "y".repeat(1500) }), Cas::New)
            .await
            .unwrap();
    }
    assert!(house.stop().success());
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_store_gives_a_named_error_and_never_a_wrong_value() {
    let mut house = stopped_house_with_secrets().await;
    house.may_panic = true;
    let file = stored::file(house.data());
    let whole = std::fs::read(&file).unwrap();
    let (mut refused_start, mut refused_unseal, mut served, mut right) = (0, 0, 0, 0);
    for round in 0..24_usize {
        let mut bytes = whole.clone();
        let step = bytes.len() / 24;
        for at in 0..8 {
            let place = round * step + at * (step / 8);
            bytes[place] ^= 0x10;
        }
        std::fs::write(&file, &bytes).unwrap();
        if let Err(said) = house.try_start() {
            // The store's own pages, or both copies of the seal record.
            let is_named = said.contains("damaged") || said.contains("the seal record was altered on disk");
            assert!(said.contains("cofferd: ") && is_named, "{said}");
            refused_start += 1;
            continue;
        }
        let sys = house.client(&house.operator).sys();
        let mut is_open = false;
        for share in &house.shares {
            is_open = sys.unseal(&share.clone().into()).await.is_ok_and(|status| !status.sealed);
            if is_open {
                break;
            }
        }
        if is_open {
            served += 1;
            for at in 0..40 {
                let read = house.root().ask("GET", &format!("secret/data/a/{at}"), Value::Null).await;
                assert!(
                    read.status != 200 || read.data()["data"]["at"] == at,
                    "a wrong value: {}",
                    read.body
                );
                assert!(matches!(read.status, 200 | 403 | 404 | 500 | 503), "{}", read.status);
                right += u32::from(read.status == 200);
            }
        } else {
            refused_unseal += 1;
        }
        assert!(house.is_alive(), "the daemon died: {}", tail(&house.log()));
        house.kill9();
    }
    // The first page says what all others are, so one round at least does not start; some pages are free, so one at
    // least does, and then reads what it can.
    let counts = format!(
        "{refused_start} did not start, {refused_unseal} did not open, {served} served {right} reads"
    );
    assert!(refused_start > 0 && served > 0 && right >= 40, "{counts}");
    eprintln!("{counts}");
    std::fs::write(&file, &whole).unwrap();
    // The audit log may have gone on; the store is as it was.
    let _ = house.try_start();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_record_in_a_whole_store_is_named_and_all_others_are_served() {
    let mut house = stopped_house_with_secrets().await;
    let entries = stored::entries(house.data());
    let [root] = stored::open(&entries, &house.shares).try_into().ok().unwrap();
    let versions = stored::of_kind(&entries, Kind::KvV2Version);
    assert_eq!(versions.len(), 40);
    // A bit of each part: version, algorithm, kind, epoch, revision, nonce, ciphertext, tag.
    let mut altered: Vec<Entry> = versions[..9].to_vec();
    for (entry, at) in altered.iter_mut().zip([0, 1, 3, 7, 15, 16, 40, 900, usize::MAX]) {
        let at = at.min(entry.value.len() - 1);
        entry.value[at] ^= 1;
    }
    // Cut, lengthened, emptied, and another secret's whole record in its place.
    altered.extend_from_slice(&versions[9..13]);
    altered[9].value.pop();
    altered[10].value.push(0);
    altered[11].value.clear();
    altered[12].value.clone_from(&versions[20].value);
    let damaged = BTreeSet::from_iter(altered.iter().map(|entry| {
        let place = StoreKey::parse(&entry.key).unwrap();
        let is_it = |at: &usize| root.sealed_path(place.mount, &format!("a/{at}")) == place.path;
        (0..40).find(is_it).expect("a secret of this record")
    }));
    assert_eq!(damaged.len(), 13);
    stored::overwrite(house.data(), altered.clone()).await;

    house.start_process().await;
    house.unseal().await;
    for at in 0..40 {
        let read = house.root().ask("GET", &format!("secret/data/a/{at}"), Value::Null).await;
        if damaged.contains(&at) {
            // Which it is stands in the log alone, by its place in the store, and in what `operator fsck` says.
            let sentence = read.refused(500);
            assert!(sentence.starts_with("a record was altered on disk"), "a/{at}: {sentence}");
        } else {
            assert_eq!(read.ok().data()["data"]["at"], at);
        }
    }
    let log = house.log();
    let named = |key: &[u8]| {
        let key = format!("store_key={}", hex::encode(key));
        log.lines().any(|line| line.contains(&key) && line.contains("a record was altered on disk or moved"))
    };
    for Entry { key, .. } in &versions {
        let is_altered = altered.iter().any(|entry| entry.key == *key);
        assert_eq!(named(key), is_altered, "of {} the log says otherwise", hex::encode(key));
    }
}

/// Asks until the blocks that the log keeps ahead are used up: long paths make large leaves.
async fn use_up_the_log(house: &House) {
    let path = format!("secret/data/{}/{}", "p".repeat(500), "q".repeat(480));
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (root, path) = (house.root(), path.clone());
            tokio::spawn(async move {
                for _ in 0..20_000 {
                    if root.ask("GET", &path, Value::Null).await.status == 503 {
                        return true;
                    }
                }
                false
            })
        })
        .collect();
    for one in asking {
        assert!(one.await.unwrap(), "the log's disk is never full");
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| !line.contains("Connection{")).collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

fn set_private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    set_private(to);
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            let _bytes = std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
