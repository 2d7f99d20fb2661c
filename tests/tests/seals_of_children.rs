//! Environments with seals of their own: sealed alone, opened alone, converted while they serve.
use coffer_sdk::{Client, NewMount};
use coffer_tests::{Ask, Asked, House, Hsm, Setup, eventually, furnish};
use serde_json::{Value, json};
use std::io::Cursor;

async fn create(house: &House, name: &str, body: Value) -> Vec<String> {
    let made = house.root().ask("POST", &format!("sys/namespaces/{name}"), body).await.ok();
    let shares = made.data()["shares"].as_array().cloned().unwrap_or_default();
    let shares: Vec<String> = shares.iter().map(|share| share.as_str().unwrap().to_owned()).collect();
    shares.iter().for_each(|share| house.canaries.add(share));
    let here = house.root().with_namespace(name).unwrap();
    furnish(&here).await;
    here.ask("POST", "secret/data/kept", json!({ "data": { "of": name } })).await.done();
    shares
}

async fn read(house: &House, name: &str) -> Asked {
    house.root().with_namespace(name).unwrap().ask("GET", "secret/data/kept", Value::Null).await
}

async fn serves(house: &House, name: &str) {
    assert_eq!(read(house, name).await.ok().data()["data"]["of"], name);
}

async fn is_closed(house: &House, name: &str) {
    let said = read(house, name).await.refused(503);
    assert!(said.contains("sealed"), "{said}");
    // By path too, and not only by the header.
    let by_path = house.root().ask("GET", &format!("{name}/secret/data/kept"), Value::Null).await;
    by_path.refused(503);
    let status =
        house.root().ask("GET", &format!("sys/namespaces/{name}/seal-status"), Value::Null).await.ok();
    assert_eq!(status.data()["sealed"], true);
}

async fn unseal(house: &House, name: &str, body: Value) -> Asked {
    house.root().ask("POST", &format!("sys/namespaces/{name}/unseal"), body).await
}

async fn give(house: &House, name: &str, shares: &[String]) {
    for share in shares {
        unseal(house, name, json!({ "key": share })).await.done();
    }
}

async fn seals_of(here: &Client) -> Vec<String> {
    let seals = here.ask("GET", "sys/seals", Value::Null).await.ok().data()["seals"].clone();
    seals.as_array().unwrap().iter().map(|seal| seal["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_with_shares_of_its_own_waits_for_them_after_a_restart() {
    let mut house = House::start().await;
    let own = create(&house, "acme", json!({ "secret_shares": 3, "secret_threshold": 2 })).await;
    create(&house, "prod", json!({})).await;
    assert_eq!(own.len(), 3);
    house.restart().await;
    serves(&house, "prod").await;
    is_closed(&house, "acme").await;

    // A share of the store above is none of its own; a repeated one counts once; what was given is kept.
    let said = unseal(&house, "acme", json!({ "key": house.shares[0] })).await.refused(400);
    assert!(said.contains("another environment"), "{said}");
    let one = unseal(&house, "acme", json!({ "key": own[2] })).await.ok();
    assert_eq!(
        (&one.data()["progress"], &one.data()["t"], &one.data()["n"]),
        (&json!(1), &json!(2), &json!(3))
    );
    assert_eq!(unseal(&house, "acme", json!({ "key": own[2] })).await.ok().data()["progress"], 1);
    assert_eq!(unseal(&house, "acme", json!({ "reset": true })).await.ok().data()["progress"], 0);
    give(&house, "ACME", &own[..2]).await;
    serves(&house, "acme").await;
    // The root's shares are asked for the root only.
    house.client(&house.operator).ask("POST", "sys/unseal", json!({ "key": own[0] })).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_opens_each_environment_by_its_own_seal() {
    let ours = Hsm::new();
    let mut setup = Setup::default();
    ours.add_token("acme-token");
    ours.configure(&mut setup, "hsm", "environments = [\"root\"]");
    setup.sections += &format!(
        "[[seal]]\nname = \"acme-hsm\"\ntype = \"pkcs11\"\nmodule = \"{}\"\ntoken_label = \"acme-token\"\nkey_label = \"coffer-root\"\npin_file = {:?}\nenvironments = [\"acme\"]\n",
        Hsm::module(),
        ours.pin_file()
    );
    let mut house = House::with(setup).await;
    create(&house, "acme", json!({ "seals": ["acme-hsm"] })).await;
    let own = create(&house, "staging", json!({ "secret_shares": 1, "secret_threshold": 1 })).await;
    create(&house, "prod", json!({})).await;
    // Another environment's HSM is none of ours.
    let said =
        house.root().ask("POST", "sys/namespaces/other", json!({ "seals": ["acme-hsm"] })).await.refused(400);
    assert!(said.contains("environments"), "{said}");
    let said =
        house.root().ask("POST", "sys/namespaces/other", json!({ "seals": ["missing"] })).await.refused(400);
    assert!(said.contains("no seal of this name"), "{said}");
    house.restart().await;
    serves(&house, "acme").await;
    serves(&house, "prod").await;
    is_closed(&house, "staging").await;
    give(&house, "staging", &own).await;
    serves(&house, "staging").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_whose_hsm_was_away_opens_when_it_is_back_and_one_that_was_sealed_does_not() {
    let (ours, file) = (Hsm::new(), tempfile::tempdir().unwrap());
    let mut setup = Setup::default();
    ours.configure(&mut setup, "hsm", "environments = [\"acme\", \"other\"]");
    setup.sections += &format!(
        "[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = {:?}\nenvironments = [\"prod\"]\n",
        file.path().join("key")
    );
    let mut house = House::with(setup).await;
    create(&house, "acme", json!({ "seals": ["hsm"] })).await;
    create(&house, "other", json!({ "seals": ["hsm"] })).await;
    create(&house, "prod", json!({ "seals": ["disk"] })).await;
    assert!(house.stop().success());
    ours.pull_out();
    house.start_process().await;
    house.unseal().await;
    for name in ["acme", "other"] {
        is_closed(&house, name).await;
    }
    serves(&house, "prod").await;
    house.root().ask("POST", "sys/namespaces/prod/seal", json!({})).await.done();
    ours.put_back();
    for name in ["acme", "other"] {
        let there = house.root().with_namespace(name).unwrap();
        eventually("it opens by itself", || async {
            (there.ask("GET", "sys/mounts", Value::Null).await.status == 200).then_some(())
        })
        .await;
        serves(&house, name).await;
    }
    is_closed(&house, "prod").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_is_sealed_alone_with_all_below_it_and_opened_again_by_who_may() {
    let house = House::start().await;
    create(&house, "acme", json!({})).await;
    create(&house, "prod", json!({})).await;
    house.environment("acme/team").await;
    let acme = house.root().with_namespace("acme").unwrap();
    let holder = house.token_for(&house.root(), "holder", &[("sys/namespaces/+/unseal", &["update"])]).await;
    acme.ask("POST", "sys/namespaces/team/seal", json!({})).await.done();
    let team = house.root().with_namespace("acme/team").unwrap();
    team.ask("GET", "sys/mounts", Value::Null).await.refused(503);
    serves(&house, "acme").await;
    acme.ask("POST", "sys/namespaces/team/unseal", json!({})).await.done();
    team.ask("GET", "sys/mounts", Value::Null).await.done();

    house.root().ask("PUT", "sys/namespaces/acme/seal", json!({})).await.done();
    is_closed(&house, "acme").await;
    let listed = house.root().ask("LIST", "sys/namespaces", Value::Null).await.ok();
    let is_sealed = |name: &str| listed.data()["key_info"][name]["sealed"].as_bool().unwrap();
    assert!(is_sealed("acme/") && !is_sealed("prod/"), "{listed:?}");
    let shown = house.coffer("", &["env", "list"]).ok();
    let state = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap().contains(" sealed ");
    assert!(state("acme") && !state("prod"), "{shown}");
    team.ask("GET", "sys/mounts", Value::Null).await.refused(503);
    serves(&house, "prod").await;
    // Sealed, nobody sees what is below it.
    house.root().ask("DELETE", "sys/namespaces/acme", Value::Null).await.refused(400);
    let holder = house.with_token(&holder);
    holder.ask("POST", "sys/namespaces/acme/unseal", json!({})).await.refused(403);
    holder.ask("POST", "sys/namespaces/acme/seal", json!({})).await.refused(403);
    unseal(&house, "acme", json!({})).await.done();
    serves(&house, "acme").await;
    team.ask("GET", "sys/mounts", Value::Null).await.done();
    house.root().ask("DELETE", "sys/namespaces/acme/delete-sealed", Value::Null).await.refused(400);
    unseal(&house, "missing", json!({})).await.refused(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_is_converted_both_ways_while_it_serves() {
    let mut house = House::start().await;
    create(&house, "acme", json!({})).await;
    let acme = house.root().with_namespace("acme").unwrap();
    assert_eq!(seals_of(&acme).await, ["inherit"]);
    // Shares of its own, and no more of the parent's key.
    let begun = acme
        .ask(
            "POST",
            "sys/seals/change",
            json!({ "add": "shares", "secret_shares": 2, "secret_threshold": 2 }),
        )
        .await
        .ok();
    let nonce = begun.text("nonce");
    let own: Vec<String> =
        begun.data()["shares"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    own.iter().for_each(|share| house.canaries.add(share));
    for share in &own {
        serves(&house, "acme").await;
        acme.ask("POST", "sys/seals/update", json!({ "key": share, "nonce": nonce })).await.done();
    }
    let change = |body: Value| {
        let (acme, own) = (acme.clone(), own.clone());
        async move {
            let nonce = acme.ask("POST", "sys/seals/change", body).await.ok().text("nonce");
            for share in &own {
                acme.ask("POST", "sys/seals/update", json!({ "key": share, "nonce": nonce })).await.done();
            }
        }
    };
    change(json!({ "remove": "inherit" })).await;
    assert_eq!(seals_of(&acme).await, ["shares"]);
    house.restart().await;
    is_closed(&house, "acme").await;
    give(&house, "acme", &own).await;
    serves(&house, "acme").await;
    // And back.
    let acme = house.root().with_namespace("acme").unwrap();
    let nonce = acme
        .ask("POST", "sys/seals/change", json!({ "add": "inherit", "remove": "shares", "accept_loss": true }))
        .await
        .ok()
        .text("nonce");
    for share in &own {
        acme.ask("POST", "sys/seals/update", json!({ "key": share, "nonce": nonce })).await.done();
    }
    assert_eq!(seals_of(&acme).await, ["inherit"]);
    house.restart().await;
    serves(&house, "acme").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_brings_a_child_back_that_its_shares_open_later() {
    let house = House::start().await;
    let own = create(&house, "acme", json!({ "secret_shares": 1, "secret_threshold": 1 })).await;
    let mut backup = Vec::new();
    house.root().sys().save_snapshot(&mut backup).await.unwrap();
    let mut other = House::empty(Setup::default()).await;
    other.client(&other.operator).sys().restore_snapshot(Cursor::new(backup)).await.unwrap();
    other.shares = house.shares.clone();
    other.root_token = house.root_token.clone();
    other.unseal().await;
    is_closed(&other, "acme").await;
    other.restart().await;
    is_closed(&other, "acme").await;
    give(&other, "acme", &own).await;
    serves(&other, "acme").await;
    other.restart().await;
    give(&other, "acme", &own).await;
    serves(&other, "acme").await;
    let mount = NewMount::kv_v2();
    other.root().with_namespace("acme").unwrap().sys().mount("more", &mount).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_child_is_deleted_by_who_says_that_it_is_sealed() {
    let mut house = House::start().await;
    let own = create(&house, "acme", json!({ "secret_shares": 1, "secret_threshold": 1 })).await;
    house.restart().await;
    house.root().ask("DELETE", "sys/namespaces/acme", Value::Null).await.refused(400);
    house.root().ask("DELETE", "sys/namespaces/acme/delete-sealed", Value::Null).await.done();
    eventually("the environment is gone", || async {
        let asked = house.root().ask("GET", "sys/namespaces/acme", Value::Null).await;
        (asked.body["data"]["state"] == "destroyed").then_some(())
    })
    .await;
    unseal(&house, "acme", json!({ "key": own[0] })).await.refused(404);
    create(&house, "acme", json!({})).await;
    serves(&house, "acme").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bao_command_makes_seals_and_opens_a_namespace_with_shares_of_its_own() {
    let house = House::start().await;
    let words = ["namespace", "create", "-format=json", "-key-shares=2", "-key-threshold=2", "acme"];
    let Some(made) = house.bao("", &words) else {
        coffer_tests::skip("bao is not here");
        return;
    };
    let made: Value = serde_json::from_str(&made.ok()).unwrap();
    assert_eq!(made["key_threshold"], 2);
    let shares: Vec<_> =
        made["key_shares"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    shares.iter().for_each(|share| house.canaries.add(hex::decode(share).unwrap()));
    house.bao("", &["namespace", "seal", "acme"]).unwrap().ok();
    let status = house.bao("", &["namespace", "seal-status", "acme"]).unwrap().stdout;
    assert!(status.contains("0/2"), "{status}");
    for share in &shares {
        house.bao("", &["namespace", "unseal", "acme", share]).unwrap().ok();
    }
    let acme = house.root().with_namespace("acme").unwrap();
    acme.ask("GET", "sys/mounts", Value::Null).await.done();
}

/// The figure: with release builds, `COFFERD=target/release/cofferd cargo nextest run -p coffer-tests --run-ignored all -E
/// 'test(a_thousand_environments)' --no-capture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, and long"]
async fn a_thousand_environments_with_seals_of_their_own_open_after_a_start() {
    let hsm = Hsm::new();
    let mut setup = Setup::default();
    let names: Vec<String> = (0..1000).map(|number| format!("e{number}")).collect();
    let list = serde_json::to_string(&[&["root".to_owned()], &names[..]].concat()).unwrap();
    hsm.configure(&mut setup, "hsm", &format!("environments = {list}"));
    setup.sections += "[log]\nlevel = \"info\"\n";
    let mut house = House::with(setup).await;
    let root = house.root();
    for name in &names {
        root.ask("POST", &format!("sys/namespaces/{name}"), json!({ "seals": ["hsm"] })).await.done();
    }
    for _ in 0..3 {
        assert!(house.stop().success());
        house.start_process().await;
        let begun = std::time::Instant::now();
        house.unseal().await;
        let took = begun.elapsed();
        let here = house.root().with_namespace("e999").unwrap();
        here.ask("GET", "sys/mounts", Value::Null).await.done();
        eprintln!("1,000 environments under a SoftHSM key each opened within {took:?} of the last share");
    }
}
