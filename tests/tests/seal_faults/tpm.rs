//! swtpm: what it refuses, and when it is away.
use super::Sealed;
use coffer_tests::{Ask, Setup, TPM_OWNER, Tpm};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

const PIN: &str = "right-pin-7235";
const WRONG: &str = "wrong-pin-5813";

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

async fn sealed(tpm: &Tpm, more: &str) -> Sealed {
    let mut setup = Setup::default();
    tpm.configure(&mut setup, "tpm2", more);
    let add = json!({ "add": "tpm2", "owner_password": TPM_OWNER });
    Sealed::by(setup, add, &[PIN, WRONG, TPM_OWNER]).await
}

async fn approve(sealed: &Sealed) {
    let own = json!({ "seal": "tpm2", "owner_password": TPM_OWNER });
    sealed.house.root().ask("POST", "sys/seals/approve", own).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_tpm_refuses_is_told_and_the_shares_open() {
    let mut tpm = Tpm::new();
    let folder = tempfile::tempdir().unwrap();
    let pin = folder.path().join("pin");
    write(&pin, PIN);
    let mut sealed = sealed(&tpm, &format!("pcrs = \"sha256:7\"\npin_file = {pin:?}")).await;
    let place = format!("127.0.0.1:{}", tpm.port());

    // Other firmware: the PIN is not even looked at. Approved by its owner, it opens; by nobody else.
    tpm.extend();
    let policy = format!(
        "the TPM at {place} keeps the key: the machine was started with other firmware or software than was approved; if the change was meant, approve it, else look for who changed it"
    );
    sealed.is_opened_by_shares(&policy).await;
    assert_eq!(tpm.wrong_tries(), 0);
    let foreign = json!({ "seal": "tpm2", "owner_password": WRONG });
    let said = sealed.house.root().ask("POST", "sys/seals/approve", foreign).await.refused(400);
    assert_eq!(
        said,
        format!(
            "seal \"tpm2\": the owner password of the TPM at {place} is not the one given: it must be the one that was set with tpm2_changeauth -c owner"
        )
    );
    sealed.does_not_verify(400, &policy).await;
    approve(&sealed).await;
    sealed.opens_after_a_start().await;

    // A wrong PIN counts once there, and no other of ours does.
    write(&pin, WRONG);
    let wrong = format!(
        "the PIN for the TPM at {place} is wrong; 1 of 3 wrong tries are used: it must be the one that the seal was added with, and is not tried again: put it in its place and restart the daemon"
    );
    sealed.is_opened_by_shares(&wrong).await;
    sealed.does_not_verify(400, &wrong).await;
    assert_eq!(tpm.wrong_tries(), 1);

    // Locked: with the right one too, until its owner or time ends that.
    let allowed = |tries: &str| {
        tpm.tool("tpm2_dictionarylockout", &["-s", "-n", tries, "-t", "1000", "-l", "1000"]);
    };
    allowed("1");
    write(&pin, PIN);
    let locked = format!(
        "the TPM at {place} is locked after too many wrong PINs: it takes the next one in 1000 seconds at the latest"
    );
    sealed.is_opened_by_shares(&locked).await;
    sealed.does_not_verify(503, &locked).await;
    tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
    allowed("3");
    sealed.opens_after_a_start().await;

    // Another TPM in its place is told by its key.
    sealed.stop();
    tpm.replace();
    let from = sealed.house.log().len();
    sealed.house.start_process().await;
    let other = sealed.why_sealed(from).await;
    let (before, key) = other.split_once("its storage root key is ").unwrap();
    assert_eq!(before, format!("the TPM at {place} is not the one that sealed this: "));
    assert_eq!(
        key.split_at(68).1,
        "; it was replaced or cleared, or somebody on the bus put a key of theirs in its place: open by another seal, and add this one anew where the change was meant"
    );
    sealed.opens_by_shares(&other).await;
    tpm.put_back();
    // Its registers are as they were before they were approved anew.
    sealed.does_not_verify(400, &policy).await;
    approve(&sealed).await;
    sealed.opens_after_a_start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_that_an_operator_mistypes_counts_once_and_says_nothing_against_the_seal() {
    let tpm = Tpm::new();
    let mut setup = Setup::default();
    tpm.configure(&mut setup, "tpm2", "");
    let mut sealed = Sealed::by(
        setup,
        json!({ "add": "tpm2", "pin": PIN, "owner_password": TPM_OWNER }),
        &[PIN, WRONG, TPM_OWNER],
    )
    .await;
    sealed.stop();
    let from = sealed.house.log().len();
    sealed.house.start_process().await;
    let waits = "this seal needs its PIN, which the configuration does not have: give it with --pin";
    assert_eq!(sealed.why_sealed(from).await, waits);
    let typed = |pin| sealed.coffer(&["operator", "unseal", "--pin", "tpm2"], pin);
    let wrong = typed(WRONG);
    let sentence = format!(
        "the PIN for the TPM at 127.0.0.1:{} is wrong; 1 of 3 wrong tries are used: it must be the one that the seal was added with",
        tpm.port()
    );
    assert!(wrong.code == 1 && wrong.stderr.contains(&sentence), "{wrong:?}");
    let status = sealed.coffer(&["operator", "status"], "");
    assert!(status.code == 2 && !status.stdout.contains("NOT WELL"), "{status:?}");
    assert!(status.stdout.contains("Seal tpm2 waits for its PIN"), "{status:?}");
    typed(PIN).ok();
    sealed.is_well().await;
    assert_eq!(tpm.wrong_tries(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tpm_that_is_away_or_in_other_hands_is_waited_for() {
    let mut tpm = Tpm::new();
    let mut sealed = sealed(&tpm, "pcrs = \"sha256:7\"\ntimeout_seconds = 1").await;
    let place = format!("127.0.0.1:{}", tpm.port());
    // Started anew while the daemon serves: the next question finds it.
    tpm.restart();
    sealed.verifies().await;

    let absent = format!(
        "there is no TPM at {place} (connection refused): it must be there, and the daemon's user be allowed to use it"
    );
    tpm.end();
    sealed.does_not_verify(503, &absent).await;
    sealed.is_opened_by_shares(&absent).await;
    tpm.begin();
    sealed.verifies().await;
    sealed.stop();
    tpm.end();
    sealed.starts_sealed(&absent).await;
    tpm.begin();
    sealed.opens_at_once().await;

    // Whoever is connected to swtpm is served until they go.
    let silent = format!(
        "the TPM at {place} does not answer in time: whoever else holds its connection must let go of it, and a TPM that hangs be started anew"
    );
    let holder = hold(&tpm);
    sealed.does_not_verify(503, &silent).await;
    sealed.is_opened_by_shares(&silent).await;
    sealed.stop();
    sealed.starts_sealed(&silent).await;
    drop(holder);
    sealed.opens_at_once().await;
}

/// Connects as another client, and asks for random bytes, so that the TPM serves this connection for sure.
fn hold(tpm: &Tpm) -> TcpStream {
    let mut client = TcpStream::connect(("127.0.0.1", tpm.port())).unwrap();
    client.write_all(&[0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 4]).unwrap();
    client.read_exact(&mut [0; 16]).unwrap();
    client
}
