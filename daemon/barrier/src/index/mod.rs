//! The replay index of an open environment: whether a record is the one that it should be.
//!
//! A record that opens may still be yesterday's. So each read asks the index, which the head promises, for the record's
//! revision and tag, and for their absence where nothing was found. Nodes are believed by their hashes, from the root
//! in the head down, and the ones that were checked are remembered under their hash: they can't become wrong.
//!
//! The index changes in the commit of the records ([`write`]), so between a commit and the steps after it readers may
//! see either state. [`Roots`] keeps both until it is known which one is durable.
mod build;
mod cache;
mod directories;
mod pending;
mod read;
mod write;

pub(crate) use cache::{Nodes, Walk};
pub(crate) use directories::{Counting, Counts, directories, is_counted};
pub(crate) use pending::Changes;
pub(crate) use read::{Verdict, state_of};

use crate::barrier::lock;
use keystore_format::index::Child;
use std::sync::{Arc, Mutex, Weak};

/// What names one state of one record.
pub(crate) type State = (u64, [u8; 16]);

/// The root of an index, `None` where it is empty.
pub(crate) type Root = Option<Child>;

pub(crate) struct Index {
    roots: Mutex<Roots>,
    pub(crate) nodes: Nodes,
}

/// The index as the newest durable head promises it, and as the head of the open batch will.
#[derive(Clone, Default)]
pub(crate) struct Roots {
    /// Counts the changes of the others.
    stamp: u64,
    durable: Root,
    next: Weak<Root>,
}

impl Index {
    pub(crate) fn of(durable: Root) -> Self {
        Self { roots: Mutex::new(Roots { durable, ..Roots::default() }), nodes: Nodes::default() }
    }

    pub(crate) fn roots(&self) -> Roots {
        lock(&self.roots).clone()
    }

    pub(crate) fn durable(&self) -> Root {
        lock(&self.roots).durable
    }

    /// Whether the store may have changed since `roots` were taken: then they say nothing against what was read.
    pub(crate) fn moved_on(&self, roots: &Roots) -> bool {
        lock(&self.roots).stamp != roots.stamp
    }

    /// Told before the state with this root can be seen. It is forgotten when `next` is dropped: the batch is not made.
    pub(crate) fn announce(&self, next: &Arc<Root>) {
        let mut roots = lock(&self.roots);
        roots.stamp += 1;
        roots.next = Arc::downgrade(next);
    }

    /// Told when the state with this root is durable.
    pub(crate) fn settle(&self, durable: Root) {
        let mut roots = lock(&self.roots);
        *roots = Roots { stamp: roots.stamp + 1, durable, next: Weak::new() };
    }
}

impl Roots {
    /// The roots of which one is that of the state in the store.
    fn candidates(&self) -> impl Iterator<Item = Root> + use<> {
        [Some(self.durable), self.next.upgrade().map(|next| *next)].into_iter().flatten()
    }
}
