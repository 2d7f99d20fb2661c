//! Devices that seal: an HSM (SoftHSM 2) and a TPM (swtpm), each in a folder of its own and on ports of its own.
use crate::memory::Frozen;
use crate::setup::Setup;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The PIN of the HSM's user.
pub const HSM_PIN: &str = "hsm-pin-4711";
/// The password of the TPM's owner.
pub const TPM_OWNER: &str = "owner-password";

/// A software HSM with a token and an AES key.
pub struct Hsm {
    folder: TempDir,
    /// What the daemon loads: the vendor's library, or one that stands before it.
    loaded: PathBuf,
}

impl Default for Hsm {
    fn default() -> Self {
        Self::new()
    }
}

impl Hsm {
    /// Token `coffer`, key `coffer-root`.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("coffer-hsm-").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tokens")).unwrap();
        let conf =
            format!("directories.tokendir = {}\nlog.level = ERROR\n", folder.path().join("tokens").display());
        std::fs::write(folder.path().join("softhsm2.conf"), conf).unwrap();
        private(&folder.path().join("pin"), HSM_PIN);
        let hsm = Self { folder, loaded: Self::module().into() };
        hsm.add_token("coffer");
        hsm
    }

    /// The same, behind a library that counts logins and does on demand what this one never does: lock a PIN.
    #[must_use]
    pub fn watched(mut self) -> Self {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/seal/tests/pkcs11/wrapper.c");
        self.loaded = self.folder.path().join("watched.so");
        let made = self.loaded.display().to_string();
        self.run("cc", &["-shared", "-fPIC", "-o", &made, source, "-ldl"]);
        self
    }

    /// How often a PIN was shown to the token.
    #[must_use]
    pub fn logins(&self) -> usize {
        let lines = std::fs::read_to_string(self.folder.path().join("logins"));
        lines.map_or(0, |lines| lines.lines().count())
    }

    /// Where it is watched: from now on the PIN is `locked`, or the token says so itself (`shown-locked`).
    pub fn demand(&self, what: &str) {
        std::fs::write(self.folder.path().join(what), "").unwrap();
    }

    /// No longer.
    pub fn relent(&self, what: &str) {
        std::fs::remove_file(self.folder.path().join(what)).unwrap();
    }

    /// Another token, with a key of the same name, in the same library.
    pub fn add_token(&self, label: &str) {
        let words = ["--init-token", "--free", "--label", label, "--so-pin", "so-pin-0815", "--pin", HSM_PIN];
        self.run("softhsm2-util", &words);
        let module = Self::module();
        let key = ["--login", "--pin", HSM_PIN, "--token-label", label, "--keygen", "--key-type", "AES:32"];
        let named = ["--label", "coffer-root", "--id", "01", "--sensitive"];
        self.run("pkcs11-tool", &[&["--module", module][..], &key, &named].concat());
    }

    /// Where the PIN lies.
    #[must_use]
    pub fn pin_file(&self) -> PathBuf {
        self.folder.path().join("pin")
    }

    /// The vendor's library.
    #[must_use]
    pub fn module() -> &'static str {
        ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("libsofthsm2.so is not here (Debian: softhsm2)")
    }

    #[track_caller]
    fn run(&self, program: &str, words: &[&str]) {
        let output = Command::new(program).args(words).env("SOFTHSM2_CONF", self.conf()).output();
        let output = output.unwrap_or_else(|error| panic!("{program} is not here: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("softhsm2.conf")
    }

    /// A section of the configuration, and the environment that the library needs.
    pub fn configure(&self, setup: &mut Setup, name: &str, more: &str) {
        setup.sections += &format!(
            "[[seal]]\nname = \"{name}\"\ntype = \"pkcs11\"\nmodule = {:?}\ntoken_label = \"coffer\"\nkey_label = \"coffer-root\"\npin_file = {:?}\n{more}\n",
            self.loaded,
            self.folder.path().join("pin"),
        );
        for (name, value) in [
            ("SOFTHSM2_CONF", self.conf().display().to_string()),
            ("COFFER_SOFTHSM", Self::module().to_owned()),
            ("COFFER_HSM_FOLDER", self.folder.path().display().to_string()),
        ] {
            setup.variables.push((name.to_owned(), value));
        }
    }

    /// What the daemon loads for it.
    #[must_use]
    pub fn loaded(&self) -> &Path {
        &self.loaded
    }

    /// Another PIN in its file.
    pub fn write_pin(&self, pin: &str) {
        private(&self.folder.path().join("pin"), pin);
    }

    /// The token is gone, as if it had been pulled out.
    pub fn pull_out(&self) {
        std::fs::rename(self.folder.path().join("tokens"), self.folder.path().join("pulled")).unwrap();
        std::fs::create_dir(self.folder.path().join("tokens")).unwrap();
    }

    /// The token is back.
    pub fn put_back(&self) {
        std::fs::remove_dir_all(self.folder.path().join("tokens")).unwrap();
        std::fs::rename(self.folder.path().join("pulled"), self.folder.path().join("tokens")).unwrap();
    }
}

/// A software TPM.
pub struct Tpm {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Default for Tpm {
    fn default() -> Self {
        Self::new()
    }
}

impl Tpm {
    /// With an owner password.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("coffer-tpm-").tempdir().unwrap();
        for _ in 0..50 {
            // Another may take a port between the look and the start.
            let port = two_free_ports();
            if let Some(child) = start(folder.path(), port) {
                let tpm = Self { folder, port, child };
                tpm.tool("tpm2_changeauth", &["-c", "owner", TPM_OWNER]);
                return tpm;
            }
        }
        panic!("swtpm does not start");
    }

    /// A section of the configuration.
    pub fn configure(&self, setup: &mut Setup, name: &str, more: &str) {
        setup.sections += &format!(
            "[[seal]]\nname = \"{name}\"\ntype = \"tpm2\"\naddress = \"127.0.0.1:{}\"\n{more}\n",
            self.port
        );
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How many wrong tries it remembers.
    #[must_use]
    pub fn wrong_tries(&self) -> u32 {
        let said = self.tool("tpm2_getcap", &["properties-variable"]);
        let (_, rest) = said.split_once("TPM2_PT_LOCKOUT_COUNTER: 0x").unwrap();
        u32::from_str_radix(rest.lines().next().unwrap(), 16).unwrap()
    }

    /// A command of tpm2-tools that succeeds; gives what it says.
    #[track_caller]
    #[allow(clippy::must_use_candidate, reason = "often only the success matters")]
    pub fn tool(&self, program: &str, words: &[&str]) -> String {
        let output = Command::new(program)
            .args(words)
            .env("TPM2TOOLS_TCTI", format!("swtpm:host=127.0.0.1,port={}", self.port))
            .env("TSS2_LOG", "all+none")
            .output()
            .unwrap_or_else(|error| panic!("{program} is not here (Debian: tpm2-tools): {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Measures something else into register 7, as other firmware would.
    pub fn extend(&self) {
        self.tool("tpm2_pcrextend", &[&format!("7:sha256={}", "01".repeat(32))]);
    }

    /// Ends it as a power cut would, and starts it with its state: its registers are as at the first start.
    pub fn restart(&mut self) {
        self.end();
        self.begin();
    }

    /// It answers nothing until what this gives is dropped.
    #[must_use]
    pub fn hang(&self) -> Frozen {
        Frozen::now(self.child.id())
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts one that was ended.
    pub fn begin(&mut self) {
        self.child = start(self.folder.path(), self.port).expect("swtpm starts again");
    }

    /// Puts another TPM in its place.
    pub fn replace(&mut self) {
        self.end();
        std::fs::rename(self.state(), self.folder.path().join("replaced")).unwrap();
        self.begin();
    }

    /// Puts it back in the place of the other one.
    pub fn put_back(&mut self) {
        self.end();
        std::fs::rename(self.folder.path().join("replaced"), self.state()).unwrap();
        self.begin();
    }

    /// What it is, as a file.
    fn state(&self) -> PathBuf {
        self.folder.path().join("tpm2-00.permall")
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn start(folder: &Path, port: u16) -> Option<Child> {
    let at = |name: &str| folder.join(name).display().to_string();
    let _none_yet = std::fs::remove_file(folder.join("pid"));
    let mut child = Command::new("swtpm")
        .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
        .args(["--tpmstate", &format!("dir={}", folder.display())])
        .args(["--server", &format!("type=tcp,bindaddr=127.0.0.1,port={port}")])
        .args(["--ctrl", &format!("type=tcp,bindaddr=127.0.0.1,port={}", port + 1)])
        .args(["--log", &format!("file={},level=1", at("log")), "--pid", &format!("file={}", at("pid"))])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("swtpm is not here (Debian: swtpm): {error}"));
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        // It writes its id once it has both ports.
        if folder.join("pid").exists() && TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(child);
        }
        assert!(Instant::now() < deadline, "swtpm does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The first of two free ports, one after the other.
#[must_use]
pub fn two_free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

fn private(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}
