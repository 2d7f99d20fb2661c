//! `coffer operator unseal --all`: one share, several daemons.
use coffer_tests::{House, Output, Setup};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::TcpListener;

/// Runs it from the first house, with the lines on standard input.
fn unseal(from: &House, arguments: &[&str], lines: &[&String]) -> (Value, Output) {
    let all = [&["operator", "unseal", "--all"], arguments, &["--format", "json"]].concat();
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let output = from.coffer_with("", &all, input);
    (serde_json::from_str(&output.stdout).unwrap_or_default(), output)
}

fn states(told: &Value) -> Vec<&str> {
    told["targets"].as_array().unwrap().iter().map(|target| target["state"].as_str().unwrap()).collect()
}

async fn sealed(house: &House) -> bool {
    house.client(&house.operator).sys().seal_status().await.unwrap().sealed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_opens_every_daemon_of_its_set_and_a_daemon_that_is_down_stops_none() {
    // Two daemons from one store have one set of shares; the third has its own.
    let first = House::start().await;
    let other = House::start().await;
    let snapshot = first.at("snapshot");
    first.coffer("", &["operator", "snapshot", "save", snapshot.to_str().unwrap()]).ok();
    let mut twin = House::empty(Setup::default()).await;
    let shares = first.shares.join("\n");
    twin.coffer_with("", &["operator", "snapshot", "restore", snapshot.to_str().unwrap()], &shares).ok();
    twin.root_token.clone_from(&first.root_token);
    for house in [&first, &other, &twin] {
        house.root().sys().seal().await.unwrap();
    }
    // Nobody listens here any more.
    let down = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut file = String::new();
    for (name, house) in [("twin", &twin), ("other", &other)] {
        let (certificate, key) = house.files("targets", &house.operator);
        write!(
            file,
            "[[target]]\nname = \"{name}\"\naddress = \"https://{}\"\nca = {:?}\ncertificate = {certificate:?}\nkey = {key:?}\n\n",
            house.address(),
            house.at("ca.pem"),
        )
        .unwrap();
    }
    write!(file, "[[target]]\nname = \"down\"\naddress = \"https://{down}\"\n").unwrap();
    std::fs::write(first.at("targets.toml"), file).unwrap();
    let own = format!("first=https://{}", first.address());
    let at = ["--target", own.as_str(), "--targets", "targets.toml"];

    // A typo and a share twice are told, and what counts counts everywhere.
    let typo = first.shares[0].replace(&first.shares[0][20..24], "qqqq");
    let (told, output) = unseal(&first, &at, &[&typo, &first.shares[0], &first.shares[0]]);
    assert_eq!((output.code, states(&told)), (2, vec!["sealed", "sealed", "sealed", "unreachable"]));
    assert_eq!((&told["targets"][0]["progress"], &told["targets"][1]["progress"]), (&json!(1), &json!(1)));
    assert_eq!(told["targets"][2]["progress"], 0, "a share of another set is not this one's");
    assert!(output.stderr.contains("No target takes this share: the share is mistyped"), "{output:?}");
    assert!(output.stderr.contains("No target takes this share: it was given already"), "{output:?}");
    assert!(first.canaries.found_in(format!("{output:?}").as_bytes()).is_empty(), "a share is shown");

    // One share opens both, and the other daemon's shares open that.
    let (told, output) = unseal(&first, &at, &[&first.shares[2], &other.shares[0], &other.shares[1]]);
    assert_eq!((output.code, states(&told)), (2, vec!["open", "open", "open", "unreachable"]));
    assert_eq!((&told["open"], &told["of"]), (&json!(3), &json!(4)));
    assert!(!output.stderr.contains("No target"), "{output:?}");
    assert!(!sealed(&first).await && !sealed(&twin).await && !sealed(&other).await);
    let (told, output) = unseal(&first, &at[..2], &[]);
    assert_eq!((output.code, states(&told)), (0, vec!["open"]));
    let nobody = format!("down=https://{down}");
    let (told, output) = unseal(&first, &["--target", &nobody], &[]);
    assert_eq!((output.code, states(&told)), (3, vec!["unreachable"]));
    // And in words for people.
    let text = first.coffer("", &["operator", "unseal", "--all", "--target", &own, "--target", &nobody]);
    assert_eq!(text.code, 2);
    assert!(text.stdout.contains("Open: 1 of 2.") && text.stdout.contains("unreachable"), "{text:?}");
    for (wrong, why) in [
        (vec![], "names no target"),
        (vec!["--target", "first"], "NAME=https://"),
        (vec!["--target", &own, "--target", &own], "the name first"),
        (vec!["--targets", "none.toml"], "no such file"),
    ] {
        let (_, output) = unseal(&first, &wrong, &[]);
        assert!(output.code == 1 && output.stderr.contains(why), "{wrong:?} {output:?}");
    }
}
