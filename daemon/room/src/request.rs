//! What a handler receives.
use crate::{Change, Fault, Outcome};
use coffer_barrier::{Tx, View};
use coffer_types::{CanonicalPath, Clock, Entropy, MountId, Operation, WriteMode};
use coffer_wire::Params;
use std::sync::Arc;

/// One mount: what a handler may read, the time, and randomness. There is no way from here to another mount.
#[derive(Clone)]
pub struct Room {
    /// The mount's records, to read.
    pub view: View,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The mount's id.
    pub mount: MountId,
}

/// A request that was authorised, as the mount sees it.
pub struct Request {
    /// What is wanted.
    pub operation: Operation,
    /// Whether a write may create, update or both. Decide it inside the change, where existence is exact.
    pub write_mode: WriteMode,
    /// The path below the mount, folded where names are the same in any case.
    pub path: CanonicalPath,
    /// Body and query.
    pub params: Params,
}

impl Room {
    /// A change of this mount's records. `make` runs inside the committer and may run again on other stores.
    pub fn change(
        &self,
        mut make: impl FnMut(&mut Tx<'_, '_>) -> Result<crate::Answer, Fault> + Send + 'static,
    ) -> Outcome {
        let mount = self.mount;
        Outcome::Change(Change::new(move |batch| make(&mut batch.mount(mount))))
    }
}
