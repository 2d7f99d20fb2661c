//! The keys that openings are sealed under: one for each month and data subject, so that erasing is deleting one.
use super::Book;
use crate::journal::lock;
use crate::{Facts, Unrecorded};
use coffer_barrier::BarrierError;
use coffer_room::{Answer, Change, Fault};
use coffer_secmem::Key32;
use coffer_store::StoreError;
use coffer_types::{CanonicalPath, Kind, MountId};
use keystore_format::{leaf::month_of, logcheck::hex};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// Keys that are held in memory at most.
const CACHED: usize = 1024;

/// The key of one month and data subject, and the name of both in the log.
pub(super) struct OpeningKey {
    pub(super) pseudonym: [u8; 16],
    /// None where the store had no space for a new one.
    pub(super) key: Option<Key32>,
}

/// The keys in use.
#[derive(Default)]
pub(super) struct OpeningKeys(Mutex<HashMap<[u8; 16], Arc<OpeningKey>>>);

impl OpeningKeys {
    /// Clears them, whoever still holds the book.
    pub(super) fn forget(&self) {
        lock(&self.0).clear();
    }
}

impl Book {
    /// The opening key for whoever asks, made where there is none.
    pub(super) async fn opening_key(&self, facts: &Facts) -> Result<Arc<OpeningKey>, Unrecorded> {
        let month = month_of(self.journal.now_ms());
        let subject = facts.subject.as_deref().unwrap_or_default();
        let pseudonym = self.barrier.actor_pseudonym(month, subject.as_bytes()).map_err(unrecorded)?;
        if let Some(key) = lock(&self.opening_keys.0).get(&pseudonym) {
            return Ok(Arc::clone(key));
        }
        let path = path(&pseudonym)?;
        let mut stored = self.stored_key(&path).await.map_err(unrecorded)?;
        if stored.is_none() {
            match self.make_key(path).await {
                Ok(made) => stored = Some(made),
                // A read must go on when the store is full; its leaf says that nobody can open it.
                Err(BarrierError::Store(StoreError::Full)) => {
                    return Ok(Arc::new(OpeningKey { pseudonym, key: None }));
                }
                Err(error) => return Err(unrecorded(error)),
            }
        }
        let key = Arc::new(OpeningKey { pseudonym, key: stored });
        let mut cached = lock(&self.opening_keys.0);
        if cached.len() >= CACHED {
            cached.clear();
        }
        cached.insert(pseudonym, Arc::clone(&key));
        Ok(key)
    }

    /// The key of sealed openings, where it was not erased.
    pub(super) async fn key_by_pseudonym(&self, pseudonym: &[u8; 16]) -> Result<Option<Key32>, BarrierError> {
        match path(pseudonym) {
            Ok(path) => self.stored_key(&path).await,
            Err(_) => Ok(None),
        }
    }

    async fn stored_key(&self, path: &CanonicalPath) -> Result<Option<Key32>, BarrierError> {
        let found = self.barrier.view(MountId::default()).get(Kind::OpeningKey, path, None).await?;
        found.map(|plain| to_key(&plain.bytes)).transpose()
    }

    /// Commits a new key, or finds the one that somebody else just made.
    async fn make_key(&self, path: CanonicalPath) -> Result<Key32, BarrierError> {
        self.barrier
            .commit(move |batch| {
                let mut tx = batch.mount(MountId::default());
                if let Some(found) = tx.get(Kind::OpeningKey, &path, None)? {
                    return to_key(&found.bytes);
                }
                let mut key = Zeroizing::new([0; 32]);
                tx.random(&mut *key)?;
                tx.put(Kind::OpeningKey, &path, None, &*key)?;
                Ok(Key32::from_bytes(&mut key))
            })
            .await
    }

    /// The change that erases the openings of one data subject and month (`year × 100 + month`): the leaves and all
    /// proofs stay valid, and what they committed to is gone.
    #[must_use]
    pub fn erase(self: &Arc<Self>, subject: &str, month: u32) -> Change {
        let (book, subject) = (Arc::clone(self), Zeroizing::new(subject.to_owned()));
        Change::new(move |batch| {
            let pseudonym = book.barrier.actor_pseudonym(month, subject.as_bytes()).map_err(Fault::from)?;
            let path =
                path(&pseudonym).map_err(|_| Fault::Internal("the name of an opening key is no path"))?;
            let was_there = batch.mount(MountId::default()).delete(Kind::OpeningKey, &path, None)?;
            let forgetful = Arc::clone(&book);
            batch.after(Box::new(move || drop(lock(&forgetful.opening_keys.0).remove(&pseudonym))));
            if was_there { Ok(Answer::empty()) } else { Err(Fault::NotFound) }
        })
    }
}

pub(super) fn unrecorded(error: BarrierError) -> Unrecorded {
    match error {
        BarrierError::Sealed => Unrecorded::Closed,
        BarrierError::Entropy => Unrecorded::Entropy,
        _ => Unrecorded::Store,
    }
}

fn path(pseudonym: &[u8; 16]) -> Result<CanonicalPath, Unrecorded> {
    CanonicalPath::parse(&hex(pseudonym)).map_err(|_| Unrecorded::Failed)
}

fn to_key(bytes: &[u8]) -> Result<Key32, BarrierError> {
    let mut key =
        Zeroizing::new(<[u8; 32]>::try_from(bytes).map_err(|_| BarrierError::Damaged(Kind::OpeningKey))?);
    Ok(Key32::from_bytes(&mut key))
}
