//! Argon2id (RFC 9106), away from the threads that answer requests.
use crate::userpass::records::{Algorithm, Cost, Verifier};
use argon2::{Argon2, Params, Version};
use coffer_room::Fault;
use coffer_types::{Entropy, random};
use std::sync::LazyLock;
use std::thread::available_parallelism;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

/// What a new password's verifier costs: OWASP's password storage recommendation, about 15 ms. Raise it here: old
/// records keep their own until their password is set anew.
pub(crate) const COST: Cost = Cost { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

/// How many guesses of this process are worked on at once: half the processors, so that requests go on, and at most
/// four, so that passwords never hold more than 76 MiB. It guards the process's memory, so there is one of it.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = available_parallelism().map_or(1, usize::from);
    Semaphore::new((processors / 2).clamp(1, 4))
});

/// Runs `job` on a thread that may be kept busy, when there is a place. It runs to its end although nobody waits any more.
///
/// # Errors
/// 500 where the runtime is going down.
pub(crate) async fn work<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let broken = |_| Fault::Internal("a password could not be worked on");
    let place = PLACES.acquire().await.map_err(|_| Fault::Internal("a password could not be worked on"))?;
    let done = spawn_blocking(move || {
        let done = coffer_secmem::leaving_nothing(job);
        drop(place);
        done
    });
    done.await.map_err(broken)?
}

impl Verifier {
    /// The verifier of a new password.
    pub(crate) fn make(password: &[u8], salt: [u8; 16]) -> Result<Self, Fault> {
        let mut made = Self { algorithm: Algorithm::Argon2id, cost: COST, salt, hash: [0; 32] };
        made.hash = *made.hash_of(password)?;
        Ok(made)
    }

    /// What a password for an unknown name is compared with: the work of any other, and no password's.
    pub(crate) fn of_nobody(entropy: &dyn Entropy) -> Result<Self, Fault> {
        Ok(Self {
            algorithm: Algorithm::Argon2id,
            cost: COST,
            salt: random(entropy)?,
            hash: random(entropy)?,
        })
    }

    /// Whether this is the password.
    pub(crate) fn matches(&self, password: &[u8]) -> Result<bool, Fault> {
        Ok(self.hash_of(password)?.ct_eq(&self.hash).into())
    }

    fn hash_of(&self, password: &[u8]) -> Result<Zeroizing<[u8; 32]>, Fault> {
        let Algorithm::Argon2id = self.algorithm;
        let Cost { memory_kib, passes, lanes } = self.cost;
        let refused = |_| Fault::Internal("a password's verifier could not be computed");
        let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(refused)?;
        let mut hash = Zeroizing::new([0; 32]);
        Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password, &self.salt, hash.as_mut_slice())
            .map_err(refused)?;
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn verifier(memory_kib: u32, passes: u32) -> Verifier {
        let cost = Cost { memory_kib, passes, lanes: 1 };
        Verifier { algorithm: Algorithm::Argon2id, cost, salt: *b"somesaltsomesalt", hash: [0; 32] }
    }

    /// Computed by the reference implementation (P-H-C/phc-winner-argon2, through argon2-cffi 25.1.0).
    #[test]
    fn the_hash_is_the_one_of_the_reference_implementation() {
        for (memory_kib, passes, wanted) in [
            (64, 1, "e793d64ef75d58f503d4631b2b149f7f80127c5f3993d89b1c9b781e51d0b413"),
            (19 * 1024, 2, "2b5dc4054886ec957ef59c73b661c54dd6fb274590b278f657c6d96aac8fa6d1"),
        ] {
            let hash = verifier(memory_kib, passes).hash_of(b"password").ok().unwrap();
            assert_eq!(hex::encode(*hash), wanted);
        }
    }

    #[test]
    fn an_older_cost_still_verifies() {
        let mut old = verifier(64, 1);
        old.hash = *old.hash_of(b"right").ok().unwrap();
        assert!(old.cost != COST && old.matches(b"right").ok().unwrap());
        assert!(!old.matches(b"wrong").ok().unwrap());
    }

    #[tokio::test]
    async fn a_flood_is_worked_on_a_few_at_a_time() {
        let most = PLACES.available_permits();
        let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<_> = (0..40)
            .map(|_| {
                let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
                tokio::spawn(work(move || {
                    peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let made = Verifier::make(b"password", [0; 16]).map(drop);
                    now.fetch_sub(1, Ordering::SeqCst);
                    made
                }))
            })
            .collect();
        for job in jobs {
            assert!(job.await.unwrap().is_ok());
        }
        assert!((1..=most).contains(&peak.load(Ordering::SeqCst)));
    }
}
