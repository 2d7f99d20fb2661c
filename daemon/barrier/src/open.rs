//! Opening an environment: keyring, head and seal record must open and agree, or it stays closed.
use crate::{Barrier, BarrierError, Place, barrier::Hex, keyring, keys::Keys, meta, progress};
use coffer_secmem::Key32;
use coffer_types::Kind;
use keystore_format::{
    head::Head,
    record::Record,
    seal_record::Unverified,
    tables::{self, MetaItem, Slot},
};
use std::sync::Arc;

/// Revisions that are skipped when the newest head is lost: more than one batch can have used.
const LOST_HEAD_REVISIONS: u64 = 1 << 30;

impl Barrier {
    /// Opens an environment by its root key.
    ///
    /// # Errors
    /// [`BarrierError::Absent`]; [`BarrierError::Damaged`] where no copy of keyring or head opens, as with a foreign
    /// root key; [`BarrierError::BadSealRecord`]; [`BarrierError::Stale`] where one is older than the head
    /// says; [`BarrierError::Index`] where the index's root is not the one that the head promises.
    ///
    /// An environment that an earlier build wrote gets its replay index here, of what is in the store.
    pub async fn open(place: Place, root_key: Key32) -> Result<Arc<Self>, BarrierError> {
        Self::open_as(place, root_key, false).await
    }

    /// As [`Barrier::open`], with a replay index that is made anew of what is in the store: where it is damaged, or records
    /// are, and no backup will do. What does not open is removed. What was put back, brought back or taken away can't be
    /// told from what is right any more.
    ///
    /// # Errors
    /// As [`Barrier::open`]. A kill meanwhile leaves an environment that opens only like this.
    pub async fn open_rebuilding(place: Place, root_key: Key32) -> Result<Arc<Self>, BarrierError> {
        Self::open_as(place, root_key, true).await
    }

    async fn open_as(place: Place, root_key: Key32, rebuilds: bool) -> Result<Arc<Self>, BarrierError> {
        let context = place.context;
        let mut copies = [None, None];
        for (slot, copy) in keyring::SLOTS.into_iter().zip(&mut copies) {
            *copy = place.store.get(&keyring::store_key(context.environment, slot)).await?;
        }
        let keyring = keyring::newest(root_key.expose(), &context, copies)?;
        let keys = Keys::new(context, root_key, &keyring);
        let (head, is_surely_newest) = newest_head(&place, &keys).await?;

        if keyring.generation < head.keyring_generation {
            return Err(BarrierError::Stale("keyring"));
        }
        if is_surely_newest && keyring.generation > head.keyring_generation {
            return Err(BarrierError::Stale("head"));
        }
        let seal_generation = sealed_generation(&place, &keys).await?;
        if seal_generation < head.seal_generation {
            return Err(BarrierError::Stale("seal record"));
        }
        if is_surely_newest && seal_generation > head.seal_generation {
            return Err(BarrierError::Stale("head"));
        }
        let (has_index, records, high_water) =
            (head.index().is_some(), head.record_count, head.rev_high_water);

        let lost = if is_surely_newest { 0 } else { LOST_HEAD_REVISIONS };
        let last_revision = head.rev_high_water + lost;
        let barrier = Self::assemble(place, keys, head, last_revision, 0);
        if rebuilds {
            barrier.remove_unreadable().await?;
        }
        if has_index && !rebuilds {
            barrier.check_root().await?;
        } else {
            barrier.build_index(records, high_water).await?;
        }
        // Without a readable start the epoch counts from the first revision: rotation comes sooner, never later.
        let progress = match progress::read(&barrier).await {
            Ok(progress) => progress,
            Err(error) if error.is_of_records() => None,
            Err(error) => return Err(error),
        };
        if let Some(progress) = progress
            && progress.target == barrier.with_keys(|keys| Ok(keys.active_epoch()?.number))?
        {
            barrier.start_epoch_at(progress.epoch_start);
        }
        Ok(barrier)
    }
}

/// The newer head that opens, and whether nothing speaks for a newer one that was lost.
async fn newest_head(place: &Place, keys: &Keys) -> Result<(Head, bool), BarrierError> {
    let environment = place.context.environment;
    let mut newest: Option<Head> = None;
    let (mut lost, mut of_later_epoch) = (false, false);
    let active = keys.active_epoch()?.number;
    for slot in keyring::SLOTS {
        let store_key = tables::meta_key(environment, MetaItem::Head, slot);
        let Some(sealed) = place.store.get(&store_key).await? else { continue };
        of_later_epoch |= Record::parse(&sealed).is_ok_and(|record| record.header().epoch > active);
        // With an index both copies are of one generation.
        let head = self::head(keys, &store_key, &sealed)
            .filter(|head| head.index().is_some() || Slot::of(head.generation) == slot);
        match head {
            Some(head) if newest.as_ref().is_none_or(|newest| newest.generation < head.generation) => {
                newest = Some(head);
            }
            Some(_) => {}
            None => {
                lost = true;
                tracing::error!(%environment, ?slot, store_key = %Hex(&store_key), "a copy of the head is damaged");
            }
        }
    }
    newest.map(|head| (head, !lost)).ok_or(match of_later_epoch {
        true => BarrierError::Stale("keyring"),
        false => BarrierError::Damaged(Kind::Head),
    })
}

/// The head at `store_key`, if it opens.
pub(crate) fn head(keys: &Keys, store_key: &[u8], sealed: &[u8]) -> Option<Head> {
    let (_, plaintext) = keys.open(Kind::Head, store_key, sealed).ok()?;
    Head::decode(&plaintext).ok()
}

/// The generation of the newest seal record that is authentic under the root key.
async fn sealed_generation(place: &Place, keys: &Keys) -> Result<u64, BarrierError> {
    let environment = place.context.environment;
    let copies = meta::read_seal_record(&*place.store, environment).await?;
    let authentic = |copy: &Vec<u8>| {
        let record = Unverified::decode(copy).ok()?.verify(keys.root()).ok()?;
        Some(record.generation).filter(|_| record.ctx == place.context)
    };
    let generations: Vec<_> = copies.iter().filter_map(authentic).collect();
    // One that can't even be read was named where the copies were read.
    if generations.len() < copies.len() {
        tracing::error!(%environment, "a copy of the seal record is damaged");
    }
    generations.into_iter().max().ok_or(BarrierError::BadSealRecord)
}
