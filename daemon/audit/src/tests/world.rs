//! A node with environments, for the tests.
use crate::journal::{Disk, Durability, Journal, Pace, Real, Settings, System};
use crate::{Book, Facts, JournalError, NodeLog, Opening, PlainField};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use coffer_barrier::{Barrier, Context, Place};
use coffer_room::{Answer, Change, Outcome};
use coffer_secmem::Key32;
use coffer_store::{MemoryStore, Store};
use coffer_types::{
    CanonicalPath, Clock, Entropy, EntropyError, EnvironmentId, Kind, MountId, StoreId, Timestamp,
};
use keystore_format::logcheck::{self, Files, Report};
use keystore_format::seal_record::{SealRecord, Wrap, WrapState, WrapType, root_id};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

pub(super) const CANARY: &str = "canary-7f3a-never-in-a-file";

/// Turned by hand.
#[derive(Default)]
pub(super) struct HandClock(pub(super) AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// SplitMix64: the same bytes every time.
pub(super) struct Seeded(pub(super) AtomicU64);

impl Seeded {
    pub(super) fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes
            .chunks_mut(8)
            .for_each(|chunk| chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]));
        Ok(())
    }
}

pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) clock: Arc<HandClock>,
    pub(super) entropy: Arc<Seeded>,
    pub(super) durability: Durability,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(HandClock(AtomicU64::new(1_790_000_000_000))),
            entropy: Arc::new(Seeded(AtomicU64::new(7))),
            durability: Durability::Checkpoint,
        }
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    pub(super) fn open(&self) -> (Arc<Journal>, NodeLog) {
        self.open_in("boot-1")
    }

    /// Opens once the journal before is gone: the committer may still hold a work of it.
    pub(super) fn open_in(&self, boot: &str) -> (Arc<Journal>, NodeLog) {
        loop {
            match self.try_open(boot, Box::new(Real)) {
                Err(JournalError::Locked) => std::thread::yield_now(),
                opened => return opened.unwrap(),
            }
        }
    }

    pub(super) fn try_open(
        &self,
        boot: &str,
        disk: Box<dyn Disk>,
    ) -> Result<(Arc<Journal>, NodeLog), JournalError> {
        let settings = Settings {
            directory: self.directory(),
            key_file: self.folder.path().join("node.key"),
            host: "node.example".into(),
            durability: self.durability,
            pace: Pace::Manual,
        };
        Journal::open_on(
            settings,
            self.clock.clone(),
            self.entropy.clone(),
            System { disk, boot_id: boot.into() },
        )
    }

    fn place(&self, store: Arc<dyn Store>, number: u8) -> Place {
        let context = Context { store: StoreId([1; 16]), environment: EnvironmentId([number; 16]) };
        Place { store, context, clock: self.clock.clone(), entropy: self.entropy.clone() }
    }

    /// A new environment in `store`.
    pub(super) async fn create(&self, store: &Arc<dyn Store>, number: u8) -> Arc<Barrier> {
        let place = self.place(Arc::clone(store), number);
        let ctx = place.context;
        let created = Barrier::create(place, root_key(number), Vec::new()).unwrap();
        let seal = move || SealRecord {
            ctx,
            root_id: root_id(root_key(number).expose(), &ctx),
            generation: 1,
            wraps: vec![Wrap {
                id: coffer_types::WrapId([2; 16]),
                wrap_type: WrapType::Inherit,
                state: WrapState::Current,
                parameters: Vec::new(),
                blob: vec![0; keystore_format::seal_record::WRAP_BLOB_LEN],
            }],
            share_digests: Vec::new(),
            tail: Default::default(),
        };
        let barrier = Arc::clone(&created.barrier);
        let work = move |transaction: &mut dyn coffer_store::Transaction| {
            created.write(transaction, &seal()).map_err(coffer_store::CommitError::Refused)
        };
        coffer_store::commit(&**store, work).await.unwrap();
        barrier
    }

    /// The environment as an earlier process left it.
    pub(super) async fn reopen(&self, store: &Arc<dyn Store>, number: u8) -> Arc<Barrier> {
        Barrier::open(self.place(Arc::clone(store), number), root_key(number)).await.unwrap()
    }

    pub(super) fn verify(&self) -> Report {
        check(&mut Folder(self.directory()))
    }

    /// Demands that an auditor finds nothing.
    pub(super) fn demand_whole(&self) {
        let report = self.verify();
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
        assert!(report.logs.iter().any(|log| log.leaves > 0));
    }

    /// The lines that `show` prints.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let findings = logcheck::frames(&mut Folder(self.directory()), |log, index, _, leaf| {
            lines.push(logcheck::json_line(log, index, leaf))
        });
        assert!(findings.unwrap().is_empty());
        lines
    }
}

fn root_key(number: u8) -> Key32 {
    Key32::from_bytes(&mut [number ^ 0xa5; 32])
}

pub(super) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new().unwrap())
}

/// A second store with the same content: what a power cut or a backup leaves.
pub(super) async fn copy_of(store: &Arc<dyn Store>) -> Arc<dyn Store> {
    let entries = store.range(&[], None, usize::MAX).await.unwrap();
    let copy = memory();
    let work = Box::new(move |transaction: &mut dyn coffer_store::Transaction| {
        for entry in &entries {
            transaction.put(entry.key.clone(), entry.value.clone()).map_err(|_| coffer_store::Abort)?;
        }
        Ok(())
    });
    copy.commit(work).await.unwrap();
    copy
}

pub(super) async fn book(journal: &Arc<Journal>, barrier: &Arc<Barrier>) -> Arc<Book> {
    Book::open(journal, Arc::clone(barrier), Opening::AsPromised(Vec::new())).await.unwrap()
}

pub(super) fn facts(operation: &'static str, secret: &str) -> Facts {
    Facts {
        route: "kv2/data",
        operation,
        mount: Some(MountId([9; 16])),
        subject: Some("token:accessor-1".into()),
        committed: vec![
            ("path", Zeroizing::new(format!("secret/data/{secret}").into_bytes())),
            ("value", Zeroizing::new(secret.as_bytes().to_vec())),
        ],
        plain: vec![(PlainField::RequestId, "r-1".into())],
        ..Facts::default()
    }
}

pub(super) fn answer() -> Outcome {
    Outcome::Answer(Answer::empty().commit("version", b"3"))
}

pub(super) fn path(name: &str) -> CanonicalPath {
    CanonicalPath::parse(name).unwrap()
}

/// A change that writes `value` at `name`.
pub(super) fn put(name: &str, value: &str) -> Change {
    let (path, value) = (path(name), value.to_owned());
    Change::new(move |batch| {
        batch.mount(MountId([9; 16])).put(Kind::KvV1, &path, None, value.as_bytes())?;
        Ok(Answer::empty())
    })
}

pub(super) async fn get(barrier: &Arc<Barrier>, name: &str) -> Option<String> {
    let found = barrier.view(MountId([9; 16])).get(Kind::KvV1, &path(name), None).await.unwrap();
    found.map(|plain| String::from_utf8(plain.bytes.to_vec()).unwrap())
}

/// Ed25519 by another hand than the log's own signer would be: the public key alone.
pub(super) fn signed_by(public: &[u8; 32], text: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(text, signature).is_ok()
}

pub(super) fn check<F: Files>(files: &mut F) -> Report
where
    F::Error: std::fmt::Debug,
{
    logcheck::check(files, &[], signed_by).unwrap()
}

/// The files of a folder.
pub(super) struct Folder(pub(super) PathBuf);

impl Files for Folder {
    type Error = std::io::Error;

    fn list(&mut self) -> Result<Vec<String>, Self::Error> {
        let mut paths = Vec::new();
        walk(&self.0, &mut |path| {
            paths.push(path.strip_prefix(&self.0).unwrap().to_str().unwrap().to_owned());
        });
        Ok(paths)
    }

    fn read(&mut self, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, Self::Error> {
        let bytes = fs::read(self.0.join(path))?;
        let start = (offset as usize).min(bytes.len());
        Ok(bytes[start..bytes.len().min(start.saturating_add(limit))].to_vec())
    }
}

/// Files in memory, to be altered.
#[derive(Clone, Default)]
pub(super) struct Map(pub(super) BTreeMap<String, Vec<u8>>);

impl Map {
    pub(super) fn of(folder: &Path) -> Self {
        let mut map = Self::default();
        walk(folder, &mut |path| {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            map.0.insert(name, fs::read(path).unwrap());
        });
        map
    }
}

impl Files for Map {
    type Error = ();

    fn list(&mut self) -> Result<Vec<String>, ()> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&mut self, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, ()> {
        let bytes = &self.0[path];
        let start = (offset as usize).min(bytes.len());
        Ok(bytes[start..bytes.len().min(start.saturating_add(limit))].to_vec())
    }
}

pub(super) fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    walk(from, &mut |path| {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    });
    restrict(to);
}

/// A folder as the journal wants it.
fn restrict(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            restrict(&path);
        }
    }
}
