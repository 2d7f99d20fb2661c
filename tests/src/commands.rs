//! Other people's programs as clients: `coffer`, `curl`, `bao`.
use crate::{House, Identity};
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a program said.
pub struct Output {
    /// Its exit status; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Standard output as it is, where it may be no text.
    pub bytes: Vec<u8>,
}

/// Where a program lies; none where it is not installed.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Runs a command to its end, with this on standard input.
#[must_use]
pub fn run(mut command: Command, input: impl AsRef<[u8]>) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that reads nothing may be gone already.
    let _gone = stdin.write_all(input.as_ref());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        bytes: output.stdout,
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr, .. } = self;
        write!(f, "{code}: {stdout:?}, {stderr:?}")
    }
}

impl Output {
    /// Standard output of a program that must have succeeded.
    #[allow(clippy::must_use_candidate, reason = "often only the success matters")]
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }
}

impl House {
    /// Writes an identity's files; gives certificate and key.
    #[must_use]
    pub fn files(&self, name: &str, identity: &Identity) -> (PathBuf, PathBuf) {
        let (certificate, key) = (self.at(&format!("{name}.pem")), self.at(&format!("{name}-key.pem")));
        std::fs::write(&certificate, &identity.certificate).unwrap();
        std::fs::write(&key, &identity.key).unwrap();
        (certificate, key)
    }

    /// A program with the environment that names server, certificates and token, all prefixed.
    #[must_use]
    pub fn program(
        &self,
        program: impl AsRef<OsStr>,
        prefix: &str,
        identity: &Identity,
        token: Option<&str>,
        namespace: &str,
    ) -> Command {
        let (certificate, key) = self.files("program", identity);
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.at(".")).current_dir(self.at("."));
        for kept in ["PATH", "TERM", "PYENV_ROOT", "PYENV_VERSION"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        let mut set = |name: &str, value: &OsStr| {
            command.env(format!("{prefix}_{name}"), value);
        };
        if let Some(address) = self.listens_at() {
            set("ADDR", format!("https://{address}").as_ref());
        }
        set("CACERT", self.at("ca.pem").as_ref());
        set("CLIENT_CERT", certificate.as_ref());
        set("CLIENT_KEY", key.as_ref());
        if let Some(token) = token {
            set("TOKEN", token.as_ref());
        }
        if !namespace.is_empty() {
            set("NAMESPACE", namespace.as_ref());
        }
        command
    }

    /// `coffer` as the operator with the root token.
    #[must_use]
    pub fn coffer(&self, namespace: &str, arguments: &[&str]) -> Output {
        self.coffer_with(namespace, arguments, "")
    }

    /// The same, with something to read on standard input.
    #[must_use]
    pub fn coffer_with(&self, namespace: &str, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
        let token = (!self.root_token.is_empty()).then_some(self.root_token.as_str());
        let mut command = self.program(crate::coffer(), "COFFER", &self.operator, token, namespace);
        command.args(arguments);
        run(command, input)
    }

    /// `bao` as the operator with the root token; none where it is not installed.
    #[must_use]
    pub fn bao(&self, namespace: &str, arguments: &[&str]) -> Option<Output> {
        let mut command =
            self.program(find("bao")?, "VAULT", &self.operator, Some(&self.root_token), namespace);
        command.args(arguments);
        Some(run(command, ""))
    }

    /// `curl` as this identity: status and body.
    #[must_use]
    pub fn curl(&self, identity: &Identity, path: &str, arguments: &[&str]) -> (u16, String) {
        let (certificate, key) = self.files("curl", identity);
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "--cacert"])
            .arg(self.at("ca.pem"));
        command.arg("--cert").arg(certificate).arg("--key").arg(key).args(arguments);
        command.arg(format!("https://localhost:{}/v1/{path}", self.address().port()));
        command.args(["--resolve", &format!("localhost:{}:127.0.0.1", self.address().port())]);
        let output = run(command, "");
        let (body, status) = output.stdout.rsplit_once('\n').unwrap_or_else(|| panic!("{output:?}"));
        (status.parse().unwrap(), body.to_owned())
    }
}
