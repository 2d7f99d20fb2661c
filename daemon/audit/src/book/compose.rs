//! From facts to a leaf: what is safe stands there, the rest is committed to.
use super::Book;
use super::openings::OpeningKey;
use crate::facts::{fault_name, status_of};
use crate::journal::Prepared;
use crate::{Facts, Unrecorded};
use coffer_room::{Answer, Fault};
use keystore_format::frame::MAX_OPENINGS;
use keystore_format::leaf::{Leaf, LeafKind, Plain, StateChange};
use keystore_format::openings::Openings;
use zeroize::Zeroizing;

/// Values of one leaf that are kept beside it, in bytes; longer ones are committed to all the same.
const KEPT_VALUES: usize = MAX_OPENINGS - 4096;
/// The name of the fault, where a request failed.
const FIELD_FAULT: &str = "fault";
/// Says that no opening is kept: the store had no space for its key.
const FIELD_UNOPENABLE: &str = "unopenable";

impl Book {
    /// The leaf of a request, in its frame.
    pub(super) fn compose(
        &self,
        facts: &Facts,
        key: &OpeningKey,
        kind: LeafKind,
        intent: Option<u64>,
        result: Option<&Result<Answer, Fault>>,
        state: Option<StateChange>,
    ) -> Result<Prepared, Unrecorded> {
        let (id, now) = (self.journal.next_id(), self.journal.now_ms());
        let mut leaf = Leaf::new(kind, id, now, facts.route, facts.operation, result.map_or(0, status_of));
        leaf.intent = intent;
        leaf.actor = facts.subject.is_some().then_some(key.pseudonym);
        leaf.caller_environment = facts.caller_home.filter(|home| *home != self.environment);
        leaf.mount = facts.mount;
        leaf.request_digest = facts.request_digest;
        leaf.state = state;
        for (field, value) in &facts.plain {
            leaf.plain.insert(field.name().into(), Plain::Text(value.clone()));
        }
        if let Some(Err(fault)) = result {
            leaf.plain.insert(FIELD_FAULT.into(), Plain::Text(fault_name(fault).into()));
        }
        let answered = match result {
            Some(Ok(answer)) => answer.committed.as_slice(),
            _ => &[],
        };
        let openings = self.commitments(&mut leaf, facts.committed.iter().chain(answered), key)?;
        Prepared::new(self.environment, leaf, &openings)
    }

    /// Commits to every value, and seals the openings. An answer's field that has the name of a request's replaces
    /// nothing: it stands as `answer.<name>`.
    fn commitments<'a>(
        &self,
        leaf: &mut Leaf,
        values: impl Iterator<Item = &'a (&'static str, Zeroizing<Vec<u8>>)>,
        key: &OpeningKey,
    ) -> Result<Vec<u8>, Unrecorded> {
        let mut random = Zeroizing::new([0; 56]);
        self.journal.entropy().fill(&mut *random).map_err(|_| Unrecorded::Entropy)?;
        let (salt, nonce) = random.split_at(32);
        let mut openings =
            Openings::new(Zeroizing::new(<[u8; 32]>::try_from(salt).map_err(|_| Unrecorded::Failed)?));
        let nonce = <[u8; 24]>::try_from(nonce).map_err(|_| Unrecorded::Failed)?;
        let mut kept = 0;
        for (name, value) in values {
            let name = if leaf.commitments.contains_key(*name) {
                format!("answer.{name}")
            } else {
                (*name).to_owned()
            };
            leaf.commitments.insert(name.clone(), openings.commit(&name, value));
            kept += value.len() + name.len() + 32;
            if kept > KEPT_VALUES {
                kept -= value.len() + name.len() + 32;
                openings.values.remove(&name);
            }
        }
        if leaf.commitments.is_empty() {
            return Ok(Vec::new());
        }
        let Some(sealing) = &key.key else {
            leaf.plain.insert(FIELD_UNOPENABLE.into(), Plain::Text("store_full".into()));
            return Ok(Vec::new());
        };
        let sealed = openings.seal(sealing.expose(), &key.pseudonym, &nonce, self.environment, leaf.id);
        sealed.map_err(|_| Unrecorded::TooLarge)
    }
}
