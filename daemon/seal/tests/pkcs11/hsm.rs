//! A SoftHSM of a test's own: a folder with its configuration, tokens and PIN.
use coffer_seal::{
    device::{Binding, Device, DeviceError, DeviceTrouble, Wrapped},
    pkcs11::{PinSource, Pkcs11Config, Pkcs11Device, TokenName},
};
use coffer_secmem::Key32;
use coffer_types::{Entropy, EntropyError, EnvironmentId, StoreId, WrapId};
use keystore_format::{
    device_wraps::{OaepHash, Pkcs11Mechanism},
    kdf::Context,
    seal_record::{Wrap, WrapState, WrapType, root_id},
};
use std::{
    fs,
    io::Read as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

pub(crate) const PIN: &str = "8172635445";
const SO_PIN: &str = "9988776655";
pub(crate) const TOKEN: &str = "token of a test";
const CONTEXT: Context = Context { store: StoreId([1; 16]), environment: EnvironmentId([2; 16]) };

pub(crate) const EACH: [Pkcs11Mechanism; 4] = [
    Pkcs11Mechanism::AesGcm,
    Pkcs11Mechanism::AesKeyWrapPad,
    Pkcs11Mechanism::AesKeyWrap,
    Pkcs11Mechanism::RsaOaep(OaepHash::Sha1),
];

pub(crate) struct Hsm {
    pub(crate) folder: PathBuf,
    pub(crate) module: PathBuf,
}

/// The operating system's generator.
pub(crate) struct Os;

impl Entropy for Os {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes)).map_err(|_| EntropyError)
    }
}

/// Tells a story in a process of its own, which has a SoftHSM of its own by its environment.
pub(crate) fn with_hsm(story: impl FnOnce(&Hsm)) {
    if let Some(folder) = std::env::var_os("COFFER_HSM_FOLDER") {
        return story(&Hsm { folder: folder.into(), module: softhsm() });
    }
    let own = tempfile::tempdir().unwrap();
    let folder = own.path();
    for name in ["tokens", "credentials"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let conf = format!(
        "directories.tokendir = {}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
        folder.display()
    );
    fs::write(folder.join("softhsm2.conf"), conf).unwrap();
    private(&folder.join("pin"), PIN.as_bytes());
    fs::write(folder.join("credentials/hsm-pin"), format!("{PIN}\n")).unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let told = Command::new(std::env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture", "--include-ignored"])
        .env("SOFTHSM2_CONF", folder.join("softhsm2.conf"))
        .env("COFFER_HSM_FOLDER", folder)
        .env("COFFER_SOFTHSM", softhsm())
        .env("COFFER_TEST_PIN", PIN)
        .env("CREDENTIALS_DIRECTORY", folder.join("credentials"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&told.stdout) + String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && said.contains("1 passed"), "{}: {said}", told.status);
    for line in said.lines().filter(|line| line.starts_with("measured: ")) {
        println!("{line}");
    }
}

impl Hsm {
    /// With a token, an AES key `kek` of id 7 and, where OAEP is wanted, an RSA pair `oaep kek` of id 8.
    pub(crate) fn furnished(&self, mechanisms: &[Pkcs11Mechanism]) -> &Self {
        self.token(TOKEN);
        self.key(TOKEN, &["--keygen", "--key-type", "AES:32", "--label", "kek", "--id", "07"]);
        if mechanisms.iter().any(|mechanism| matches!(mechanism, Pkcs11Mechanism::RsaOaep(_))) {
            self.key(TOKEN, &["--keypairgen", "--key-type", "rsa:2048", "--label", "oaep kek", "--id", "08"]);
        }
        self
    }

    pub(crate) fn token(&self, label: &str) {
        run(Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", SO_PIN, "--pin", PIN]));
    }

    /// A token whose security officer has set no PIN for its user.
    pub(crate) fn token_without_pin(&self, label: &str) {
        run(self.tool().args(["--init-token", "--slot-index", "0", "--label", label, "--so-pin", SO_PIN]));
    }

    pub(crate) fn key(&self, token: &str, what: &[&str]) {
        let usage = ["--usage-wrap", "--usage-decrypt", "--sensitive"];
        run(self.tool().args(["--token-label", token, "--login", "--pin", PIN]).args(what).args(usage));
    }

    pub(crate) fn tool(&self) -> Command {
        let mut tool = Command::new("pkcs11-tool");
        tool.arg("--module").arg(softhsm());
        tool
    }

    pub(crate) fn config(&self, mechanism: Pkcs11Mechanism) -> Pkcs11Config {
        let key = if matches!(mechanism, Pkcs11Mechanism::RsaOaep(_)) { "oaep kek" } else { "kek" };
        Pkcs11Config {
            module: self.module.clone(),
            token: TokenName::Label(TOKEN.to_owned()),
            key_label: Some(key.to_owned()),
            key_id: None,
            mechanism,
            pin: PinSource::File(self.folder.join("pin")),
            deadline: Duration::from_secs(20),
        }
    }

    pub(crate) fn device(&self, mechanism: Pkcs11Mechanism) -> Pkcs11Device {
        device(self.config(mechanism))
    }

    /// The same, through a module that counts logins and can be told to misbehave.
    pub(crate) fn watched(&self) -> Self {
        let module = self.folder.join("wrapper.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pkcs11/wrapper.c");
        run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&module).arg(source).arg("-ldl"));
        Self { folder: self.folder.clone(), module }
    }

    pub(crate) fn logins(&self) -> usize {
        fs::read_to_string(self.folder.join("logins")).map_or(0, |lines| lines.lines().count())
    }

    pub(crate) fn demand(&self, what: &str) {
        fs::write(self.folder.join(what), "").unwrap();
    }

    pub(crate) fn relent(&self, what: &str) {
        fs::remove_file(self.folder.join(what)).unwrap();
    }

    /// Takes all tokens out.
    pub(crate) fn pull(&self) {
        fs::rename(self.folder.join("tokens"), self.folder.join("away")).unwrap();
        fs::create_dir(self.folder.join("tokens")).unwrap();
    }

    /// Puts them in again.
    pub(crate) fn put_back(&self) {
        fs::remove_dir_all(self.folder.join("tokens")).unwrap();
        fs::rename(self.folder.join("away"), self.folder.join("tokens")).unwrap();
    }
}

pub(crate) fn device(config: Pkcs11Config) -> Pkcs11Device {
    Pkcs11Device::new(config, Arc::new(Os)).unwrap()
}

/// A root key and what it is bound to.
pub(crate) fn root(wrap: u8) -> (Key32, Binding) {
    let key = Key32::derive(|key| key.fill(0xc0 | wrap));
    let root_id = root_id(key.expose(), &CONTEXT);
    (key, Binding { context: CONTEXT, wrap: WrapId([wrap; 16]), root_id })
}

pub(crate) fn wrap(made: &Wrapped, binding: &Binding) -> Wrap {
    Wrap {
        id: binding.wrap,
        wrap_type: WrapType::Pkcs11,
        state: WrapState::Current,
        parameters: made.parameters.clone(),
        blob: made.blob.clone(),
    }
}

/// Wraps and opens, as proof that a device is of use.
pub(crate) fn works(device: &mut Pkcs11Device) {
    let (key, binding) = root(9);
    let made = device.wrap(&key, &binding).unwrap();
    assert_eq!(device.unwrap(&wrap(&made, &binding), &binding).unwrap().expose(), key.expose());
    device.health().unwrap();
}

/// A refusal: of this kind, in one sentence that says what would be right, without a value of the test's.
pub(crate) fn refused<T>(result: Result<T, DeviceError>, kind: DeviceTrouble, says: &str) {
    let Err(error) = result else { panic!("not refused: {says}") };
    let sentence = &error.sentence;
    assert!(error.kind == kind && sentence.contains(says), "{error:?} and not {kind:?}: {says}");
    assert!(!sentence.contains('\n') && !sentence.contains("  ") && sentence.len() < 260, "{sentence}");
    for value in [PIN, TOKEN, "kek", "/tmp", "hsm-pin", "COFFER_TEST_PIN"] {
        assert!(!sentence.contains(value), "{sentence}");
    }
    assert!([": ", "must"].iter().any(|right| sentence.contains(right)), "what would be right? {sentence}");
}

pub(crate) fn private(path: &Path, bytes: &[u8]) {
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn run(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: tests/tools.sh installs it"));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said.into_owned()
}

/// SoftHSM's module, wherever the distribution puts it.
fn softhsm() -> PathBuf {
    let below = |folder: &str| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    below("/usr/lib")
        .chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from))
        .flat_map(|folder| ["softhsm", "pkcs11"].map(|name| folder.join(name).join("libsofthsm2.so")))
        .find(|module| module.is_file())
        .expect("SoftHSM 2 is needed: tests/tools.sh installs it")
}
