//! The README's commands are run as they stand there.
use coffer_tests::{coffer, cofferd, free_port};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Kills the daemon of the README, however the test ends.
pub(crate) struct Background(pub(crate) Child);

impl Drop for Background {
    fn drop(&mut self) {
        // Gone already where the test has ended it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fenced blocks of `kind`, in their order.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let fences = text.split("```").skip(1).step_by(2);
    fences
        .filter_map(|fence| fence.split_once('\n'))
        .filter(|(info, _)| *info == kind)
        .map(|(_, body)| body.to_owned())
        .collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());

    let background = blocks(&text, "background").concat();
    let arguments = background.trim().strip_prefix("cargo run --release -p cofferd -- ").unwrap();
    let command = format!("exec {} {arguments} --listen {address}", cofferd().display());
    let mut daemon = Command::new("bash");
    daemon.args(["-c", &command]).env("HOME", home.path()).stdout(Stdio::piped()).stdin(Stdio::null());
    let mut daemon = Background(daemon.spawn().unwrap());
    let mut said = BufReader::new(daemon.0.stdout.take().unwrap()).lines();
    assert!(
        said.by_ref().any(|line| line.unwrap().starts_with("It stays up until")),
        "the daemon ended early"
    );

    let commands = blocks(&text, "sh");
    let (first, rest) = commands.split_first().unwrap();
    assert!(first.contains("cargo run --release -p cofferd -- dev --once"));
    assert!(
        std::fs::read_to_string(root().join(".ci/run")).unwrap().ends_with("tests/run\n"),
        "CI runs the second command"
    );
    assert!(first.contains("\ntests/run "));

    let binaries = coffer().parent().unwrap().display().to_string();
    let script = rest.concat().replace("127.0.0.1:8200", &address).replace("$PWD/target/release", &binaries);
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", &script])
        .env("HOME", home.path())
        .current_dir(root())
        .stdin(Stdio::null());
    for name in std::env::vars()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("VAULT_") || name.starts_with("COFFER"))
    {
        shell.env_remove(name);
    }
    let done = shell.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
    for sign in ["\"user\":\"app\"", "prod", "\"route\""] {
        assert!(out.contains(sign), "nothing said {sign}:\n{out}\n{err}");
    }
}
