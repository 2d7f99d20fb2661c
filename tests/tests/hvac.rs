//! A Python program that was written for Vault: hvac, as PyPI has it, over mutual TLS.
use coffer_tests::{House, Person, find, run, skip};
use std::path::PathBuf;
use std::process::Command;

const STORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/hvac/story.py");

/// The interpreter that has hvac: the test command installs it beside the other tools.
fn python() -> Option<PathBuf> {
    let tools = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/python3"));
    let all = [Some(tools).filter(|file| file.is_file()), find("python3")];
    all.into_iter().flatten().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import hvac"]);
        run(command, "").code == 0
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_program_finds_what_it_knows_from_vault() {
    let Some(python) = python() else { return skip("hvac is not installed; tests/tools.sh installs it") };
    let house = House::start().await;
    let app = house.issue(&Person::named("app").uri("spiffe://x/app"));
    let (certificate, key) = house.files("app", &app);
    let mut story = house.program(python, "VAULT", &house.operator, Some(&house.root_token), "");
    story.arg(STORY).arg(certificate).arg(key);
    let output = run(story, house.shares.join("\n"));
    assert!(
        output.code == 0 && output.stdout.contains("done with hvac"),
        "{}\n{}",
        output.stdout,
        output.stderr
    );
    assert!(house.canaries.found_in(output.stdout.as_bytes()).is_empty());
}
