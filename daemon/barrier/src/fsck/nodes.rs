//! The index: every node from the root down, and what it says of a key.
use super::{FsckStop, Look, PAGE, Wrong};
use crate::index::{State, Walk};
use coffer_store::StoreError;
use keystore_format::{
    index::{Child, Node, Path, key_hash, node_hash},
    tables,
};

impl Look<'_> {
    /// Every node from the root down.
    pub(super) fn nodes(&mut self) -> Result<(), FsckStop> {
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
    pub(super) fn node(&self, path: &Path, child: &Child) -> Result<Option<Box<[u8]>>, StoreError> {
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
    pub(super) fn stray_nodes(&mut self) -> Result<(), FsckStop> {
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

    /// What the index says of a record; `None` where a node is damaged.
    pub(super) fn ask(&self, store_key: &[u8]) -> Result<Option<Option<State>>, StoreError> {
        self.ask_at(&key_hash(store_key))
    }

    pub(super) fn ask_at(&self, key: &[u8; 32]) -> Result<Option<Option<State>>, StoreError> {
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
}
