//! What lies in the store in clear, because it is read before there is a key: the store id, and the seal records.
use crate::{Barrier, BarrierError, Batch, keyring::SLOTS, listing::PAGE};
use coffer_secmem::{Key32, leaving_nothing};
use coffer_store::{Store, Transaction};
use coffer_types::{EnvironmentId, StoreId};
use keystore_format::{
    keyring::EscrowedKek,
    seal_record::{self, SealRecord, Unverified},
    tables::{self, MetaItem, Slot},
};
use std::sync::Arc;

/// The store's id; `None` in a store that was never initialised.
///
/// # Errors
/// Where the store fails; [`BarrierError::Stale`] where there is something else in its place.
pub async fn read_store_id(store: &dyn Store) -> Result<Option<StoreId>, BarrierError> {
    match store.get(&store_id_key()).await? {
        None => Ok(None),
        Some(id) => id.try_into().map(|id| Some(StoreId(id))).map_err(|_| BarrierError::Stale("store id")),
    }
}

/// Names the store, once.
///
/// # Errors
/// Where the store fails; [`BarrierError::Stale`] where it has another name already.
pub fn put_store_id(transaction: &mut dyn Transaction, id: StoreId) -> Result<(), BarrierError> {
    match transaction.get(&store_id_key())? {
        Some(existing) if existing != id.as_bytes() => Err(BarrierError::Stale("store id")),
        Some(_) => Ok(()),
        None => Ok(transaction.put(store_id_key(), id.as_bytes().to_vec()).map(drop)?),
    }
}

/// The copies of an environment's seal record whose shape is right, the newer first; nothing in them is authentic
/// before a root key was tried on it. Empty where there is no such environment.
///
/// # Errors
/// Where the store fails; [`BarrierError::BadSealRecord`] where there are copies and none can be read.
pub async fn read_seal_record(
    store: &dyn Store,
    environment: EnvironmentId,
) -> Result<Vec<Vec<u8>>, BarrierError> {
    let mut copies: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut damaged = false;
    for slot in SLOTS {
        let Some(copy) = store.get(&seal_record_key(environment, slot)).await? else { continue };
        let claimed =
            Unverified::decode(&copy).ok().map(|record| (record.claimed().generation, record.claimed().ctx));
        match claimed {
            Some((generation, context)) if context.environment == environment => {
                if copies.iter().all(|(_, other)| *other != copy) {
                    copies.push((generation, copy));
                }
            }
            _ => {
                damaged = true;
                tracing::error!(%environment, ?slot, "a copy of the seal record is damaged");
            }
        }
    }
    if copies.is_empty() && damaged {
        return Err(BarrierError::BadSealRecord);
    }
    copies.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
    Ok(copies.into_iter().map(|(_, copy)| copy).collect())
}

/// Deletes up to `limit` items of an environment that nobody has open, its keys first; returns how many there were.
/// Done when that is less than `limit`. Needs no key: a sealed environment can be deleted.
///
/// # Errors
/// Where the store fails.
pub fn erase_environment(
    transaction: &mut dyn Transaction,
    environment: EnvironmentId,
    limit: usize,
) -> Result<usize, BarrierError> {
    let mut erased = 0;
    for table in [tables::META, tables::RECORDS, tables::OUTBOX, tables::INDEX] {
        let prefix = [&[table][..], environment.as_bytes()].concat();
        while erased < limit {
            let page = transaction.range(&prefix, None, PAGE.min(limit - erased))?;
            if page.is_empty() {
                break;
            }
            for entry in &page {
                transaction.delete(&entry.key)?;
            }
            erased += page.len();
        }
    }
    Ok(erased)
}

impl Barrier {
    /// The root key, for a device that is to wrap it.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn root_key(&self) -> Result<Key32, BarrierError> {
        self.with_keys(|keys| Ok(Key32::derive(|key| key.copy_from_slice(keys.root()))))
    }

    /// The seal record as it is in the store, authentic under the root key.
    ///
    /// # Errors
    /// Where the store fails; [`BarrierError::BadSealRecord`] where no copy is authentic, as in the moment of a rekey.
    pub async fn seal_record(&self) -> Result<SealRecord, BarrierError> {
        let copies = read_seal_record(&**self.store(), self.environment()).await?;
        let root_key = self.root_key()?;
        let verified =
            copies.iter().filter_map(|copy| Unverified::decode(copy).ok()?.verify(root_key.expose()).ok());
        let newest = verified.max_by_key(|record| record.generation);
        newest.filter(|record| record.ctx == self.context()).ok_or(BarrierError::BadSealRecord)
    }
}

impl Batch<'_> {
    /// Writes the seal record, in both copies and in one commit with the head that promises its generation.
    ///
    /// # Errors
    /// Where the store fails; [`BarrierError::BadSealRecord`] where it is of another environment or root key, or its
    /// generation is not the next one.
    pub fn put_seal_record(&mut self, record: &SealRecord) -> Result<(), BarrierError> {
        let pending = self.pending();
        let last = pending.promise().seal_generation.unwrap_or_else(|| self.barrier.seal_generation());
        if record.ctx != self.barrier.context() || record.generation != last + 1 {
            return Err(BarrierError::BadSealRecord);
        }
        let encoded = self.with_root(|root| record.encode(root).map_err(|_| BarrierError::BadSealRecord))?;
        for slot in SLOTS {
            self.raw.put(seal_record_key(record.ctx.environment, slot), encoded.clone())?;
        }
        pending.change(|promise| promise.seal_generation = Some(record.generation));
        Ok(())
    }
}

impl Batch<'_> {
    /// The seal record as of this very transaction, authentic under the root key.
    ///
    /// # Errors
    /// Where the store fails; [`BarrierError::BadSealRecord`] where no copy is authentic.
    pub fn seal_record(&mut self) -> Result<SealRecord, BarrierError> {
        let environment = self.barrier.environment();
        let mut newest: Option<SealRecord> = None;
        for slot in SLOTS {
            let Some(copy) = self.raw.get(&seal_record_key(environment, slot))? else { continue };
            let verified = self.with_root(|root| {
                Ok(Unverified::decode(&copy).ok().and_then(|copy| copy.verify(root).ok()))
            })?;
            newest = [newest, verified].into_iter().flatten().max_by_key(|record| record.generation);
        }
        newest.filter(|record| record.ctx == self.barrier.context()).ok_or(BarrierError::BadSealRecord)
    }

    /// Puts another root key, or another seal of the same one, in the place of what is there: keyring, seal record and
    /// head change in this one commit. `make` gets the present record and the escrow of KEKs, which it may change.
    ///
    /// # Errors
    /// What `make` errs with, and as [`Batch::put_seal_record`].
    pub fn reseal<E: From<BarrierError>>(
        &mut self,
        make: impl FnOnce(SealRecord, &mut Vec<EscrowedKek>) -> Result<(Key32, SealRecord), E>,
    ) -> Result<(), E> {
        // Keys of shares are moved about in it.
        leaving_nothing(|| self.resealed(make))
    }

    fn resealed<E: From<BarrierError>>(
        &mut self,
        make: impl FnOnce(SealRecord, &mut Vec<EscrowedKek>) -> Result<(Key32, SealRecord), E>,
    ) -> Result<(), E> {
        let mut keyring = self.keyring()?;
        let record = self.seal_record()?;
        let (root_key, record) = make(record, &mut keyring.escrow)?;
        let root_key = Arc::new(root_key);
        let promised = Arc::clone(&root_key);
        self.pending().change(|promise| promise.root = Some(promised));
        self.put_keyring(keyring)?;
        self.put_seal_record(&record)?;
        let barrier = self.barrier.me.upgrade().ok_or(BarrierError::Sealed)?;
        self.after(Box::new(move || barrier.change_keys(|keys| keys.set_root(root_key.duplicate()))));
        Ok(())
    }

    /// Whether `root_key` is the environment's, as of this very transaction: by its public id.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`].
    pub fn is_root_key(&mut self, root_key: &Key32) -> Result<bool, BarrierError> {
        let context = self.barrier.context();
        let id = |key: &[u8; 32]| seal_record::root_id(key, &context);
        self.with_root(|root| Ok(id(root) == id(root_key.expose())))
    }

    /// The root key as of this very transaction.
    pub(crate) fn with_root<T>(
        &mut self,
        act: impl FnOnce(&[u8; 32]) -> Result<T, BarrierError>,
    ) -> Result<T, BarrierError> {
        // Asked first: a closed environment has none.
        let promised = self.barrier.newest_pending().and_then(|pending| pending.promise().root);
        self.barrier.with_keys(|keys| act(promised.as_ref().map_or(keys.root(), |root| root.expose())))
    }
}

/// Where the store's id lies.
#[must_use]
pub fn store_id_key() -> Vec<u8> {
    tables::meta_key(EnvironmentId::default(), MetaItem::StoreId, Slot::A)
}

fn seal_record_key(environment: EnvironmentId, slot: Slot) -> Vec<u8> {
    tables::meta_key(environment, MetaItem::SealRecord, slot)
}
