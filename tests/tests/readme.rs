//! The README's commands are run as they stand there.
use coffer_tests::{Output, coffer, cofferd, find, free_port, run, skip};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// Runs the blocks of `kind` as one script, in a home with the certificates of "Five minutes".
fn run_keys(kind: &str, home: &Path, ports: &[(&str, u16)]) -> Output {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let script = blocks(&text, kind).concat();
    assert!(script.contains("coffer operator seal add"), "no block adds a seal");
    let script = ports.iter().fold(script, |script, (port, free)| script.replace(port, &free.to_string()));
    let folders: Vec<_> =
        [cofferd(), coffer()].iter().map(|it| it.parent().unwrap().display().to_string()).collect();
    let path = format!("{}:{}", folders.join(":"), std::env::var("PATH").unwrap());
    let (out, err) = (home.join("out"), home.join("err"));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).env_clear().env("HOME", home).env("PATH", path);
    shell.env("TSS2_LOG", "all+none").current_dir(home).stdin(Stdio::null()).process_group(0);
    // To files: what a block leaves running would hold a pipe open.
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
    let mut child = shell.stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
    let group = Pid::from_child(&child);
    // A block that waits for what does not come would wait forever, and its daemons with it.
    let deadline = Instant::now() + Duration::from_secs(180);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            None if Instant::now() > deadline => break None,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    // Nothing is there where the blocks have ended all that they began.
    let _gone = kill_process_group(group, Signal::KILL);
    child.wait().unwrap();
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    Output { code: status.unwrap_or(-1), stdout: read(&out), bytes: Vec::new(), stderr: read(&err) }
}

/// A home with a folder as `cofferd dev` makes it.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let mut dev = Command::new(cofferd());
    dev.args(["dev", "--once", "--dir"])
        .arg(home.path().join("coffer-dev"))
        .args(["--listen", "127.0.0.1:0"]);
    run(dev, "").ok();
    home
}

#[test]
fn the_blocks_of_the_readme_set_up_an_hsm_with_shares_for_its_loss() {
    if find("softhsm2-util").is_none() || find("pkcs11-tool").is_none() || find("jq").is_none() {
        return skip("softhsm2, opensc or jq is not installed");
    }
    let home = home();
    let done = run_keys("sh hsm", home.path(), &[("8201", free_port())]);
    assert_eq!(done.code, 0, "{done:?}");
    let signs =
        ["seal hsm is in force", "SEAL hsm IS NOT WELL", "Done: seal hsm of the root environment is gone."];
    for sign in signs {
        assert!(done.stdout.contains(sign), "nothing said {sign}: {done:?}");
    }
}

#[test]
fn the_blocks_of_the_readme_set_up_a_tpm_with_a_pin_and_approve_other_firmware() {
    if find("swtpm").is_none() || find("tpm2_pcrextend").is_none() || find("jq").is_none() {
        return skip("swtpm, tpm2-tools or jq is not installed");
    }
    let home = home();
    let tpm = coffer_tests::two_free_ports();
    let done = run_keys("sh tpm", home.path(), &[("8202", free_port()), ("2321", tpm), ("2322", tpm + 1)]);
    assert_eq!(done.code, 0, "{done:?}");
    for sign in ["Open, by seal tpm2", "Approved: seal tpm2", "Seal tpm2 opens"] {
        assert!(done.stdout.contains(sign), "nothing said {sign}: {done:?}");
    }
}
