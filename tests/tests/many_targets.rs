//! `coffer operator unseal --all`: one share, several daemons.
use coffer_tests::{Ask, House, Output, Setup};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_with_shares_of_their_own_open_after_the_daemon_that_holds_them() {
    let mut house = House::start().await;
    let make = async |above: &str, name: &str| {
        let above = house.root().with_namespace(above).unwrap();
        let body = json!({ "secret_shares": 2, "secret_threshold": 2 });
        let made = above.ask("POST", &format!("sys/namespaces/{name}"), body).await.ok();
        let shares = made.data()["shares"].as_array().unwrap().clone();
        let shares: Vec<_> = shares.iter().map(|share| share.as_str().unwrap().to_owned()).collect();
        shares.iter().for_each(|share| house.canaries.add(share));
        shares
    };
    let acme = make("", "acme").await;
    let prod = make("acme", "prod").await;
    house.kill9();
    house.start_process().await;
    let at = |name: &str, path: &str| format!("{name}=https://{}{path}", house.address());
    let targets = [at("node", ""), at("acme", "/acme"), at("prod", "/acme/prod")];
    let arguments: Vec<_> = targets.iter().flat_map(|target| ["--target", target.as_str()]).collect();
    // The shares of those below come first, when nobody can take them yet.
    let shares = [&prod[0], &acme[1], &prod[1], &house.shares[0], &house.shares[2], &acme[0]];
    let (told, output) = unseal(&house, &arguments, &shares);
    assert_eq!((output.code, states(&told)), (0, vec!["open"; 3]), "{output:?}");
    assert!(!output.stderr.contains("No target"), "{output:?}");
    for (above, name) in [("", "acme"), ("acme", "prod")] {
        let above = house.root().with_namespace(above).unwrap();
        let status = above.ask("GET", &format!("sys/namespaces/{name}/seal-status"), Value::Null).await.ok();
        assert_eq!(status.data()["sealed"], false);
    }
    // One that is not there is told, and does not stop the others.
    house.root().sys().seal().await.unwrap();
    let nowhere = at("nowhere", "/nowhere");
    let (told, output) = unseal(
        &house,
        &["--target", &targets[0], "--target", &nowhere],
        &[&house.shares[0], &house.shares[1]],
    );
    assert_eq!((output.code, told["targets"][0]["state"].as_str()), (2, Some("open")));
    assert_ne!(told["targets"][1]["state"], "open");
}
