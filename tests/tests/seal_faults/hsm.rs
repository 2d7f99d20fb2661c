//! SoftHSM 2, behind a library that counts logins and can lock a PIN.
use super::Sealed;
use crate::seals::{change, opens_by_itself};
use coffer_tests::{Ask, HSM_PIN, Hsm, Setup, TPM_OWNER, Tpm, eventually};
use serde_json::json;
use std::process::Command;

const WRONG: &str = "wrong-pin-5813";
const REFUSED: &str = "the token refuses the PIN, which is not tried again: put the right one in its place and restart the daemon";
const LOCKED: &str = "the PIN of the token's user is locked or has expired: its security officer must set a new one; then restart the daemon";
const ABSENT: &str = "no slot has a token with the configured token_label or token_serial: put it in, correct the name, or initialise the token that is there and blank";

async fn sealed(hsm: &Hsm) -> Sealed {
    let mut setup = Setup::default();
    hsm.configure(&mut setup, "hsm", "");
    Sealed::by(setup, json!({ "add": "hsm" }), &[HSM_PIN, WRONG]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_hsm_refuses_is_told_and_the_shares_open() {
    let hsm = Hsm::new().watched();
    let mut sealed = sealed(&hsm).await;

    // A wrong PIN is shown once, whoever asks for what; not even the right one is shown before the next start.
    hsm.write_pin(WRONG);
    let before = hsm.logins();
    sealed.is_opened_by_shares(REFUSED).await;
    sealed.does_not_verify(400, REFUSED).await;
    hsm.write_pin(HSM_PIN);
    sealed.does_not_verify(400, REFUSED).await;
    assert_eq!(hsm.logins() - before, 1);
    sealed.opens_after_a_start().await;
    assert_eq!(hsm.logins() - before, 2);

    // One that the token says is locked when it is shown, and one that it says is locked before.
    for (what, shown) in [("locked", 1), ("shown-locked", 0)] {
        hsm.demand(what);
        let before = hsm.logins();
        sealed.is_opened_by_shares(LOCKED).await;
        sealed.does_not_verify(503, LOCKED).await;
        assert_eq!(hsm.logins() - before, shown, "{what}");
        hsm.relent(what);
        sealed.opens_after_a_start().await;
    }

    // No module, no library, and a library of something else.
    let module = hsm.loaded().display().to_string();
    let [missing, text, foreign] = ["missing.so", "text.so", "foreign.so"].map(|name| sealed.house.at(name));
    std::fs::write(&text, "no library").unwrap();
    let source = sealed.house.at("foreign.c");
    std::fs::write(&source, "int nothing_to_do_with_tokens;\n").unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&foreign).arg(&source).status();
    assert!(made.unwrap().success());
    for (wrong, sentence) in [
        (missing, "there is no file where module says: it must be the path of the vendor's PKCS#11 library"),
        (
            text,
            "the file that module names can't be loaded: it must be a PKCS#11 library for this machine, with the libraries that it needs",
        ),
        (
            foreign,
            "the file that module names is a library but no PKCS#11 module: it must be the vendor's, which exports C_GetFunctionList",
        ),
    ] {
        let wrong = wrong.display().to_string();
        sealed.configure(&module, &wrong);
        sealed.is_opened_by_shares(sentence).await;
        sealed.configure(&wrong, &module);
    }
    sealed.opens_after_a_start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_lost_is_waited_for_and_what_is_open_serves_on() {
    let hsm = Hsm::new().watched();
    let mut sealed = sealed(&hsm).await;
    hsm.pull_out();
    sealed.is_opened_by_shares(ABSENT).await;
    sealed.does_not_verify(503, ABSENT).await;
    hsm.put_back();
    sealed.verifies().await;
    sealed.is_well().await;
    // And while it waits.
    sealed.stop();
    hsm.pull_out();
    let before = hsm.logins();
    sealed.starts_sealed(ABSENT).await;
    hsm.put_back();
    sealed.opens_at_once().await;
    assert_eq!(hsm.logins() - before, 1);
}

/// The daemon asks its seals every few seconds as long as one is only away; those that refused their PIN are left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pin_is_tried_again_while_another_seal_is_waited_for() {
    let (hsm, tpm) = (Hsm::new().watched(), Tpm::new());
    let mut setup = Setup::default();
    hsm.configure(&mut setup, "hsm", "");
    let keys = tempfile::tempdir().unwrap();
    let (pin, disk) = (keys.path().join("pin"), keys.path().join("disk"));
    let write = |text: &str| {
        std::fs::write(&pin, text).unwrap();
        std::fs::set_permissions(&pin, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    write("right-pin-7235");
    tpm.configure(&mut setup, "tpm2", &format!("pin_file = {pin:?}"));
    setup.sections += &format!("[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = {disk:?}\n");
    let secrets = [HSM_PIN, WRONG, TPM_OWNER, "right-pin-7235"];
    let mut sealed = Sealed::by(setup, json!({ "add": "disk" }), &secrets).await;
    for add in [json!({ "add": "hsm" }), json!({ "add": "tpm2", "owner_password": TPM_OWNER })] {
        change(&sealed.house.root(), add, &sealed.house.shares).await.done();
    }
    sealed.house.canaries.add(std::fs::read(&disk).unwrap());
    hsm.write_pin(WRONG);
    write(WRONG);
    sealed.stop();
    std::fs::rename(&disk, disk.with_extension("away")).unwrap();
    let (logins, from) = (hsm.logins(), sealed.house.log().len());
    sealed.house.start_process().await;
    let refusals = |seal: &str| {
        let log = sealed.house.log();
        let own = format!("seal={seal:?}");
        log[from..]
            .lines()
            .filter(|line| line.contains("does not open the store") && line.contains(&own))
            .count()
    };
    eventually("the key file is looked for again", || async { (refusals("disk") > 2).then_some(()) }).await;
    assert_eq!((hsm.logins() - logins, tpm.wrong_tries()), (1, 1), "{}", sealed.house.log());
    // Each PIN is told of, too.
    let log = sealed.house.log();
    let of_tpm = format!(
        "the PIN for the TPM at 127.0.0.1:{} is wrong; 1 of 3 wrong tries are used: it must be the one that the seal was added with, and is not tried again: put it in its place and restart the daemon",
        tpm.port()
    );
    assert!(log[from..].contains(REFUSED) && log[from..].contains(&of_tpm), "{log}");
    std::fs::rename(disk.with_extension("away"), &disk).unwrap();
    opens_by_itself(&sealed.house).await;
    sealed.is_all_there().await;
    let listed = sealed.coffer(&["operator", "seal", "list"], "").ok();
    for (seal, why) in [("hsm", REFUSED), ("tpm2", &of_tpm)] {
        let line = format!("Seal {seal} would not open the root environment now: {why}.");
        assert!(listed.contains(&line), "{line}\n{listed}");
    }
    // Whoever looks after them opens them one by one.
    hsm.write_pin(HSM_PIN);
    write("right-pin-7235");
    sealed.house.restart_by_itself().await;
    for seal in ["hsm", "tpm2", "disk"] {
        sealed.house.root().ask("POST", "sys/seals/verify", json!({ "seal": seal })).await.done();
    }
    assert_eq!(tpm.wrong_tries(), 1);
}
