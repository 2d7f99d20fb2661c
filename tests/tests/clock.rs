//! The wall clock jumps: nothing lives longer than it was given, and what has expired stays so.
use coffer_tests::{Ask, House, Setup};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where Debian's package has it on this machine's architecture.
fn library() -> PathBuf {
    let architectures = std::fs::read_dir("/usr/lib").unwrap();
    let mut places = architectures.map(|entry| entry.unwrap().path().join("faketime/libfaketime.so.1"));
    places.find(|place| place.exists()).expect("tests/tools.sh installs libfaketime")
}

async fn house(folder: &Path) -> (House, PathBuf) {
    let (setup, file) = setup(folder);
    (House::with(setup).await, file)
}

/// A daemon whose wall clock, and nothing else, is moved by what stands in a file.
pub(crate) fn setup(folder: &Path) -> (Setup, PathBuf) {
    let file = folder.join("moved");
    std::fs::write(&file, "+0").unwrap();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables = vec![
        variable("LD_PRELOAD", library().to_str().unwrap()),
        variable("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        variable("FAKETIME_NO_CACHE", "1"),
        variable("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        variable("DONT_FAKE_MONOTONIC", "1"),
    ];
    (Setup { variables, ..Setup::default() }, file)
}

async fn lives(house: &House, token: &str) -> bool {
    house.with_token(token).ask("GET", "auth/token/lookup-self", Value::Null).await.status == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_forward_and_back_revives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (house, moved) = house(folder.path()).await;
    let root = house.root();
    let hours = house.token(&root, json!({ "ttl": "2h" })).await;
    let days = house.token(&root, json!({ "ttl": "12h" })).await;
    assert!(lives(&house, &hours).await && lives(&house, &days).await);
    std::fs::write(&moved, "+3h").unwrap();
    assert!(!lives(&house, &hours).await && lives(&house, &days).await);
    std::fs::write(&moved, "-20m").unwrap();
    assert!(!lives(&house, &hours).await && lives(&house, &days).await);
    // Time does not stand still while the wall clock is behind.
    let short = house.token(&root, json!({ "ttl": "1s" })).await;
    assert!(lives(&house, &short).await);
    coffer_tests::eventually("its end", || async { (!lives(&house, &short).await).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_under_a_clock_that_was_set_back_is_refused_until_somebody_answers_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut house, moved) = house(folder.path()).await;
    std::fs::write(&moved, "+1d").unwrap();
    let token = house.token(&house.root(), json!({ "ttl": "1h" })).await;
    assert!(lives(&house, &token).await);
    assert!(house.stop().success());
    std::fs::write(&moved, "+0").unwrap();
    let said = house.try_start().expect_err("it starts a day before its own log");
    assert!(said.contains("--accept-earlier-clock") && said.contains("Set the clock"), "{said}");
    // Minutes are what a clock is off that is set right: time goes on from the log's.
    std::fs::write(&moved, "+1435m").unwrap();
    house.start_process().await;
    house.unseal().await;
    assert!(house.stop().success());
    std::fs::write(&moved, "+0").unwrap();
    house.set_options(&["--accept-earlier-clock"]);
    house.start_process().await;
    house.unseal().await;
    house.root().ask("GET", "sys/mounts", Value::Null).await.done();
    // Once: from then on the log goes on under the right clock.
    assert!(house.stop().success());
    house.set_options(&[]);
    house.start_process().await;
}
