//! `sys/storage/raft/snapshot`: a backup, under the path that clients of the API know.
use super::Desk;
use coffer_room::{Fault, Outcome};
use coffer_wire::Params;

/// How long a backup is taken to exist where nobody says: it keeps what is deleted meanwhile from being destroyed.
const KEEP_SECONDS: u64 = 30 * 24 * 3600;

/// A file that was just handed out is not gone sooner.
const KEEP_SECONDS_MIN: u64 = 3600;

/// Longer nobody can promise; and it keeps what is deleted from ever being called destroyed.
const KEEP_SECONDS_MAX: u64 = 10 * 365 * 24 * 3600;

pub(super) async fn save(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let keep = params.seconds("keep")?.unwrap_or(KEEP_SECONDS);
    if !(KEEP_SECONDS_MIN..=KEEP_SECONDS_MAX).contains(&keep) {
        return Err(Fault::bad("'keep' must be from an hour to ten years, such as 2160h"));
    }
    crate::snapshot::save(desk.environment, desk.registry, keep).await
}
