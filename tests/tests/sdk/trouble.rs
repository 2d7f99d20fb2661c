//! Large backups, and a daemon that does not answer: what is said of a request whose answer was lost.
use coffer_sdk::{Builder, Cas, Client, Error, Secret};
use coffer_tests::{Authority, House, Identity, Person, Setup, random_hex};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn builder(house: &House, identity: &Identity) -> Builder {
    let (certificate, key) = house.files("builder", identity);
    Client::builder()
        .address(&format!("https://{}", house.address()))
        .server_name("localhost")
        .ca_file(house.at("ca.pem"))
        .identity_files(certificate, key)
        .token(house.root_token.as_str())
        .namespace("prod")
}

/// Stops the process, or lets it go on.
fn signal(house: &House, signal: Signal) {
    let pid = i32::try_from(house.pid()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_larger_than_any_body_goes_into_a_new_daemon() {
    const LARGE: u64 = 40 << 20;
    let house = House::start().await;
    let kv = house.environment("prod").await.kv("secret");
    let text = random_hex(3 << 20);
    for at in 0..7 {
        kv.put(&format!("large/{at}"), &json!({ "k": text }), Cas::New).await.unwrap();
    }
    let file = house.at("saved");
    let size = house.root().sys().save_snapshot(tokio::fs::File::create(&file).await.unwrap()).await.unwrap();
    assert_eq!(size, std::fs::metadata(&file).unwrap().len());
    assert!(size > LARGE, "{size}");
    let open = async || tokio::fs::File::open(&file).await.unwrap();

    let mut other = House::empty(Setup::default()).await;
    // The environment that a client happens to act in does not matter: a snapshot is of the whole store.
    let client = other.client(&other.operator).with_namespace("prod").unwrap();
    let status = client.sys().restore_snapshot(open().await).await.unwrap();
    assert_eq!((status.sealed, status.threshold, status.shares), (true, 2, 3));
    (other.shares, other.root_token) = (house.shares.clone(), house.root_token.clone());
    other.canaries.add(&other.root_token);
    other.unseal().await;
    let restored = other.root().with_namespace("prod").unwrap().kv("secret");
    for at in 0..7 {
        assert!(restored.get::<Value>(&format!("large/{at}")).await.unwrap()["k"] == text, "large/{at}");
    }
    // Now it has data: the refusal is heard, although not all of the file is taken.
    let refused = client.sys().restore_snapshot(open().await).await.err().unwrap();
    assert_eq!(refused.status(), Some(400), "{refused}");
    // By hand, as scripts do it: the same path, over HTTP/1.1.
    let third = House::empty(Setup::default()).await;
    let upload = format!("@{}", file.display());
    let (status, body) = third.curl(
        &third.operator,
        "sys/storage/raft/snapshot-restore",
        &["--http1.1", "--data-binary", &upload],
    );
    assert_eq!(status, 200, "{body}");
    assert!(third.client(&third.operator).sys().seal_status().await.unwrap().shares == 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_is_lost_is_not_repeated_and_may_have_happened() {
    let mut house = House::start().await;
    let _prod = house.environment("prod").await;
    let client = builder(&house, &house.operator).timeout(Duration::from_secs(1)).retries(5).build().unwrap();
    let kv = client.kv("secret");
    kv.put("app", &json!({ "at": 1 }), Cas::New).await.unwrap();

    signal(&house, Signal::STOP);
    let begun = Instant::now();
    let written = kv.put("app", &json!({ "at": 2 }), Cas::Any).await.unwrap_err();
    assert!(matches!(written, Error::TimedOut) && written.may_have_happened(), "{written}");
    assert!(matches!(kv.get::<Value>("app").await, Err(Error::TimedOut)));
    assert!(begun.elapsed() < Duration::from_secs(10), "a deadline is for all attempts together");
    // Where not even TLS comes about, nothing was sent.
    let unheard = builder(&house, &house.operator)
        .connect_timeout(Duration::from_millis(300))
        .retries(0)
        .build()
        .unwrap();
    let error = unheard.kv("secret").put("app", &json!({ "at": 3 }), Cas::Any).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)) && !error.may_have_happened(), "{error}");
    signal(&house, Signal::CONT);
    // The daemon may take up what it had received at any later moment, or not at all; never twice.
    let once = async || {
        let seen = builder(&house, &house.operator)
            .build()
            .unwrap()
            .kv("secret")
            .get_newest::<Value>("app")
            .await
            .unwrap();
        assert!(seen.info.version <= 2 && seen.value == json!({ "at": seen.info.version }), "{seen:?}");
    };
    once().await;

    // A daemon that dies while it works: the connection breaks, and the client says what it knows.
    let client =
        builder(&house, &house.operator).timeout(Duration::from_secs(30)).retries(0).build().unwrap();
    client.kv("secret").get::<Value>("app").await.unwrap();
    signal(&house, Signal::STOP);
    let mut writing =
        tokio::spawn(async move { client.kv("secret").put("app", &json!({ "at": 4 }), Cas::Any).await });
    assert!(
        tokio::time::timeout(Duration::from_millis(500), &mut writing).await.is_err(),
        "a stopped daemon has answered"
    );
    house.kill9();
    let error = writing.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Interrupted(_)) && error.may_have_happened(), "{error}");
    house.start_process().await;
    house.unseal().await;
    let seen =
        house.root().with_namespace("prod").unwrap().kv("secret").get_newest::<Value>("app").await.unwrap();
    assert!(
        seen.info.version <= 2 && seen.value == json!({ "at": seen.info.version }),
        "a stopped process wrote: {seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_trusts_another_or_is_trusted_by_nobody_is_told_so() {
    let house = House::start().await;
    let _prod = house.environment("prod").await;
    builder(&house, &house.operator).build().unwrap().sys().mounts().await.unwrap();
    let foreign = Authority::new("Somebody else's CA");
    let distrusting =
        builder(&house, &house.operator).ca_pem(foreign.pem().as_bytes()).retries(0).build().unwrap();
    let error = distrusting.sys().health().await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)) && error.to_string().contains("certificate"), "{error}");
    let elsewhere =
        builder(&house, &house.operator).server_name("elsewhere.test").retries(0).build().unwrap();
    assert!(matches!(elsewhere.sys().health().await, Err(Error::Connect(_))));
    // TLS 1.3 tells a client only after the handshake that its certificate was not taken.
    let stranger = builder(&house, &foreign.issue(&Person::named("stranger"))).retries(0).build().unwrap();
    let error = stranger.sys().health().await.unwrap_err();
    assert!(matches!(error, Error::Interrupted(_) | Error::Connect(_)), "{error}");
    let anonymous = Client::builder()
        .address(&format!("https://{}", house.address()))
        .ca_file(house.at("ca.pem"))
        .retries(0)
        .build()
        .unwrap();
    assert!(matches!(anonymous.sys().health().await, Err(Error::Interrupted(_) | Error::Connect(_))));
    assert!(matches!(
        anonymous.sys().unseal(&Secret::from(house.shares[0].as_str())).await,
        Err(Error::Interrupted(_) | Error::Connect(_))
    ));
}
