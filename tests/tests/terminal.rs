//! `coffer` at a terminal: what is typed in secret is not shown, and colour is there and nowhere else.
use coffer_tests::{Ask, House, Output, find, run, skip};
use serde_json::{Value, json};
use std::process::Command;

const SESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/terminal/session.py");

/// Runs a command at a terminal of its own: waits for each text to show, and types what belongs to it. Gives the screen,
/// with every byte that was sent to it.
pub(crate) fn at_terminal(command: &Command, typing: &[(&str, &str)]) -> Output {
    let mut session = Command::new(find("python3").unwrap());
    session.arg(SESSION).arg(json!(typing).to_string()).arg(command.get_program()).args(command.get_args());
    session.env_clear();
    for (name, value) in command.get_envs() {
        session.env(name, value.unwrap());
    }
    session.env("TERM", "xterm").current_dir(command.get_current_dir().unwrap());
    run(session, "")
}

pub(crate) fn coffer(house: &House, arguments: &[&str]) -> Command {
    let mut command =
        house.program(coffer_tests::coffer(), "COFFER", &house.operator, Some(&house.root_token), "");
    command.args(arguments);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_and_secrets_that_are_typed_are_not_shown() {
    if find("python3").is_none() {
        return skip("python3 is not installed");
    }
    let house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    house.root().sys().seal().await.unwrap();
    let shares: Vec<_> = house.shares.iter().map(|share| format!("{share}\n")).collect();
    // The terminal shows what is typed where nobody forbids it.
    let mut open = Command::new("bash");
    open.args(["-c", "read -p 'Say: ' word"]).current_dir(house.at("."));
    open.env("PATH", std::env::var_os("PATH").unwrap());
    let screen = at_terminal(&open, &[("Say: ", &shares[0])]);
    assert!(screen.stdout.contains(&house.shares[0]), "this terminal shows nothing: {screen:?}");

    let typing = [("Share 1 of 2: ", shares[0].as_str()), ("Share 2 of 2: ", &shares[2])];
    let screen = at_terminal(&coffer(&house, &["operator", "unseal"]), &typing);
    assert!(screen.stdout.contains("Open: the daemon serves requests."), "{screen:?}");
    assert_eq!(screen.code, 0);
    assert!(house.canaries.found_in(screen.stdout.as_bytes()).is_empty(), "{screen:?}");
    assert!(!house.client(&house.operator).sys().seal_status().await.unwrap().sealed);

    let secret = house.canaries.plant("value");
    let typed = format!("{secret}\n");
    let put = coffer(&house, &["kv", "put", "secret/typed", "password=-"]);
    let screen = at_terminal(&put, &[("password (not shown): ", &typed)]);
    assert_eq!(screen.code, 0, "{screen:?}");
    assert!(house.canaries.found_in(screen.stdout.as_bytes()).is_empty(), "{screen:?}");
    assert_eq!(house.root().kv("secret").get::<Value>("typed").await.unwrap()["password"], secret.as_str());

    let token = house.token(&house.root(), json!({ "policies": ["default"] })).await;
    let typed = format!("{token}\n");
    let lookup = coffer(&house, &["token", "lookup", "--ask"]);
    let screen = at_terminal(&lookup, &[("Token (not shown): ", &typed)]);
    assert!(screen.code == 0 && screen.stdout.contains("default"), "{screen:?}");
    assert!(house.canaries.found_in(screen.stdout.as_bytes()).is_empty(), "{screen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_looks_agrees_and_may_mistype_before_a_share_is_given() {
    if find("python3").is_none() {
        return skip("python3 is not installed");
    }
    let house = House::start().await;
    run(coffer(&house, &["operator", "rekey", "begin", "--shares", "2", "--threshold", "2"]), "").ok();
    let progress = async || {
        let status = house.root().ask("GET", "sys/rekey/init", Value::Null).await.ok().body;
        (status["progress"].as_u64().unwrap(), status["nonce"].as_str().unwrap().to_owned())
    };
    let (_, nonce) = progress().await;
    let give = || coffer(&house, &["operator", "rekey", "give"]);
    let screen = at_terminal(&give(), &[("Type yes to go on: ", "no\n")]);
    assert!(screen.code == 1 && screen.stdout.contains("not confirmed"), "{screen:?}");
    assert_eq!(progress().await.0, 0);
    let share = format!("{}\n", house.shares[0]);
    let prompt = "Your present share (1 of 2): ";
    let typing = [("Type yes to go on: ", "yes\n"), (prompt, "coffer1oops\n"), (prompt, share.as_str())];
    let screen = at_terminal(&give(), &typing);
    assert!(screen.code == 0 && screen.stdout.contains("Taken: 1 of 2"), "{screen:?}");
    let shown =
        [nonce.as_str(), "2, any 2 of which open it", "whoever gives the last", "the share is mistyped"];
    assert!(shown.iter().all(|part| screen.stdout.contains(part)), "{screen:?}");
    assert!(house.canaries.found_in(screen.stdout.as_bytes()).is_empty(), "{screen:?}");
    assert_eq!(progress().await.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colour_is_shown_on_a_terminal_and_nowhere_else() {
    if find("python3").is_none() {
        return skip("python3 is not installed");
    }
    const GREEN: &str = "\u{1b}[1m\u{1b}[32mopen";
    const RED: &str = "\u{1b}[1m\u{1b}[31merror:";
    let house = House::start().await;
    let status = || coffer(&house, &["status"]);
    let mistake = || coffer(&house, &["kv", "get", "nowhere/at/all"]);
    let (good, bad) = (at_terminal(&status(), &[]), at_terminal(&mistake(), &[]));
    assert!(good.code == 0 && good.stdout.contains(GREEN), "{good:?}");
    assert!(bad.code == 1 && bad.stdout.contains(RED), "{bad:?}");
    let plain = |command: Command, at: &str, said: &Output| {
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(!all.contains('\u{1b}') && !all.trim().is_empty(), "{command:?} {at}: {all:?}");
    };
    for make in [&status as &dyn Fn() -> Command, &mistake] {
        plain(make(), "in a pipe", &run(make(), ""));
        let mut quiet = make();
        quiet.env("NO_COLOR", "1");
        let said = at_terminal(&quiet, &[]);
        plain(quiet, "with NO_COLOR", &said);
        let mut script = make();
        script.args(["--format", "json"]);
        let said = at_terminal(&script, &[]);
        plain(script, "for a script", &said);
    }
}
