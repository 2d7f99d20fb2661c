//! Receipts: proof that what was asked stands in the audit log, and that the log was only ever appended to.
//!
//! A request carries a nonce; its leaf holds a digest of nonce, method, path and body, so nobody else's leaf can
//! be passed off as this one's. The answer says where the leaf stands; after the next checkpoint the daemon gives
//! leaf and proof. The newest checkpoint is kept, and each later one must continue it: a log that was rewritten,
//! or shown differently to different callers, is noticed as soon as one of them looks again.
use crate::client::{Answer, Call, Client};
use crate::error::{Error, Result};
use crate::fuzzed::data;
use crate::offline::is_signed;
use crate::secret::random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use keystore_format::checkpoint::{Checkpoint, LogProof};
use keystore_format::leaf::{self, Leaf};
use keystore_format::merkle::{Hash, verify_consistency};
use keystore_format::note::VerifierKey;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// How long a checkpoint may take; the daemon makes one within a second of a new leaf.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// Asks for receipts and checks them against one environment's log.
pub struct Receipts {
    client: Client,
    key: VerifierKey,
    newest: Mutex<Option<Kept>>,
}

struct Kept {
    checkpoint: Checkpoint,
    note: String,
}

/// Where the daemon says that a request's leaf stands, and what the leaf must say. Not yet a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The leaf's index.
    pub index: u64,
    /// The incarnation of the log, 32 hexadecimal digits: another one begins after a restore or a power cut.
    pub incarnation: String,
    digest: [u8; 32],
}

impl Client {
    /// Asks for receipts and checks them. `key` is the log's verifier key (C2SP signed-note), as whoever is trusted
    /// for it gave it: one that the daemon itself names proves nothing against the daemon.
    ///
    /// # Errors
    /// [`Error::Format`] for a text that is no verifier key.
    pub fn receipts(&self, key: &str) -> Result<Receipts> {
        Ok(Receipts { client: self.clone(), key: VerifierKey::parse(key.trim())?, newest: Mutex::new(None) })
    }
}

impl Receipts {
    /// Goes on from a checkpoint that [`Receipts::newest`] gave earlier.
    ///
    /// # Errors
    /// [`Error::Format`] for one that is not signed by this log's key.
    pub fn continuing(self, note: &str) -> Result<Self> {
        let checkpoint = Checkpoint::open(note.as_bytes(), &self.key, is_signed)?;
        Ok(Self { newest: Mutex::new(Some(Kept { checkpoint, note: note.to_owned() })), ..self })
    }

    /// The newest checkpoint seen, as a signed note: keep it, and begin with [`Receipts::continuing`] next time.
    pub async fn newest(&self) -> Option<String> {
        self.newest.lock().await.as_ref().map(|kept| kept.note.clone())
    }

    /// Sends a request with a nonce. The answer may be a refusal: those are in the log too.
    ///
    /// # Errors
    /// As [`Call::send_any_status`]; [`Error::Receipt`] where the answer names no leaf.
    pub async fn send(&self, call: Call<'_>) -> Result<(Answer, Receipt)> {
        let nonce = random::<32>()?;
        let body: [u8; 32] = Sha256::digest(call.body()).into();
        let digest = leaf::request_digest(&nonce, call.method().as_str(), call.target(), &body);
        let value = HeaderValue::from_str(&STANDARD.encode(*nonce)).map_err(|_| Error::NoRandomness)?;
        let answer = call.header("x-coffer-nonce", value).send_any_status().await?;
        let place = answer.header("x-coffer-receipt").and_then(place);
        let (index, incarnation) = place.ok_or(Error::Receipt("the answer names no leaf"))?;
        Ok((answer, Receipt { index, incarnation, digest }))
    }

    /// Waits for the checkpoint that covers a receipt, and demands that the leaf says what was asked, that it
    /// stands where the receipt says, and that the log continues what was seen of it before.
    ///
    /// # Errors
    /// [`Error::Receipt`] or [`Error::Format`] where a proof does not hold: keep what you have and tell an auditor.
    /// Any other error says only that there was no proof.
    pub async fn check(&self, receipt: &Receipt) -> Result<Checkpoint> {
        if self.key.name().rsplit('/').next() != Some(receipt.incarnation.as_str()) {
            return Err(Error::Receipt(
                "the leaf stands in another incarnation of the log, under another key",
            ));
        }
        let shown = self.shown(receipt.index).await?;
        let leaf = decoded(&shown.leaf)?;
        if Leaf::decode(&leaf)?.request_digest != Some(receipt.digest) {
            return Err(Error::Receipt("the leaf is of another request"));
        }
        let hashes = hashes(&shown.inclusion)?;
        let proof = LogProof { index: receipt.index, hashes, checkpoint: shown.checkpoint };
        let checkpoint = proof.verify(&leaf::hash(&leaf), &self.key, is_signed)?;
        self.keep(Kept { checkpoint: checkpoint.clone(), note: proof.checkpoint }).await?;
        Ok(checkpoint)
    }

    /// Leaf and proof, as soon as a checkpoint covers the leaf.
    async fn shown(&self, index: u64) -> Result<Shown> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.client.get(&format!("sys/audit/receipt/{index}")).send().await {
                Ok(answer) => return answer.data(),
                Err(error) if error.is_not_found() && Instant::now() < deadline => sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Demands that two checkpoints are of one log, and keeps the larger.
    async fn keep(&self, seen: Kept) -> Result<()> {
        let mut newest = self.newest.lock().await;
        if let Some(kept) = newest.as_ref() {
            let (old, new) = if kept.checkpoint.size <= seen.checkpoint.size {
                (&kept.checkpoint, &seen.checkpoint)
            } else {
                (&seen.checkpoint, &kept.checkpoint)
            };
            let proof =
                if old.size == new.size { Vec::new() } else { self.consistency(old.size, new.size).await? };
            verify_consistency(old.size, new.size, &proof, &old.root, &new.root)
                .map_err(|_| Error::Receipt("the log is not the one that was seen before"))?;
            if kept.checkpoint.size > seen.checkpoint.size {
                return Ok(());
            }
        }
        *newest = Some(seen);
        Ok(())
    }

    async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>> {
        let call = self.client.get("sys/audit/consistency").query("old", &old.to_string());
        let proof: Proof = call.query("new", &new.to_string()).send().await?.data()?;
        hashes(&proof.consistency)
    }
}

#[derive(Deserialize)]
struct Shown {
    leaf: String,
    inclusion: Vec<String>,
    checkpoint: String,
}

#[derive(Deserialize)]
struct Proof {
    consistency: Vec<String>,
}

/// `<index>:<incarnation>`, in the one spelling that each has.
fn place(text: &str) -> Option<(u64, String)> {
    let (number, incarnation) = text.split_once(':')?;
    let index: u64 = number.parse().ok()?;
    let is_hex = |digit: u8| digit.is_ascii_digit() || matches!(digit, b'a'..=b'f');
    let is_whole = incarnation.len() == 32 && incarnation.bytes().all(is_hex);
    (is_whole && index.to_string() == number).then(|| (index, incarnation.to_owned()))
}

/// Reads `text` as the header that names a leaf, and an answer as each proof: what is read has one spelling.
pub(crate) fn fuzz(text: &str, answer: &Answer) {
    if let Some((index, incarnation)) = place(text) {
        assert_eq!(format!("{index}:{incarnation}"), text);
    }
    let proof = data::<Proof>(answer).map(|proof| proof.consistency);
    let shown = data::<Shown>(answer);
    let inclusion = shown.as_ref().map(|shown| shown.inclusion.clone());
    for texts in [proof, inclusion].into_iter().flatten() {
        if let Ok(hashes) = hashes(&texts) {
            assert!(hashes.iter().map(|hash| STANDARD.encode(hash)).eq(texts));
        }
    }
    if let Some(shown) = shown
        && let Ok(leaf) = decoded(&shown.leaf)
    {
        assert_eq!(STANDARD.encode(&leaf), shown.leaf);
    }
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| Error::Unexpected("its proof is not base64"))
}

fn hashes(texts: &[String]) -> Result<Vec<Hash>> {
    let hash = |text: &String| {
        decoded(text)?.try_into().map_err(|_| Error::Unexpected("its proof has a hash of another length"))
    };
    texts.iter().map(hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_leaf_has_one_spelling() {
        let incarnation = "00112233445566778899aabbccddeeff";
        assert_eq!(place(&format!("7:{incarnation}")), Some((7, incarnation.to_owned())));
        for number in ["", "+7", "07", "-1", " 7", "18446744073709551616"] {
            assert_eq!(place(&format!("{number}:{incarnation}")), None, "{number}");
        }
        for other in ["", "00", "00112233445566778899AABBCCDDEEFF", "../112233445566778899aabbccddeeff"] {
            assert_eq!(place(&format!("7:{other}")), None, "{other}");
        }
    }
}
