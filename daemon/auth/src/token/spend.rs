//! Counting the uses of a token that has only so many.
use crate::TokenRef;
use crate::token::revoke::revoke_tree;
use crate::token::store::{live_in, put};
use coffer_barrier::Batch;
use coffer_room::Fault;
use coffer_types::MountId;

/// Takes one use, exactly: in the committer no two requests see the same count. With the last use the token and its
/// children are revoked in this same commit.
///
/// The pipeline runs it before a request's own work, in the same change. Where that work refuses, nothing of the change
/// is written, so the pipeline then commits the use alone: a refused request has used the token too. A token without a
/// limit passes.
///
/// # Errors
/// 403 where no use is left or the token is not live any more.
pub fn spend(batch: &mut Batch<'_>, token: TokenRef) -> Result<(), Fault> {
    if !token.is_use_limited {
        return Ok(());
    }
    let tx = &mut batch.mount(MountId::default());
    let mut record = live_in(tx, &token.index)?.ok_or(Fault::PermissionDenied)?;
    match record.uses_left {
        None => {}
        Some(0) => return Err(Fault::PermissionDenied),
        Some(1) => drop(revoke_tree(tx, &token.index)?),
        Some(left) => {
            record.uses_left = Some(left - 1);
            put(tx, &token.index, &record)?;
        }
    }
    Ok(())
}
