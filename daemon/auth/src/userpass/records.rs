//! What is kept of a user: JSON inside the barrier. A field is added, never changed.
use coffer_barrier::BarrierError;
use coffer_types::Kind;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

/// A user, as it was written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserRecord {
    pub(crate) password: Verifier,
    #[serde(default)]
    pub(crate) token_policies: Vec<String>,
    #[serde(default)]
    pub(crate) token_no_default_policy: bool,
    #[serde(default)]
    pub(crate) token_ttl: u64,
    #[serde(default)]
    pub(crate) token_max_ttl: u64,
    #[serde(default)]
    pub(crate) token_explicit_max_ttl: u64,
    #[serde(default)]
    pub(crate) token_period: u64,
    #[serde(default)]
    pub(crate) token_num_uses: u64,
}

/// What a password is compared with, and how that was made.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verifier {
    pub(crate) algorithm: Algorithm,
    pub(crate) cost: Cost,
    /// Random, new with every password.
    pub(crate) salt: [u8; 16],
    pub(crate) hash: [u8; 32],
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Algorithm {
    /// Argon2id, version 0x13 (RFC 9106).
    Argon2id,
}

/// What one guess costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

impl Cost {
    /// A record never makes the daemon take more than 256 MiB, whoever wrote it.
    fn is_bearable(self) -> bool {
        (8..=256 << 10).contains(&self.memory_kib) && (1..=16).contains(&self.passes) && self.lanes == 1
    }
}

impl UserRecord {
    pub(crate) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, BarrierError> {
        serde_json::to_vec(self).map(Zeroizing::new).map_err(|_| BarrierError::TooLarge)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BarrierError> {
        let record = serde_json::from_slice::<Self>(bytes).ok();
        record
            .filter(|record| record.password.cost.is_bearable())
            .ok_or(BarrierError::Damaged(Kind::UserpassUser))
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.hash.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(memory_kib: u32, passes: u32, lanes: u32) -> Vec<u8> {
        let cost = Cost { memory_kib, passes, lanes };
        let password = Verifier { algorithm: Algorithm::Argon2id, cost, salt: [1; 16], hash: [2; 32] };
        let record = UserRecord {
            password,
            token_policies: vec!["a".into()],
            token_no_default_policy: true,
            token_ttl: 1,
            token_max_ttl: 2,
            token_explicit_max_ttl: 3,
            token_period: 4,
            token_num_uses: 5,
        };
        record.encode().unwrap().to_vec()
    }

    #[test]
    fn a_user_comes_back_as_it_was_written() {
        let written = record(19 << 10, 2, 1);
        assert_eq!(*UserRecord::decode(&written).unwrap().encode().unwrap(), written);
    }

    #[test]
    fn a_record_that_would_eat_the_memory_is_damaged() {
        for (memory_kib, passes, lanes) in
            [(u32::MAX, 2, 1), (19 << 10, u32::MAX, 1), (19 << 10, 2, 1 << 20), (0, 2, 1), (19 << 10, 0, 1)]
        {
            assert!(UserRecord::decode(&record(memory_kib, passes, lanes)).is_err());
        }
    }

    #[test]
    fn altered_bytes_are_damaged_or_another_user_but_never_panic() {
        let written = record(19 << 10, 2, 1);
        for at in 0..written.len() {
            assert!(UserRecord::decode(written.get(..at).unwrap()).is_err(), "{at}");
            for bit in 0..8 {
                let mut altered = written.clone();
                altered[at] ^= 1 << bit;
                let _ = UserRecord::decode(&altered);
            }
        }
    }
}
