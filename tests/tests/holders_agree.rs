//! `coffer operator rekey`, `generate-root` and their cancelling: what several people do together, by the command line.
use coffer_tests::{Ask, House, Output, find, run, skip};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const NAMES: [&str; 3] = ["dora", "emil", "fay"];

/// Makes an identity with the outside tool; gives the recipient.
fn identity(house: &House, name: &str) -> String {
    let mut made = Command::new("age-keygen");
    made.arg("-o").arg(house.at(&format!("{name}.key")));
    run(made, "").ok();
    let mut shown = Command::new("age-keygen");
    shown.arg("-y").arg(house.at(&format!("{name}.key")));
    format!("{name}={}", run(shown, "").ok().trim())
}

fn json_of(output: Output) -> Value {
    serde_json::from_str(&output.ok()).unwrap()
}

fn rekey(house: &House, arguments: &[&str], input: &str) -> Output {
    house.coffer_with("", &[&["operator", "rekey"], arguments, &["--format", "json"]].concat(), input)
}

fn root_token(house: &House, arguments: &[&str], input: &str) -> Output {
    house.coffer_with("", &[&["operator", "generate-root"], arguments, &["--format", "json"]].concat(), input)
}

#[track_caller]
fn refused(output: Output, why: &str) {
    assert!(output.code == 1 && output.stderr.contains(why), "{why}: {output:?}");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn opens_with(house: &House, shares: &[String]) -> bool {
    house.root().sys().seal().await.unwrap();
    let _still_sealed = house.coffer("", &["operator", "unseal", "--reset"]);
    let code = house.coffer_with("", &["operator", "unseal"], shares.join("\n")).code;
    code == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_present_holders_see_whom_the_new_shares_go_to_and_nobody_else_gets_them() {
    if find("age").is_none() {
        return skip("age is not installed");
    }
    let house = House::start().await;
    let (old, is_open) = (house.shares.clone(), async || house.root().sys().seal_status().await.unwrap());
    let recipients = NAMES.map(|name| identity(&house, name));
    let mut begin = vec!["begin", "--threshold", "2", "--yes"];
    recipients.iter().for_each(|one| begin.extend(["--recipient", one.as_str()]));
    refused(rekey(&house, &["give", "--yes"], &old[0]), "no rekey is under way");
    let begun = json_of(rekey(&house, &begin, ""));
    let nonce = begun["nonce"].as_str().unwrap();
    assert_eq!((&begun["n"], &begun["verification_required"]), (&json!(3), &json!(true)));
    refused(rekey(&house, &begin, ""), "under way already");
    assert_eq!(json_of(rekey(&house, &["status"], ""))["recipients"], json!(recipients));

    // A script agrees with --yes, or names the nonce; a person is asked; what they look at goes to standard error.
    let unasked = rekey(&house, &["give"], &old[0]);
    assert!(recipients.iter().all(|one| unasked.stderr.contains(one.split_once('=').unwrap().1)));
    refused(unasked, "--yes");
    refused(rekey(&house, &["give", "--nonce", "another"], &old[0]), nonce);
    let one = recipients[0].as_str();
    refused(rekey(&house, &["give", "--yes", "--recipient", one], &old[0]), "others than you expect");
    refused(rekey(&house, &["give", "--yes", "--sheets", "sheets"], &old[0]), "nothing to print");
    refused(rekey(&house, &["give", "--yes", old[0].as_str()], ""), "never an argument");
    assert_eq!(json_of(rekey(&house, &["status"], ""))["progress"], 0);
    refused(rekey(&house, &["give", "--nonce", nonce], "coffer1qqq"), "mistyped");
    assert_eq!(json_of(rekey(&house, &["give", "--nonce", nonce], &old[0]))["progress"], 1);
    // A file that is there is found before the share is given.
    std::fs::create_dir(house.at("new")).unwrap();
    std::fs::write(house.at("new/fay.age"), "older").unwrap();
    refused(rekey(&house, &["give", "--yes", "--out", "new"], &old[2]), "fay.age is there already");
    assert_eq!(json_of(rekey(&house, &["status"], ""))["progress"], 1);
    std::fs::remove_file(house.at("new/fay.age")).unwrap();
    let mut last = vec!["give", "--yes", "--out", "new"];
    recipients.iter().rev().for_each(|one| last.extend(["--recipient", one.as_str()]));
    let made = rekey(&house, &last, &old[2]);
    assert!(!made.stdout.to_ascii_lowercase().contains("coffer1"), "a share is shown");
    let made = json_of(made);
    assert_eq!((&made["files"]["emil"], made.get("shares")), (&json!("new/emil.age"), None));
    let mut new = Vec::new();
    for name in NAMES {
        let path = house.at(&format!("new/{name}.age"));
        assert_eq!(mode(&path), 0o600);
        let mut age = Command::new("age");
        age.arg("-d").arg("-i").arg(house.at(&format!("{name}.key"))).arg(&path);
        new.push(run(age, "").ok().trim().to_owned());
        house.canaries.add(new.last().unwrap());
    }
    assert_eq!(std::fs::read_dir(house.at("new")).unwrap().count(), 3);
    refused(rekey(&house, &["give", "--yes"], &old[1]), "given already");

    // Until they are shown nothing has changed.
    assert_eq!(is_open().await.shares, 3);
    let show = |name: &str, key: &str| {
        let file = format!("new/{name}.age");
        rekey(&house, &["verify", "--yes", "--file", &file, "--identity", key], "")
    };
    refused(show("dora", "emil.key"), "encrypted to somebody else");
    refused(rekey(&house, &["verify", "--yes"], &old[0]), "none of the new shares");
    assert_eq!(json_of(show("dora", "dora.key"))["progress"], 1);
    assert_eq!(json_of(show("fay", "fay.key"))["complete"], true);
    assert!(!opens_with(&house, &old).await);
    let _still_sealed = house.coffer("", &["operator", "unseal", "--reset"]);
    assert_eq!(house.coffer_with("", &["operator", "unseal"], new[..2].join("\n")).code, 0);
    refused(rekey(&house, &["verify", "--yes"], &new[0]), "no new shares wait");
    // Without recipients a file for them is a misunderstanding.
    json_of(rekey(&house, &["begin", "--shares", "2", "--threshold", "2"], ""));
    refused(rekey(&house, &["give", "--yes", "--out", "more"], &new[0]), "names no recipients");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_are_checked_before_there_are_shares_and_an_answer_holds_no_share_in_clear() {
    let house = House::start().await;
    let root = house.root();
    let key = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    let low = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z";
    for (recipients, why) in [
        (json!([key]), "NAME=age1"),
        (json!([format!("a b={key}")]), "a name is"),
        (json!([format!("ada={low}")]), "a key is"),
        (json!([format!("ada={key}"), format!("ben={key}")]), "the same holder"),
        (json!({}), "must be a list"),
    ] {
        let count = recipients.as_array().map_or(1, Vec::len);
        let body = json!({ "secret_threshold": count, "recipients": recipients });
        let said = root.ask("POST", "sys/rekey/init", body).await.refused(400);
        assert!(said.contains(why), "{said}");
    }
    let body = json!({ "secret_shares": 2, "secret_threshold": 2, "recipients": [format!("ada={key}")] });
    assert!(root.ask("POST", "sys/rekey/init", body).await.refused(400).contains("as many holders"));
    let body = json!({ "secret_threshold": 1, "recipients": [format!("ada={key}")] });
    let begun = root.ask("POST", "sys/rotate/root/init", body).await.ok();
    let nonce = begun.text("nonce");
    let mut answer = Value::Null;
    for share in &house.shares[..2] {
        let body = json!({ "key": share, "nonce": nonce });
        answer = root.ask("POST", "sys/rotate/root/update", body).await.ok().body;
    }
    assert_eq!(answer["complete"], true);
    assert!(["keys", "keys_base64", "shares"].iter().all(|name| answer.get(name).is_none()), "{answer}");
    assert_eq!(answer["shares_encrypted"][0]["name"], "ada");
    assert!(
        answer["shares_encrypted"][0]["age"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_without_sudo_calls_a_ceremony_off_with_a_share_and_its_nonce() {
    let mut house = House::start().await;
    let root = house.root();
    // What a holder needs: to see what is under way, to give a share, and to call it off.
    let rules: &[(&str, &[&str])] = &[
        ("sys/rekey/init", &["read", "sudo"]),
        ("sys/rekey/update", &["update"]),
        ("sys/rekey/cancel", &["update"]),
        ("sys/generate-root/cancel", &["update"]),
    ];
    let token = house.token_for(&root, "holder", rules).await;
    let holder = house.with_token(&token);
    std::fs::write(house.at("holder-token"), &token).unwrap();
    let by_command = |arguments: &[&str], share: &str| {
        rekey(&house, &[arguments, &["--token-file", "holder-token"]].concat(), share)
    };
    for kind in ["rekey", "rotate/root", "generate-root", "generate-root-token"] {
        let begin = if kind.starts_with("generate") { "attempt" } else { "init" };
        let body = json!({ "secret_shares": 2, "secret_threshold": 2 });
        let at = |path: &str| format!("sys/{kind}/{path}");
        let nonce = root.ask("POST", &at(begin), body.clone()).await.ok().text("nonce");
        let cancel = async |share: &str, nonce: &str| {
            root.ask("POST", &at("cancel"), json!({ "key": share, "nonce": nonce })).await
        };
        let share = house.shares[1].clone();
        assert!(cancel(&share, "another").await.refused(400).contains("nonce"));
        assert!(cancel("coffer1nonsense", &nonce).await.refused(400).contains("mistyped"));
        let is_under_way =
            async || root.ask("GET", &at(begin), Value::Null).await.ok().body["started"] == true;
        assert!(is_under_way().await);
        // No share is collected on the way.
        assert_eq!(root.ask("GET", &at(begin), Value::Null).await.ok().body["progress"], 0);
        if kind == "rekey" {
            holder.ask("DELETE", "sys/rekey/init", Value::Null).await.refused(403);
            refused(by_command(&["cancel"], ""), "permission denied");
            refused(by_command(&["cancel", "--by-share"], &share), "--nonce");
            let done = json_of(by_command(&["cancel", "--by-share", "--nonce", &nonce], &share));
            assert_eq!(done["cancelled"], true);
        } else {
            cancel(&share, &nonce).await.done();
        }
        assert!(!is_under_way().await);
        cancel(&share, &nonce).await.refused(400);
    }
    let begun = root.ask("POST", "sys/generate-root/attempt", json!({})).await.ok().text("nonce");
    let body = json!({ "key": house.shares[0], "nonce": begun });
    holder.ask("POST", "sys/generate-root/cancel", body).await.done();
    assert!(house.stop().success());
    let shown = house.coffer("", &["audit", "show", house.audit().to_str().unwrap()]).ok();
    for route in ["sys/rekey/cancel", "sys/rotate/root/cancel", "sys/generate-root/cancel"] {
        let leaf = shown.lines().find(|line| line.contains(route) && line.contains("\"nonce\""));
        assert!(leaf.is_some(), "{route} is not in the log with its nonce");
    }
}

/// The policy that a command's help gives for holders.
fn policy_of(house: &House, command: &str) -> String {
    let help = house.coffer("", &["operator", command, "--help"]).ok();
    let rules: Vec<_> = help.lines().filter(|line| line.trim_start().starts_with("path \"")).collect();
    assert!(rules.len() > 2, "{help}");
    rules.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_that_the_help_gives_is_enough_for_a_holder_and_for_no_more() {
    let house = House::start().await;
    let root = house.root();
    for command in ["rekey", "generate-root"] {
        root.sys().put_policy(command, &policy_of(&house, command)).await.unwrap();
        let token = house.token(&root, json!({ "policies": [command], "no_default_policy": true })).await;
        std::fs::write(house.at(command), token).unwrap();
    }
    let holder = |command: &str, arguments: &[&str], share: &str| {
        let all =
            [&["operator", command], arguments, &["--token-file", command, "--format", "json"]].concat();
        house.coffer_with("", &all, share)
    };
    for command in ["rekey", "generate-root"] {
        refused(holder(command, &["begin"], ""), "permission denied");
    }
    assert!(!house.at("root-token.pad").exists());
    json_of(rekey(&house, &["begin", "--shares", "2", "--threshold", "2"], ""));
    json_of(holder("rekey", &["status"], ""));
    json_of(holder("rekey", &["give", "--yes"], &house.shares[0]));
    let made = json_of(holder("rekey", &["give", "--yes"], &house.shares[1]));
    let new: Vec<_> =
        made["shares"].as_array().unwrap().iter().map(|share| share.as_str().unwrap()).collect();
    new.iter().for_each(|share| house.canaries.add(share));
    assert_eq!(json_of(holder("rekey", &["verify", "--yes"], new[0]))["progress"], 1);
    assert_eq!(json_of(holder("rekey", &["verify", "--yes"], new[1]))["complete"], true);
    let nonce = json_of(rekey(&house, &["begin"], ""))["nonce"].as_str().unwrap().to_owned();
    refused(holder("rekey", &["cancel"], ""), "permission denied");
    json_of(holder("rekey", &["cancel", "--by-share", "--nonce", &nonce], new[1]));

    json_of(root_token(&house, &["begin"], ""));
    json_of(holder("generate-root", &["status"], ""));
    let nonce =
        json_of(holder("generate-root", &["give", "--yes"], new[0]))["nonce"].as_str().unwrap().to_owned();
    refused(holder("generate-root", &["cancel"], ""), "permission denied");
    json_of(holder("generate-root", &["cancel", "--by-share", "--nonce", &nonce], new[1]));
    assert_eq!(json_of(root_token(&house, &["status"], ""))["started"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_token_comes_to_the_one_who_has_the_pad_and_to_nobody_else() {
    let house = House::start().await;
    refused(root_token(&house, &["give", "--yes"], &house.shares[0]), "no root token is being made");
    let begun = root_token(&house, &["begin", "--pad", "pad"], "");
    let pad = std::fs::read_to_string(house.at("pad")).unwrap();
    assert!(pad.len() > 20 && mode(&house.at("pad")) == 0o600);
    house.canaries.add(&pad);
    assert!(house.canaries.found_in(format!("{begun:?}").as_bytes()).is_empty(), "the pad is shown");
    let nonce = json_of(begun)["nonce"].as_str().unwrap().to_owned();
    // Another one does not write over the pad of the first.
    refused(root_token(&house, &["begin", "--pad", "pad"], ""), "there already");
    refused(root_token(&house, &["begin", "--pad", "other"], ""), "already");
    assert!(!house.at("other").exists(), "the pad of a ceremony that did not begin stays");
    assert_eq!(json_of(root_token(&house, &["status"], ""))["progress"], 0);
    refused(root_token(&house, &["give"], &house.shares[0]), "--yes");
    assert_eq!(json_of(root_token(&house, &["give", "--yes"], &house.shares[0]))["progress"], 1);
    let done = root_token(&house, &["give", "--nonce", &nonce], &house.shares[1]);
    let encoded = json_of(done)["encoded_token"].as_str().unwrap().to_owned();

    std::fs::write(house.at("wrong"), "x".repeat(pad.len() - 1)).unwrap();
    refused(
        root_token(&house, &["decode", "--pad", "wrong", "--encoded", &encoded], ""),
        "do not belong together",
    );
    let shown = json_of(root_token(&house, &["decode", "--pad", "pad"], &format!("{encoded}\n")));
    let decoded = root_token(&house, &["decode", "--pad", "pad", "--encoded", &encoded, "--out", "made"], "");
    let token = std::fs::read_to_string(house.at("made")).unwrap().trim().to_owned();
    house.canaries.add(&token);
    assert!(house.canaries.found_in(format!("{decoded:?}").as_bytes()).is_empty(), "the token is shown");
    assert_eq!((mode(&house.at("made")), house.at("pad").exists()), (0o600, false));
    assert_eq!(shown["token"], token.as_str());
    let own = house.with_token(&token).ask("GET", "auth/token/lookup-self", Value::Null).await.ok();
    assert_eq!(own.data()["policies"], json!(["root"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_with_shares_of_its_own_is_rekeyed_by_its_own_holders() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let body = json!({ "add": "shares", "secret_shares": 2, "secret_threshold": 2 });
    let added = prod.ask("POST", "sys/seals/change", body).await.ok();
    let nonce = added.text("nonce");
    let own: Vec<_> = added.body["shares"]
        .as_array()
        .unwrap()
        .iter()
        .map(|share| share.as_str().unwrap().to_owned())
        .collect();
    for share in &own {
        house.canaries.add(share);
        prod.ask("POST", "sys/seals/update", json!({ "key": share, "nonce": nonce })).await.done();
    }
    let rekey = |arguments: &[&str], input: &str| {
        house.coffer_with(
            "",
            &[&["operator", "rekey"], arguments, &["-n", "prod", "--format", "json"]].concat(),
            input,
        )
    };
    json_of(rekey(&["begin", "--shares", "3", "--threshold", "2", "--revoke-holder"], ""));
    // Holders of the environment above have no say here, and nothing is under way there.
    refused(rekey(&["give", "--yes"], &house.shares[0]), "another environment");
    refused(house.coffer_with("", &["operator", "rekey", "give", "--yes"], &own[0]), "no rekey is under way");
    let first = rekey(&["give", "--yes"], &own[0]);
    assert!(
        first.stderr.contains("environment prod") && first.stderr.contains("A holder leaves"),
        "{first:?}"
    );
    assert_eq!(json_of(first)["progress"], 1);
    let made = json_of(rekey(&["give", "--yes"], &own[1]));
    for (number, share) in made["shares"].as_array().unwrap()[..2].iter().enumerate() {
        house.canaries.add(share.as_str().unwrap());
        assert_eq!(
            json_of(rekey(&["verify", "--yes"], share.as_str().unwrap()))["complete"] == true,
            number == 1
        );
    }
    assert_eq!(prod.ask("GET", "sys/key-status", Value::Null).await.ok().data()["term"], 2, "a new epoch");
    json_of(house.coffer("prod", &["operator", "rotate-root", "--format", "json"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_shares_are_the_shares() {
    let house = House::empty(coffer_tests::Setup::default()).await;
    let nobody = house.client(&house.operator);
    let body =
        json!({ "secret_shares": 5, "secret_threshold": 3, "recovery_shares": 3, "recovery_threshold": 2 });
    assert!(nobody.ask("POST", "sys/init", body).await.refused(400).contains("one set"));
    let body = json!({ "recovery_shares": 3, "recovery_threshold": 2 });
    let made = nobody.ask("POST", "sys/init", body).await.ok().body;
    assert_eq!((made["recovery_keys"].as_array().unwrap().len(), &made["recovery_keys"]), (3, &made["keys"]));
    assert_eq!(made["recovery_keys_base64"], made["keys_base64"]);
    for key in &made["recovery_keys"].as_array().unwrap()[1..] {
        house.canaries.add(key.as_str().unwrap());
        nobody.ask("POST", "sys/unseal", json!({ "key": key })).await.done();
    }
    assert!(!nobody.sys().seal_status().await.unwrap().sealed);
}
