//! The main job through the SDK: an application, an operator, a rotation job and an auditor.
use crate::stored;
use coffer_sdk::{Cas, Client, Error, KeyType, Secret};
use coffer_tests::{Ask, House, Person, Setup, eventually, policy};
use coffer_types::Kind;
use keystore_format::record::Record;
use keystore_format::tables;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
struct Database {
    user: String,
    password: String,
}

fn database(password: &str) -> Database {
    Database { user: "app".into(), password: password.into() }
}

/// `prod` with a secret, a key, and an application that its certificate identifies.
async fn prod(house: &House) -> (Client, Client, String) {
    let prod = house.environment("prod").await;
    let password = house.canaries.plant("password");
    prod.kv("secret").put("app/db", &database(&password), Cas::New).await.unwrap();
    prod.transit("transit").create("app", KeyType::Aes256Gcm96).await.unwrap();
    let rules = policy(&[
        ("secret/data/app/*", &["read"]),
        ("transit/datakey/plaintext/app", &["update"]),
        ("transit/decrypt/app", &["update"]),
    ]);
    prod.sys().put_policy("app", &rules).await.unwrap();
    house
        .role(&prod, "app", json!({ "allowed_uri_sans": ["spiffe://x/prod/app"], "token_policies": ["app"] }))
        .await;
    let identity = house.issue(&Person::named("app").uri("spiffe://x/prod/app"));
    let app = house.client(&identity).with_namespace("prod").unwrap();
    (prod, app, password)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_fetches_its_password_and_seals_a_file() {
    let house = House::start().await;
    let (_, app, password) = prod(&house).await;
    let read: Database = app.kv("secret").get("app/db").await.unwrap();
    assert_eq!((read.user.as_str(), read.password == password), ("app", true));

    let text = house.canaries.plant("file").repeat(10_000);
    let (plain, sealed, opened) = (house.at("plain"), house.at("sealed"), house.at("opened"));
    std::fs::write(&plain, &text).unwrap();
    let envelope = app.envelope("transit", "app");
    envelope.seal_file(&plain, &sealed, b"invoices").await.unwrap();
    assert!(house.canaries.found_in(&std::fs::read(&sealed).unwrap()).is_empty());
    assert!(envelope.open_file(&sealed, &opened, b"another purpose").await.is_err());
    envelope.open_file(&sealed, &opened, b"invoices").await.unwrap();
    assert_eq!(std::fs::read(&opened).unwrap(), text.as_bytes());
    // It may do nothing more.
    for (method, path) in [
        ("POST", "secret/data/app/db"),
        ("DELETE", "secret/metadata/app/db"),
        ("LIST", "secret/metadata/app"),
        ("GET", "secret/data/other"),
        ("POST", "transit/keys/app/rotate"),
    ] {
        app.ask(method, path, if method == "POST" { json!({"data": {}}) } else { Value::Null })
            .await
            .refused(403);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_unseals_with_shares_in_any_order_and_mistakes_lose_nothing() {
    let mut house = House::empty(Setup { shares: Some((5, 3)), ..Setup::default() }).await;
    let stranger = house.client(&house.operator);
    assert!(!stranger.sys().health().await.unwrap().initialized);
    house.init().await;
    let sys = stranger.sys();
    let status = sys.seal_status().await.unwrap();
    assert_eq!((status.sealed, status.threshold, status.shares, status.progress), (true, 3, 5, 0));
    let give = async |share: &str| sys.unseal(&Secret::new(share.to_owned())).await;

    assert_eq!(give(&house.shares[4]).await.unwrap().progress, 1);
    // The same again is named and counts once.
    let again = give(&house.shares[4]).await;
    assert!(again.is_err() || again.unwrap().progress == 1);
    // A typo: two characters of the data part changed.
    let typo: String = house.shares[0]
        .chars()
        .enumerate()
        .map(|(at, c)| if at == 20 { if c == 'q' { 'p' } else { 'q' } } else { c })
        .collect();
    let Err(Error::Refused(refusal)) = give(&typo).await else { panic!("a typo was taken") };
    assert_eq!((refusal.status, refusal.sentences.len()), (400, 1));
    // A share of another store.
    let other = House::empty(Setup::default()).await;
    let foreign = other.client(&other.operator).sys().init(3, 2).await.unwrap();
    let Err(Error::Refused(foreign)) = sys.unseal(&foreign.shares[0]).await else {
        panic!("a foreign share was taken")
    };
    assert_eq!(foreign.status, 400);
    assert_ne!(foreign.sentences, refusal.sentences, "a typo and a foreign share look the same");
    assert_eq!(sys.seal_status().await.unwrap().progress, 1, "a mistake lost progress");
    // Capitals are as good, as people type them.
    assert_eq!(give(&house.shares[1].to_uppercase()).await.unwrap().progress, 2);
    assert!(!give(&house.shares[3]).await.unwrap().sealed);
    // And a reset forgets.
    house.root().sys().seal().await.unwrap();
    assert_eq!(give(&house.shares[0]).await.unwrap().progress, 1);
    assert_eq!(sys.unseal_reset().await.unwrap().progress, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_who_hangs_up_with_the_last_share_loses_none() {
    let house = House::start().await;
    let sys = house.client(&house.operator).sys();
    for tenths in 0..40 {
        house.root().sys().seal().await.unwrap();
        sys.unseal(&Secret::new(house.shares[0].clone())).await.unwrap();
        let mut wire = house.wire();
        // Nothing is left to be read: closing then does not take back what was sent.
        assert_eq!(wire.ask("GET", "/v1/sys/seal-status", &[], b"").unwrap().json()["progress"], 1);
        let body = json!({ "key": house.shares[1] }).to_string();
        let head =
            format!("PUT /v1/sys/unseal HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}", body.len());
        wire.send(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        // Each round hangs up at another instant of the ceremony.
        std::thread::sleep(std::time::Duration::from_micros(tenths * 100));
        drop(wire);
        // Whether it was begun or not: the same share opens, or finds it open.
        let status = sys.unseal(&Secret::new(house.shares[1].clone())).await.unwrap();
        assert!(!status.sealed, "hung up after {tenths} tenths of a millisecond: a share is lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_before_a_seal_is_there_after_it_and_not_in_between() {
    let house = House::start().await;
    let (_, app, password) = prod(&house).await;
    house.root().sys().seal().await.unwrap();
    let sealed = app.kv("secret").get::<Database>("app/db").await.err().unwrap();
    assert_eq!(sealed.status(), Some(503));
    assert!(house.root().sys().health().await.unwrap().sealed);
    house.unseal().await;
    assert_eq!(app.kv("secret").get::<Database>("app/db").await.unwrap().password, password);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_job_rotates_everything_and_reads_nothing() {
    let house = House::start().await;
    let (prod, app, first) = prod(&house).await;
    let rules = policy(&[
        ("sys/rotate", &["update", "sudo"]),
        ("sys/key-status", &["read"]),
        ("transit/keys/app/rotate", &["update"]),
        ("transit/rewrap/app", &["update"]),
        ("secret/data/app/db", &["update"]),
    ]);
    prod.sys().put_policy("rotation", &rules).await.unwrap();
    house
        .role(
            &prod,
            "rotation",
            json!({ "allowed_uri_sans": ["spiffe://x/rotation"], "token_policies": ["rotation"] }),
        )
        .await;
    let job = house
        .client(&house.issue(&Person::named("job").uri("spiffe://x/rotation")))
        .with_namespace("prod")
        .unwrap();

    let kept = prod.transit("transit").encrypt("app", b"kept in our own database", b"row 7").await.unwrap();
    job.transit("transit").rotate("app").await.unwrap();
    let rewrapped = job.transit("transit").rewrap("app", &kept, b"row 7").await.unwrap();
    assert!(kept.starts_with("vault:v1:") && rewrapped.starts_with("vault:v2:"));
    assert_eq!(
        prod.transit("transit").decrypt("app", &rewrapped, b"row 7").await.unwrap().expose(),
        b"kept in our own database"
    );
    assert!(prod.transit("transit").decrypt("app", &rewrapped, b"row 8").await.is_err());

    job.sys().rotate().await.unwrap();
    assert_eq!(job.sys().key_status().await.unwrap().term, 2);
    assert!(job.kv("secret").get::<Database>("app/db").await.unwrap_err_or().is_permission_denied());
    let second = house.canaries.plant("password");
    job.kv("secret").put("app/db", &database(&second), Cas::Version(1)).await.unwrap();
    let late =
        job.kv("secret").put("app/db", &database("two jobs at once"), Cas::Version(1)).await.err().unwrap();
    assert_eq!(late.status(), Some(400));
    assert_eq!(app.kv("secret").get::<Database>("app/db").await.unwrap().password, second);
    assert_eq!(prod.kv("secret").get_version::<Database>("app/db", 1).await.unwrap().value.password, first);
}

trait UnwrapErr<E> {
    fn unwrap_err_or(self) -> E;
}

impl<T, E> UnwrapErr<E> for Result<T, E> {
    /// As `unwrap_err`, for values that have no `Debug`.
    #[track_caller]
    fn unwrap_err_or(self) -> E {
        match self {
            Err(error) => error,
            Ok(_) => panic!("it succeeded"),
        }
    }
}

/// Of the environment that has this many secrets: how many records there are by epoch, and the epochs of its keyring.
fn epochs(house: &House, secrets: usize) -> (BTreeMap<u32, usize>, Vec<u32>) {
    let entries = stored::entries(house.data());
    let versions = stored::of_kind(&entries, Kind::KvV2Version);
    let opened = stored::open(&entries, &house.shares);
    let of = |environment: &&stored::Opened| {
        versions.iter().filter(|entry| environment.holds(&entry.key)).count() == secrets
    };
    let environment = opened.iter().find(of).expect("the environment");
    let mut records = BTreeMap::new();
    for entry in &entries {
        if matches!(entry.key[0], tables::RECORDS | tables::OUTBOX) && environment.holds(&entry.key) {
            *records.entry(Record::parse(&entry.value).unwrap().header().epoch).or_default() += 1;
        }
    }
    (records, environment.keyring.epochs.iter().map(|epoch| epoch.number).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rotation_old_records_are_readable_and_move_to_the_new_epoch_over_restarts() {
    const SECRETS: usize = 50;
    let mut house = House::start().await;
    let prod = house.environment("prod").await;
    for at in 0..SECRETS {
        prod.kv("secret").put(&format!("many/{at}"), &json!({ "at": at }), Cas::New).await.unwrap();
    }
    house.kill9();
    let (records, keys) = epochs(&house, SECRETS);
    assert!(records[&1] > 2 * SECRETS && records.len() == 1 && keys == [1], "{records:?} {keys:?}");
    house.start_process().await;
    house.unseal().await;
    let prod = house.root().with_namespace("prod").unwrap();
    for _ in 0..3 {
        prod.sys().rotate().await.unwrap();
    }
    // The background work begins a round.
    house.hang_up();
    // In the middle of it, perhaps: what is left then moves after a restart.
    house.kill9();
    let began = Instant::now();
    loop {
        house.start_process().await;
        house.unseal().await;
        house.hang_up();
        let prod = house.root().with_namespace("prod").unwrap();
        assert_eq!(prod.sys().key_status().await.unwrap().term, 4);
        for at in 0..SECRETS {
            let read = prod.kv("secret").get::<Value>(&format!("many/{at}")).await.unwrap();
            assert_eq!(read, json!({ "at": at }));
        }
        house.kill9();
        let (records, keys) = epochs(&house, SECRETS);
        // All have moved, and the old epochs' keys are gone, so nothing can be left that needs them.
        if records.len() == 1 && keys == [4] {
            assert!(records[&4] > 2 * SECRETS, "{records:?}");
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "they do not move: {records:?} {keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_has_versions_that_are_deleted_undeleted_and_destroyed() {
    let house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    let kv = house.root().kv("secret");
    for at in 1..=3 {
        assert_eq!(kv.put("a/b", &json!({ "at": at }), Cas::Any).await.unwrap().version, at);
    }
    assert_eq!(kv.get_version::<Value>("a/b", 1).await.unwrap().value, json!({ "at": 1 }));
    kv.delete("a/b").await.unwrap();
    assert!(kv.get::<Value>("a/b").await.unwrap_err_or().is_not_found());
    kv.undelete("a/b", &[3]).await.unwrap();
    kv.destroy("a/b", &[1]).await.unwrap();
    assert_eq!(kv.get::<Value>("a/b").await.unwrap(), json!({ "at": 3 }));
    assert!(kv.get_version::<Value>("a/b", 1).await.unwrap_err_or().is_not_found());
    let states: Vec<_> = kv
        .versions("a/b")
        .await
        .unwrap()
        .iter()
        .map(|version| (version.version, version.destroyed))
        .collect();
    assert_eq!(states, [(1, true), (2, false), (3, false)]);
    kv.patch("a/b", &json!({ "at": null, "new": true }), Cas::Version(3)).await.unwrap();
    assert_eq!(kv.get::<Value>("a/b").await.unwrap(), json!({ "new": true }));
    kv.put("a/c", &json!({}), Cas::New).await.unwrap();
    kv.put("d", &json!({}), Cas::New).await.unwrap();
    assert_eq!(kv.list("").await.unwrap(), ["a/", "d"]);
    assert_eq!(kv.list("a").await.unwrap(), ["b", "c"]);
    kv.delete_all("a/b").await.unwrap();
    assert_eq!(kv.list("a").await.unwrap(), ["c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transit_key_signs_verifies_and_gives_data_keys() {
    let house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    let transit = house.root().transit("transit");
    for (name, key_type) in [("ed", KeyType::Ed25519), ("ec", KeyType::EcdsaP256)] {
        transit.create(name, key_type).await.unwrap();
        let signature = transit.sign(name, b"message").await.unwrap();
        assert!(transit.verify(name, b"message", &signature).await.unwrap());
        assert!(!transit.verify(name, b"massage", &signature).await.unwrap());
    }
    transit.create("aes", KeyType::Aes256Gcm96).await.unwrap();
    let key = transit.data_key("aes").await.unwrap();
    house.canaries.add(key.plain.expose());
    assert_eq!(transit.unwrap_data_key("aes", &key.wrapped).await.unwrap().expose(), key.plain.expose());
    let texts = transit.encrypt_batch("aes", &[b"one", b"two"]).await.unwrap();
    let opened = transit.decrypt_batch("aes", &[&texts[1], &texts[0]]).await.unwrap();
    assert_eq!(
        (opened[0].expose().as_slice(), opened[1].expose().as_slice()),
        (b"two".as_slice(), b"one".as_slice())
    );
    // Guarded until an operator says otherwise.
    assert_eq!(transit.delete("aes").await.err().unwrap().status(), Some(400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dev_identity_is_refused_prods_secret_and_the_refusal_is_in_prods_log() {
    let house = House::start().await;
    prod(&house).await;
    let dev = house.environment("dev").await;
    dev.sys()
        .put_policy("all", &policy(&[("*", &["create", "read", "update", "delete", "list", "sudo"])]))
        .await
        .unwrap();
    house
        .role(&dev, "app", json!({ "allowed_uri_sans": ["spiffe://x/dev/app"], "token_policies": ["all"] }))
        .await;
    let identity = house.issue(&Person::named("dev").uri("spiffe://x/dev/app"));
    let in_dev = house.client(&identity).with_namespace("dev").unwrap();
    in_dev.ask("GET", "sys/mounts", Value::Null).await.done();
    let size = || async {
        let checkpoint = crate::audit_log::checkpoint(&house.root().with_namespace("prod").unwrap()).await;
        checkpoint.lines().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = size().await;
    let in_prod = house.client(&identity).with_namespace("prod").unwrap();
    assert!(in_prod.kv("secret").get::<Value>("app/db").await.unwrap_err_or().is_permission_denied());
    // A leaf for the refusal and one for the question about the log.
    eventually("the refusal in prod's log", || async { (size().await >= before + 2).then_some(()) }).await;
}
