//! What is recorded, that it proves itself, and that an alteration is named.
use coffer_sdk::{Cas, Client, Method};
use coffer_tests::{Ask, House, eventually, run};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The verifier key of an environment's log, from the log's folder: an auditor has it from elsewhere.
fn key_of(house: &House, client_checkpoint: &str) -> String {
    let origin = client_checkpoint.lines().next().unwrap();
    let place: Vec<_> = origin.rsplit('/').take(2).collect();
    std::fs::read_to_string(house.audit().join(place[1]).join(place[0]).join("vkey")).unwrap()
}

/// The newest checkpoint; the first is made within a second.
pub(crate) async fn checkpoint(client: &Client) -> String {
    eventually("a checkpoint", || async {
        let answer = client.ask("GET", "sys/audit/checkpoint", Value::Null).await;
        (answer.status == 200).then(|| answer.text("checkpoint"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_proves_that_a_request_stands_in_the_log() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let key = key_of(&house, &checkpoint(&prod).await);
    let receipts = prod.receipts(&key).unwrap();
    let mut size = 0;
    for at in 0..3 {
        let body =
            serde_json::to_vec(&json!({ "data": { "at": at, "secret": house.canaries.plant("value") } }))
                .unwrap();
        let call = prod.call(Method::POST, "secret/data/app/db").json(body.into());
        let (answer, receipt) = receipts.send(call).await.unwrap();
        assert_eq!(answer.status(), 200);
        let seen = receipts.check(&receipt).await.unwrap();
        assert!(seen.size > size, "the checkpoint does not cover what it proves");
        size = seen.size;
    }
    // A refusal leaves a receipt as well.
    let (answer, receipt) = receipts.send(prod.call(Method::GET, "secret/data/none")).await.unwrap();
    assert_eq!(answer.status(), 404);
    receipts.check(&receipt).await.unwrap();
    // A receipt of one request does not pass for another's.
    let other = house.environment("dev").await;
    let dev_key = key_of(&house, &checkpoint(&other).await);
    assert!(other.receipts(&dev_key).unwrap().check(&receipt).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_leaves_one_leaf_that_names_no_secret() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let secret = house.canaries.plant("value");
    for _ in 0..10 {
        prod.kv("secret").put("app", &json!({ "k": secret, &secret: 1 }), Cas::Any).await.unwrap();
        prod.ask("GET", "secret/data/app", Value::Null).await.done();
        prod.ask("GET", "secret/data/none", Value::Null).await.refused(404);
        house
            .with_token("hvs.nobody-at-all-nobody-at-all")
            .with_namespace("prod")
            .unwrap()
            .ask("GET", "secret/data/app", Value::Null)
            .await
            .refused(403);
    }
    house.root().sys().seal().await.unwrap();
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |status: u64| {
        lines.iter().filter(|line| line["status"] == status && line.to_string().contains("data")).count()
    };
    assert_eq!(
        (with(403), with(404)),
        (10, 10),
        "{}",
        lines.iter().take(40).map(Value::to_string).collect::<Vec<_>>().join("\n")
    );
    assert!(with(200) >= 20);
    assert!(house.canaries.found_in(shown.as_bytes()).is_empty());
    assert!(!shown.contains("secret/data"), "a path stands in the log in clear");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_field_of_one_leaf_is_disclosed_to_an_auditor_and_nothing_else() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let receipts = prod.receipts(&key_of(&house, &checkpoint(&prod).await)).unwrap();
    let (_, receipt) = receipts.send(prod.call(Method::GET, "secret/data/who/reads")).await.unwrap();
    receipts.check(&receipt).await.unwrap();
    let disclosed = prod
        .ask("POST", &format!("sys/audit/disclose/{}", receipt.index), json!({ "field": "path" }))
        .await
        .ok()
        .text("disclosure");
    let file = house.at("disclosure.txt");
    std::fs::write(&file, &disclosed).unwrap();
    let keys = house.at("key");
    std::fs::write(&keys, key_of(&house, &checkpoint(&prod).await)).unwrap();
    let key = format!("@{}", keys.display());
    let shown = house.coffer("", &["audit", "check-disclosure", file.to_str().unwrap(), "--key", &key]).ok();
    assert!(shown.contains("secret/data/who/reads"), "{shown}");
    for (from, to) in [("6", "7"), ("a", "b"), ("A", "B")] {
        std::fs::write(&file, disclosed.replacen(from, to, 3)).unwrap();
        assert_ne!(
            house.coffer("", &["audit", "check-disclosure", file.to_str().unwrap(), "--key", &key]).code,
            0,
            "{from} became {to}"
        );
    }
    prod.ask("POST", &format!("sys/audit/disclose/{}", receipt.index), json!({ "field": "none" }))
        .await
        .refused(404);
    prod.ask("POST", "sys/audit/disclose/99999", json!({ "field": "path" })).await.refused(404);
    prod.ask("POST", "sys/audit/disclose/x", json!({ "field": "path" })).await.refused(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_can_be_shown_who_asked_whichever_way_they_came_in() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let rules = coffer_tests::policy(&[("secret/data/app", &["read"])]);
    prod.sys().put_policy("app", &rules).await.unwrap();
    let role = json!({ "allowed_uri_sans": ["spiffe://x/app"], "token_policies": ["app"] });
    house.role(&prod, "app", role).await;
    let app = house.issue(&coffer_tests::Person::named("app").uri("spiffe://x/app"));
    let by_certificate = house.client(&app).with_namespace("prod").unwrap();
    let token = house.token(&prod, json!({ "policies": ["app"] })).await;
    let by_token = house.with_token(&token).with_namespace("prod").unwrap();
    let key = key_of(&house, &checkpoint(&prod).await);
    for (client, who) in [(by_certificate, "cert:cert/app/"), (by_token, "token:")] {
        let receipts = client.receipts(&key).unwrap();
        let (_, receipt) = receipts.send(client.call(Method::GET, "secret/data/app")).await.unwrap();
        checkpoint_covers(&prod, receipt.index).await;
        let place = format!("sys/audit/disclose/{}", receipt.index);
        let disclosed = prod.ask("POST", &place, json!({ "field": "subject" })).await.ok().text("disclosure");
        let (file, keys) = (house.at("disclosure.txt"), house.at("key"));
        std::fs::write(&file, &disclosed).unwrap();
        std::fs::write(&keys, &key).unwrap();
        let key = format!("@{}", keys.display());
        let shown =
            house.coffer("", &["audit", "check-disclosure", file.to_str().unwrap(), "--key", &key]).ok();
        assert!(shown.contains(who), "{shown}");
    }
}

async fn checkpoint_covers(client: &Client, index: u64) {
    eventually("a checkpoint over the leaf", || async {
        let size: u64 = checkpoint(client).await.lines().nth(1).unwrap().parse().unwrap();
        (size > index).then_some(())
    })
    .await;
}

fn verify(folder: &Path) -> coffer_tests::Output {
    let mut command = Command::new(coffer_tests::coffer());
    command.env_clear().args(["audit", "verify"]).arg(folder);
    run(command, "")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
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

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn random(below: usize) -> usize {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    (u64::from_le_bytes(bytes) % below as u64) as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_alteration_of_the_logs_files_is_named() {
    let mut house = House::start().await;
    let prod = house.environment("prod").await;
    for at in 0..300 {
        prod.kv("secret").put(&format!("a/{}", at % 7), &json!({ "at": at }), Cas::Any).await.unwrap();
    }
    assert!(house.stop().success());
    let whole = verify(&house.audit());
    assert_eq!(whole.code, 0, "{whole:?}");
    assert!(
        !files(&house.audit()).iter().any(|path| path.ends_with("node.key")),
        "auditors are given this folder"
    );
    // What the daemon keeps for itself beside the log is no part of it.
    let is_log =
        |path: &PathBuf| !matches!(path.file_name().and_then(|name| name.to_str()), Some("lock" | "tip"));
    let names: Vec<_> = files(&house.audit())
        .into_iter()
        .filter(is_log)
        .map(|path| path.strip_prefix(house.audit()).unwrap().to_owned())
        .collect();
    let copied = house.at("copy");
    for round in 0..60 {
        let _gone = std::fs::remove_dir_all(&copied);
        copy(&house.audit(), &copied);
        let file = copied.join(&names[random(names.len())]);
        let mut bytes = std::fs::read(&file).unwrap();
        let at = random(bytes.len());
        let what = match round % 6 {
            0 => {
                bytes[at] ^= 1 << random(8);
                "a bit flipped"
            }
            1 => {
                bytes.remove(at);
                "a byte removed"
            }
            2 => {
                bytes.insert(at, 0x55);
                "a byte inserted"
            }
            3 => {
                bytes.truncate(at);
                "cut off"
            }
            4 => {
                let end = (at + 40).min(bytes.len());
                bytes.drain(at..end);
                "a piece removed"
            }
            _ => {
                let piece = bytes[..at.max(1)].to_vec();
                bytes.extend(piece);
                "a piece repeated"
            }
        };
        std::fs::write(&file, bytes).unwrap();
        let said = verify(&copied);
        assert_eq!(said.code, 4, "{what} at {at} of {}: {said:?}", file.display());
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(told.lines().count() < 40 && !told.contains("panicked"), "{told}");
    }
    for name in &names {
        let _gone = std::fs::remove_dir_all(&copied);
        copy(&house.audit(), &copied);
        std::fs::remove_file(copied.join(name)).unwrap();
        assert_ne!(verify(&copied).code, 0, "{} removed", name.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_lacks_what_the_store_and_its_checkpoints_promise_is_not_built_upon() {
    let mut house = House::start().await;
    let prod = house.environment("prod").await;
    for at in 0..20 {
        prod.kv("secret").put("a", &json!({ "k": at }), Cas::Any).await.unwrap();
    }
    assert!(house.stop().success());
    let segment = house.audit().join("journal/00000000000000000000.log");
    let whole = std::fs::read(&segment).unwrap();
    for kept in [whole.len() / 2, whole.len() - 1, 0] {
        std::fs::write(&segment, &whole[..kept]).unwrap();
        match house.try_start() {
            Err(said) => assert!(said.contains("audit"), "{said}"),
            Ok(()) => {
                let sys = house.client(&house.operator).sys();
                let first = sys.unseal(&house.shares[0].clone().into()).await;
                let second = sys.unseal(&house.shares[1].clone().into()).await;
                assert!(
                    first.is_err() || second.is_err(),
                    "a journal cut to {kept} of {} bytes was opened",
                    whole.len()
                );
                house.kill9();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_whole_after_a_kill_under_load_and_goes_on_in_order() {
    let mut house = House::start().await;
    let prod = house.environment("prod").await;
    let written: Arc<Vec<AtomicU64>> = Arc::new((0..4).map(|_| AtomicU64::new(0)).collect());
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (prod, written) = (prod.clone(), Arc::clone(&written));
            tokio::spawn(async move {
                for at in 0..10_000 {
                    written[writer].store(at, Ordering::SeqCst);
                    if prod
                        .kv("secret")
                        .put(&format!("a/{writer}"), &json!({ "at": at }), Cas::Any)
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            })
        })
        .collect();
    eventually("writes of all", || async {
        written.iter().all(|at| at.load(Ordering::SeqCst) >= 25).then_some(())
    })
    .await;
    house.kill9();
    for writer in writers {
        writer.await.unwrap();
    }
    house.start_process().await;
    house.unseal().await;
    house.root().ask("GET", "sys/mounts", Value::Null).await.done();
    assert!(house.stop().success());
    let said = verify(&house.audit());
    assert_eq!(said.code, 0, "{said:?}");
}
