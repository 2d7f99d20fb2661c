//! The head: what the store promises about itself, sealed once per batch and environment.
//!
//! Works of one batch add to one promise, and a work that aborts must take its part back. So each work clones the
//! promise of the works before it into a [`Pending`] of its own and hands it to the transaction's end, which the store
//! keeps, replaces or takes back together with the work. The barrier itself remembers only weakly: the newest one
//! still alive is the promise of the batch that is open, and when that batch is gone, none is.
use crate::{
    Barrier, BarrierError,
    barrier::{as_store_error, lock},
    index::{Changes, Root},
    keyring::SLOTS,
};
use coffer_secmem::Key32;
use coffer_store::{StoreError, Transaction};
use coffer_types::Kind;
use keystore_format::{
    head::Head,
    tables::{self, MetaItem},
};
use std::sync::{Arc, Mutex, Weak};

/// What the store is told when the head of a batch can't be sealed: the environment was closed meanwhile.
pub(crate) const NOT_SEALED: StoreError = StoreError::Closed;

/// What an open batch will change in the head, and in the index that the head promises.
#[derive(Default)]
pub(crate) struct Pending {
    promise: Mutex<Promise>,
    pub(crate) index: Arc<Changes>,
}

#[derive(Clone, Default)]
pub(crate) struct Promise {
    /// Records that came, less those that went.
    pub(crate) records: i64,
    /// The index that was built of what is in the store.
    pub(crate) built: Option<Root>,
    pub(crate) keyring_generation: Option<u64>,
    pub(crate) seal_generation: Option<u64>,
    pub(crate) incarnation: Option<[u8; 16]>,
    pub(crate) tpm_counter: Option<u64>,
    /// The root key that takes the present one's place when the batch is durable.
    pub(crate) root: Option<Arc<Key32>>,
}

impl Pending {
    pub(crate) fn change(&self, change: impl FnOnce(&mut Promise)) {
        change(&mut lock(&self.promise));
    }

    pub(crate) fn promise(&self) -> Promise {
        lock(&self.promise).clone()
    }
}

impl Barrier {
    /// The promise that a work writes into: `mine` while nobody wrote after it, else a new one on top of the newest.
    pub(crate) fn pending(
        &self,
        mine: Option<&Arc<Pending>>,
        transaction: &mut dyn Transaction,
    ) -> Arc<Pending> {
        let newest = self.newest_pending();
        if let (Some(mine), Some(newest)) = (mine, &newest)
            && Arc::ptr_eq(mine, newest)
        {
            return Arc::clone(mine);
        }
        let promise = newest.as_ref().map(|newest| newest.promise()).unwrap_or_default();
        let index = Changes::after(newest.map(|newest| Arc::clone(&newest.index)));
        let pending = Arc::new(Pending { promise: Mutex::new(promise), index: Arc::new(index) });
        lock(&self.pending).push(Arc::downgrade(&pending));
        let (barrier, promised) = (self.me.upgrade(), Arc::clone(&pending));
        transaction.at_end(
            self.end_id(),
            Box::new(move |transaction| match barrier {
                Some(barrier) => barrier.write_head(transaction, promised).map_err(as_store_error),
                None => Err(NOT_SEALED),
            }),
        );
        pending
    }

    /// The promise of the open batch, if a work changed this environment in it.
    pub(crate) fn newest_pending(&self) -> Option<Arc<Pending>> {
        let mut alive = lock(&self.pending);
        alive.retain(|pending| pending.strong_count() > 0);
        alive.last().and_then(Weak::upgrade)
    }

    /// Names this environment's end of a batch: its id, changed so that no other room's end has the same name.
    fn end_id(&self) -> [u8; 16] {
        let mut id = self.environment().0;
        id.iter_mut().zip(b"the barrier head").for_each(|(byte, mask)| *byte ^= mask);
        id
    }

    fn write_head(
        self: Arc<Self>,
        transaction: &mut dyn Transaction,
        pending: Arc<Pending>,
    ) -> Result<(), BarrierError> {
        let promise = pending.promise();
        let audit = *lock(&self.audit);
        let last = copy(&lock(&self.head))?;
        let last_count = last.record_count;
        let (changes, written) = pending.index.all();
        let before = promise.built.or(written).unwrap_or_else(|| self.index.durable());
        let root =
            if changes.is_empty() { before } else { self.change_index(transaction, before, &changes)? };
        pending.index.set_written(root);
        let mut head = Head {
            generation: last.generation + 1,
            rev_high_water: 0,
            keyring_generation: promise.keyring_generation.unwrap_or(last.keyring_generation),
            seal_generation: promise.seal_generation.unwrap_or(last.seal_generation),
            audit_size: audit.size,
            audit_root: audit.root,
            incarnation: promise.incarnation.unwrap_or(last.incarnation),
            tpm_counter: promise.tpm_counter.unwrap_or(last.tpm_counter),
            ..last
        };
        // Taken last: no record of this batch has a higher one.
        head.rev_high_water = self.reserve();
        head.record_count = last_count.saturating_add_signed(promise.records);
        head.promise_index(root);
        let plaintext = head.encode().map_err(BarrierError::sealing(Kind::Head))?;
        // Both copies: an older head would promise an index that is there no more.
        for slot in SLOTS {
            let nonce = self.nonce()?;
            let store_key = tables::meta_key(self.environment(), MetaItem::Head, slot);
            let revision = head.rev_high_water;
            let sealed =
                self.with_keys(|keys| keys.seal(Kind::Head, &store_key, revision, &nonce, &plaintext))?;
            transaction.put(store_key, sealed)?;
        }
        let next = Arc::new(root);
        self.index.announce(&next);
        // Keeps the promise alive until it is durable: a later end of the same batch goes on from it.
        transaction.after(Box::new(move || {
            *lock(&self.head) = head;
            self.index.settle(*next);
            drop(pending);
        }));
        Ok(())
    }
}

/// A tail may hold secrets, so a head has no `Clone`.
fn copy(head: &Head) -> Result<Head, BarrierError> {
    let damaged = BarrierError::sealing(Kind::Head);
    Head::decode(&head.encode().map_err(&damaged)?).map_err(&damaged)
}
