//! What the index knows and the store has no more.
use super::{FsckStop, Look, PAGE, Wrong};
use crate::index::directories;
use coffer_store::StoreError;
use coffer_types::Kind;
use keystore_format::{
    index::{Child, Node, Path, directory_hash, key_hash},
    name::{SealedPath, StoreKey},
    tables,
};
use std::collections::BTreeSet;

/// Entries whose keys are held in memory to find those without a record: 32 bytes each.
const SOUGHT_AT_ONCE: u64 = 50_000;

impl Look<'_> {
    /// Entries without a record: the keys of a part of the index are held against all records, part by part.
    pub(super) fn removed(&mut self) -> Result<(), FsckStop> {
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
}
