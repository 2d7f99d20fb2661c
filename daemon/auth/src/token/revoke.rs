//! Ending tokens.
//!
//! Deleting a token's record ends its whole tree at once, because every use asks for all ancestors. What remains to be
//! cleared away (records of descendants, names in listings) is done here too, up to a bound for one transaction; the
//! rest is named in bucket 0 of the expiry table, from where the background sweep goes on.
use crate::token::TokenStore;
use crate::token::issue::child_path;
use crate::token::records::TokenRecord;
use crate::token::store::{live_in, path_of, put, record_in};
use coffer_barrier::{BarrierError, Tx};
use coffer_room::{Answer, Change, Fault};
use coffer_types::{CanonicalPath, Kind, MountId, Timestamp};

/// Most tokens that one transaction clears away.
const MAX_AT_ONCE: usize = 1000;

/// Width of an expiry bucket. A token lies in the first bucket that begins at or after its expiry, so that what a due
/// bucket names has expired, unless it was renewed since.
const BUCKET_MILLIS: u64 = 300_000;

/// The bucket of trees whose root is gone.
const CLEARING: u64 = 0;

/// Tokens that a sweep should look at.
pub struct Due(Vec<CanonicalPath>);

impl Due {
    /// Whether nothing is due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl TokenStore {
    /// At most `limit` tokens that should have expired by `now`, or whose ancestors are gone.
    ///
    /// # Errors
    /// What the barrier gives.
    pub async fn due(&self, now: Timestamp, limit: usize) -> Result<Due, BarrierError> {
        let mut due = Vec::new();
        for bucket in self.view.list(Kind::TokenExpiry, &CanonicalPath::default()).await? {
            let is_due =
                bucket.name.parse::<u64>().is_ok_and(|number| number.saturating_mul(BUCKET_MILLIS) <= now.0);
            if !is_due || due.len() >= limit {
                continue;
            }
            let directory = CanonicalPath::parse(&bucket.name).map_err(BarrierError::Path)?;
            for name in self.view.scan(Kind::TokenExpiry, &directory, None, limit - due.len()).await? {
                due.push(
                    CanonicalPath::parse(&format!("{}/{name}", bucket.name)).map_err(BarrierError::Path)?,
                );
            }
        }
        Ok(Due(due))
    }

    /// The change that ends what is due, and files anew what was renewed.
    #[must_use]
    pub fn sweep(&self, due: Due) -> Change {
        Change::new(move |batch| {
            let tx = &mut batch.mount(MountId::default());
            let mut left = MAX_AT_ONCE;
            for path in &due.0 {
                if left == 0 {
                    break;
                }
                sweep_one(tx, path, &mut left)?;
            }
            Ok(Answer::empty())
        })
    }
}

fn sweep_one(tx: &mut Tx<'_, '_>, path: &CanonicalPath, left: &mut usize) -> Result<(), Fault> {
    let index = path
        .segments()
        .nth(1)
        .and_then(|name| hex::decode(name).ok())
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let Some(index) = index else { return Err(BarrierError::Damaged(Kind::TokenExpiry).into()) };
    match live_in(tx, &index)? {
        Some(mut record) => {
            tx.delete(Kind::TokenExpiry, path, None)?;
            file(tx, &index, &mut record)?;
            put(tx, &index, &record)?;
        }
        None => {
            tx.delete(Kind::TokenExpiry, path, None)?;
            fell(tx, index, left)?;
        }
    }
    Ok(())
}

/// Ends the token at `index` and everything below it. Returns whether there was such a token.
pub(crate) fn revoke_tree(tx: &mut Tx<'_, '_>, index: &[u8; 32]) -> Result<bool, Fault> {
    let is_there = record_in(tx, index)?.is_some();
    if is_there {
        fell(tx, *index, &mut MAX_AT_ONCE.clone())?;
    }
    Ok(is_there)
}

/// Ends the token at `index` and makes its children orphans. Returns whether there was such a token.
pub(crate) fn revoke_orphaning(tx: &mut Tx<'_, '_>, index: &[u8; 32]) -> Result<bool, Fault> {
    let Some(record) = record_in(tx, index)? else { return Ok(false) };
    let children = children(tx, index)?;
    if children.len() > MAX_AT_ONCE {
        return Err(Fault::bad("this token has more than 1000 children; revoke some of them first"));
    }
    for child in children {
        tx.delete(Kind::TokenChild, &child_path(index, &child)?, None)?;
        if let Some(mut orphan) = record_in(tx, &child)? {
            orphan.parent = None;
            put(tx, &child, &orphan)?;
        }
    }
    erase(tx, index, &record)?;
    Ok(true)
}

/// Names `record` in the expiry table where its expiry belongs, and notes that in the record, which the caller writes.
pub(crate) fn file(
    tx: &mut Tx<'_, '_>,
    index: &[u8; 32],
    record: &mut TokenRecord,
) -> Result<(), BarrierError> {
    let bucket = record.expires.map(|expires| expires.0.div_ceil(BUCKET_MILLIS).max(CLEARING + 1));
    if let Some(bucket) = bucket {
        tx.put(Kind::TokenExpiry, &expiry_path(bucket, index)?, None, &[])?;
    }
    record.filed = bucket;
    Ok(())
}

/// Clears a tree from its root down, at most `left` tokens of it.
fn fell(tx: &mut Tx<'_, '_>, root: [u8; 32], left: &mut usize) -> Result<(), Fault> {
    let mut standing = vec![root];
    while let Some(index) = standing.pop() {
        if let Some(record) = record_in(tx, &index)? {
            erase(tx, &index, &record)?;
            *left = left.saturating_sub(1);
        }
        let mut children = children(tx, &index)?;
        let room = left.saturating_sub(standing.len());
        if children.len() > room {
            children.truncate(room);
            tx.put(Kind::TokenExpiry, &expiry_path(CLEARING, &index)?, None, &[])?;
        }
        standing.append(&mut children);
    }
    Ok(())
}

/// Deletes a token's own records and its parent's record of it.
fn erase(tx: &mut Tx<'_, '_>, index: &[u8; 32], record: &TokenRecord) -> Result<(), BarrierError> {
    tx.delete(Kind::Token, &path_of(index)?, None)?;
    let accessor = CanonicalPath::parse(&record.accessor).map_err(BarrierError::Path)?;
    tx.delete(Kind::TokenAccessor, &accessor, None)?;
    if let Some(parent) = &record.parent {
        tx.delete(Kind::TokenChild, &child_path(parent, index)?, None)?;
    }
    if let Some(bucket) = record.filed {
        tx.delete(Kind::TokenExpiry, &expiry_path(bucket, index)?, None)?;
    }
    Ok(())
}

fn children(tx: &mut Tx<'_, '_>, index: &[u8; 32]) -> Result<Vec<[u8; 32]>, BarrierError> {
    let damaged = || BarrierError::Damaged(Kind::TokenChild);
    let index_of = |name: String| hex::decode(name).ok()?.try_into().ok();
    let listed = tx.list(Kind::TokenChild, &path_of(index)?)?;
    listed.into_iter().map(|child| index_of(child.name).ok_or_else(damaged)).collect()
}

fn expiry_path(bucket: u64, index: &[u8; 32]) -> Result<CanonicalPath, BarrierError> {
    CanonicalPath::parse(&format!("{bucket}/{}", hex::encode(index))).map_err(BarrierError::Path)
}
