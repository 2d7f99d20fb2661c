//! What an open batch changes in the index, work by work.
use super::{Root, State};
use crate::barrier::lock;
use keystore_format::index::Change;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// The changes of one work on top of those before it: it can be dropped without a trace, as the work can.
#[derive(Default)]
pub(crate) struct Changes {
    before: Option<Arc<Changes>>,
    mine: Mutex<BTreeMap<[u8; 32], Option<State>>>,
    /// The root with all of these in it, once they have been written in the transaction.
    written: Mutex<Option<Root>>,
}

/// What is known of a record before the index is asked.
pub(crate) enum Known {
    /// A work of this batch left it so.
    Changed(Option<State>),
    /// As the index says; below this root where an end of this batch wrote one, else the durable one.
    Below(Option<Root>),
}

impl Changes {
    pub(crate) fn after(before: Option<Arc<Changes>>) -> Self {
        Self { before, mine: Mutex::default(), written: Mutex::default() }
    }

    pub(crate) fn note(&self, key: [u8; 32], state: Option<State>) {
        lock(&self.mine).insert(key, state);
    }

    pub(crate) fn find(&self, key: &[u8; 32]) -> Known {
        let mut at = self;
        loop {
            if let Some(written) = *lock(&at.written) {
                return Known::Below(Some(written));
            }
            if let Some(state) = lock(&at.mine).get(key) {
                return Known::Changed(*state);
            }
            match &at.before {
                Some(before) => at = before,
                None => return Known::Below(None),
            }
        }
    }

    /// All changes since a root was last written in this transaction, by key, and that root.
    pub(crate) fn all(&self) -> (Vec<Change>, Option<Root>) {
        let mut all = BTreeMap::new();
        let mut at = self;
        loop {
            if let Some(written) = *lock(&at.written) {
                return (all.into_iter().collect(), Some(written));
            }
            for (key, state) in &*lock(&at.mine) {
                all.entry(*key).or_insert(*state);
            }
            match &at.before {
                Some(before) => at = before,
                None => return (all.into_iter().collect(), None),
            }
        }
    }

    pub(crate) fn set_written(&self, root: Root) {
        *lock(&self.written) = Some(root);
    }
}

/// A chain is as long as a batch has works: taken apart link by link, not by a recursion of that depth.
impl Drop for Changes {
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(mut before) = next.and_then(Arc::into_inner) {
            next = before.before.take();
        }
    }
}
