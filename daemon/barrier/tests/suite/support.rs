//! A store whose bytes can be seen and altered, a clock turned by hand, and a seeded generator, which exists in tests only.
use coffer_barrier::{Barrier, BarrierError, Batch, Context, Place, View};
use coffer_secmem::Key32;
use coffer_store::{
    Committed, Entry, Leadership, MemoryDisk, MemoryStore, Snapshot, Store, StoreError, StoreFuture,
    Transaction, Watch, Work,
};
use coffer_types::{
    CanonicalPath, Clock, Entropy, EntropyError, EnvironmentId, Kind, MountId, StoreId, Timestamp, WrapId,
};
use keystore_format::{
    record::Record,
    seal_record::{self, SealRecord, Wrap, WrapState, WrapType},
    tail::Tail,
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

pub const STORE: StoreId = StoreId([7; 16]);
pub const PROD: u8 = 1;
pub const DEV: u8 = 2;
pub const KV: MountId = MountId([0xaa; 16]);
pub const OTHER: MountId = MountId([0xbb; 16]);
pub const KIND: Kind = Kind::KvV1;

/// SplitMix64: the same keys in every run.
pub struct SeededEntropy {
    state: Mutex<u64>,
    pub fails: AtomicBool,
}

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed), fails: AtomicBool::new(false) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(EntropyError);
        }
        let mut state = self.state.lock().unwrap();
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

pub struct HandClock(AtomicU64);

impl HandClock {
    pub fn turn(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// One machine: a disk that outlives the stores on it, a clock, a generator.
pub struct Lab {
    disk: MemoryDisk,
    pub clock: Arc<HandClock>,
    pub entropy: Arc<SeededEntropy>,
}

impl Lab {
    pub fn new() -> Self {
        Self {
            disk: MemoryDisk::default(),
            clock: Arc::new(HandClock(AtomicU64::new(1_700_000_000_000))),
            entropy: Arc::new(SeededEntropy::new(1)),
        }
    }

    /// The disk's store, as after a start. The store before must be gone.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::on(self.disk.clone()).unwrap())
    }

    pub fn place(&self, store: &Arc<dyn Store>, environment: u8) -> Place {
        Place {
            store: Arc::clone(store),
            context: context(environment),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&self.entropy) as Arc<dyn Entropy>,
        }
    }

    pub async fn create(&self, store: &Arc<dyn Store>, environment: u8) -> Arc<Barrier> {
        let created = Barrier::create(self.place(store, environment), root(environment), Vec::new()).unwrap();
        let barrier = Arc::clone(&created.barrier);
        raw(store, move |transaction| created.write(transaction, &seal_record(environment, 1)).unwrap())
            .await;
        barrier
    }

    pub async fn open(&self, store: &Arc<dyn Store>, environment: u8) -> Result<Arc<Barrier>, BarrierError> {
        Barrier::open(self.place(store, environment), root(environment)).await
    }
}

/// A store on which something happens between a read and its answer, as it can where others use it too.
pub struct Meddled {
    store: Arc<dyn Store>,
    pub ranges: AtomicU64,
    next: Mutex<Option<Meddling>>,
}

type Meddling = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Meddled {
    pub fn over(store: &Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { store: Arc::clone(store), ranges: AtomicU64::new(0), next: Mutex::default() })
    }

    /// Has `meddling` happen behind the next read, before it is answered.
    pub fn meddle(&self, meddling: impl Future<Output = ()> + Send + 'static) {
        *self.next.lock().unwrap() = Some(Box::pin(meddling));
    }

    async fn meddled<T>(&self, read: StoreFuture<'_, T>) -> Result<T, StoreError> {
        let answer = read.await;
        let meddling = self.next.lock().unwrap().take();
        if let Some(meddling) = meddling {
            meddling.await;
        }
        answer
    }
}

impl Store for Meddled {
    fn get<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.meddled(self.store.get(key)))
    }

    fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<Entry>> {
        self.ranges.fetch_add(1, Ordering::SeqCst);
        Box::pin(self.meddled(self.store.range(prefix, after, limit)))
    }

    fn commit(&self, work: Work) -> StoreFuture<'_, Committed> {
        self.store.commit(work)
    }

    fn commit_urgent(&self, work: Work) -> StoreFuture<'_, Committed> {
        self.store.commit_urgent(work)
    }

    fn revision(&self) -> u64 {
        self.store.revision()
    }

    fn watch(&self, prefix: &[u8], from: u64) -> Watch {
        self.store.watch(prefix, from)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn leader(&self) -> Leadership {
        self.store.leader()
    }

    fn compact(&self) -> StoreFuture<'_, ()> {
        self.store.compact()
    }

    fn failed(&self) -> bool {
        self.store.failed()
    }
}

/// A lab with the environment `PROD` in it.
pub async fn prod() -> (Lab, Arc<dyn Store>, Arc<Barrier>) {
    let lab = Lab::new();
    let store = lab.store();
    let barrier = lab.create(&store, PROD).await;
    (lab, store, barrier)
}

pub fn context(environment: u8) -> Context {
    Context { store: STORE, environment: EnvironmentId([environment; 16]) }
}

pub fn root(environment: u8) -> Key32 {
    Key32::from_bytes(&mut [environment ^ 0x5a; 32])
}

pub fn seal_record(environment: u8, generation: u64) -> SealRecord {
    let (ctx, root, id) = (context(environment), root(environment), WrapId([3; 16]));
    let root_id = seal_record::root_id(root.expose(), &ctx);
    let blob = seal_record::wrap_root(&[4; 32], &ctx, id, &root_id, &[5; 24], root.expose());
    let wrap =
        Wrap { id, wrap_type: WrapType::File, state: WrapState::Current, parameters: Vec::new(), blob };
    SealRecord { ctx, root_id, generation, wraps: vec![wrap], share_digests: Vec::new(), tail: Tail::new() }
}

pub fn path(text: &str) -> CanonicalPath {
    CanonicalPath::parse(text).unwrap()
}

/// Changes the store behind the barrier's back.
pub async fn raw(store: &Arc<dyn Store>, change: impl Fn(&mut dyn Transaction) + Send + 'static) {
    let work = Box::new(move |transaction: &mut dyn Transaction| {
        change(transaction);
        Ok(())
    });
    store.commit(work).await.unwrap();
}

pub async fn set(store: &Arc<dyn Store>, key: &[u8], value: Vec<u8>) {
    let key = key.to_vec();
    let put = move |transaction: &mut dyn Transaction| {
        transaction.put(key.clone(), value.clone()).unwrap();
    };
    raw(store, put).await;
}

pub async fn dump(store: &Arc<dyn Store>) -> Vec<Entry> {
    store.range(&[], None, usize::MAX).await.unwrap()
}

/// The records of a kind, by store key.
pub async fn records(store: &Arc<dyn Store>, kind: Kind) -> Vec<Entry> {
    let is_of_kind = |entry: &Entry| {
        entry.key[0] == 2 && Record::parse(&entry.value).unwrap().header().kind == kind as u16
    };
    dump(store).await.into_iter().filter(is_of_kind).collect()
}

pub async fn put(barrier: &Arc<Barrier>, at: &str, value: &str) -> u64 {
    let (at, value) = (path(at), value.to_owned());
    change(barrier, move |batch| batch.mount(KV).put(KIND, &at, None, value.as_bytes())).await.unwrap()
}

pub async fn change<T: Send + 'static>(
    barrier: &Arc<Barrier>,
    work: impl FnMut(&mut Batch<'_>) -> Result<T, BarrierError> + Send + 'static,
) -> Result<T, BarrierError> {
    barrier.commit(work).await
}

pub async fn get(barrier: &Arc<Barrier>, at: &str) -> Result<Option<String>, BarrierError> {
    text(&barrier.view(KV), at).await
}

pub async fn text(view: &View, at: &str) -> Result<Option<String>, BarrierError> {
    let plain = view.get(KIND, &path(at), None).await?;
    Ok(plain.map(|plain| String::from_utf8(plain.bytes.to_vec()).unwrap()))
}

pub async fn rotate(barrier: &Arc<Barrier>) -> u32 {
    change(barrier, |batch| batch.rotate()).await.unwrap()
}
