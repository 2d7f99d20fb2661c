//! The keyring in the store: two copies of one generation, always written together, so that one damaged copy costs
//! nothing and no copy from before a rotation stays behind.
use crate::{
    Barrier, BarrierError, Batch,
    keys::{EpochKey, Keys},
    progress::Record as Progress,
};
use coffer_secmem::{Key32, leaving_nothing};
use coffer_types::{EnvironmentId, Kind, Timestamp};
use keystore_format::{
    kdf::Context,
    keyring::{self, Epoch, EpochState, EscrowedKek, Keyring, StableKey},
    tables::{self, MetaItem, Slot},
    tail::Tail,
};
use zeroize::Zeroizing;

/// Store key and value of both copies.
pub(crate) type Copies = [(Vec<u8>, Vec<u8>); 2];

pub(crate) const SLOTS: [Slot; 2] = [Slot::A, Slot::B];

/// A new environment's keyring: one epoch, fresh keys.
pub(crate) fn generate(
    fill: &mut dyn FnMut(&mut [u8]) -> Result<(), BarrierError>,
    now: Timestamp,
    escrow: Vec<EscrowedKek>,
) -> Result<Box<Keyring>, BarrierError> {
    let data_key = Zeroizing::new([0; 32]);
    let created_unix_seconds = now.seconds();
    let first =
        Epoch { number: 1, state: EpochState::Active, created_unix_seconds, data_key, encryptions: 0 };
    let mut keyring = Box::new(Keyring {
        generation: 1,
        epochs: vec![first],
        name_key: StableKey { version: 1, key: Zeroizing::new([0; 64]) },
        token_key: blank(),
        commitment_key: blank(),
        child_kek: blank(),
        log_seed: blank(),
        escrow,
        tail: Tail::new(),
    });
    // Filled where they lie: a key that is moved leaves a copy.
    for epoch in &mut keyring.epochs {
        fill(&mut *epoch.data_key)?;
    }
    fill(&mut *keyring.name_key.key)?;
    for stable in
        [&mut keyring.token_key, &mut keyring.commitment_key, &mut keyring.child_kek, &mut keyring.log_seed]
    {
        fill(&mut *stable.key)?;
    }
    Ok(keyring)
}

fn blank() -> StableKey<32> {
    StableKey { version: 1, key: Zeroizing::new([0; 32]) }
}

/// Both copies, sealed.
pub(crate) fn seal_copies(
    root: &[u8; 32],
    context: &Context,
    keyring: &Keyring,
    nonce: impl Fn() -> Result<[u8; 24], BarrierError>,
) -> Result<Copies, BarrierError> {
    let copy = |slot| -> Result<_, BarrierError> {
        let sealed = keyring::seal_keyring(root, context, slot, &nonce()?, keyring)
            .map_err(BarrierError::sealing(Kind::Keyring))?;
        Ok((store_key(context.environment, slot), sealed))
    };
    let [a, b] = SLOTS;
    Ok([copy(a)?, copy(b)?])
}

/// The newer of the copies that open; a damaged one is named in the log. In a box: a keyring that is moved leaves its keys
/// where it lay.
pub(crate) fn newest(
    root: &[u8; 32],
    context: &Context,
    copies: [Option<Vec<u8>>; 2],
) -> Result<Box<Keyring>, BarrierError> {
    leaving_nothing(|| opened(root, context, copies))
}

fn opened(
    root: &[u8; 32],
    context: &Context,
    copies: [Option<Vec<u8>>; 2],
) -> Result<Box<Keyring>, BarrierError> {
    if copies.iter().all(Option::is_none) {
        return Err(BarrierError::Absent);
    }
    let mut newest: Option<Box<Keyring>> = None;
    for (slot, copy) in SLOTS.into_iter().zip(copies) {
        let opened = copy.map(|copy| keyring::open_keyring(root, context, slot, &copy));
        match opened {
            Some(Ok(keyring)) => {
                if newest.as_ref().is_none_or(|newest| newest.generation < keyring.generation) {
                    newest = Some(Box::new(keyring));
                }
            }
            Some(Err(error)) => {
                tracing::error!(environment = %context.environment, ?slot, %error, "a copy of the keyring is damaged");
            }
            None => {
                tracing::error!(environment = %context.environment, ?slot, "a copy of the keyring is missing")
            }
        }
    }
    newest.ok_or(BarrierError::Damaged(Kind::Keyring))
}

pub(crate) fn store_key(environment: EnvironmentId, slot: Slot) -> Vec<u8> {
    tables::meta_key(environment, MetaItem::Keyring, slot)
}

impl Batch<'_> {
    /// Begins a new epoch, from this batch's end on; returns its number. Old records stay readable, and
    /// [`Barrier::reencrypt_step`] moves them.
    ///
    /// # Errors
    /// Where the store or the generator fails, or the keyring does not open.
    pub fn rotate(&mut self) -> Result<u32, BarrierError> {
        let mut keyring = self.keyring()?;
        let last = keyring.epochs.last_mut().ok_or(BarrierError::Damaged(Kind::Keyring))?;
        last.state = EpochState::Retired;
        last.encryptions = self.barrier.encryptions();
        let number = last.number.checked_add(1).ok_or(BarrierError::TooLarge)?;
        let created_unix_seconds = self.now().seconds();
        let data_key = Key32::generate(&mut |bytes| self.barrier.place.entropy.fill(bytes))?;
        let blank = Zeroizing::new([0; 32]);
        keyring.epochs.push(Epoch {
            number,
            state: EpochState::Active,
            created_unix_seconds,
            data_key: blank,
            encryptions: 0,
        });
        // Where it lies: see `generate`.
        if let Some(epoch) = keyring.epochs.last_mut() {
            epoch.data_key.copy_from_slice(data_key.expose());
        }
        self.put_keyring(keyring)?;

        let epoch_start = self.barrier.last_reserved();
        self.put_progress(&Progress::starting(number, epoch_start))?;
        let barrier = self.barrier.me.upgrade().ok_or(BarrierError::Sealed)?;
        self.after(Box::new(move || {
            barrier.start_epoch_at(epoch_start);
            barrier.change_keys(|keys| keys.add_epoch(EpochKey { number, created_unix_seconds, data_key }));
        }));
        Ok(number)
    }

    /// Deletes the data keys of all epochs but the active one, which must be `active`.
    pub(crate) fn drop_retired_epochs(&mut self, active: u32) -> Result<(), BarrierError> {
        let mut keyring = self.keyring()?;
        if keyring.epochs.last().map(|epoch| epoch.number) != Some(active) {
            return Ok(());
        }
        keyring.epochs.drain(..keyring.epochs.len() - 1);
        self.put_keyring(keyring)?;
        let barrier = self.barrier.me.upgrade().ok_or(BarrierError::Sealed)?;
        self.after(Box::new(move || barrier.change_keys(Keys::forget_retired)));
        Ok(())
    }

    /// The keyring as of this very transaction.
    pub(crate) fn keyring(&mut self) -> Result<Box<Keyring>, BarrierError> {
        let environment = self.barrier.environment();
        let [a, b] = SLOTS.map(|slot| store_key(environment, slot));
        let copies = [self.raw.get(&a)?, self.raw.get(&b)?];
        let context = self.barrier.context();
        self.with_root(|root| newest(root, &context, copies))
    }

    pub(crate) fn put_keyring(&mut self, mut keyring: Box<Keyring>) -> Result<(), BarrierError> {
        keyring.generation += 1;
        let barrier: &Barrier = self.barrier;
        let copies =
            self.with_root(|root| seal_copies(root, &barrier.context(), &keyring, || barrier.nonce()))?;
        for (key, sealed) in copies {
            self.raw.put(key, sealed)?;
        }
        self.pending().change(|promise| promise.keyring_generation = Some(keyring.generation));
        Ok(())
    }
}
