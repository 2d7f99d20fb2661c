//! Looking at everything of an environment: whether each record opens and is the one that the replay index promises,
//! whether one is missing, and whether the index itself is whole.
//!
//! It reads one state of the store, held still, so commits go on meanwhile, and trusts nothing that is in memory but the
//! keys and the newest generation. What it needs of memory does not grow with the store.
use crate::{
    Barrier, BarrierError,
    index::{Counting, Counts, Nodes, Root, State, Walk, directories, state_of},
    keyring::{self, SLOTS},
    open,
};
use coffer_store::{Snapshot, StoreError};
use coffer_types::{Kind, MountId};
use keystore_format::{
    index::{Child, Node, Path, directory_hash, key_hash, node_hash},
    name::{SealedPath, StoreKey, first_segment},
    seal_record::Unverified,
    tables::{self, MetaItem},
};
use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};

/// Records read at once.
const PAGE: usize = 64;
/// Records between two reports of how far it is.
const PROGRESS_EVERY: u64 = 1000;
/// Entries whose keys are held in memory to find those without a record: 32 bytes each.
const SOUGHT_AT_ONCE: u64 = 50_000;

/// What is said while it looks.
pub enum Told {
    /// So many records were looked at, of as many as the index has.
    Progress {
        /// Looked at.
        checked: u64,
        /// In the index.
        of: u64,
    },
    /// Something is not as it should be.
    Finding(Finding),
}

/// One thing that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What.
    pub wrong: Wrong,
    /// The record's mount; zeroes are the environment's own tables.
    pub mount: Option<MountId>,
    /// The record's kind, as a number of the format.
    pub kind: Option<u16>,
    /// The record's path, where its name opens.
    pub path: Option<String>,
    /// The record's version, for kinds that have versions.
    pub version: Option<u64>,
    /// Where it lies in the store; of a missing record the hash of that.
    pub store_key: Vec<u8>,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// A record was altered, or moved here from another place.
    Altered,
    /// A record opens and is not the newest: an older copy was put back.
    Replayed,
    /// A record opens and the index knows none: one that was deleted was brought back.
    Returned,
    /// The index knows a record, and there is none.
    Removed,
    /// A node of the index was altered or taken away.
    Node,
    /// A node lies in the store that is no part of the index.
    StrayNode,
    /// A directory has other records than the index counts in it: some were taken away or brought back.
    Directory,
    /// One of the two copies of the head, the keyring or the seal record.
    Copy,
}

/// What it came to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Generation of the state that was looked at.
    pub generation: u64,
    /// Records in the store, the outbox included.
    pub records: u64,
    /// Entries of the index: records, and directories with what lies in them counted.
    pub indexed: u64,
    /// Nodes of the index.
    pub nodes: u64,
    /// Findings.
    pub findings: u64,
}

/// Why it ended early.
#[derive(Debug)]
pub enum FsckStop {
    /// Whoever is told has gone.
    Gone,
    /// The store failed, or the environment was closed.
    Barrier(BarrierError),
}

impl From<BarrierError> for FsckStop {
    fn from(error: BarrierError) -> Self {
        Self::Barrier(error)
    }
}

impl From<StoreError> for FsckStop {
    fn from(error: StoreError) -> Self {
        Self::Barrier(error.into())
    }
}

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

    /// Every node from the root down.
    fn nodes(&mut self) -> Result<(), FsckStop> {
        let mut below: Vec<(Path, Child)> = self.root.map(|root| (Path::ROOT, root)).into_iter().collect();
        // At most sixteen for each step of depth wait here.
        while let Some((path, child)) = below.pop() {
            let Some(node) = self.node(&path, &child)? else {
                self.find(Wrong::Node, None, path.store_key(self.barrier.environment()))?;
                continue;
            };
            self.checked.nodes += 1;
            match Node::checked_before(&node) {
                Some(Node::Branch(branch)) => {
                    below.extend(
                        branch.children().filter_map(|(step, child)| Some((path.child(step)?, child))),
                    );
                }
                _ => self.reachable += child.count,
            }
        }
        Ok(())
    }

    /// The node at `path`, if it can be believed.
    fn node(&self, path: &Path, child: &Child) -> Result<Option<Box<[u8]>>, StoreError> {
        if let Some(node) = self.nodes.get(&child.hash) {
            return Ok(Some(node));
        }
        let node = self.get(&path.store_key(self.barrier.environment()))?;
        let node = node.filter(|node| {
            node_hash(node) == child.hash
                && Node::parse(path, node).is_ok_and(|parsed| parsed.count() == child.count)
        });
        if let Some(node) = &node {
            self.nodes.keep(child.hash, node);
        }
        Ok(node.map(Vec::into_boxed_slice))
    }

    /// Nodes that nothing leads to: they do no harm, and nobody here wrote them.
    fn stray_nodes(&mut self) -> Result<(), FsckStop> {
        let prefix = [&[tables::INDEX][..], self.barrier.environment().as_bytes()].concat();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.state.range(&prefix, after.as_deref(), PAGE)?;
            for entry in &page {
                if !self.leads_to(&entry.key)? {
                    self.find(Wrong::StrayNode, None, entry.key.clone())?;
                }
            }
            match page.into_iter().nth(PAGE - 1) {
                Some(last) => after = Some(last.key),
                None => return Ok(()),
            }
        }
    }

    fn leads_to(&self, store_key: &[u8]) -> Result<bool, StoreError> {
        let Ok((_, wanted)) = Path::parse(store_key) else { return Ok(false) };
        let Some(mut child) = self.root else { return Ok(false) };
        let mut path = Path::ROOT;
        for step in wanted.nibbles() {
            // Below a damaged node nothing can be said.
            let Some(node) = self.node(&path, &child)? else { return Ok(true) };
            let Some(Node::Branch(branch)) = Node::checked_before(&node) else { return Ok(false) };
            let (Some(next), Some(next_path)) = (branch.child(*step), path.child(*step)) else {
                return Ok(false);
            };
            (child, path) = (next, next_path);
        }
        Ok(true)
    }

    /// Every record of a table; how many of them the index knows in some state.
    fn records(&mut self, table: u8) -> Result<u64, FsckStop> {
        let prefix = [&[table][..], self.barrier.environment().as_bytes()].concat();
        let (mut after, mut present): (Option<Vec<u8>>, u64) = (None, 0);
        let (mut counting, mut done) = (Counting::default(), Vec::new());
        loop {
            let page = self.state.range(&prefix, after.as_deref(), PAGE)?;
            for entry in &page {
                let expected = if table == tables::RECORDS { self.ask(&entry.key)? } else { None };
                present += u64::from(expected.is_some_and(|state| state.is_some()));
                if let Some(wrong) = self.judge(&entry.key, &entry.value, expected)? {
                    self.find_record(wrong, &entry.key)?;
                }
                self.checked.records += 1;
                if table == tables::RECORDS {
                    counting
                        .record(&entry.key, &mut |directory, counts| keep(&mut done, directory, counts))?;
                    present += self.directories(&mut done)?;
                }
                if self.checked.records.is_multiple_of(PROGRESS_EVERY) {
                    let (checked, of) = (self.checked.records, self.checked.indexed);
                    self.say(Told::Progress { checked, of })?;
                }
            }
            match page.into_iter().nth(PAGE - 1) {
                Some(last) => after = Some(last.key),
                None => break,
            }
        }
        counting.finish(&mut |directory, counts| keep(&mut done, directory, counts))?;
        Ok(present + self.directories(&mut done)?)
    }

    /// Directories whose records have all been seen; how many of them the index knows.
    fn directories(&mut self, done: &mut Vec<(Vec<u8>, Counts)>) -> Result<u64, FsckStop> {
        let mut known = 0;
        for (directory, counts) in done.drain(..) {
            let said = self.ask_at(&directory_hash(&directory))?;
            known += u64::from(said.is_some_and(|state| state.is_some()));
            if said.is_some_and(|state| Counts::of(state) != counts) {
                self.find_record(Wrong::Directory, &directory)?;
            }
        }
        Ok(known)
    }

    /// `expected` is `None` where the index is not asked, or can't say.
    fn judge(
        &self,
        key: &[u8],
        sealed: &[u8],
        expected: Option<Option<State>>,
    ) -> Result<Option<Wrong>, BarrierError> {
        let opens = self.barrier.with_keys(|keys| Ok(keys.open_any(key, sealed).is_ok()))?;
        Ok(match expected {
            _ if !opens => Some(Wrong::Altered),
            Some(None) => Some(Wrong::Returned),
            Some(state) if state != state_of(sealed) => Some(Wrong::Replayed),
            _ => None,
        })
    }

    /// What the index says of a record; `None` where a node is damaged.
    fn ask(&self, store_key: &[u8]) -> Result<Option<Option<State>>, StoreError> {
        self.ask_at(&key_hash(store_key))
    }

    fn ask_at(&self, key: &[u8; 32]) -> Result<Option<Option<State>>, StoreError> {
        let Some(child) = self.root else { return Ok(Some(None)) };
        let mut walk = Walk { key, path: Path::ROOT, child };
        loop {
            if let Some(state) = self.nodes.go(&mut walk) {
                return Ok(Some(state));
            }
            if self.node(&walk.path, &walk.child)?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Entries without a record: the keys of a part of the index are held against all records, part by part.
    fn removed(&mut self) -> Result<(), FsckStop> {
        let mut parts: Vec<(Path, Child)> = self.root.map(|root| (Path::ROOT, root)).into_iter().collect();
        while let Some((path, child)) = parts.pop() {
            let Some(node) = self.node(&path, &child)? else { continue };
            if let Some(Node::Branch(branch)) = Node::checked_before(&node)
                && child.count > SOUGHT_AT_ONCE
            {
                parts.extend(branch.children().filter_map(|(step, child)| Some((path.child(step)?, child))));
                continue;
            }
            let mut sought = BTreeSet::new();
            self.collect(&path, &child, &mut sought)?;
            self.each_key(|key| {
                sought.remove(&key_hash(key));
                for length in directories(key) {
                    sought.remove(&directory_hash(key.get(..length).unwrap_or_default()));
                }
            })?;
            let named = self.names_of(&sought)?;
            for key in &named {
                sought.remove(&key_hash(key));
                // Directories in which it was alone are told with it.
                for length in directories(key) {
                    sought.remove(&directory_hash(key.get(..length).unwrap_or_default()));
                }
                self.find_record(Wrong::Removed, key)?;
            }
            for key in sought {
                self.find(Wrong::Removed, None, key.to_vec())?;
            }
        }
        Ok(())
    }

    fn collect(&self, path: &Path, child: &Child, into: &mut BTreeSet<[u8; 32]>) -> Result<(), StoreError> {
        let Some(node) = self.node(path, child)? else { return Ok(()) };
        match Node::checked_before(&node) {
            Some(Node::Leaf(leaf)) => into.extend(leaf.entries().map(|entry| entry.key)),
            Some(Node::Branch(branch)) => {
                for (step, child) in branch.children() {
                    if let Some(path) = path.child(step) {
                        self.collect(&path, &child, into)?;
                    }
                }
            }
            None => {}
        }
        Ok(())
    }

    fn each_key(&self, mut visit: impl FnMut(&[u8])) -> Result<(), StoreError> {
        let prefix = [&[tables::RECORDS][..], self.barrier.environment().as_bytes()].concat();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.state.range(&prefix, after.as_deref(), PAGE)?;
            page.iter().for_each(|entry| visit(&entry.key));
            match page.into_iter().nth(PAGE - 1) {
                Some(last) => after = Some(last.key),
                None => return Ok(()),
            }
        }
    }

    /// The store keys of those missing records whose name another record gives away: a secret's metadata and its versions
    /// lie under one path.
    fn names_of(&self, missing: &BTreeSet<[u8; 32]>) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        const VERSIONS_TRIED: u64 = 32;
        let mut named = BTreeSet::new();
        self.each_key(|key| {
            let Ok(found) = StoreKey::parse(key) else { return };
            let Ok(path) = SealedPath::from_bytes(found.path) else { return };
            let at = |kind: Kind, version| {
                keystore_format::name::store_key(
                    tables::RECORDS,
                    found.environment,
                    found.mount,
                    kind as u16,
                    &path,
                    version,
                )
            };
            let around = found.version.unwrap_or(1);
            let versions =
                around.saturating_sub(VERSIONS_TRIED).max(1)..=around.saturating_add(VERSIONS_TRIED);
            if ![Kind::KvV2Metadata as u16, Kind::KvV2Version as u16].contains(&found.kind) {
                return;
            }
            let others = versions.map(|version| at(Kind::KvV2Version, Some(version)));
            for other in others.chain([at(Kind::KvV2Metadata, None)]) {
                if missing.contains(&key_hash(&other)) {
                    named.insert(other);
                }
            }
        })?;
        Ok(named)
    }

    fn find_record(&mut self, wrong: Wrong, store_key: &[u8]) -> Result<(), FsckStop> {
        let mut finding = Finding {
            wrong,
            mount: None,
            kind: None,
            path: None,
            version: None,
            store_key: store_key.to_vec(),
        };
        if let Ok(found) = StoreKey::parse(store_key) {
            finding.mount = Some(found.mount);
            finding.kind = Some(found.kind);
            finding.version = found.version;
            finding.path = self.barrier.with_keys(|keys| {
                let (mut names, mut rest) = (Vec::new(), found.path);
                while let Ok((sealed, after)) = first_segment(rest) {
                    let parent = found.path.len() - rest.len();
                    let parent = found.path.get(..parent).unwrap_or_default();
                    match keys.open_name(found.mount, parent, sealed) {
                        Ok(name) => names.push(name),
                        Err(_) => return Ok(None),
                    }
                    rest = after;
                }
                Ok(Some(names.join("/")))
            })?;
        }
        self.say(Told::Finding(finding))
    }
}

fn keep(done: &mut Vec<(Vec<u8>, Counts)>, directory: &[u8], counts: Counts) -> Result<(), FsckStop> {
    done.push((directory.to_vec(), counts));
    Ok(())
}
