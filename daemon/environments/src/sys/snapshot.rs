//! `sys/storage/raft/snapshot`: a backup, under the path that clients of the API know.
use super::Desk;
use coffer_room::{Fault, Outcome};
use coffer_wire::Params;

/// How long a backup is taken to exist where nobody says: it keeps what is deleted meanwhile from being destroyed.
const KEEP_SECONDS: u64 = 30 * 24 * 3600;

pub(super) async fn save(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let keep = params.seconds("keep")?.unwrap_or(KEEP_SECONDS);
    crate::snapshot::save(desk.environment, desk.registry, keep).await
}
