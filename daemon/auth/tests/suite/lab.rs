//! One environment in memory, a clock turned by hand, a seeded generator (which exists in tests only), and short words to
//! send requests and to read answers.
#![allow(dead_code, reason = "each suite takes what it needs")]
use coffer_barrier::{Barrier, Batch, Context, Place};
use coffer_room::{Answer, Body, Fault, Outcome, Request, Room};
use coffer_secmem::Key32;
use coffer_store::{MemoryStore, Store};
use coffer_types::{
    CanonicalPath, Clock, Entropy, EntropyError, EnvironmentId, MountId, Operation, StoreId, Timestamp,
    WriteMode,
};
use coffer_wire::{Limits, Params};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

pub struct Lab {
    pub store: Arc<dyn Store>,
    pub clock: Arc<HandClock>,
    pub entropy: Arc<SeededEntropy>,
    pub barrier: Arc<Barrier>,
}

impl Lab {
    pub fn new() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new().unwrap());
        let clock = Arc::new(HandClock(AtomicU64::new(1_700_000_000_000)));
        let entropy = Arc::new(SeededEntropy(Mutex::new(1)));
        let barrier = environment(&store, &clock, &entropy, 1);
        Self { store, clock, entropy, barrier }
    }

    /// Another environment on the same store.
    pub fn neighbour(&self) -> Self {
        let barrier = environment(&self.store, &self.clock, &self.entropy, 2);
        Self {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            barrier,
        }
    }

    pub fn room(&self, mount: u8) -> Room {
        let mount = MountId([mount; 16]);
        Room {
            view: self.barrier.view(mount),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&self.entropy) as Arc<dyn Entropy>,
            mount,
        }
    }

    /// What the recorder does, without the record.
    pub async fn run(&self, outcome: Result<Outcome, Fault>) -> Result<Answer, Fault> {
        match outcome? {
            Outcome::Answer(answer) => Ok(answer),
            Outcome::Change(mut change) => self.change(move |batch| change.run(batch)).await,
        }
    }

    pub async fn change<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.barrier.commit(work).await
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn environment(
    store: &Arc<dyn Store>,
    clock: &Arc<HandClock>,
    entropy: &Arc<SeededEntropy>,
    id: u8,
) -> Arc<Barrier> {
    let place = Place {
        store: Arc::clone(store),
        context: Context { store: StoreId([7; 16]), environment: EnvironmentId([id; 16]) },
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::clone(entropy) as Arc<dyn Entropy>,
    };
    Barrier::create(place, Key32::from_bytes(&mut [id; 32]), Vec::new()).unwrap().barrier
}

pub struct HandClock(AtomicU64);

impl HandClock {
    pub fn turn(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.0, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// SplitMix64: the same keys in every run.
pub struct SeededEntropy(Mutex<u64>);

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

/// A request as the gateway builds it: `target` may have a query.
pub fn request(operation: Operation, target: &str, body: &str) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let listing = matches!(operation, Operation::List | Operation::Scan);
    let mut params =
        Params::parse(Zeroizing::new(body.as_bytes().to_vec()), Limits::REQUEST).expect("test JSON");
    params.add_query(query).expect("test query");
    let path = CanonicalPath::from_url(path, listing).expect("test path");
    Request { operation, write_mode: WriteMode::Any, path, params }
}

/// The body's text.
pub fn text(answer: &Answer) -> String {
    let bytes = match &answer.body {
        Body::Empty => return String::new(),
        Body::Data(bytes)
        | Body::SystemData(bytes)
        | Body::Auth(bytes)
        | Body::Bare(bytes)
        | Body::Bytes(_, bytes) => bytes,
        _ => panic!("not a text"),
    };
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&text(answer)).unwrap()
}

/// Status and sentence of a refusal.
pub fn refusal(fault: &Fault) -> (u16, String) {
    let (status, sentence) = match fault {
        Fault::BadRequest(sentence) => (400, sentence.to_string()),
        Fault::PermissionDenied => (403, String::new()),
        Fault::NotFound => (404, String::new()),
        Fault::NotFoundWith(data) => (404, String::from_utf8(data.to_vec()).unwrap()),
        Fault::NoRoute(sentence) => (404, sentence.to_string()),
        Fault::UnsupportedOperation => (405, String::new()),
        Fault::Conflict(sentence) => (412, sentence.to_string()),
        Fault::TooLarge(sentence) => (413, (*sentence).to_owned()),
        Fault::UnsupportedMediaType(sentence) => (415, (*sentence).to_owned()),
        Fault::Sealed => (503, String::new()),
        Fault::Unavailable(sentence) => (503, sentence.to_string()),
        Fault::Full => (507, String::new()),
        Fault::OnDisk(sentence) | Fault::Internal(sentence) => (500, (*sentence).to_owned()),
    };
    (status, sentence)
}

pub fn good<T>(result: Result<T, Fault>) -> T {
    result.unwrap_or_else(|fault| panic!("refused: {:?}", refusal(&fault)))
}

pub fn refused<T>(result: Result<T, Fault>) -> (u16, String) {
    match result {
        Ok(_) => panic!("should have been refused"),
        Err(fault) => refusal(&fault),
    }
}
