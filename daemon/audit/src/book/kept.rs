//! Checkpoints that somebody outside keeps: an environment opens only as the continuation of what they promise.
//!
//! Whoever puts back store and log together deceives everything that lies on the disk. What an operator, an application
//! or a witness has seen of the log (C2SP tlog-checkpoint) is not on it.
use super::Book;
use super::open::{Present, blocking};
use crate::error::KeptFault;
use crate::journal::{FIELD_REASON, ReadError, Signer, demand_leaf};
use crate::{BookError, Unrecorded};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use coffer_types::EnvironmentId;
use keystore_format::checkpoint::Checkpoint;
use keystore_format::error::{Fault, FormatError};
use keystore_format::leaf::{Leaf, Plain};
use keystore_format::logcheck::{self, LogId};
use keystore_format::merkle::Hash;
use keystore_format::note::Note;

/// The most incarnations that are gone back: more were never begun by anybody.
const MAX_INCARNATIONS: usize = 256;
/// Reasons of a new incarnation by which people gave up what came after a point of the old one.
const GIVEN_UP: [&str; 2] = ["restore", "rollback"];

/// A signed checkpoint of one environment's log, as somebody outside keeps it. Its signature is checked when the
/// environment opens: only then is the log's key there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptCheckpoint {
    note: String,
    host: String,
    log: LogId,
    checkpoint: Checkpoint,
}

impl KeptCheckpoint {
    /// Reads a signed note (C2SP signed-note) whose text is a checkpoint of one of Coffer's logs.
    ///
    /// # Errors
    /// As [`Note::parse`] and [`Checkpoint::parse`]; `checkpoint origin` [`Fault::Invalid`] where that names no
    /// environment and incarnation.
    pub fn parse(note: &str) -> Result<Self, FormatError> {
        let checkpoint = Checkpoint::parse(Note::parse(note.as_bytes())?.text())?;
        let named = log_of(&checkpoint.origin).map(|(host, log)| (host.to_owned(), log));
        let (host, log) = named.ok_or(FormatError::new("checkpoint origin", 0, Fault::Invalid))?;
        Ok(Self { note: note.to_owned(), host, log, checkpoint })
    }

    /// Whose log it is of.
    #[must_use]
    pub fn environment(&self) -> EnvironmentId {
        self.log.0
    }
}

/// How an incarnation began after another.
struct Fork {
    old: LogId,
    size: u64,
    root: Hash,
    is_given_up: bool,
}

impl Book {
    /// Demands that this log goes on from a checkpoint. `present` is what the journal has of it.
    ///
    /// # Errors
    /// [`BookError::Kept`]; or where the log can't be read.
    pub(super) async fn demand_continues(
        &self,
        kept: &KeptCheckpoint,
        present: Option<&Present>,
    ) -> Result<(), BookError> {
        // The name of the host may have changed since; the key depends on environment and incarnation alone.
        let signer = self.signer_named(&kept.host, kept.log)?;
        let checkpoint = Checkpoint::open(kept.note.as_bytes(), &signer.key, is_signed);
        let Checkpoint { size, root, .. } = checkpoint.map_err(|_| BookError::Kept(KeptFault::NotSigned))?;
        let unknown = || BookError::Kept(KeptFault::UnknownIncarnation);
        let present = present.ok_or_else(unknown)?;
        let mut log = (self.environment, present.incarnation);
        if kept.log == log {
            return self.demand_begins_with((size, root), log, (present.size, present.root)).await;
        }
        for _ in 0..MAX_INCARNATIONS {
            let fork = self.fork_of(log).await?.ok_or_else(unknown)?;
            if fork.old == kept.log {
                return match fork.is_given_up {
                    true => Ok(()),
                    false => self.demand_begins_with((size, root), fork.old, (fork.size, fork.root)).await,
                };
            }
            log = fork.old;
        }
        Err(unknown())
    }

    /// Demands that a log of so many leaves and this root begins with the kept ones.
    async fn demand_begins_with(
        &self,
        (size, root): (u64, Hash),
        log: LogId,
        (present, present_root): (u64, Hash),
    ) -> Result<(), BookError> {
        if size > present {
            return Err(BookError::Kept(KeptFault::Ahead { kept: size, log: present }));
        }
        // The tiles are believed as far as they lead to the root that is known otherwise.
        let roots = blocking(&self.journal, move |journal| -> Result<_, ReadError> {
            Ok([journal.root_at(log, size, present)?, journal.root_at(log, present, present)?])
        });
        match roots.await? {
            _ if size == 0 => Ok(()),
            Ok(roots) if roots == [root, present_root] => Ok(()),
            Ok(_) | Err(ReadError::Damaged) => Err(BookError::Kept(KeptFault::Other { kept: size })),
            Err(ReadError::Io(error)) => {
                tracing::error!(kind = %error.kind(), "the audit log's tiles can't be read");
                Err(BookError::Unrecorded(Unrecorded::Failed))
            }
        }
    }

    /// How this incarnation began, by its first leaf, as its own signed checkpoint has it; `None` for the first
    /// incarnation, and where that can't be shown.
    async fn fork_of(&self, log: LogId) -> Result<Option<Fork>, BookError> {
        let read = blocking(&self.journal, move |journal| -> Result<_, ReadError> {
            let Some(proof) = journal.prove(log, 0)? else { return Ok(None) };
            let (leaf, ..) = journal.frame_at(log, 0)?;
            demand_leaf(&leaf, &proof)?;
            Ok(Some((Leaf::decode(&leaf)?, proof.checkpoint)))
        });
        let Ok(Some((leaf, note))) = read.await? else { return Ok(None) };
        let Ok(newest) = KeptCheckpoint::parse(&note) else { return Ok(None) };
        let signer = self.signer_named(&newest.host, log)?;
        if Checkpoint::open(note.as_bytes(), &signer.key, is_signed).is_err() {
            return Ok(None);
        }
        Ok(fork_in(&leaf).filter(|fork| fork.old.0 == self.environment))
    }

    fn signer_named(&self, host: &str, log: LogId) -> Result<Signer, BookError> {
        let seed = self.barrier.log_signing_seed(&log.1)?;
        Ok(Signer::new(host, log, seed, Box::new(|_, _| {}))?)
    }
}

/// What a first leaf says of the incarnation before.
fn fork_in(leaf: &Leaf) -> Option<Fork> {
    let text = |field: &str| match leaf.plain.get(field) {
        Some(Plain::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let Some(Plain::Uint(size)) = leaf.plain.get(logcheck::FIELD_OLD_SIZE) else { return None };
    let root = logcheck::unhex(text(logcheck::FIELD_OLD_ROOT)?)?;
    let (_, old) = log_of(text(logcheck::FIELD_OLD_ORIGIN)?)?;
    let is_given_up = text(FIELD_REASON).is_some_and(|reason| GIVEN_UP.contains(&reason));
    Some(Fork { old, size: *size, root, is_given_up })
}

/// Host and log of an origin: `<host>/<environment hex>/<incarnation hex>`.
fn log_of(origin: &str) -> Option<(&str, LogId)> {
    let (rest, incarnation) = origin.rsplit_once('/')?;
    let (host, environment) = rest.rsplit_once('/')?;
    Some((host, (EnvironmentId(logcheck::unhex(environment)?), logcheck::unhex(incarnation)?)))
}

/// Ed25519 (RFC 8032).
fn is_signed(key: &[u8; 32], text: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(text, signature).is_ok()
}
