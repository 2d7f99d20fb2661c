//! Asking the index: what state a record must have.
use super::{Root, Roots, State, cache::Walk, directories::Counts, pending::Known};
use crate::{Barrier, BarrierError, Batch, barrier::Hex};
use coffer_types::Kind;
use keystore_format::{
    index::{Node, Path, directory_hash, key_hash, node_hash},
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
        self.compare_at(roots, &key_hash(store_key), |state| state == found).await
    }

    async fn compare_at(
        &self,
        roots: &Roots,
        key: &[u8; 32],
        is_right: impl Fn(Option<State>) -> bool,
    ) -> Result<Verdict, BarrierError> {
        let mut said = Said::State(None);
        for root in roots.candidates() {
            said = self.ask(root, key).await?;
            if matches!(said, Said::State(state) if is_right(state)) {
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

    /// Whether a listing that found `found` in the directory of this prefix found all. `roots` were taken before it began.
    pub(crate) async fn is_whole(
        &self,
        roots: &Roots,
        prefix: &[u8],
        found: Counts,
    ) -> Result<Verdict, BarrierError> {
        let key = directory_hash(prefix);
        self.compare_at(roots, &key, |state| Counts::of(state) == found).await
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

    /// Names a directory in which something is missing, or has been brought back.
    pub(crate) fn not_whole(&self, kind: Kind, prefix: &[u8]) -> BarrierError {
        tracing::error!(
            environment = %self.environment(),
            kind = ?kind,
            directory = %Hex(prefix),
            "a directory has other records than the replay index counts: some were taken away on disk"
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
        self.expected_at(&key_hash(store_key))
    }

    /// What the index says of `key`, as of this very transaction.
    pub(super) fn expected_at(&mut self, key: &[u8; 32]) -> Result<Option<State>, BarrierError> {
        let known = match self.barrier.newest_pending() {
            Some(pending) => pending.index.find(key),
            None => Known::Below(None),
        };
        let root = match known {
            Known::Changed(state) => return Ok(state),
            Known::Below(root) => root.unwrap_or_else(|| self.barrier.index.durable()),
        };
        let Some(child) = root else { return Ok(None) };
        let mut walk = Walk { key, path: Path::ROOT, child };
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

    /// Notes for the index that the record at `store_key` stays and has another state.
    pub(crate) fn note_replaced(&mut self, store_key: &[u8], state: Option<State>) {
        self.note_at(key_hash(store_key), state);
    }

    /// Notes for the index and the head what becomes of the record at `store_key`; whether there was one.
    pub(crate) fn note(&mut self, store_key: &[u8], state: Option<State>) -> Result<bool, BarrierError> {
        let key = key_hash(store_key);
        let was_there = self.expected_at(&key)?.is_some();
        self.note_at(key, state);
        if was_there != state.is_some() {
            let one = if was_there { -1 } else { 1 };
            self.pending().change(|promise| promise.records += one);
            self.count(store_key, !was_there)?;
        }
        Ok(was_there)
    }

    pub(super) fn note_at(&mut self, key: [u8; 32], state: Option<State>) {
        self.pending().index.note(key, state);
    }
}
