//! Looking at everything of an environment: whether each record opens and is the one that the replay index promises,
//! whether one is missing, and whether the index itself is whole.
//!
//! It reads one state of the store, held still, so commits go on meanwhile, and trusts nothing that is in memory but the
//! keys and the newest generation. What it needs of memory does not grow with the store.
mod finding;
mod nodes;
mod records;
mod removed;

pub use finding::{Checked, Finding, FsckStop, Told, Wrong};

use crate::{
    Barrier,
    index::{Nodes, Root},
    keyring::{self, SLOTS},
    open,
};
use coffer_store::{Snapshot, StoreError};
use coffer_types::Kind;
use keystore_format::{
    seal_record::Unverified,
    tables::{self, MetaItem},
};
use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};

/// Records read at once.
const PAGE: usize = 64;

/// The leave to look at everything: one at a time in an environment.
pub struct FsckTurn(Arc<Barrier>);

impl Drop for FsckTurn {
    fn drop(&mut self) {
        self.0.is_looked_at.store(false, Ordering::Release);
    }
}

impl FsckTurn {
    /// As [`Barrier::fsck`].
    ///
    /// # Errors
    /// As [`Barrier::fsck`].
    pub fn look(self, tell: &mut dyn FnMut(Told) -> ControlFlow<()>) -> Result<Checked, FsckStop> {
        self.0.fsck(tell)
    }
}

impl Barrier {
    /// Takes the turn to look at everything; `None` while somebody else has it.
    pub fn fsck_turn(self: &Arc<Self>) -> Option<FsckTurn> {
        let was_taken = self.is_looked_at.swap(true, Ordering::AcqRel);
        (!was_taken).then(|| FsckTurn(Arc::clone(self)))
    }

    /// Looks at everything and tells `tell`, which may break off. Blocks: for a thread of its own.
    ///
    /// # Errors
    /// [`FsckStop`]; a finding is none.
    pub fn fsck(&self, tell: &mut dyn FnMut(Told) -> ControlFlow<()>) -> Result<Checked, FsckStop> {
        // Noted first: the state can't be older.
        let least = self.generation();
        let state = self.place.store.snapshot()?;
        let mut look = Look {
            barrier: self,
            state: &*state,
            nodes: Nodes::default(),
            root: None,
            tell,
            checked: Checked::default(),
            reachable: 0,
        };
        look.copies(least)?;
        look.nodes()?;
        look.stray_nodes()?;
        let present = look.records(tables::RECORDS)?;
        look.records(tables::OUTBOX)?;
        if present < look.reachable {
            look.removed()?;
        }
        Ok(look.checked)
    }
}

struct Look<'l> {
    barrier: &'l Barrier,
    state: &'l dyn Snapshot,
    /// Its own: what the daemon remembers says nothing of the disk.
    nodes: Nodes,
    root: Root,
    tell: &'l mut dyn FnMut(Told) -> ControlFlow<()>,
    checked: Checked,
    /// Entries in leaves that can be believed; all of them, where no node is damaged.
    reachable: u64,
}

impl Look<'_> {
    fn say(&mut self, told: Told) -> Result<(), FsckStop> {
        self.checked.findings += u64::from(matches!(told, Told::Finding(_)));
        match (self.tell)(told) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(FsckStop::Gone),
        }
    }

    /// Something that is no record.
    fn find(&mut self, wrong: Wrong, kind: Option<Kind>, store_key: Vec<u8>) -> Result<(), FsckStop> {
        let kind = kind.map(|kind| kind as u16);
        let finding = Finding { wrong, mount: None, kind, path: None, version: None, store_key };
        self.say(Told::Finding(finding))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let first = self.state.range(key, None, 1)?.pop();
        Ok(first.filter(|entry| entry.key == key).map(|entry| entry.value))
    }

    /// Head, keyring and seal record, two copies each; and the root that the head promises.
    fn copies(&mut self, least: u64) -> Result<(), FsckStop> {
        let (barrier, context) = (self.barrier, self.barrier.context());
        let mut newest: Option<(u64, Root)> = None;
        for slot in SLOTS {
            let key = tables::meta_key(context.environment, MetaItem::Head, slot);
            let sealed = self.get(&key)?;
            let head =
                barrier.with_keys(|keys| Ok(sealed.and_then(|sealed| open::head(keys, &key, &sealed))))?;
            match head.and_then(|head| Some((head.generation, head.index()?))) {
                Some(head) if head.0 >= least => {
                    newest = newest.filter(|newest| newest.0 >= head.0).or(Some(head))
                }
                _ => self.find(Wrong::Copy, Some(Kind::Head), key)?,
            }
            let key = keyring::store_key(context.environment, slot);
            let sealed = self.get(&key)?;
            let opens = barrier.with_keys(|keys| {
                Ok(sealed.is_some_and(|sealed| {
                    keystore_format::keyring::open_keyring(keys.root(), &context, slot, &sealed).is_ok()
                }))
            })?;
            if !opens {
                self.find(Wrong::Copy, Some(Kind::Keyring), key)?;
            }
            let key = tables::meta_key(context.environment, MetaItem::SealRecord, slot);
            let copy = self.get(&key)?;
            let is_authentic = barrier.with_keys(|keys| {
                Ok(copy.is_some_and(|copy| {
                    Unverified::decode(&copy).is_ok_and(|copy| copy.verify(keys.root()).is_ok())
                }))
            })?;
            if !is_authentic {
                self.find(Wrong::Copy, None, key)?;
            }
        }
        // With no head that can be believed, the one in memory stands for it.
        let (generation, root) = newest.unwrap_or((least, barrier.index.durable()));
        self.root = root;
        self.checked.generation = generation;
        self.checked.indexed = root.map_or(0, |root| root.count);
        Ok(())
    }
}
