//! Changing the index at the end of a batch: in the same transaction as the records, each node once.
use super::Root;
use crate::{Barrier, BarrierError};
use coffer_store::{StoreError, Transaction};
use keystore_format::{
    error::FormatError,
    index::{self, Change, Child, Path, Source, node_hash},
};

/// Why the index could not be changed.
pub(crate) enum IndexStop {
    Store(StoreError),
    /// The node at this path is not what it should be.
    Damaged(Path),
}

struct InTransaction<'t> {
    barrier: &'t Barrier,
    transaction: &'t mut dyn Transaction,
}

impl Barrier {
    /// Makes `changes` to the index below `root`, in `transaction`.
    pub(crate) fn change_index(
        &self,
        transaction: &mut dyn Transaction,
        root: Root,
        changes: &[Change],
    ) -> Result<Root, BarrierError> {
        let mut source = InTransaction { barrier: self, transaction };
        index::update(&mut source, root, changes).map_err(|stop| match stop {
            IndexStop::Store(error) => error.into(),
            IndexStop::Damaged(path) => self.index_damaged(&path),
        })
    }
}

impl Source for InTransaction<'_> {
    type Error = IndexStop;
    type Bytes = Box<[u8]>;

    fn node(&mut self, path: &Path, child: &Child) -> Result<Box<[u8]>, IndexStop> {
        if let Some(node) = self.barrier.index.nodes.get(&child.hash) {
            return Ok(node);
        }
        let node = self.transaction.get(&path.store_key(self.barrier.environment()))?;
        let node = node.filter(|node| node_hash(node) == child.hash);
        node.map(Vec::into_boxed_slice).ok_or(IndexStop::Damaged(*path))
    }

    fn put(&mut self, path: &Path, hash: [u8; 32], node: Vec<u8>) -> Result<(), IndexStop> {
        self.barrier.index.nodes.keep(hash, &node);
        self.transaction.put(path.store_key(self.barrier.environment()), node)?;
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), IndexStop> {
        self.transaction.delete(&path.store_key(self.barrier.environment()))?;
        Ok(())
    }
}

impl From<StoreError> for IndexStop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A node whose hash is right has the right shape too, as long as every build keeps to the format.
impl From<FormatError> for IndexStop {
    fn from(_: FormatError) -> Self {
        Self::Damaged(Path::ROOT)
    }
}
