//! A node in memory, asked as the pipeline asks: every step, without the socket.
use coffer_audit::{Book, Durability, Facts, Intent, Journal, Pace};
use coffer_auth::cert::PeerChain;
use coffer_environments::{Addressed, Credentials, Identified, Means, Registry, Settings, Terms};
use coffer_room::{Answer, Body, Change, Fault, Outcome};
use coffer_store::faulty::Faulty;
use coffer_store::{MemoryStore, Store};
use coffer_types::{Clock, Entropy, EntropyError, Operation, Timestamp};
use coffer_wire::{Limits, Params};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// Stands still until it is turned.
pub(crate) struct HandClock(AtomicU64);

impl HandClock {
    pub(crate) fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// SplitMix64; in tests only.
struct Seeded(AtomicU64);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Small enough to be reached.
pub(crate) const ROTATE_AFTER: u64 = 300;

pub(crate) struct Node {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<Faulty<MemoryStore>>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) journal: Arc<Journal>,
    root_token: String,
    pub(crate) share: String,
    _folder: tempfile::TempDir,
}

impl Node {
    /// Initialised with one share, and unsealed.
    pub(crate) async fn open() -> Self {
        let mut node = Self::empty().await;
        let Ok(made) = node.registry.init(Some(1), Some(1)).await else { panic!("not initialised") };
        node.root_token = made.root_token.to_string();
        node.share = made.shares[0].to_text().unwrap().to_string();
        assert!(node.unseal().await);
        node
    }

    /// With nothing in it.
    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hand = Arc::new(HandClock(AtomicU64::new(1_700_000_000_000)));
        let clock: Arc<dyn Clock> = Arc::clone(&hand) as Arc<dyn Clock>;
        let entropy: Arc<dyn Entropy> = Arc::new(Seeded(AtomicU64::new(1)));
        let store = Arc::new(Faulty::over(MemoryStore::new().unwrap()));
        let log = coffer_audit::Settings {
            directory: folder.path().join("audit"),
            key_file: folder.path().join("node.key"),
            host: "node".into(),
            durability: Durability::Checkpoint,
            pace: Pace::After(Duration::from_millis(100)),
        };
        let (journal, node) = Journal::open(log, Arc::clone(&clock), Arc::clone(&entropy)).unwrap();
        let settings = Settings {
            cluster_name: "test".into(),
            restore_file: folder.path().join("restore"),
            rotate_after: ROTATE_AFTER,
        };
        let means = Means {
            store: Arc::clone(&store) as Arc<dyn Store>,
            journal: Arc::clone(&journal),
            node,
            clock,
            entropy,
            devices: Arc::default(),
        };
        let registry = Registry::start(settings, means).await.unwrap();
        Self {
            registry,
            journal,
            store,
            clock: hand,
            root_token: String::new(),
            share: String::new(),
            _folder: folder,
        }
    }

    pub(crate) async fn unseal(&self) -> bool {
        self.registry.unseal(&self.share, Terms::default()).await.is_ok()
    }

    /// Asks as root and answers the body, after everything that the request brings about.
    pub(crate) async fn ask(&self, operation: Operation, path: &str, body: &str) -> Result<String, Fault> {
        let answer = self.recorded(operation, path, body).await;
        self.registry.settle().await;
        answer
    }

    /// As [`Node::ask`], for a client that went away when its request had been recorded.
    pub(crate) async fn recorded(
        &self,
        operation: Operation,
        path: &str,
        body: &str,
    ) -> Result<String, Fault> {
        self.recorded_as(&self.root_token, operation, path, body).await
    }

    pub(crate) async fn recorded_as(
        &self,
        token: &str,
        operation: Operation,
        path: &str,
        body: &str,
    ) -> Result<String, Fault> {
        let addressed = self.registry.address(None, path, operation)?;
        self.walk(token, addressed, body).await?.record().await
    }

    /// A write of root's that was acted upon and is not recorded yet: nothing of it has happened.
    pub(crate) async fn acted(&self, path: &str, body: &str) -> UnderWay {
        self.acted_as(&self.root_token, path, body).await
    }

    /// Any request of root's that was acted upon and is not recorded yet.
    pub(crate) async fn acted_on(&self, addressed: Addressed) -> UnderWay {
        self.walk(&self.root_token, addressed, "").await.ok().unwrap()
    }

    /// The same of another token's.
    pub(crate) async fn acted_as(&self, token: &str, path: &str, body: &str) -> UnderWay {
        let addressed = self.registry.address(None, path, Operation::Write).ok().unwrap();
        self.walk(token, addressed, body).await.ok().unwrap()
    }

    /// A token made as `body` says.
    pub(crate) async fn token(&self, body: &str) -> String {
        let answer = self.ask(Operation::Write, "auth/token/create", body).await.ok().unwrap();
        answer.split("\"client_token\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// Who holds this token, for a request to read `path`.
    pub(crate) async fn identified(&self, token: &str, path: &str) -> Identified {
        let addressed = self.registry.address(None, path, Operation::Read).ok().unwrap();
        let chain = PeerChain::none();
        let credentials = Credentials { token: Some(Zeroizing::new(token.to_owned())), chain: &chain };
        self.registry.authenticate(&addressed, &credentials, &mut Facts::default()).await.ok().unwrap()
    }

    async fn walk(&self, token: &str, addressed: Addressed, body: &str) -> Result<UnderWay, Fault> {
        let (registry, operation) = (&self.registry, addressed.operation);
        let chain = PeerChain::none();
        let credentials = Credentials { token: Some(Zeroizing::new(token.to_owned())), chain: &chain };
        let mut facts =
            Facts { route: addressed.route_name(), operation: operation.name(), ..Facts::default() };
        let who = registry.authenticate(&addressed, &credentials, &mut facts).await?;
        let spend = registry.spend(&who);
        let params = Params::parse(Zeroizing::new(body.into()), Limits::REQUEST)?;
        let (permit, request) = registry.authorise(&addressed, who, params)?;
        let book = Arc::clone(addressed.environment.book());
        let intent = book.intend(facts);
        let outcome = registry.act(&addressed, &permit, &intent, &credentials, request).await;
        Ok(UnderWay { book, intent, outcome, spend })
    }
}

/// A request between act and record.
pub(crate) struct UnderWay {
    book: Arc<Book>,
    intent: Intent,
    outcome: Result<Outcome, Fault>,
    spend: Option<Change>,
}

impl UnderWay {
    pub(crate) async fn record(self) -> Result<String, Fault> {
        let Ok(recorded) = self.book.record(self.intent, self.outcome, self.spend).await else {
            return Err(Fault::Unavailable("not recorded".into()));
        };
        recorded.into_inner().map(text_of)
    }
}

fn text_of(answer: Answer) -> String {
    match answer.body {
        Body::Data(json) | Body::SystemData(json) | Body::Auth(json) | Body::Bare(json) => {
            String::from_utf8(json.to_vec()).unwrap()
        }
        _ => String::new(),
    }
}

/// The sentence of a 400.
pub(crate) fn sentence(answer: Result<String, Fault>) -> String {
    match answer {
        Err(Fault::BadRequest(sentence)) => sentence.into_owned(),
        Err(_) => panic!("another fault"),
        Ok(text) => panic!("was done: {text}"),
    }
}

/// Polls once and lets go, as a connection does that breaks.
pub(crate) async fn abandoned(work: impl Future) {
    let mut work = Box::pin(work);
    let first =
        std::future::poll_fn(|context| std::task::Poll::Ready(work.as_mut().poll(context).is_pending()));
    assert!(first.await, "there was nothing to wait for");
}

/// Waits until `is_so`, which somebody else brings about.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} did not happen");
}
