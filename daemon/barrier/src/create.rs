//! A new environment: its keys exist before anything of it is in the store.
use crate::{
    Barrier, BarrierError, Place,
    keyring::{Copies, generate, seal_copies},
    keys::Keys,
};
use coffer_secmem::Key32;
use coffer_store::Transaction;
use keystore_format::{head::Head, keyring::EscrowedKek, seal_record::SealRecord};
use std::sync::Arc;

/// An environment with keys and without a trace in the store. [`Created::write`] makes it real.
pub struct Created {
    /// The open environment. Write its first records through it in the transaction of [`Created::write`].
    pub barrier: Arc<Barrier>,
    keyring: Copies,
}

impl Barrier {
    /// Makes the keys of a new environment below `root_key`. `escrow` are the KEKs of its Shamir wraps.
    ///
    /// # Errors
    /// [`BarrierError::Entropy`].
    pub fn create(place: Place, root_key: Key32, escrow: Vec<EscrowedKek>) -> Result<Created, BarrierError> {
        let keyring = generate(
            &mut |bytes| place.entropy.fill(bytes).map_err(BarrierError::from),
            place.clock.now(),
            escrow,
        )?;
        let nonce = || Ok(coffer_types::random(&*place.entropy)?);
        let copies = seal_copies(root_key.expose(), &place.context, &keyring, nonce)?;
        let incarnation = coffer_types::random(&*place.entropy)?;
        let keys = Keys::new(place.context, root_key, &keyring);
        // Generation 0 is never written: the first batch makes the head of generation 1.
        let mut head = Head { keyring_generation: keyring.generation, incarnation, ..Head::default() };
        head.promise_index(None);
        Ok(Created { barrier: Barrier::assemble(place, keys, head, 0, 0), keyring: copies })
    }
}

impl Created {
    /// Writes keyring, seal record and head: all of the environment, or nothing, by the transaction's rules. May be
    /// called again where the work is run again.
    ///
    /// # Errors
    /// Where the store fails; [`BarrierError::BadSealRecord`] where the seal record is not this environment's.
    pub fn write(&self, transaction: &mut dyn Transaction, seal: &SealRecord) -> Result<(), BarrierError> {
        for (key, sealed) in &self.keyring {
            transaction.put(key.clone(), sealed.clone())?;
        }
        self.barrier.batch(transaction).put_seal_record(seal)
    }
}
