//! A TPM in software for each test, with a folder and ports of its own, and whoever may stand between it and the daemon.
use coffer_seal::{
    device::{Binding, Device, DeviceError, DeviceTrouble, Wrapped},
    tpm::{APPROVAL_INDEX, Address, TpmConfig, TpmDevice, parse_pcrs},
};
use coffer_secmem::Key32;
use coffer_types::{Entropy, EntropyError, EnvironmentId, StoreId, WrapId};
use keystore_format::{
    kdf::Context,
    seal_record::{Wrap, WrapState, WrapType},
};
use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// Names itself where it is seen.
pub(crate) const ROOT_KEY: [u8; 32] = *b"ROOTKEY-0123456789abcdefghijklmn";
pub(crate) const PIN: &str = "PIN-4711-0815";
pub(crate) const OWNER: &str = "owner-password";

pub(crate) struct Urandom;

impl Entropy for Urandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(bytes))
            .map_err(|_| EntropyError)
    }
}

/// A software TPM. It ends with the test; its folder goes.
pub(crate) struct Swtpm {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    child: Child,
}

impl Swtpm {
    /// A new one, without an owner password.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Another may take a port between the look and the start.
        for _ in 0..50 {
            let port = free_ports();
            if let Some(child) = start(folder.path(), port) {
                return Self { folder, port, child };
            }
        }
        panic!("swtpm does not start: {}", log(folder.path()));
    }

    /// A new one with an owner password.
    pub(crate) fn owned() -> Self {
        let tpm = Self::new();
        tpm.tool("tpm2_changeauth", &["-c", "owner", OWNER]);
        tpm
    }

    /// Ends it as a power cut would and starts it with the state that it had.
    pub(crate) fn restart(&mut self) {
        self.end();
        self.child = start(self.folder.path(), self.port).expect("swtpm starts again");
    }

    /// Puts another TPM in its place.
    pub(crate) fn replace(&mut self) {
        self.end();
        std::fs::remove_file(self.folder.path().join("tpm2-00.permall")).unwrap();
        self.child = start(self.folder.path(), self.port).expect("another swtpm starts");
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of tpm2-tools, in the TPM's folder, that succeeds.
    #[track_caller]
    pub(crate) fn tool(&self, program: &str, words: &[&str]) -> Vec<u8> {
        self.tool_at(self.port, program, words)
    }

    #[track_caller]
    pub(crate) fn tool_at(&self, port: u16, program: &str, words: &[&str]) -> Vec<u8> {
        let output = Command::new(program)
            .args(words)
            .current_dir(self.folder.path())
            .env("TPM2TOOLS_TCTI", format!("swtpm:host=127.0.0.1,port={port}"))
            .env("TSS2_LOG", "all+none")
            .output()
            .unwrap_or_else(|error| panic!("{program} is not here (Debian: tpm2-tools): {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {words:?}: {said}");
        output.stdout
    }

    /// Measures something else into register 7.
    pub(crate) fn extend(&self) {
        self.tool("tpm2_pcrextend", &[&format!("7:sha256={}", "01".repeat(32))]);
    }

    /// How many wrong tries it remembers.
    pub(crate) fn wrong_tries(&self) -> u32 {
        let said = String::from_utf8(self.tool("tpm2_getcap", &["properties-variable"])).unwrap();
        let (_, rest) = said.split_once("TPM2_PT_LOCKOUT_COUNTER: 0x").unwrap();
        u32::from_str_radix(rest.lines().next().unwrap(), 16).unwrap()
    }

    /// Objects and sessions in it: none may be left.
    pub(crate) fn left_behind(&self) -> String {
        ["handles-transient", "handles-loaded-session", "handles-saved-session"]
            .map(|kind| String::from_utf8(self.tool("tpm2_getcap", &[kind])).unwrap())
            .concat()
    }

    pub(crate) fn device(&self, pcrs: Option<&str>, pin: Option<&str>) -> TpmDevice {
        device_at(self.port, pcrs, pin)
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

pub(crate) fn config(address: Address, pcrs: Option<&str>, pin: Option<&str>) -> TpmConfig {
    let pin = pin.map(str::to_owned);
    TpmConfig {
        address,
        pcrs: pcrs.map(|pcrs| parse_pcrs(pcrs).unwrap()),
        pin: pin.map(|pin| Arc::new(move || Ok(Zeroizing::new(pin.clone().into_bytes()))) as _),
        approval_index: APPROVAL_INDEX,
        srk_name: None,
        counter_index: None,
        deadline: Duration::from_secs(20),
    }
}

pub(crate) fn at(port: u16) -> Address {
    Address::Tcp { host: "127.0.0.1".to_owned(), port }
}

pub(crate) fn device_at(port: u16, pcrs: Option<&str>, pin: Option<&str>) -> TpmDevice {
    TpmDevice::new(config(at(port), pcrs, pin), Arc::new(Urandom))
}

pub(crate) fn owner() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(OWNER.as_bytes().to_vec())
}

pub(crate) fn nobody() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::new())
}

pub(crate) fn root_key() -> Key32 {
    Key32::derive(|key| *key = ROOT_KEY)
}

pub(crate) fn binding() -> Binding {
    let context = Context { store: StoreId([1; 16]), environment: EnvironmentId([2; 16]) };
    Binding { context, wrap: WrapId([3; 16]), root_id: [4; 32] }
}

pub(crate) fn seal(device: &mut TpmDevice) -> Wrap {
    wrap_of(device.wrap(&root_key(), &binding()).unwrap())
}

pub(crate) fn wrap_of(Wrapped { parameters, blob }: Wrapped) -> Wrap {
    Wrap { id: WrapId([3; 16]), wrap_type: WrapType::Tpm2, state: WrapState::Current, parameters, blob }
}

/// Whether it gives the root key.
#[track_caller]
pub(crate) fn opens(device: &mut TpmDevice, wrap: &Wrap) {
    let key = device.unwrap(wrap, &binding());
    assert_eq!(key.unwrap_or_else(|error| panic!("{error}")).expose(), &ROOT_KEY);
}

/// The refusal, of which the sentence must hold these words.
#[track_caller]
pub(crate) fn refused(device: &mut TpmDevice, wrap: &Wrap, kind: DeviceTrouble, words: &str) -> DeviceError {
    refusal(device.unwrap(wrap, &binding()).map(drop), kind, words)
}

#[track_caller]
pub(crate) fn refusal(result: Result<(), DeviceError>, kind: DeviceTrouble, words: &str) -> DeviceError {
    let Err(error) = result else { panic!("was not refused: {words}") };
    assert!(error.kind == kind && error.sentence.contains(words), "{error:?}");
    error
}

fn start(folder: &Path, port: u16) -> Option<Child> {
    let mut command = Command::new("swtpm");
    command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"]);
    command.arg(format!("dir={}", folder.display()));
    command.args(["--server", &format!("type=tcp,bindaddr=127.0.0.1,port={port}")]);
    command.args(["--ctrl", &format!("type=tcp,bindaddr=127.0.0.1,port={}", port + 1)]);
    command.arg("--log").arg(format!("file={},level=1", folder.join("log").display()));
    command.arg("--pid").arg(format!("file={}", folder.join("pid").display()));
    let _none_yet = std::fs::remove_file(folder.join("pid"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("swtpm is not here (Debian: swtpm): {error}"));
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        // It writes its id once it has both ports.
        if folder.join("pid").exists() && TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(child);
        }
        assert!(Instant::now() < deadline, "swtpm does not listen: {}", log(folder));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Two in a row that were free a moment ago: tpm2-tools look for the control port behind the data port.
pub(crate) fn free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}
