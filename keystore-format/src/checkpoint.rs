//! Checkpoints (C2SP tlog-checkpoint): the size and root of a log under its key, and proofs against one
//! (C2SP tlog-proof).
use crate::error::{Fault, FormatError};
use crate::ids::EnvironmentId;
use crate::merkle::{self, Hash};
use crate::note::{Note, VerifierKey};
use alloc::{format, string::String, vec::Vec};
use base64::{Engine, prelude::BASE64_STANDARD};

const PROOF_HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The most hashes that a proof in a tree of up to 2^63 leaves has.
const MAX_PROOF: usize = 63;

/// The origin of an environment's log in one incarnation: `<host>/<environment hex>/<incarnation hex>`.
#[must_use]
pub fn origin(host: &str, environment: EnvironmentId, incarnation: &[u8; 16]) -> String {
    format!("{host}/{environment}/{}", EnvironmentId(*incarnation))
}

/// What a log promises: its first `size` leaves have this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's identity; also the name of its key.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// Their root.
    pub root: Hash,
}

impl Checkpoint {
    /// The note text: origin, size, base64 of the root, a line each. No extension lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root))
    }

    /// Reads a note text.
    ///
    /// # Errors
    /// `checkpoint origin`, `checkpoint size`, `checkpoint root`, or `checkpoint extension` with
    /// [`Fault::TrailingBytes`], since Coffer's checkpoints have none.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let (origin, rest) = line(text, 0, "checkpoint origin")?;
        let size_at = origin.len() + 1;
        let (size_text, rest) = line(rest, size_at, "checkpoint size")?;
        let root_at = size_at + size_text.len() + 1;
        let (root_text, rest) = line(rest, root_at, "checkpoint root")?;
        if origin.is_empty() {
            return Err(FormatError::new("checkpoint origin", 0, Fault::Invalid));
        }
        let size = decimal(size_text, size_at, "checkpoint size")?;
        let root = hash(root_text, root_at, "checkpoint root")?;
        if !rest.is_empty() {
            return Err(FormatError::new("checkpoint extension", root_at + 45, Fault::TrailingBytes));
        }
        Ok(Self { origin: origin.into(), size, root })
    }

    /// Signs the checkpoint with the log's key, whose name is the origin.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the key has another name.
    pub fn sign(&self, key: &VerifierKey, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Result<Note, FormatError> {
        if key.name() != self.origin {
            return Err(FormatError::new("checkpoint origin", 0, Fault::Invalid));
        }
        Note::sign(&self.to_text(), key, sign)
    }

    /// Reads a signed checkpoint of the log that this key belongs to.
    ///
    /// # Errors
    /// As [`Note::parse`] and [`Note::verify`]; `checkpoint origin` [`Fault::NotAuthentic`] for another log's.
    pub fn open(
        note: &[u8],
        key: &VerifierKey,
        verify: impl FnMut(&[u8; 32], &[u8], &[u8]) -> bool,
    ) -> Result<Self, FormatError> {
        let note = Note::parse(note)?;
        note.verify(key, verify)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != key.name() {
            return Err(FormatError::new("checkpoint origin", 0, Fault::NotAuthentic));
        }
        Ok(checkpoint)
    }
}

/// An offline proof that a leaf stands in a log: index, inclusion proof and the signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// The leaf's place.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling to the root's child.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl LogProof {
    /// The C2SP tlog-proof text, without extra data.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("{PROOF_HEADER}\nindex {}\n", self.index);
        for hash in &self.hashes {
            out += &BASE64_STANDARD.encode(hash);
            out.push('\n');
        }
        out.push('\n');
        out + &self.checkpoint
    }

    /// Reads a proof text that starts `base` bytes into its file.
    ///
    /// # Errors
    /// `proof header`, `proof index` or `proof hash`, with the offset of the line.
    pub fn parse(text: &str, base: usize) -> Result<Self, FormatError> {
        let mut at = base;
        let (header, rest) = line(text, at, "proof header")?;
        if header != PROOF_HEADER {
            return Err(FormatError::new("proof header", at, Fault::UnknownVersion));
        }
        at += header.len() + 1;
        let (index_line, mut rest) = line(rest, at, "proof index")?;
        let index = index_line.strip_prefix("index ");
        let index = index.ok_or(FormatError::new("proof index", at, Fault::Invalid))?;
        let index = decimal(index, at + 6, "proof index")?;
        at += index_line.len() + 1;
        let mut hashes = Vec::new();
        loop {
            let (text, after) = line(rest, at, "proof hash")?;
            rest = after;
            if text.is_empty() {
                break;
            }
            if hashes.len() == MAX_PROOF {
                return Err(FormatError::new("proof hash", at, Fault::TooLong));
            }
            hashes.push(hash(text, at, "proof hash")?);
            at += text.len() + 1;
        }
        Ok(Self { index, hashes, checkpoint: rest.into() })
    }

    /// Checks that the leaf is in the log of this key, and returns the checkpoint that says so.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`merkle::verify_inclusion`].
    pub fn verify(
        &self,
        leaf: &Hash,
        key: &VerifierKey,
        verify: impl FnMut(&[u8; 32], &[u8], &[u8]) -> bool,
    ) -> Result<Checkpoint, FormatError> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), key, verify)?;
        merkle::verify_inclusion(self.index, checkpoint.size, leaf, &self.hashes, &checkpoint.root)?;
        Ok(checkpoint)
    }
}

pub(crate) fn line<'a>(
    text: &'a str,
    at: usize,
    field: &'static str,
) -> Result<(&'a str, &'a str), FormatError> {
    text.split_once('\n').ok_or(FormatError::new(field, at, Fault::Truncated))
}

fn decimal(text: &str, at: usize, field: &'static str) -> Result<u64, FormatError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(FormatError::new(field, at, Fault::Invalid));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(FormatError::new(field, at, Fault::NotCanonical));
    }
    text.parse().map_err(|_| FormatError::new(field, at, Fault::TooLong))
}

fn hash(text: &str, at: usize, field: &'static str) -> Result<Hash, FormatError> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| FormatError::new(field, at, Fault::Invalid))?;
    bytes.try_into().map_err(|_| FormatError::new(field, at, Fault::Invalid))
}
