//! The SDK's examples, run as they stand there, by the people whom `cofferd dev` makes.
use coffer_tests::{Output, cofferd, free_port, run};
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// `cofferd dev`, which is killed when it goes.
struct Dev {
    process: Child,
    /// Read to its greeting and kept open: it may have more to say.
    _said: Lines<BufReader<ChildStdout>>,
    folder: PathBuf,
    address: String,
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Gone already where the test has ended it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Dev {
    fn start(folder: PathBuf) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(cofferd());
        command
            .args(["dev", "--listen", &address, "--dir"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(
            said.by_ref().any(|line| line.unwrap().starts_with("It stays up until")),
            "the daemon ended early"
        );
        Self { process, _said: said, folder, address }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap().trim().to_owned()
    }

    /// Runs an example with what the environment says of server and identity, and nothing else.
    fn example(
        &self,
        prefix: &str,
        name: &str,
        identity: &str,
        more: &[(&str, &str)],
        input: &str,
    ) -> Output {
        let work = self.folder.join("work");
        std::fs::create_dir_all(&work).unwrap();
        let mut command = Command::new(examples().join(name));
        command.env_clear().current_dir(work);
        let file = |name: String| self.folder.join(name).display().to_string();
        for (name, value) in [
            ("ADDR", format!("https://{}", self.address)),
            ("CACERT", file("ca.pem".into())),
            ("CLIENT_CERT", file(format!("{identity}.pem"))),
            ("CLIENT_KEY", file(format!("{identity}-key.pem"))),
        ] {
            command.env(format!("{prefix}_{name}"), value);
        }
        for (name, value) in more {
            command.env(format!("{prefix}_{name}"), value);
        }
        run(command, input)
    }
}

/// Where the examples lie, built.
fn examples() -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "-p", "coffer-sdk", "--examples"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().and_then(Path::parent).unwrap();
    cargo.args(folder.ends_with("release").then_some("--release"));
    assert!(cargo.status().unwrap().success(), "the examples do not build");
    folder.join("examples")
}

#[test]
fn the_examples_do_what_they_show() {
    let home = tempfile::tempdir().unwrap();
    let dev = Dev::start(home.path().join("dev"));

    let said = dev.example("COFFER", "application", "app-prod", &[("NAMESPACE", "prod")], "").ok();
    assert!(said.contains("connecting as app with a password of 24 characters"), "{said}");
    assert!(said.contains("opened them again"), "{said}");
    let work = dev.folder.join("work");
    let read = |name: &str| std::fs::read(work.join(name)).unwrap();
    assert!(
        read("invoices.csv") == read("invoices.opened") && read("invoices.csv") != read("invoices.sealed")
    );

    let said = dev.example("VAULT", "rotation_job", "rotation", &[("NAMESPACE", "prod")], "").ok();
    assert!(said.contains("the password is now version 3"), "{said}");
    let said = dev.example("COFFER", "application", "app-prod", &[("NAMESPACE", "prod")], "").ok();
    assert!(said.contains("connecting as app with a password of 64 characters"), "{said}");

    let token = dev.read("root-token.txt");
    let shares = dev.read("shares.txt");
    let operator = |input: &str| dev.example("COFFER", "operator", "operator", &[("TOKEN", &token)], input);
    let said = operator("").ok();
    assert!(said.contains("snapshot of"), "{said}");
    assert!(std::fs::metadata(work.join("coffer.snapshot")).unwrap().len() > 1000);
    // Sealed, it asks for shares; a typo costs nothing, and without shares it says that it can't go on.
    let mut seal = Command::new(coffer_tests::coffer());
    seal.args(["operator", "seal"])
        .env_clear()
        .env("COFFER_ADDR", format!("https://{}", dev.address))
        .env("COFFER_TOKEN", &token);
    seal.env("COFFER_CACERT", dev.folder.join("ca.pem"))
        .env("COFFER_CLIENT_CERT", dev.folder.join("operator.pem"));
    seal.env("COFFER_CLIENT_KEY", dev.folder.join("operator-key.pem"));
    run(seal, "y\n").ok();
    let output = operator("");
    assert_ne!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("0 of 3 shares given") && !output.stderr.is_empty(), "{output:?}");
    let said = operator(&format!("a typo\n{shares}\n")).ok();
    assert!(said.contains("2 of 3 shares given") && said.contains("snapshot of"), "{said}");
    assert!(shares.lines().all(|share| !said.contains(share)) && !said.contains(&token));
    // Without what it needs, an example says what is missing.
    let lost = dev.example("OTHER", "application", "app-prod", &[], "");
    assert_ne!(lost.code, 0);
    assert!(lost.stderr.contains("COFFER_ADDR"), "{lost:?}");
}
