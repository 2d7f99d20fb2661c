//! The audit leaf: what a log says about one request, without saying a secret.
//!
//! Deterministic CBOR, at most 8 KiB. Beside a few safe fields it holds only commitments, each salted by
//! itself, so that one field can later be disclosed alone ([`crate::disclosure`]) and an erased opening leaves
//! nothing to guess against ([`crate::openings`]). Which names may stand in `plain` is the audit room's list.
use crate::cbor::{Reader, Writer, text_order};
use crate::error::{Fault, FormatError};
use crate::ids::{EnvironmentId, MountId};
use crate::kdf::derive;
use crate::mac::hmac_sha256;
use crate::merkle::{self, Hash};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The largest leaf, in bytes.
pub const MAX_LEAF: usize = 8 * 1024;
/// The longest name of a field, in bytes.
pub const MAX_FIELD: usize = 64;
/// The longest plain text, in bytes.
pub const MAX_PLAIN: usize = 2048;
/// The longest declared route name or operation, in bytes.
pub const MAX_ROUTE: usize = 128;

const VERSION: u64 = 1;

/// What a leaf records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafKind {
    /// A request that was answered, all in one leaf.
    Request = 1,
    /// An effect outside the store that is about to begin.
    Intent = 2,
    /// How the effect of an intent ended.
    Result = 3,
    /// A commit of the store: its generation and its roots.
    State = 4,
    /// Leaf 0 of a new incarnation: what came before it.
    Fork = 5,
    /// The checkpoints of other trees.
    CheckpointRef = 6,
    /// Start, unseal progress, a refusal while sealed, a ceremony.
    NodeEvent = 7,
}

/// What a commit did to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The generation after the commit.
    pub generation: u64,
    /// The index root before it.
    pub root_before: Hash,
    /// The index root after it.
    pub root_after: Hash,
}

/// A value that may be read by anyone who may read the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// A text of at most [`MAX_PLAIN`] bytes.
    Text(String),
    /// A number.
    Uint(u64),
}

/// One leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What it records.
    pub kind: LeafKind,
    /// Its id, unique in the environment; given before its place in the tree is known.
    pub id: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// The declared name of the route, such as `kv2/data`; never the path that was asked for.
    pub route: String,
    /// The operation, such as `read`.
    pub operation: String,
    /// The HTTP status that was answered; 0 where nothing is.
    pub status: u16,
    /// The id of the intent leaf that this one finishes.
    pub intent: Option<u64>,
    /// Who asked: stable within a month, see [`actor_pseudonym`].
    pub actor: Option<[u8; 16]>,
    /// The environment that the caller belongs to, where it is another.
    pub caller_environment: Option<EnvironmentId>,
    /// The mount acted upon.
    pub mount: Option<MountId>,
    /// Commitments by field name, see [`commitment`].
    pub commitments: BTreeMap<String, [u8; 32]>,
    /// The digest of the request, where the client sent a nonce; see [`request_digest`].
    pub request_digest: Option<[u8; 32]>,
    /// What the commit did.
    pub state: Option<StateChange>,
    /// Values that are safe to read.
    pub plain: BTreeMap<String, Plain>,
}

impl Leaf {
    /// A leaf without any optional field.
    #[must_use]
    pub fn new(kind: LeafKind, id: u64, time_ms: u64, route: &str, operation: &str, status: u16) -> Self {
        Self {
            kind,
            id,
            time_ms,
            route: route.into(),
            operation: operation.into(),
            status,
            intent: None,
            actor: None,
            caller_environment: None,
            mount: None,
            commitments: BTreeMap::new(),
            request_digest: None,
            state: None,
            plain: BTreeMap::new(),
        }
    }

    /// The leaf's bytes: what is hashed and what is stored.
    ///
    /// # Errors
    /// [`Fault::TooLong`] for the leaf or for a text in it, [`Fault::Invalid`] for a field name that is empty or has control characters.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        self.check()?;
        let pairs = 7
            + usize::from(self.intent.is_some())
            + usize::from(self.actor.is_some())
            + usize::from(self.caller_environment.is_some())
            + usize::from(self.mount.is_some())
            + usize::from(!self.commitments.is_empty())
            + usize::from(self.request_digest.is_some())
            + usize::from(self.state.is_some())
            + usize::from(!self.plain.is_empty());
        let mut out = Writer::with_capacity(1024);
        out.map(pairs);
        uint_pair(&mut out, 0, VERSION);
        uint_pair(&mut out, 1, self.kind as u64);
        uint_pair(&mut out, 2, self.id);
        uint_pair(&mut out, 3, self.time_ms);
        out.uint(4);
        out.text(&self.route);
        out.uint(5);
        out.text(&self.operation);
        uint_pair(&mut out, 6, u64::from(self.status));
        if let Some(intent) = self.intent {
            uint_pair(&mut out, 7, intent);
        }
        let bytes: [(u64, Option<&[u8]>); 3] = [
            (8, self.actor.as_ref().map(<[u8; 16]>::as_slice)),
            (9, self.caller_environment.as_ref().map(|id| id.0.as_slice())),
            (10, self.mount.as_ref().map(|id| id.0.as_slice())),
        ];
        bytes.into_iter().for_each(|(key, value)| bytes_pair(&mut out, key, value));
        if !self.commitments.is_empty() {
            out.uint(11);
            out.map(self.commitments.len());
            for (field, commitment) in in_text_order(&self.commitments) {
                out.text(field);
                out.bytes(commitment);
            }
        }
        bytes_pair(&mut out, 12, self.request_digest.as_ref().map(<[u8; 32]>::as_slice));
        if let Some(state) = &self.state {
            out.uint(13);
            out.map(3);
            uint_pair(&mut out, 0, state.generation);
            bytes_pair(&mut out, 1, Some(&state.root_before));
            bytes_pair(&mut out, 2, Some(&state.root_after));
        }
        if !self.plain.is_empty() {
            out.uint(14);
            out.map(self.plain.len());
            for (field, value) in in_text_order(&self.plain) {
                out.text(field);
                match value {
                    Plain::Text(text) => out.text(text),
                    Plain::Uint(value) => out.uint(*value),
                }
            }
        }
        let out = out.finish();
        if out.len() > MAX_LEAF {
            return Err(FormatError::new("leaf", 0, Fault::TooLong));
        }
        Ok(out)
    }

    /// Reads a leaf, strictly: whatever decodes here encodes to the same bytes.
    ///
    /// # Errors
    /// A fault with the field and offset; unknown fields are [`Fault::Invalid`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > MAX_LEAF {
            return Err(FormatError::new("leaf", 0, Fault::TooLong));
        }
        let mut input = Reader::new(bytes);
        let mut keys = input.map("leaf")?;
        required(&mut input, &mut keys, 0, "leaf version")?;
        let at = input.offset();
        if input.uint("leaf version")? != VERSION {
            return Err(FormatError::new("leaf version", at, Fault::UnknownVersion));
        }
        required(&mut input, &mut keys, 1, "leaf type")?;
        let kind = kind(&mut input)?;
        required(&mut input, &mut keys, 2, "leaf id")?;
        let id = input.uint("leaf id")?;
        required(&mut input, &mut keys, 3, "leaf time")?;
        let time_ms = input.uint("leaf time")?;
        required(&mut input, &mut keys, 4, "leaf route")?;
        let route = input.text("leaf route", MAX_ROUTE)?;
        required(&mut input, &mut keys, 5, "leaf operation")?;
        let operation = input.text("leaf operation", MAX_ROUTE)?;
        required(&mut input, &mut keys, 6, "leaf status")?;
        let status = input.u16("leaf status")?;
        let mut leaf = Self::new(kind, id, time_ms, route, operation, status);
        loop {
            let at = input.offset();
            match input.int_key("leaf key", &mut keys)? {
                None => break,
                Some(7) => leaf.intent = Some(input.uint("leaf intent")?),
                Some(8) => leaf.actor = Some(input.fixed("leaf actor")?),
                Some(9) => {
                    leaf.caller_environment = Some(EnvironmentId(input.fixed("leaf caller environment")?));
                }
                Some(10) => leaf.mount = Some(MountId(input.fixed("leaf mount")?)),
                Some(11) => leaf.commitments = commitments(&mut input)?,
                Some(12) => leaf.request_digest = Some(input.fixed("leaf request digest")?),
                Some(13) => leaf.state = Some(state(&mut input)?),
                Some(14) => leaf.plain = plain(&mut input)?,
                Some(_) => return Err(FormatError::new("leaf key", at, Fault::Invalid)),
            }
        }
        input.finish("leaf")?;
        Ok(leaf)
    }

    fn check(&self) -> Result<(), FormatError> {
        let too_long = |field| Err(FormatError::new(field, 0, Fault::TooLong));
        if self.route.len() > MAX_ROUTE {
            return too_long("leaf route");
        }
        if self.operation.len() > MAX_ROUTE {
            return too_long("leaf operation");
        }
        self.commitments.keys().try_for_each(|name| field_name("leaf commitments", 0, name))?;
        self.plain.keys().try_for_each(|name| field_name("leaf plain", 0, name))?;
        if self.plain.values().any(|value| matches!(value, Plain::Text(text) if text.len() > MAX_PLAIN)) {
            return too_long("leaf plain");
        }
        Ok(())
    }
}

/// The hash of a leaf's stored bytes, `SHA-256(0x00 ‖ leaf)`. A verifier never re-encodes.
#[must_use]
pub fn hash(leaf: &[u8]) -> Hash {
    merkle::leaf_hash(leaf)
}

/// The salt of one field, from the salt of the leaf: `KDF(S, "leaf", field)`.
#[must_use]
pub fn field_salt(salt: &[u8; 32], field: &str) -> Zeroizing<[u8; 32]> {
    derive(salt, "leaf", &[field.as_bytes()])
}

/// `HMAC-SHA-256(s_f, u16 length of field ‖ field ‖ value)`. Hiding while the salt is unknown, binding always.
///
/// A field name is at most [`MAX_FIELD`] bytes; a leaf refuses longer ones.
#[must_use]
pub fn commitment(field_salt: &[u8; 32], field: &str, value: &[u8]) -> [u8; 32] {
    let length = u16::try_from(field.len()).unwrap_or(u16::MAX).to_be_bytes();
    hmac_sha256(field_salt, &[&length, field.as_bytes(), value])
}

/// Who asked, stable within a month and unlinkable across months without the commitment key: the first 16 bytes
/// of `HMAC-SHA-256(commitment key, "coffer/v1/actor" ‖ 0x00 ‖ month u32 ‖ subject)`.
///
/// `month` comes from [`month_of`]; `subject` is the caller's stable name, as the auth room gives it.
#[must_use]
pub fn actor_pseudonym(commitment_key: &[u8; 32], month: u32, subject: &[u8]) -> [u8; 16] {
    let mac = hmac_sha256(commitment_key, &[b"coffer/v1/actor\0", &month.to_be_bytes(), subject]);
    core::array::from_fn(|i| mac.get(i).copied().unwrap_or_default())
}

/// The month of a time in UTC, as the number `year × 100 + month`, such as 202607.
#[must_use]
pub fn month_of(time_ms: u64) -> u32 {
    // The civil calendar from a count of days: years begin in March, so that a leap day is a year's last.
    let days = time_ms / 86_400_000 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let (month, next_year) = if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
    u32::try_from((year_of_era + era * 400 + next_year) * 100 + month).unwrap_or(u32::MAX)
}

/// What a receipt says was asked: `SHA-256` over `"coffer/v1/request"`, the client's nonce, the method, the path
/// and `SHA-256(body)`, each after its length as u32.
#[must_use]
pub fn request_digest(nonce: &[u8; 32], method: &str, path: &str, body_hash: &[u8; 32]) -> [u8; 32] {
    let parts: [&[u8]; 5] = [b"coffer/v1/request", nonce, method.as_bytes(), path.as_bytes(), body_hash];
    let mut hash = Sha256::new();
    for part in parts {
        // A request's parts are bounded by the gateway, far below 4 GiB.
        hash.update((part.len() as u32).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

pub(crate) fn field_name(field: &'static str, at: usize, name: &str) -> Result<(), FormatError> {
    if name.len() > MAX_FIELD {
        return Err(FormatError::new(field, at, Fault::TooLong));
    }
    // Names stand on lines of their own in disclosure files.
    if name.is_empty() || name.contains(char::is_control) {
        return Err(FormatError::new(field, at, Fault::Invalid));
    }
    Ok(())
}

pub(crate) fn in_text_order<V>(map: &BTreeMap<String, V>) -> Vec<(&String, &V)> {
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_by(|left, right| text_order(left.0, right.0));
    pairs
}

pub(crate) fn required(
    input: &mut Reader<'_>,
    keys: &mut crate::cbor::Keys,
    expected: u64,
    field: &'static str,
) -> Result<(), FormatError> {
    let at = input.offset();
    match input.int_key(field, keys)? {
        Some(key) if key == expected => Ok(()),
        _ => Err(FormatError::new(field, at, Fault::Invalid)),
    }
}

fn kind(input: &mut Reader<'_>) -> Result<LeafKind, FormatError> {
    let at = input.offset();
    Ok(match input.uint("leaf type")? {
        1 => LeafKind::Request,
        2 => LeafKind::Intent,
        3 => LeafKind::Result,
        4 => LeafKind::State,
        5 => LeafKind::Fork,
        6 => LeafKind::CheckpointRef,
        7 => LeafKind::NodeEvent,
        _ => return Err(FormatError::new("leaf type", at, Fault::UnknownAlgorithm)),
    })
}

fn state(input: &mut Reader<'_>) -> Result<StateChange, FormatError> {
    const FIELD: &str = "leaf state";
    let at = input.offset();
    let mut keys = input.map(FIELD)?;
    if keys.left() != 3 {
        return Err(FormatError::new(FIELD, at, Fault::Invalid));
    }
    required(input, &mut keys, 0, FIELD)?;
    let generation = input.uint("leaf state generation")?;
    required(input, &mut keys, 1, FIELD)?;
    let root_before = input.fixed("leaf state root before")?;
    required(input, &mut keys, 2, FIELD)?;
    let root_after = input.fixed("leaf state root after")?;
    Ok(StateChange { generation, root_before, root_after })
}

fn commitments(input: &mut Reader<'_>) -> Result<BTreeMap<String, [u8; 32]>, FormatError> {
    named(input, "leaf commitments", |input| input.fixed("leaf commitment"))
}

fn plain(input: &mut Reader<'_>) -> Result<BTreeMap<String, Plain>, FormatError> {
    named(input, "leaf plain", |input| {
        if input.next_is_uint() {
            return input.uint("leaf plain").map(Plain::Uint);
        }
        input.string_of("leaf plain", MAX_PLAIN).map(Plain::Text)
    })
}

/// A map by field name that is not empty: an empty one is left out, so that there is one encoding.
pub(crate) fn named<'a, V>(
    input: &mut Reader<'a>,
    field: &'static str,
    mut value: impl FnMut(&mut Reader<'a>) -> Result<V, FormatError>,
) -> Result<BTreeMap<String, V>, FormatError> {
    let at = input.offset();
    let mut keys = input.map(field)?;
    if keys.left() == 0 {
        return Err(FormatError::new(field, at, Fault::NotCanonical));
    }
    let mut map = BTreeMap::new();
    loop {
        let at = input.offset();
        let Some(name) = input.text_key(field, &mut keys, MAX_FIELD)? else { return Ok(map) };
        field_name(field, at, name)?;
        map.insert(name.into(), value(input)?);
    }
}

fn uint_pair(out: &mut Writer, key: u64, value: u64) {
    out.uint(key);
    out.uint(value);
}

fn bytes_pair(out: &mut Writer, key: u64, value: Option<&[u8]>) {
    if let Some(value) = value {
        out.uint(key);
        out.bytes(value);
    }
}
