//! Asking the index: what state a record must have.
use super::{Root, Roots, State, cache::Walk, pending::Known};
use crate::{Barrier, BarrierError, Batch, barrier::Hex};
use coffer_types::Kind;
use keystore_format::{
    index::{Node, Path, key_hash, node_hash},
    record::Record,
};

/// What the index below one root says of a record.
enum Said {
    State(Option<State>),
    /// It can't tell: a node is missing or another.
    NoNode(Path),
}

/// How what was found compares with the index.
pub(crate) enum Verdict {
    /// The index says the same.
    Right,
    /// It says something else, and nothing was written meanwhile that could explain it.
    Wrong,
    /// The store may have changed: read again.
    ReadAgain,
}

/// Revision and tag of a sealed record.
pub(crate) fn state_of(sealed: &[u8]) -> Option<State> {
    Record::parse(sealed).ok().map(|record| (record.header().rev, *record.tag()))
}

impl Barrier {
    /// Compares `found` (`None`: nothing) at `store_key` with the index. `roots` were taken before it was read.
    pub(crate) async fn compare(
        &self,
        roots: &Roots,
        store_key: &[u8],
        found: Option<State>,
    ) -> Result<Verdict, BarrierError> {
        let key = key_hash(store_key);
        let mut said = Said::State(None);
        for root in roots.candidates() {
            said = self.ask(root, &key).await?;
            if matches!(said, Said::State(state) if state == found) {
                return Ok(Verdict::Right);
            }
        }
        if self.index.moved_on(roots) {
            return Ok(Verdict::ReadAgain);
        }
        match said {
            Said::State(_) => Ok(Verdict::Wrong),
            Said::NoNode(path) => Err(self.index_damaged(&path)),
        }
    }

    /// Whether a listing may show what it saw at `store_key`.
    pub(crate) async fn confirm_listed(&self, kind: Kind, store_key: &[u8]) -> Result<(), BarrierError> {
        let key = key_hash(store_key);
        loop {
            let roots = self.index.roots();
            let mut damaged = None;
            for root in roots.candidates() {
                match self.ask(root, &key).await? {
                    Said::State(Some(_)) => return Ok(()),
                    Said::State(None) => {}
                    Said::NoNode(path) => damaged = Some(path),
                }
            }
            // It may have been deleted since it was seen.
            let is_there = self.place.store.get(store_key).await?.is_some();
            if self.index.moved_on(&roots) {
                continue;
            }
            return match damaged {
                Some(path) => Err(self.index_damaged(&path)),
                None if is_there => Err(self.replayed(kind, store_key)),
                None => Ok(()),
            };
        }
    }

    async fn ask(&self, root: Root, key: &[u8; 32]) -> Result<Said, BarrierError> {
        let Some(child) = root else { return Ok(Said::State(None)) };
        let mut walk = Walk { key, path: Path::ROOT, child };
        loop {
            if let Some(state) = self.index.nodes.go(&mut walk) {
                return Ok(Said::State(state));
            }
            let node = self.place.store.get(&walk.path.store_key(self.environment())).await?;
            if !self.believe(&walk, node) {
                return Ok(Said::NoNode(walk.path));
            }
        }
    }

    /// Checks a node that was fetched for `walk` and remembers it.
    pub(super) fn believe(&self, walk: &Walk<'_>, node: Option<Vec<u8>>) -> bool {
        let Some(node) = node.filter(|node| node_hash(node) == walk.child.hash) else { return false };
        let is_right = Node::parse(&walk.path, &node).is_ok_and(|parsed| parsed.count() == walk.child.count);
        if is_right {
            self.index.nodes.keep(walk.child.hash, &node);
        }
        is_right
    }

    /// Names a record that is not what the index says, whatever is there.
    pub(crate) fn not_as_indexed(&self, kind: Kind, store_key: &[u8], is_there: bool) -> BarrierError {
        if is_there { self.replayed(kind, store_key) } else { self.removed(kind, store_key) }
    }

    fn replayed(&self, kind: Kind, store_key: &[u8]) -> BarrierError {
        tracing::error!(
            environment = %self.environment(),
            kind = ?kind,
            store_key = %Hex(store_key),
            "an older copy of a record was put back on disk, or one that had been deleted; it stays closed"
        );
        BarrierError::Replayed(kind)
    }

    fn removed(&self, kind: Kind, store_key: &[u8]) -> BarrierError {
        tracing::error!(
            environment = %self.environment(),
            kind = ?kind,
            store_key = %Hex(store_key),
            "a record was taken away on disk"
        );
        BarrierError::Removed(kind)
    }

    pub(crate) fn index_damaged(&self, path: &Path) -> BarrierError {
        tracing::error!(
            environment = %self.environment(),
            store_key = %Hex(&path.store_key(self.environment())),
            "a node of the replay index was altered on disk or taken away; what lies below it can't be checked"
        );
        BarrierError::Index
    }
}

impl Batch<'_> {
    /// What the index says of `store_key`, as of this very transaction.
    pub(crate) fn expected(&mut self, store_key: &[u8]) -> Result<Option<State>, BarrierError> {
        let key = key_hash(store_key);
        let known = match self.barrier.newest_pending() {
            Some(pending) => pending.index.find(&key),
            None => Known::Below(None),
        };
        let root = match known {
            Known::Changed(state) => return Ok(state),
            Known::Below(root) => root.unwrap_or_else(|| self.barrier.index.durable()),
        };
        let Some(child) = root else { return Ok(None) };
        let mut walk = Walk { key: &key, path: Path::ROOT, child };
        loop {
            if let Some(state) = self.barrier.index.nodes.go(&mut walk) {
                return Ok(state);
            }
            let node = self.raw.get(&walk.path.store_key(self.barrier.environment()))?;
            if !self.barrier.believe(&walk, node) {
                return Err(self.barrier.index_damaged(&walk.path));
            }
        }
    }

    /// Notes for the index what becomes of the record at `store_key` in this batch.
    pub(crate) fn note(&mut self, store_key: &[u8], state: Option<State>) {
        self.pending().index.note(key_hash(store_key), state);
    }
}
