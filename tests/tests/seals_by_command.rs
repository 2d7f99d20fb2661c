//! `coffer operator seal`, with real devices: what an operator types from the first seal to the loss of one.
use crate::terminal::{at_terminal, coffer};
use coffer_tests::{Ask, HSM_PIN, House, Hsm, Output, Setup, TPM_OWNER, Tpm, eventually, find, run, skip};
use serde_json::{Value, json};
use std::process::Command;

const PIN: &str = "pin-of-the-tpm";

fn seal(house: &House, arguments: &[&str], input: &str) -> Output {
    house.coffer_with("", &[&["operator", "seal"], arguments].concat(), input)
}

fn json_of(house: &House, arguments: &[&str], input: &str) -> Value {
    let said = seal(house, &[arguments, &["--format", "json"]].concat(), input).ok();
    serde_json::from_str(&said).unwrap()
}

#[track_caller]
fn says(output: Output, parts: &[&str]) {
    let text = output.ok();
    for part in parts {
        assert!(text.contains(part), "nothing says {part:?}:\n{text}");
    }
}

#[track_caller]
fn refused(output: Output, why: &str) {
    assert!(output.code == 1 && output.stderr.contains(why), "{why}: {output:?}");
}

fn status(house: &House) -> Output {
    house.coffer("", &["operator", "status"])
}

async fn is_open(house: &House) {
    eventually("the daemon opens by itself", || async { (status(house).code == 0).then_some(()) }).await;
}

fn names(house: &House) -> Vec<String> {
    let listed = json_of(house, &["list"], "");
    let name = |seal: &Value| seal["name"].as_str().unwrap().to_owned();
    listed["seals"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_add_an_hsm_from_their_own_terminals_and_the_shares_open_when_it_is_lost() {
    let (hsm, mut setup) = (Hsm::new(), Setup::default());
    hsm.configure(&mut setup, "hsm", "");
    setup.sections += "[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = \"disk.key\"\n";
    let mut house = House::with(setup).await;
    house.canaries.add(HSM_PIN);
    let shares = house.shares.clone();

    refused(seal(&house, &["share", "--yes"], &shares[0]), "no change of the seals is under way");
    let begun = json_of(&house, &["add", "hsm"], "");
    assert_eq!((&begun["progress"], &begun["required"]), (&Value::from(0), &Value::from(2)));
    let nonce = begun["nonce"].as_str().unwrap().to_owned();
    refused(seal(&house, &["share"], &shares[0]), "There is no terminal to ask on");
    refused(seal(&house, &["share", "--nonce", "another"], &shares[0]), &nonce);
    refused(seal(&house, &["add", "disk"], &shares[0]), "under way already");
    says(
        seal(&house, &["share", "--yes"], &shares[0]),
        &["To add hsm: 1 of 2 shares", "Nothing has changed", &nonce],
    );
    std::fs::write(house.at("share.txt"), &shares[2]).unwrap();
    says(
        seal(&house, &["share", "--nonce", &nonce, "--file", "share.txt"], ""),
        &[
            "Done: seal hsm is in force",
            "opens by itself after a start",
            "Weakest: hsm",
            "Keep the shares: with hsm lost",
        ],
    );
    says(
        status(&house),
        &["hsm     pkcs11  by itself, after a start", "Weakest: hsm: with the store's files"],
    );
    says(seal(&house, &["verify", "hsm"], ""), &["Seal hsm opens"]);
    refused(seal(&house, &["verify", "hsm", "--pin"], "1234"), "takes no PIN");
    assert!(house.stop().success());
    house.start_process().await;
    is_open(&house).await;

    // Lost: the shares open, everything says which seal is not well, and another takes its place.
    hsm.pull_out();
    assert!(house.stop().success());
    house.start_process().await;
    eventually("the HSM was asked", || async {
        house.log().contains("a seal does not open the store").then_some(())
    })
    .await;
    let sealed = status(&house);
    assert!(sealed.code == 2 && sealed.stdout.contains("SEAL hsm IS NOT WELL"), "{sealed:?}");
    house.coffer_with("", &["operator", "unseal"], shares[..2].join("\n")).ok();
    says(status(&house), &["SEAL hsm IS NOT WELL", "`coffer operator seal list` says why"]);
    says(
        seal(&house, &["list"], ""),
        &["hsm     pkcs11  by itself, after a start  NOT WELL", "no slot has a token"],
    );
    let migrated = seal(&house, &["migrate", "hsm", "disk"], &shares[..2].join("\n"));
    says(
        migrated,
        &["seal disk has taken the place of hsm", "Backups that were made before now still open by hsm"],
    );
    assert_eq!(names(&house), ["shares", "disk"]);
    refused(seal(&house, &["remove", "shares", "--yes"], ""), "--i-accept-loss");
    assert!(house.stop().success());
    house.start_process().await;
    is_open(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_seal_says_after_a_rotation_what_is_to_be_written_and_opens_then() {
    let (hsm, mut setup) = (Hsm::new(), Setup::default());
    hsm.configure(&mut setup, "hsm", "");
    let mut house = House::with(setup).await;
    let shares = house.shares[..2].join("\n");
    seal(&house, &["add", "hsm"], &shares).ok();
    let pin = |house: &mut House, id: String| {
        house.configure(|setup| {
            let at = setup.sections.find("root_ids").unwrap_or(setup.sections.len());
            setup.sections.truncate(at);
            setup.sections += &format!("root_ids = [\"{id}\"]\n");
        });
    };
    let id = json_of(&house, &["list"], "")["root_id"].as_str().unwrap().to_owned();
    pin(&mut house, id.clone());
    assert!(house.stop().success());
    house.start_process().await;
    is_open(&house).await;
    says(seal(&house, &["list"], ""), &["well, pinned"]);

    let rotated = house.coffer("", &["operator", "rotate-root"]).ok();
    let new = json_of(&house, &["list"], "")["root_id"].as_str().unwrap().to_owned();
    assert_ne!(new, id);
    assert!(rotated.contains(&format!("root_ids = [\"{new}\"]")), "{rotated}");
    says(seal(&house, &["list"], ""), &["NOT WELL", &format!("write \"{new}\" there")]);
    refused(seal(&house, &["verify", "hsm"], ""), "root_ids");
    pin(&mut house, new);
    assert!(house.stop().success());
    house.start_process().await;
    is_open(&house).await;
    says(seal(&house, &["verify", "hsm"], ""), &["Seal hsm opens"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tpm_takes_its_pin_from_a_terminal_and_an_approval_after_new_firmware() {
    if find("python3").is_none() {
        return skip("python3 is not installed");
    }
    let (tpm, mut setup) = (Tpm::new(), Setup::default());
    tpm.configure(&mut setup, "tpm2", "");
    let mut house = House::with(setup).await;
    [PIN, TPM_OWNER].iter().for_each(|secret| house.canaries.add(secret));
    let line = |text: &str| format!("{text}\n");
    let (pin, other, owner) = (line(PIN), line("another"), line(TPM_OWNER));
    let shares: Vec<_> = house.shares.iter().map(|share| line(share)).collect();
    let add = ["operator", "seal", "add", "tpm2", "--pin", "--pcrs", "sha256:7,11", "--owner-password"];

    let typing = [("New PIN for tpm2 (not shown): ", pin.as_str()), ("The same again: ", &other)];
    let screen = at_terminal(&coffer(&house, &add), &typing);
    assert!(screen.code == 1 && screen.stdout.contains("the two PINs are not the same"), "{screen:?}");
    let typing = [
        ("New PIN for tpm2 (not shown): ", pin.as_str()),
        ("The same again: ", &pin),
        ("Owner password of the TPM (not shown): ", &owner),
        ("Share 1 of 2: ", &shares[0]),
        ("Share 2 of 2: ", &shares[0]),
        ("Share 2 of 2: ", "coffer1typo\n"),
        ("Share 2 of 2: ", &shares[2]),
    ];
    let screen = at_terminal(&coffer(&house, &add), &typing);
    for said in ["still 1 of 2.", "1 of 2 still count.", "it waits for the PIN"] {
        assert!(screen.code == 0 && screen.stdout.contains(said), "{screen:?}");
    }
    assert!(house.canaries.found_in(screen.stdout.as_bytes()).is_empty(), "{screen:?}");

    assert!(house.stop().success());
    house.start_process().await;
    eventually("the daemon says that it needs the PIN", || async {
        house.log().contains("needs its PIN").then_some(())
    })
    .await;
    let sealed = status(&house);
    assert!(
        sealed.stdout.contains("Seal tpm2 waits for its PIN: `coffer operator unseal --pin tpm2`"),
        "{sealed:?}"
    );
    let unseal = ["operator", "unseal", "--pin", "tpm2"];
    let wrong = house.coffer_with("", &unseal, "another");
    refused(wrong, "do not guess");
    let screen = at_terminal(&coffer(&house, &unseal), &[("PIN of seal tpm2 (not shown): ", &pin)]);
    assert!(screen.code == 0 && screen.stdout.contains("Open, by seal tpm2"), "{screen:?}");
    assert!(house.canaries.found_in(screen.stdout.as_bytes()).is_empty(), "{screen:?}");

    // Another root key: wrapped by the TPM too, with the PIN that the operator gives.
    refused(house.coffer("", &["operator", "rotate-root"]), "give it with --pin");
    house.coffer_with("", &["operator", "rotate-root", "--pin"], PIN).ok();
    says(seal(&house, &["verify", "tpm2", "--pin"], PIN), &["Seal tpm2 opens"]);

    // Other firmware: refused, until its owner approves it.
    tpm.extend();
    house.coffer("", &["operator", "seal"]).ok();
    refused(house.coffer_with("", &unseal, PIN), "approved");
    house.coffer_with("", &["operator", "unseal"], house.shares[..2].join("\n")).ok();
    refused(seal(&house, &["approve", "tpm2"], "not-the-owner's"), "owner");
    says(seal(&house, &["approve", "tpm2"], TPM_OWNER), &["Approved: seal tpm2"]);
    says(seal(&house, &["verify", "tpm2", "--pin"], PIN), &["Seal tpm2 opens"]);
    house.coffer("", &["operator", "seal"]).ok();
    house.coffer_with("", &unseal, PIN).ok();
    says(seal(&house, &["approve", "tpm2", "--withdraw"], TPM_OWNER), &["Taken back: seal tpm2"]);
    refused(seal(&house, &["verify", "tpm2", "--pin"], PIN), "the approval was withdrawn");
    refused(seal(&house, &["approve", "shares"], TPM_OWNER), "shares");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_come_back_when_they_were_shown_and_take_the_place_of_a_device() {
    if find("python3").is_none() || find("age").is_none() {
        return skip("python3 or age is not installed");
    }
    let mut setup = Setup::default();
    setup.sections += "[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = \"disk.key\"\n";
    let house = House::with(setup).await;
    let shares = house.shares[..2].join("\n");
    says(
        seal(&house, &["migrate", "shares", "disk", "--i-accept-loss"], &shares),
        &["disk has taken the place of shares", "There are no shares: with disk lost, everything is lost."],
    );
    refused(seal(&house, &["add", "disk", "--shares", "3"], ""), "for `seal add shares`");
    refused(seal(&house, &["add", "shares", "--pin"], "1234"), "shares take no PIN");

    // To their holders, encrypted; shown from files.
    let recipient = |name: &str| {
        let mut made = Command::new("age-keygen");
        made.arg("-o").arg(house.at(&format!("{name}.key")));
        run(made, "").ok();
        let mut shown = Command::new("age-keygen");
        shown.arg("-y").arg(house.at(&format!("{name}.key")));
        format!("{name}={}", run(shown, "").ok().trim())
    };
    let (ada, ben) = (recipient("ada"), recipient("ben"));
    let named = json!({ "add": "shares", "recipients": [ada, ben], "secret_threshold": 2 });
    let answer = house.root().ask("POST", "sys/seals/change", named).await.ok();
    let members: Vec<_> = answer.data().as_object().unwrap().keys().map(String::as_str).collect();
    assert!(members.contains(&"shares_encrypted"), "{members:?}");
    assert!(!members.iter().any(|member| member.contains("keys") || *member == "shares"), "{members:?}");
    says(seal(&house, &["cancel"], ""), &["Cancelled: nothing has changed", "destroy them"]);
    let to = ["--recipient", &ada, "--recipient", &ben, "--threshold", "2", "--out", "new", "--yes"];
    let begun = json_of(&house, &[&["add", "shares"], &to[..]].concat(), "");
    assert_eq!(begun["files"]["ben"], "new/ben.age");
    assert!(begun.get("shares").is_none(), "a share is shown: {begun}");
    says(
        seal(&house, &["share", "--yes", "--file", "new/ada.age", "--identity", "ada.key"], ""),
        &["To add shares: 1 of 2"],
    );
    refused(seal(&house, &["share", "--yes"], &house.shares[0]), "none of the new shares");
    assert_eq!(names(&house), ["disk"]);
    says(
        seal(&house, &["share", "--yes", "--file", "new/ben.age", "--identity", "ben.key"], ""),
        &["seal shares is in force", "opens with 2 of 2 shares"],
    );
    house.coffer("", &["operator", "seal"]).ok();
    for name in ["ada", "ben"] {
        let (file, key) = (format!("new/{name}.age"), format!("{name}.key"));
        let _not_yet = house.coffer("", &["operator", "unseal", "--file", &file, "--identity", &key]);
    }
    assert_eq!(status(&house).code, 0);

    // At a terminal, in one go: shown on the screen, typed back, and the device ends.
    let by_files =
        ["--file", "new/ada.age", "--file", "new/ben.age", "--identity", "ada.key", "--identity", "ben.key"];
    says(
        seal(&house, &[&["remove", "shares", "--yes", "--i-accept-loss"], &by_files[..]].concat(), ""),
        &["seal shares of the root environment is gone"],
    );
    let migrate = ["operator", "seal", "migrate", "disk", "shares", "--shares", "2", "--threshold", "2"];
    let typing =
        [("New share 1 of 2: ", "=New share 1  (\\S+)"), ("New share 2 of 2: ", "=New share 2  (\\S+)")];
    let screen = at_terminal(&coffer(&house, &migrate), &typing);
    assert!(
        screen.code == 0 && screen.stdout.contains("seal disk of the root environment is gone"),
        "{screen:?}"
    );
    assert_eq!(names(&house), ["shares"]);
    let typed = screen.stdout.matches("coffer1").count();
    assert_eq!(typed, 2, "each new share stands on the screen once: {screen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_takes_shares_of_its_own_and_gives_them_back() {
    let house = House::start().await;
    house.environment("acme").await;
    let at = |arguments: &[&str], input: &str| {
        house.coffer_with("acme", &[&["operator", "seal"], arguments].concat(), input)
    };
    says(at(&["list"], ""), &["inherit  inherit  the environment above, when it is open"]);
    let begun =
        at(&["migrate", "inherit", "shares", "--shares", "2", "--threshold", "2", "--format", "json"], "");
    let begun: Value = serde_json::from_str(&begun.ok()).unwrap();
    let new: Vec<_> =
        begun["shares"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    new.iter().for_each(|share| house.canaries.add(share));
    let first = at(&["share", "--yes"], &new[0]);
    assert!(first.stderr.contains("A change of the seals of environment acme is under way"), "{first:?}");
    says(first, &["To add shares: 1 of 2", "`coffer operator seal share -n acme --nonce"]);
    says(
        at(&["share", "--yes"], &new[1]),
        &["seal shares is in force for environment acme", "2 of 2 shares"],
    );
    says(at(&["remove", "inherit", "--yes"], &new.join("\n")), &["seal inherit of environment acme is gone"]);
    refused(at(&["migrate", "shares", "inherit"], &new.join("\n")), "--i-accept-loss");
    says(
        at(&["migrate", "shares", "inherit", "--i-accept-loss"], &new.join("\n")),
        &["seal inherit has taken the place of shares", "opens with the one above it"],
    );
    // The root's seals are as they were.
    assert_eq!(names(&house), ["shares"]);
    refused(seal(&house, &["add", "inherit"], &house.shares[..2].join("\n")), "none above it");
}
