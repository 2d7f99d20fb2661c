//! Seals side by side, with the real parts: whichever is lost, another opens; nothing that is altered does.
use coffer_sdk::{Client, Secret};
use coffer_tests::{Ask, Asked, HSM_PIN, House, Hsm, Person, Setup, TPM_OWNER, Tpm, eventually};
use serde_json::{Value, json};
use zeroize::Zeroizing;

async fn status(house: &House) -> Value {
    house.client(&house.operator).ask("GET", "sys/seal-status", Value::Null).await.ok().body
}

async fn is_sealed(house: &House) -> bool {
    status(house).await["sealed"] == true
}

pub(crate) async fn opens_by_itself(house: &House) {
    eventually("the daemon opens by itself", || async { (!is_sealed(house).await).then_some(()) }).await;
}

async fn seals(client: &Client) -> Value {
    client.ask("GET", "sys/seals", Value::Null).await.ok().data().clone()
}

fn names(seals: &Value) -> Vec<String> {
    seals["seals"].as_array().unwrap().iter().map(|seal| seal["name"].as_str().unwrap().to_owned()).collect()
}

/// A change of the seals by the holders of shares, to its end.
pub(crate) async fn change(client: &Client, body: Value, shares: &[String]) -> Asked {
    let mut answer = client.ask("POST", "sys/seals/change", body).await;
    let nonce = answer.data()["nonce"].clone();
    for share in shares {
        if answer.status >= 300 || answer.data()["complete"] == true {
            break;
        }
        answer = client.ask("POST", "sys/seals/update", json!({ "key": share, "nonce": nonce })).await;
    }
    answer
}

async fn by_hsm(hsm: &Hsm) -> House {
    let mut setup = Setup::default();
    hsm.configure(&mut setup, "hsm", "");
    let house = House::with(setup).await;
    house.canaries.add(HSM_PIN);
    change(&house.root(), json!({ "add": "hsm" }), &house.shares).await.done();
    house
}

async fn keep_a_secret(house: &House) {
    let here = house.environment("prod").await;
    let kept = house.canaries.plant("kept");
    here.ask("POST", "secret/data/kept", json!({ "data": { "k": kept } })).await.done();
}

async fn is_all_there(house: &House) {
    let prod = house.root().with_namespace("prod").unwrap();
    prod.ask("GET", "secret/data/kept", Value::Null).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hsm_opens_the_store_by_itself_and_the_shares_open_it_when_the_hsm_is_gone() {
    let hsm = Hsm::new();
    let mut house = by_hsm(&hsm).await;
    keep_a_secret(&house).await;
    let listed = seals(&house.root()).await;
    assert_eq!(names(&listed), ["shares", "hsm"]);
    assert_eq!(listed["weakest"], "hsm");
    assert!(house.stop().success());
    house.start_process().await;
    opens_by_itself(&house).await;
    is_all_there(&house).await;
    let told = status(&house).await;
    assert_eq!(
        (told["type"].as_str(), told["t"].as_u64(), told["n"].as_u64()),
        (Some("pkcs11"), Some(2), Some(3))
    );

    hsm.pull_out();
    assert!(house.stop().success());

    house.start_process().await;
    eventually("the daemon says why the HSM does not open it", || async {
        house.log().contains("a seal does not open the store").then_some(())
    })
    .await;
    assert!(is_sealed(&house).await);
    house.unseal().await;
    is_all_there(&house).await;
    let told = seals(&house.root()).await;
    let of_hsm = told["seals"].as_array().unwrap().iter().find(|seal| seal["name"] == "hsm").unwrap().clone();
    assert_eq!(of_hsm["healthy"], false, "{of_hsm}");
    assert!(of_hsm["trouble"].as_str().unwrap().contains("token"), "{of_hsm}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_was_sealed_stays_so_until_shares_or_the_next_start() {
    let hsm = Hsm::new();
    let mut house = by_hsm(&hsm).await;
    house.root().ask("POST", "sys/seal", json!({})).await.done();
    assert!(is_sealed(&house).await);
    let client = house.client(&house.operator);
    let said = client.ask("POST", "sys/unseal", json!({ "seal": "hsm" })).await.refused(400);
    assert!(said.contains("after a start only"), "{said}");
    let said = client.ask("POST", "sys/unseal", json!({ "seal": "other", "pin": "1" })).await.refused(400);
    assert!(said.contains("no seal of this name"), "{said}");
    assert!(is_sealed(&house).await);
    assert!(house.stop().success());
    house.start_process().await;
    opens_by_itself(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tpm_with_registers_and_a_pin_opens_by_the_operators_pin() {
    let mut tpm = Tpm::new();
    let mut setup = Setup::default();
    tpm.configure(&mut setup, "tpm2", "");
    let mut house = House::with(setup).await;
    ["tpm-pin-1234", TPM_OWNER].iter().for_each(|secret| house.canaries.add(secret));
    let add =
        json!({ "add": "tpm2", "pcrs": "sha256:7,11", "pin": "tpm-pin-1234", "owner_password": TPM_OWNER });
    change(&house.root(), add, &house.shares).await.done();
    keep_a_secret(&house).await;
    assert!(house.stop().success());
    house.start_process().await;
    eventually("the daemon says that it needs the PIN", || async {
        house.log().contains("needs its PIN").then_some(())
    })
    .await;
    let client = house.client(&house.operator);
    let unseal = |pin: &str| json!({ "seal": "tpm2", "pin": pin });
    let said = client.ask("POST", "sys/unseal", unseal("other-pin")).await.refused(400);
    assert!(said.contains("PIN"), "{said}");
    assert_eq!(client.ask("POST", "sys/unseal", unseal("tpm-pin-1234")).await.ok().body["sealed"], false);
    is_all_there(&house).await;

    // Other firmware: the TPM refuses, and the shares open.
    assert!(house.stop().success());
    tpm.extend();
    house.start_process().await;
    let client = house.client(&house.operator);
    let said = client.ask("POST", "sys/unseal", unseal("tpm-pin-1234")).await.refused(400);
    assert!(said.contains("approved"), "{said}");
    house.unseal().await;
    is_all_there(&house).await;
    assert!(house.stop().success());
    tpm.restart();
    house.start_process().await;
    let client = house.client(&house.operator);
    assert_eq!(client.ask("POST", "sys/unseal", unseal("tpm-pin-1234")).await.ok().body["sealed"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_asks_for_no_pin_opens_a_sealed_daemon_by_none() {
    let tpm = Tpm::new();
    let mut setup = Setup::default();
    tpm.configure(&mut setup, "tpm2", "pcrs = \"sha256:7\"");
    let mut house = House::with(setup).await;
    house.canaries.add(TPM_OWNER);
    let add = json!({ "add": "tpm2", "owner_password": TPM_OWNER });
    change(&house.root(), add, &house.shares).await.done();
    house.restart_by_itself().await;
    house.root().ask("POST", "sys/seal", json!({})).await.done();
    let client = house.client(&house.operator);
    for pin in ["1234", ""] {
        let said = client.ask("POST", "sys/unseal", json!({ "seal": "tpm2", "pin": pin })).await.refused(400);
        assert!(said.contains("after a start only"), "{said}");
        assert!(is_sealed(&house).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_without_an_owner_password_are_refused_with_what_would_be_right() {
    let tpm = Tpm::new();
    tpm.tool("tpm2_changeauth", &["-c", "owner", "-p", TPM_OWNER]);
    let mut setup = Setup::default();
    tpm.configure(&mut setup, "tpm2", "pcrs = \"sha256:7\"");
    let house = House::with(setup).await;
    let said = house.root().ask("POST", "sys/seals/change", json!({ "add": "tpm2" })).await.refused(400);
    assert!(said.contains("owner password"), "{said}");
    assert_eq!(names(&seals(&house.root()).await), ["shares"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_and_removing_takes_the_quorum_and_loss_takes_a_word() {
    let hsm = Hsm::new();
    let mut setup = Setup::default();
    hsm.configure(&mut setup, "hsm", "");
    let key_file = tempfile::tempdir().unwrap();
    setup.sections +=
        &format!("[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = {:?}\n", key_file.path().join("key"));
    let mut house = House::with(setup).await;
    let root = house.root();

    // Not by the wrong nonce, not by one share, not twice.
    let begun = root.ask("POST", "sys/seals/change", json!({ "add": "disk" })).await.ok();
    assert_eq!(begun.data()["required"], 2);
    let nonce = begun.text("nonce");
    let update = |key: &str, nonce: &str| json!({ "key": key, "nonce": nonce });
    root.ask("POST", "sys/seals/update", update(&house.shares[0], "another")).await.refused(400);
    root.ask("POST", "sys/seals/change", json!({ "add": "hsm" })).await.refused(400);
    let one = root.ask("POST", "sys/seals/update", update(&house.shares[0], &nonce)).await.ok();
    assert_eq!((&one.data()["progress"], &one.data()["complete"]), (&json!(1), &json!(false)));
    let again = root.ask("POST", "sys/seals/update", update(&house.shares[0], &nonce)).await.ok();
    assert_eq!(again.data()["progress"], 1);
    assert_eq!(names(&seals(&root).await), ["shares"]);
    let done = root.ask("POST", "sys/seals/update", update(&house.shares[1], &nonce)).await.ok();
    assert_eq!((&done.data()["complete"], &done.data()["weakest"]), (&json!(true), &json!("disk")));
    assert_eq!(names(&seals(&root).await), ["shares", "disk"]);

    // From a file to the HSM in one commit, while it serves.
    let migrate = json!({ "add": "hsm", "remove": "disk" });
    let migrated = change(&root, migrate, &house.shares).await.ok();
    assert!(migrated.body["warnings"][0].as_str().unwrap().contains("rotate-root"), "{}", migrated.body);
    assert_eq!(names(&seals(&root).await), ["shares", "hsm"]);

    let said = change(&root, json!({ "remove": "shares" }), &house.shares).await.refused(400);
    assert!(said.contains("accept_loss"), "{said}");
    change(&root, json!({ "remove": "shares", "accept_loss": true }), &house.shares).await.done();
    assert_eq!(names(&seals(&root).await), ["hsm"]);
    let said = change(&root, json!({ "remove": "hsm" }), &[]).await.refused(400);
    assert!(said.contains("nothing would open"), "{said}");
    assert!(house.stop().success());
    house.start_process().await;
    opens_by_itself(&house).await;
    let client = house.client(&house.operator);
    client.ask("POST", "sys/seal", json!({})).await.refused(403);

    // Shares come back beside the HSM: in force when they have been shown.
    let root = house.root();
    let begun = root
        .ask(
            "POST",
            "sys/seals/change",
            json!({ "add": "shares", "secret_shares": 3, "secret_threshold": 2 }),
        )
        .await
        .ok();
    let new: Vec<String> =
        begun.data()["shares"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    new.iter().for_each(|share| house.canaries.add(share));
    let nonce = begun.text("nonce");
    let said = root.ask("POST", "sys/seals/update", update(&house.shares[0], &nonce)).await.refused(400);
    assert!(said.contains("none of the new shares"), "{said}");
    root.ask("POST", "sys/seals/update", update(&new[2], &nonce)).await.done();
    assert_eq!(names(&seals(&root).await), ["hsm"]);
    root.ask("POST", "sys/seals/update", update(&new[0], &nonce)).await.done();
    assert_eq!(names(&seals(&root).await), ["hsm", "shares"]);
    root.ask("POST", "sys/seal", json!({})).await.done();
    let sys = house.client(&house.operator).sys();
    for share in &new[1..] {
        sys.unseal(&Secret::new(share.clone())).await.unwrap();
    }
    assert!(!is_sealed(&house).await);
    assert!(sys.unseal(&Secret::from(Zeroizing::new(house.shares[0].clone()))).await.is_ok(), "it is open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekey_and_a_rotation_wrap_anew_by_the_device_too() {
    let hsm = Hsm::new();
    let mut house = by_hsm(&hsm).await;
    keep_a_secret(&house).await;
    let root = house.root();
    let before = seals(&root).await["root_id"].clone();
    let said = root.ask("POST", "sys/rotate/root", json!({ "pin": "1234" })).await.refused(400);
    assert!(said.contains("has none"), "{said}");
    root.ask("POST", "sys/rotate/root", json!({})).await.done();
    assert_ne!(seals(&root).await["root_id"], before);
    let begun =
        root.ask("POST", "sys/rekey/init", json!({ "secret_shares": 2, "secret_threshold": 2 })).await.ok();
    let nonce = begun.text("nonce");
    let mut rekeyed = begun;
    for share in &house.shares[..2] {
        rekeyed = root.ask("POST", "sys/rekey/update", json!({ "key": share, "nonce": nonce })).await.ok();
    }
    let new: Vec<String> =
        rekeyed.body["shares"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    new.iter().for_each(|share| house.canaries.add(share));
    assert_eq!(names(&seals(&root).await), ["shares", "shares", "hsm"], "the old ones keep a way back");
    house.restart_by_itself().await;
    is_all_there(&house).await;
    root_verify(&house, "hsm").await;

    // An HSM that is away is said before any holder is called.
    hsm.pull_out();
    let said = house.root().ask("POST", "sys/rekey/init", json!({})).await.refused(503);
    assert!(said.contains("seal \"hsm\""), "{said}");
    house.root().ask("POST", "sys/rotate/root", json!({})).await.refused(503);
}

async fn root_verify(house: &House, seal: &str) {
    let opened = house.root().ask("POST", "sys/seals/verify", json!({ "seal": seal })).await.ok();
    assert_eq!(opened.data()["opens"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_coffer_opens_the_store_by_its_transit_key_and_while_it_is_sealed_says_so() {
    let other = House::start().await;
    let there = other.environment("seals").await;
    there.ask("POST", "transit/keys/root-of-ours", json!({})).await.done();
    let rules: &[(&str, &[&str])] =
        &[("transit/encrypt/root-of-ours", &["update"]), ("transit/decrypt/root-of-ours", &["update"])];
    there.sys().put_policy("seal", &coffer_tests::policy(rules)).await.unwrap();
    let identity = other.issue(&Person::named("ours"));
    let role = json!({ "allowed_common_names": ["ours"], "token_policies": ["seal"] });
    other.role(&there, "ours", role).await;
    let (certificate, key) = other.files("ours", &identity);
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut setup = Setup::default();
    setup.sections += &format!(
        "[[seal]]\nname = \"afar\"\ntype = \"transit\"\naddress = \"https://{}\"\nca = {:?}\ncertificate = {certificate:?}\nkey = {key:?}\nnamespace = \"seals\"\nkey_name = \"root-of-ours\"\n",
        other.address(),
        other.at("ca.pem"),
    );
    let mut house = House::with(setup).await;
    change(&house.root(), json!({ "add": "afar" }), &house.shares).await.done();
    keep_a_secret(&house).await;
    house.restart_by_itself().await;
    is_all_there(&house).await;

    other.root().ask("POST", "sys/seal", json!({})).await.done();
    assert!(house.stop().success());
    house.start_process().await;
    eventually("the daemon says why it waits", || async {
        house.log().contains("the transit server is sealed").then_some(())
    })
    .await;
    assert!(is_sealed(&house).await);
    // It looks again, and opens when the other one is open.
    other.unseal().await;
    opens_by_itself(&house).await;
    is_all_there(&house).await;
}

/// Copies of a file's bytes with one changed, at every place; the file is put back.
async fn altered(house: &mut House, file: &std::path::Path, says: &str) {
    let right = std::fs::read(file).unwrap();
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 0x40;
        std::fs::write(file, &wrong).unwrap();
        let said = house.root().ask("POST", "sys/seals/verify", json!({ "seal": "disk" })).await.refused(400);
        assert!(said.contains(says), "byte {at}: {said}");
    }
    std::fs::write(file, &right).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_file_that_was_altered_or_is_open_to_others_is_refused_and_the_shares_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let mut setup = Setup::default();
    setup.sections += &format!("[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = {file:?}\n");
    let mut house = House::with(setup).await;
    change(&house.root(), json!({ "add": "disk" }), &house.shares).await.done();
    house.canaries.add(std::fs::read(&file).unwrap());
    keep_a_secret(&house).await;
    house.restart_by_itself().await;
    altered(&mut house, &file, "another key file").await;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let verify = json!({ "seal": "disk" });
    let said = house.root().ask("POST", "sys/seals/verify", verify.clone()).await.refused(400);
    assert!(said.contains("its mode must be 0600"), "{said}");
    assert!(house.stop().success());
    house.start_process().await;
    eventually("the file is named", || async { house.log().contains("its mode must be 0600").then_some(()) })
        .await;
    assert!(is_sealed(&house).await);
    house.unseal().await;
    is_all_there(&house).await;
    std::fs::remove_file(&file).unwrap();
    house.root().ask("POST", "sys/seals/verify", verify).await.refused(503);
    // The lost one goes, and another comes.
    change(&house.root(), json!({ "remove": "disk" }), &house.shares).await.done();
    change(&house.root(), json!({ "add": "disk" }), &house.shares).await.done();
    house.restart_by_itself().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_seal_opens_no_other_root_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let section =
        |more: &str| format!("[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = {file:?}\n{more}\n");
    let mut house = House::with(Setup { sections: section(""), ..Setup::default() }).await;
    change(&house.root(), json!({ "add": "disk" }), &house.shares).await.done();
    house.canaries.add(std::fs::read(&file).unwrap());
    let listed = seals(&house.root()).await;
    house.set_sections(&section(&format!("root_ids = [{}]", listed["root_id"])));
    house.restart_by_itself().await;
    assert_eq!(seals(&house.root()).await["seals"][1]["pinned"], true);
    let warned =
        house.root().ask("POST", "sys/rotate/root", json!({})).await.ok().body["warnings"][0].clone();
    let now = seals(&house.root()).await["root_id"].as_str().unwrap().to_owned();
    assert!(warned.as_str().unwrap().contains(&now), "{warned}");
    house.set_sections(&section(&format!("root_ids = [\"{}\"]", "00".repeat(32))));
    assert!(house.stop().success());
    house.start_process().await;
    eventually("the pin is named", || async {
        house.log().contains("none of those in `root_ids`").then_some(())
    })
    .await;
    assert!(is_sealed(&house).await);
    house.unseal().await;
}
