//! Receipts against a log that is honest, and against logs that are not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod support;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_sdk::{Error, Method, Receipts};
use keystore_format::checkpoint::Checkpoint;
use keystore_format::error::FormatError;
use keystore_format::leaf::{Leaf, LeafKind, hash, request_digest};
use keystore_format::merkle::{Frontier, Hash, prove_consistency, prove_inclusion};
use keystore_format::note::VerifierKey;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use support::{Options, Reply, Seen, Server, envelope};

const ORIGIN: &str = "log.example/00000000000000000000000000000000/0123456789abcdef0123456789abcdef";

/// An environment's log as the daemon keeps it, and what is wrong with it.
struct Log {
    key: Ed25519KeyPair,
    name: VerifierKey,
    leaves: Vec<Vec<u8>>,
    nodes: HashMap<(u8, u64), Hash>,
    tree: Frontier,
    /// How often a receipt is asked for before a checkpoint covers it.
    delay: usize,
    forget_digest: bool,
}

impl Log {
    fn new() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let name = VerifierKey::new(ORIGIN, key.public_key().as_ref().try_into().unwrap()).unwrap();
        Self {
            key,
            name,
            leaves: Vec::new(),
            nodes: HashMap::new(),
            tree: Frontier::new(),
            delay: 0,
            forget_digest: false,
        }
    }

    fn append(&mut self, digest: Option<[u8; 32]>) -> u64 {
        let mut leaf = Leaf::new(LeafKind::Request, self.leaves.len() as u64, 0, "kv2/data", "read", 200);
        leaf.request_digest = digest.filter(|_| !self.forget_digest);
        let bytes = leaf.encode().unwrap();
        let nodes = &mut self.nodes;
        let index = self.tree.append(hash(&bytes), |level, at, node| {
            nodes.insert((level, at), *node);
        });
        self.leaves.push(bytes);
        index
    }

    fn checkpoint(&self) -> String {
        let checkpoint =
            Checkpoint { origin: ORIGIN.to_owned(), size: self.tree.size(), root: self.tree.root() };
        let note = checkpoint.sign(&self.name, |text| self.key.sign(text).as_ref().try_into().unwrap());
        note.unwrap().to_text()
    }

    fn node(&self) -> impl Fn(u8, u64) -> Result<Hash, FormatError> {
        |level, at| Ok(self.nodes[&(level, at)])
    }

    fn answer(&mut self, seen: &Seen) -> Reply {
        let target = seen.target.strip_prefix("/v1/").unwrap();
        if let Some(index) = target.strip_prefix("sys/audit/receipt/") {
            if self.delay > 0 {
                self.delay -= 1;
                return Reply::Json(404, r#"{"errors":["no checkpoint covers this leaf yet"]}"#.to_owned());
            }
            let index: u64 = index.parse().unwrap();
            let proof = prove_inclusion(index, self.tree.size(), self.node()).unwrap();
            let leaf = STANDARD.encode(&self.leaves[usize::try_from(index).unwrap()]);
            let checkpoint = serde_json::to_string(&self.checkpoint()).unwrap();
            let data =
                format!(r#"{{"leaf":"{leaf}","inclusion":{},"checkpoint":{checkpoint}}}"#, texts(&proof));
            return Reply::Json(200, envelope(&data));
        }
        if let Some(query) = target.strip_prefix("sys/audit/consistency?") {
            let sizes: Vec<u64> =
                query.split('&').map(|pair| pair.split_once('=').unwrap().1.parse().unwrap()).collect();
            let proof = prove_consistency(sizes[0], sizes[1], self.node()).unwrap();
            return Reply::Json(200, envelope(&format!(r#"{{"consistency":{}}}"#, texts(&proof))));
        }
        let nonce = STANDARD.decode(&seen.headers["x-coffer-nonce"]).unwrap().try_into().unwrap();
        let body = Sha256::digest(&seen.body).into();
        let index = self.append(Some(request_digest(&nonce, seen.method.as_str(), &seen.target, &body)));
        let incarnation = ORIGIN.rsplit('/').next().unwrap();
        Reply::Receipt(200, format!("{index}:{incarnation}"), envelope("{}"))
    }
}

fn texts(hashes: &[Hash]) -> String {
    serde_json::to_string(&hashes.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>()).unwrap()
}

async fn with_log() -> (Server, Arc<Mutex<Log>>, Receipts) {
    let log = Arc::new(Mutex::new(Log::new()));
    let answering = Arc::clone(&log);
    let server =
        Server::start(Options::default(), Arc::new(move |seen| answering.lock().unwrap().answer(seen))).await;
    let key = log.lock().unwrap().name.to_text();
    let receipts = server.client().receipts(&key).unwrap();
    (server, log, receipts)
}

#[tokio::test]
async fn each_request_is_proved_and_the_log_is_seen_to_grow() {
    let (server, log, receipts) = with_log().await;
    let client = server.client();
    for round in 1..=5 {
        let call = client
            .call(Method::POST, "secret/data/a b")
            .query("x", "y")
            .json(b"{\"data\":{}}".to_vec().into());
        let (answer, receipt) = receipts.send(call).await.unwrap();
        assert_eq!(answer.status(), 200);
        log.lock().unwrap().delay = 2;
        log.lock().unwrap().append(None);
        let checkpoint = receipts.check(&receipt).await.unwrap();
        assert_eq!((receipt.index, checkpoint.size), (2 * round - 2, 2 * round));
    }
    assert!(receipts.newest().await.unwrap().starts_with(ORIGIN));
}

#[tokio::test]
async fn an_older_receipt_can_be_checked_later() {
    let (server, _, receipts) = with_log().await;
    let client = server.client();
    let (_, first) = receipts.send(client.call(Method::GET, "a")).await.unwrap();
    let (_, second) = receipts.send(client.call(Method::GET, "b")).await.unwrap();
    receipts.check(&second).await.unwrap();
    receipts.check(&first).await.unwrap();
}

#[tokio::test]
async fn a_leaf_of_another_request_is_no_proof() {
    let (server, log, receipts) = with_log().await;
    let client = server.client();
    let (_, receipt) = receipts.send(client.call(Method::GET, "a")).await.unwrap();
    log.lock().unwrap().append(Some([0; 32]));
    let mut misplaced = receipt;
    misplaced.index = 1;
    assert!(matches!(receipts.check(&misplaced).await, Err(Error::Receipt(_))));
    log.lock().unwrap().forget_digest = true;
    let (_, unrecorded) = receipts.send(client.call(Method::GET, "a")).await.unwrap();
    assert!(matches!(receipts.check(&unrecorded).await, Err(Error::Receipt(_))));
}

#[tokio::test]
async fn a_log_that_was_rewritten_is_noticed_also_by_a_later_process() {
    let (server, log, receipts) = with_log().await;
    let client = server.client();
    let (_, receipt) = receipts.send(client.call(Method::GET, "a")).await.unwrap();
    receipts.check(&receipt).await.unwrap();
    let seen = receipts.newest().await.unwrap();

    for extra in 0..3 {
        let mut rewritten = Log::new();
        for at in 0..=extra {
            rewritten.append(Some([at; 32]));
        }
        *log.lock().unwrap() = rewritten;
        let key = log.lock().unwrap().name.to_text();
        let fresh = client.receipts(&key).unwrap().continuing(&seen).unwrap();
        let (_, receipt) = fresh.send(client.call(Method::GET, "b")).await.unwrap();
        let error = fresh.check(&receipt).await.unwrap_err();
        assert!(matches!(error, Error::Receipt("the log is not the one that was seen before")), "{error}");
        assert_eq!(fresh.newest().await.unwrap(), seen);
    }
}

#[tokio::test]
async fn a_checkpoint_under_another_key_or_incarnation_is_refused() {
    let (server, log, receipts) = with_log().await;
    let client = server.client();
    let (_, receipt) = receipts.send(client.call(Method::GET, "a")).await.unwrap();
    let mut elsewhere = receipt.clone();
    elsewhere.incarnation = "f".repeat(32);
    assert!(matches!(receipts.check(&elsewhere).await, Err(Error::Receipt(_))));
    log.lock().unwrap().key = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    assert!(matches!(receipts.check(&receipt).await, Err(Error::Format(_))));
}

#[tokio::test]
async fn an_answer_without_a_receipt_is_an_error() {
    let server = Server::replying(Options::default(), vec![Reply::Json(200, envelope("{}"))]).await;
    let receipts = server.client().receipts(&Log::new().name.to_text()).unwrap();
    let client = server.client();
    let sent = receipts.send(client.call(Method::GET, "a")).await;
    assert!(matches!(sent.err(), Some(Error::Receipt(_))));
}
