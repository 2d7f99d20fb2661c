//! One environment that can be closed, opened again and put back from a copy; a clock by hand; a seeded generator.
use crate::transit;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use coffer_barrier::{Barrier, Context, Place};
use coffer_room::{Answer, Body, Fault, Outcome, Request, Room};
use coffer_secmem::Key32;
use coffer_store::{MemoryStore, Store, Transaction};
use coffer_types::{
    CanonicalPath, Clock, Entropy, EntropyError, EnvironmentId, Kind, MountId, Operation, StoreId, Timestamp,
    WrapId, WriteMode,
};
use coffer_wire::{Limits, Params};
use keystore_format::{
    seal_record::{self, SealRecord, Wrap, WrapState, WrapType},
    tail::Tail,
};
use serde_json::Value;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};
use zeroize::Zeroizing;

pub(super) const MOUNT: MountId = MountId([0xaa; 16]);
const CONTEXT: Context = Context { store: StoreId([7; 16]), environment: EnvironmentId([1; 16]) };
const ROOT: [u8; 32] = [0x5b; 32];

pub(super) struct Lab {
    pub(super) barrier: Arc<Barrier>,
    store: Arc<dyn Store>,
    clock: Arc<HandClock>,
    entropy: Arc<SeededEntropy>,
    /// Changes that requests asked for.
    pub(super) commits: AtomicU64,
}

impl Lab {
    pub(super) async fn new() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new().unwrap());
        let clock = Arc::new(HandClock(AtomicU64::new(1_700_000_000_000)));
        let entropy = Arc::new(SeededEntropy(Mutex::new(1)));
        let created = Barrier::create(place(&store, &clock, &entropy), root(), Vec::new()).unwrap();
        let barrier = Arc::clone(&created.barrier);
        let seal = seal_record();
        let work = move |transaction: &mut dyn Transaction| {
            created.write(transaction, &seal).unwrap();
            Ok(())
        };
        store.commit(Box::new(work)).await.unwrap();
        Self { barrier, store, clock, entropy, commits: AtomicU64::new(0) }
    }

    /// The same data, as after a kill and a start.
    pub(super) async fn restarted(&self) -> Self {
        self.barrier.close();
        self.opened_on(Arc::clone(&self.store)).await
    }

    /// The data as they are now, on another disk; this one goes on.
    pub(super) async fn copied(&self) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new().unwrap());
        let entries = self.store.range(&[], None, usize::MAX).await.unwrap();
        let work = move |transaction: &mut dyn Transaction| {
            for entry in &entries {
                transaction.put(entry.key.clone(), entry.value.clone()).unwrap();
            }
            Ok(())
        };
        store.commit(Box::new(work)).await.unwrap();
        self.opened_on(store).await
    }

    async fn opened_on(&self, store: Arc<dyn Store>) -> Self {
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let barrier = Barrier::open(place(&store, &clock, &entropy), root()).await.unwrap();
        Self { barrier, store, clock, entropy, commits: AtomicU64::new(0) }
    }

    pub(super) fn room(&self) -> Room {
        Room {
            view: self.barrier.view(MOUNT),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&self.entropy) as Arc<dyn Entropy>,
            mount: MOUNT,
        }
    }

    /// What the recorder does, without the record.
    pub(super) async fn ask(
        &self,
        mode: WriteMode,
        operation: Operation,
        path: &str,
        body: &str,
    ) -> Result<Answer, Fault> {
        let params = Params::parse(Zeroizing::new(body.as_bytes().to_vec()), Limits::REQUEST).unwrap();
        let path = CanonicalPath::from_url(path, operation == Operation::List).unwrap();
        let request = Request { operation, write_mode: mode, path, params };
        match transit::handle(&self.room(), request).await? {
            Outcome::Answer(answer) => Ok(answer),
            Outcome::Change(mut change) => {
                self.commits.fetch_add(1, Ordering::SeqCst);
                self.barrier.commit(move |batch| change.run(batch)).await
            }
        }
    }

    /// One round of the background work: how many keys it rotated.
    pub(super) async fn round(&self) -> usize {
        let room = self.room();
        let due = transit::rotations_due(&room).await.ok().unwrap();
        for name in &due {
            let mut change = transit::rotation(&room, name).await.ok().unwrap().unwrap();
            self.barrier.commit(move |batch| change.run(batch)).await.ok().unwrap();
        }
        due.len()
    }

    /// Alters the record of the key that `make` makes.
    pub(super) async fn damaged(&self, make: impl Future<Output = Value>) {
        let before = self.store.range(&[], None, usize::MAX).await.unwrap();
        make.await;
        let after = self.store.range(&[], None, usize::MAX).await.unwrap();
        let is_new = |key: &[u8]| before.iter().all(|entry| entry.key != key);
        // Table, environment and mount stand before the kind (FORMAT.md §3.3).
        let is_key = |key: &[u8]| key.get(33..35) == Some(&(Kind::TransitKey as u16).to_be_bytes()[..]);
        let made: Vec<_> =
            after.into_iter().filter(|entry| is_new(&entry.key) && is_key(&entry.key)).collect();
        assert_eq!(made.len(), 1);
        let work = move |transaction: &mut dyn Transaction| {
            for entry in &made {
                let mut value = entry.value.clone();
                *value.last_mut().unwrap() ^= 1;
                transaction.put(entry.key.clone(), value).unwrap();
            }
            Ok(())
        };
        self.store.commit(Box::new(work)).await.unwrap();
    }

    pub(super) fn forward(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// POST, and it succeeds.
    pub(super) async fn post(&self, path: &str, body: &str) -> Value {
        json(self.ask(WriteMode::Any, Operation::Write, path, body).await)
    }

    /// POST, and it is refused: status and sentence.
    pub(super) async fn refuse(&self, path: &str, body: &str) -> (u16, String) {
        refusal(self.ask(WriteMode::Any, Operation::Write, path, body).await)
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        json(self.ask(WriteMode::Any, Operation::Read, path, "").await)
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Answer, Fault> {
        self.ask(WriteMode::Any, Operation::Delete, path, "").await
    }

    pub(super) async fn encrypt(&self, key: &str, plaintext: &str) -> String {
        let body = format!(r#"{{"plaintext":"{}"}}"#, b64(plaintext));
        self.post(&format!("encrypt/{key}"), &body).await["ciphertext"].as_str().unwrap().to_owned()
    }

    pub(super) async fn decrypt(&self, key: &str, ciphertext: &str) -> Result<String, (u16, String)> {
        let body = format!(r#"{{"ciphertext":"{ciphertext}"}}"#);
        match self.ask(WriteMode::Any, Operation::Write, &format!("decrypt/{key}"), &body).await {
            Ok(answer) => Ok(unb64(json(Ok(answer))["plaintext"].as_str().unwrap())),
            Err(fault) => Err(refusal(Err(fault))),
        }
    }
}

fn place(store: &Arc<dyn Store>, clock: &Arc<HandClock>, entropy: &Arc<SeededEntropy>) -> Place {
    Place {
        store: Arc::clone(store),
        context: CONTEXT,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::clone(entropy) as Arc<dyn Entropy>,
    }
}

fn root() -> Key32 {
    Key32::from_bytes(&mut { ROOT })
}

fn seal_record() -> SealRecord {
    let root_id = seal_record::root_id(&ROOT, &CONTEXT);
    let id = WrapId([3; 16]);
    let blob = seal_record::wrap_root(&[4; 32], &CONTEXT, id, &root_id, &[5; 24], &ROOT);
    let wrap =
        Wrap { id, wrap_type: WrapType::File, state: WrapState::Current, parameters: Vec::new(), blob };
    SealRecord {
        ctx: CONTEXT,
        root_id,
        generation: 1,
        wraps: vec![wrap],
        share_digests: Vec::new(),
        tail: Tail::new(),
    }
}

struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// SplitMix64: the same keys in every run.
struct SeededEntropy(Mutex<u64>);

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let mut state = self.0.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

pub(super) fn json(answer: Result<Answer, Fault>) -> Value {
    let answer = answer.unwrap_or_else(|fault| panic!("refused: {:?}", refusal(Err(fault))));
    match &answer.body {
        Body::Data(bytes) => serde_json::from_slice(bytes).unwrap(),
        _ => Value::Null,
    }
}

pub(super) fn refusal(answer: Result<Answer, Fault>) -> (u16, String) {
    match answer {
        Ok(_) => panic!("should have been refused"),
        Err(Fault::BadRequest(sentence)) => (400, sentence.into()),
        Err(Fault::PermissionDenied) => (403, String::new()),
        Err(Fault::NotFound) => (404, String::new()),
        Err(Fault::NoRoute(sentence)) => (404, sentence.into()),
        Err(Fault::UnsupportedOperation) => (405, String::new()),
        Err(Fault::Conflict(sentence)) => (412, sentence.into()),
        Err(Fault::OnDisk(sentence) | Fault::Internal(sentence)) => (500, sentence.into()),
        Err(_) => (599, String::new()),
    }
}

pub(super) fn b64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

pub(super) fn unb64(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// The version and the bytes of `vault:vN:…`.
pub(super) fn parts(tagged: &str) -> (u32, Vec<u8>) {
    let (version, encoded) = tagged.strip_prefix("vault:v").unwrap().split_once(':').unwrap();
    (version.parse().unwrap(), STANDARD.decode(encoded).unwrap())
}

pub(super) fn whole(version: u32, bytes: &[u8]) -> String {
    format!("vault:v{version}:{}", STANDARD.encode(bytes))
}
