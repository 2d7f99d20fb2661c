//! Shares that go to their holders encrypted, and come back from files.
use coffer_tests::{Ask, House, Output, Setup, find, run, skip};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const NAMES: [&str; 3] = ["ada", "ben", "cleo"];

/// Makes an identity with the outside tool; gives the recipient.
fn identity(house: &House, name: &str) -> String {
    let mut made = Command::new("age-keygen");
    made.arg("-o").arg(house.at(&format!("{name}.key")));
    run(made, "").ok();
    let mut shown = Command::new("age-keygen");
    shown.arg("-y").arg(house.at(&format!("{name}.key")));
    format!("{name}={}", run(shown, "").ok().trim())
}

fn init(house: &House, recipients: &[String], more: &[&str]) -> Output {
    let mut arguments = vec!["operator", "init", "--threshold", "2", "--format", "json"];
    recipients.iter().for_each(|one| arguments.extend(["--recipient", one.as_str()]));
    house.coffer("", &[&arguments, more].concat())
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_holders_get_their_shares_by_age_and_open_the_daemon_with_the_files() {
    if find("age").is_none() {
        return skip("age is not installed");
    }
    let mut house = House::empty(Setup::default()).await;
    let recipients = NAMES.map(|name| identity(&house, name));
    let to = ["--out", "shares", "--root-token-out", "root-token"];
    let sealed_still = async || !house.client(&house.operator).sys().seal_status().await.unwrap().initialized;

    // Nobody is there to confirm; and a file that is there already is found before anything is made.
    let unasked = init(&house, &recipients, &to);
    assert!(unasked.code == 1 && unasked.stderr.contains("--yes"), "{unasked:?}");
    assert!(!house.at("shares").exists());
    std::fs::create_dir(house.at("shares")).unwrap();
    std::fs::write(house.at("shares/cleo.age"), "older").unwrap();
    let refused = init(&house, &recipients, &[&to[..], &["--yes"]].concat());
    assert!(refused.code == 1 && refused.stderr.contains("cleo.age is there already"), "{refused:?}");
    assert!(sealed_still().await);
    assert_eq!(std::fs::read_dir(house.at("shares")).unwrap().count(), 1);
    std::fs::remove_file(house.at("shares/cleo.age")).unwrap();
    for (wrong, why) in [
        (vec![recipients[0].clone(), recipients[0].clone()], "the same holder"),
        (vec![recipients[0].clone()], "2 shares are to open"),
    ] {
        let refused = init(&house, &wrong, &[&to[..], &["--yes"]].concat());
        assert!(refused.code == 1 && refused.stderr.contains(why), "{refused:?}");
    }

    let made = init(&house, &recipients, &[&to[..], &["--yes"]].concat());
    assert!(recipients.iter().all(|one| made.stderr.contains(one.split_once('=').unwrap().1)), "{made:?}");
    let told: Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!((made.code, &told["files"]["ben"]), (0, &Value::from("shares/ben.age")));
    house.root_token = std::fs::read_to_string(house.at("root-token")).unwrap().trim().to_owned();
    house.canaries.add(&house.root_token);
    assert_eq!(mode(&house.at("root-token")), 0o600);
    for name in NAMES {
        let path = house.at(&format!("shares/{name}.age"));
        assert_eq!(mode(&path), 0o600);
        let mut age = Command::new("age");
        age.arg("-d").arg("-i").arg(house.at(&format!("{name}.key"))).arg(&path);
        let text = run(age, "").ok();
        let share = text.strip_suffix('\n').unwrap();
        assert!(share.starts_with("coffer1") && share.len() == 82, "{} characters", share.len());
        house.canaries.add(share);
        house.shares.push(share.to_owned());
    }
    let shown = format!("{}{}", made.stdout, made.stderr);
    assert!(house.canaries.found_in(shown.as_bytes()).is_empty(), "a secret is shown");
    assert_eq!(std::fs::read_dir(house.at("shares")).unwrap().count(), 3);

    let unseal =
        |file: &str, key: &str| house.coffer("", &["operator", "unseal", "--file", file, "--identity", key]);
    let wrong = unseal("shares/ada.age", "ben.key");
    assert!(wrong.code == 1 && wrong.stderr.contains("encrypted to somebody else"), "{wrong:?}");
    let first = unseal("shares/ada.age", "ada.key");
    assert!(first.code == 2 && first.stdout.contains("1 of 2 shares are given"), "{first:?}");
    assert_eq!(unseal("shares/cleo.age", "cleo.key").code, 0);
    assert!(!house.client(&house.operator).sys().seal_status().await.unwrap().sealed);
    house.root().sys().health().await.unwrap();
    assert_eq!(house.coffer("", &["token", "lookup"]).code, 0);

    // The same daemon is not initialised twice, and no file of a second try is left.
    let again = init(&house, &recipients, &["--out", "more", "--yes"]);
    assert!(again.code == 1, "{again:?}");
    assert_eq!(std::fs::read_dir(house.at("more")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holders_of_an_environments_own_shares_get_them_by_age_and_nobody_sees_them() {
    if find("age").is_none() {
        return skip("age is not installed");
    }
    let house = House::start().await;
    let recipients = NAMES.map(|name| identity(&house, name));
    // One call makes them all: the answer has them encrypted, and in no other form.
    let asked = |named: &[String]| json!({ "recipients": named, "secret_threshold": 2 });
    let made = house.root().ask("POST", "sys/namespaces/staging", asked(&recipients)).await.ok();
    let members: Vec<_> = made.data().as_object().unwrap().keys().map(String::as_str).collect();
    assert!(members.contains(&"shares_encrypted"), "{members:?}");
    assert!(!members.iter().any(|name| name.contains("keys") || *name == "shares"), "{members:?}");
    assert_eq!(
        (&made.data()["key_threshold"], &made.data()["shares_encrypted"][1]["name"]),
        (&json!(2), &json!("ben"))
    );
    for (wrong, status) in [
        (json!({ "recipients": recipients, "secret_shares": 2, "secret_threshold": 2 }), "as many holders"),
        (asked(&[recipients[0].clone(), recipients[0].clone()]), "the same holder twice"),
        (json!({ "recipients": recipients, "secret_threshold": 4 }), "secret_threshold"),
    ] {
        let said = house.root().ask("POST", "sys/namespaces/other", wrong).await.refused(400);
        assert!(said.contains(status), "{said}");
    }

    let mut create = vec!["env", "create", "acme", "--threshold", "2", "--out", "acme", "--format", "json"];
    recipients.iter().for_each(|one| create.extend(["--recipient", one.as_str()]));
    let unasked = house.coffer("", &create);
    assert!(unasked.code == 1 && unasked.stderr.contains("--yes"), "{unasked:?}");
    house.root().ask("GET", "sys/namespaces/acme", Value::Null).await.refused(404);
    create.push("--yes");
    let made = house.coffer("", &create);
    assert!(recipients.iter().all(|one| made.stderr.contains(one.split_once('=').unwrap().1)), "{made:?}");
    let told: Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!(
        (made.code, &told["files"]["ben"], &told["key_threshold"]),
        (0, &json!("acme/ben.age"), &json!(2))
    );
    assert!(
        ["shares", "key_shares", "keys_base64", "shares_encrypted"]
            .iter()
            .all(|name| told.get(name).is_none()),
        "{told}"
    );
    for name in NAMES {
        let path = house.at(&format!("acme/{name}.age"));
        assert_eq!(mode(&path), 0o600);
        let mut age = Command::new("age");
        age.arg("-d").arg("-i").arg(house.at(&format!("{name}.key"))).arg(&path);
        let share = run(age, "").ok();
        house.canaries.add(share.trim());
    }
    assert!(house.canaries.found_in(format!("{made:?}").as_bytes()).is_empty(), "a share is shown");

    house.coffer("", &["env", "seal", "acme"]).ok();
    let unseal = |name: &str| {
        let (file, key) = (format!("acme/{name}.age"), format!("{name}.key"));
        house.coffer("", &["env", "unseal", "acme", "--file", &file, "--identity", &key])
    };
    assert_eq!((unseal("cleo").code, unseal("ada").code), (2, 0));
    // What is there already gets no other shares, and says so.
    let again = house.coffer("", &["env", "create", "acme", "--shares", "2", "--threshold", "2"]);
    assert!(again.code == 1 && again.stdout.contains("no shares were made"), "{again:?}");
}
