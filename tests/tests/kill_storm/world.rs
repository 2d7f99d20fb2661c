//! A house that is laid out anew for each kill, with what must still be there after it.
use crate::stored::{self, Seal};
use coffer_sdk::{Cas, Client, FsckEvent, KeyType, Secret};
use coffer_tests::{Ask, House, Kills, Setup, eventually};
use keystore_format::seal_record::WrapType;
use keystore_format::tables::Slot;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A house, the killer of its daemon, and the copy from which it is laid out.
pub(super) struct World {
    pub(super) house: House,
    pub(super) kills: Kills,
    /// The shares that open what is laid out.
    pub(super) held: Vec<String>,
    /// The environments that nothing is done to.
    pub(super) homes: Vec<Home>,
    folder: TempDir,
}

/// An environment and what it holds.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) name: String,
    /// Hexadecimal; none of the root environment.
    pub(super) id: String,
    values: Vec<String>,
    ciphertext: String,
    token: String,
}

/// Somebody who writes as long as the daemon answers.
pub(super) struct Crowd {
    is_over: Arc<AtomicBool>,
    writing: JoinHandle<u64>,
}

impl World {
    /// With nothing in it.
    pub(super) async fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("coffer-storm-").tempdir_in(place()).unwrap();
        let run = folder.path().join("run");
        // A daemon makes its own folder; the key files lie beside it.
        private_folder(&run);
        let mut sections = "[log]\nlevel = \"info\"\n".to_owned();
        for name in ["disk", "other"] {
            sections += &format!(
                "[[seal]]\nname = \"{name}\"\ntype = \"file\"\npath = {:?}\n",
                run.join(format!("{name}.key"))
            );
        }
        let house = House::empty(Setup { data: Some(run.join("data")), sections, ..Setup::default() }).await;
        Self { house, kills: Kills::new(), held: Vec::new(), homes: Vec::new(), folder }
    }

    /// With one of everything in the root environment and in one below it.
    pub(super) async fn new() -> Self {
        let mut world = Self::empty().await;
        world.house.init().await;
        world.house.unseal().await;
        world.held = world.house.shares.clone();
        for name in ["", "prod"] {
            let home = world.home(name, json!({})).await;
            world.homes.push(home);
        }
        world
    }

    /// Another environment, sealed as `body` says, with what must still be there.
    pub(super) async fn home(&self, name: &str, body: Value) -> Home {
        if !name.is_empty() {
            self.house.root().ask("POST", &format!("sys/namespaces/{name}"), body).await.done();
        }
        self.furnished(name).await
    }

    /// Puts one of everything into an environment.
    pub(super) async fn furnished(&self, name: &str) -> Home {
        let here = self.at(name);
        coffer_tests::furnish(&here).await;
        let values: Vec<String> = (0..3).map(|at| self.house.canaries.plant(&format!("v{at}"))).collect();
        for (at, value) in values.iter().enumerate() {
            here.kv("secret").put(&format!("app/{at}"), &json!({ "v": value }), Cas::New).await.unwrap();
        }
        here.transit("transit").create("key", KeyType::Aes256Gcm96).await.unwrap();
        let ciphertext = here.transit("transit").encrypt("key", b"a plaintext", b"").await.unwrap();
        let token = self.house.token(&here, json!({ "policies": ["default"] })).await;
        let id = match name {
            "" => String::new(),
            _ => {
                self.at("").ask("GET", &format!("sys/namespaces/{name}"), Value::Null).await.ok().text("uuid")
            }
        };
        Home { name: name.to_owned(), id, values, ciphertext, token }
    }

    /// Root's client in an environment.
    pub(super) fn at(&self, name: &str) -> Client {
        self.house.root().with_namespace(name).unwrap()
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// The file of a seal by key file.
    pub(super) fn key_file(&self, seal: &str) -> PathBuf {
        self.run().join(format!("{seal}.key"))
    }

    /// Stops: what is there now is laid out from here on.
    pub(super) fn keep(&mut self) {
        if self.house.listens_at().is_some() {
            assert!(self.house.stop().success(), "{}", self.house.log());
        }
        let kept = self.folder.path().join("kept");
        copy(&self.run(), &kept);
    }

    /// The house as it was kept.
    pub(super) fn lay_out(&self) {
        std::fs::remove_dir_all(self.run()).unwrap();
        copy(&self.folder.path().join("kept"), &self.run());
    }

    /// Stops, and takes everything away.
    pub(super) fn clear(&mut self) {
        assert!(self.house.stop().success());
        std::fs::remove_dir_all(self.house.data()).unwrap();
    }

    /// Starts a daemon that may be killed; it may be so before it listens.
    pub(super) fn start_to_be_killed(&mut self) {
        let variables = self.kills.variables(&self.run());
        self.house.configure(|setup| setup.variables = variables);
        let _killed = self.house.try_start();
        self.house.configure(|setup| setup.variables.clear());
    }

    /// The end of it, if it has not come yet.
    pub(super) fn kill(&mut self) {
        self.kills.disarm();
        if self.house.listens_at().is_some() {
            self.house.kill9();
        }
    }

    /// Opens a sealed daemon by these shares.
    pub(super) async fn open(&self, shares: &[String]) {
        let sys = self.house.client(&self.house.operator).sys();
        for share in shares {
            if !sys.unseal(&Secret::new(share.clone())).await.unwrap().sealed {
                return;
            }
        }
        panic!("these shares do not open the store");
    }

    /// Starts a daemon that nobody kills, and opens it by these shares.
    pub(super) async fn reopen(&mut self, shares: &[String]) {
        self.house.start_process().await;
        self.open(shares).await;
    }

    /// Starts one that opens by itself.
    pub(super) async fn reopen_by_itself(&mut self) {
        self.house.start_process().await;
        let sys = self.house.client(&self.house.operator).sys();
        eventually("the daemon opens by itself", || async {
            (!sys.seal_status().await.unwrap().sealed).then_some(())
        })
        .await;
    }

    /// Whether a running, sealed daemon refuses these shares.
    pub(super) async fn refuses(&self, shares: &[String]) -> bool {
        let sys = self.house.client(&self.house.operator).sys();
        for share in shares {
            if sys.unseal(&Secret::new(share.clone())).await.is_ok() {
                return false;
            }
        }
        true
    }

    /// Everything that was kept, and what others were told to have written.
    pub(super) async fn is_all_there(&self, written: u64) {
        for home in &self.homes {
            self.is_there(home).await;
        }
        for at in 0..written {
            self.at("").kv("secret").get::<Value>(&format!("crowd/{at}")).await.unwrap();
        }
    }

    /// All that an environment holds, and nothing that is not as it should be.
    pub(super) async fn is_there(&self, home: &Home) {
        let here = self.at(&home.name);
        for (at, value) in home.values.iter().enumerate() {
            let read = here.kv("secret").get::<Value>(&format!("app/{at}")).await.unwrap();
            assert_eq!(read["v"], value.as_str(), "{:?}, app/{at}", home.name);
        }
        let plain = here.transit("transit").decrypt("key", &home.ciphertext, b"").await.unwrap();
        assert_eq!(plain.expose(), b"a plaintext");
        let own = self.house.with_token(&home.token).with_namespace(&home.name).unwrap();
        own.ask("GET", "auth/token/lookup-self", Value::Null).await.done();
        let mut findings = Vec::new();
        let sys = here.sys();
        let looked = sys.fsck(|event| {
            if let FsckEvent::Finding(finding) = event {
                findings.push(format!("{finding:?}"));
            }
        });
        looked.await.unwrap();
        assert!(findings.is_empty(), "{:?}: {findings:?}", home.name);
    }

    /// Stops, and looks at the log and what opens.
    pub(super) fn close(&mut self) {
        assert!(self.house.stop().success(), "{}", self.house.log());
        self.house.coffer("", &["audit", "verify", self.house.audit().to_str().unwrap()]).ok();
    }

    /// Somebody who writes meanwhile.
    pub(super) fn crowd(&self) -> Crowd {
        let (root, is_over) = (self.at(""), Arc::new(AtomicBool::new(false)));
        let over = Arc::clone(&is_over);
        let writing = tokio::spawn(async move {
            let mut written = 0;
            while !over.load(Ordering::SeqCst) {
                let path = format!("crowd/{written}");
                if root.kv("secret").put(&path, &json!({}), Cas::Any).await.is_err() {
                    break;
                }
                written += 1;
            }
            written
        });
        Crowd { is_over, writing }
    }

    /// What opens the environments of a daemon that does not run, read from a copy of its store.
    pub(super) fn wraps(&self) -> Wraps {
        let copied = tempfile::tempdir().unwrap();
        private_folder(&copied.path().join("store"));
        std::fs::copy(stored::file(self.house.data()), stored::file(copied.path())).unwrap();
        let entries = stored::entries(copied.path());
        let seals = stored::seals(&entries, Slot::A);
        let others = stored::seals(&entries, Slot::B);
        assert!(seals == others, "the copies of a seal record differ");
        Wraps(seals)
    }
}

impl Crowd {
    /// Ends it; how much was written.
    pub(super) async fn leave(self) -> u64 {
        self.is_over.store(true, Ordering::SeqCst);
        self.writing.await.unwrap()
    }
}

/// The seal records of a store.
pub(super) struct Wraps(Vec<Seal>);

impl Wraps {
    /// Of the root environment.
    pub(super) fn root(&self) -> Of<'_> {
        let is_root = |seal: &&Seal| seal.context.environment.0 == seal.context.store.0;
        Of(self.0.iter().find(is_root).expect("the root environment has a seal record"))
    }

    /// Of the environment with this id; none where it is not there.
    pub(super) fn of(&self, id: &str) -> Option<Of<'_>> {
        self.0.iter().find(|seal| hex::encode(seal.context.environment.0) == id).map(Of)
    }
}

/// What opens one environment.
#[derive(Clone, Copy)]
pub(super) struct Of<'a>(&'a Seal);

impl Of<'_> {
    /// How many wraps there are of a type.
    pub(super) fn count(self, wanted: WrapType) -> usize {
        self.0.wraps.iter().filter(|wrap| wrap.wrap_type == wanted).count()
    }

    /// Whether these shares open it.
    pub(super) fn opens_by(self, shares: &[String]) -> bool {
        self.opens(WrapType::Shamir, &stored::joined(shares))
    }

    /// Whether this key file does.
    pub(super) fn opens_by_file(self, file: &Path) -> bool {
        let Ok(key) = std::fs::read(file) else { return false };
        key.try_into().is_ok_and(|key| self.opens(WrapType::File, &key))
    }

    fn opens(self, by: WrapType, key: &[u8; 32]) -> bool {
        let mut wraps = self.0.wraps.iter().filter(|wrap| wrap.wrap_type == by);
        wraps.any(|wrap| self.0.root_key(wrap, key).is_some())
    }
}

/// In memory where there is room: what a killed process has written is there on any file system, synced or not.
fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    if free > 1 << 30 { memory.to_owned() } else { std::env::temp_dir() }
}

fn private_folder(path: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).status().unwrap();
    assert!(done.success());
}
