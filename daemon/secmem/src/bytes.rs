//! Secrets of any length: a private key, a share, a password.

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use crate::arena::Slot;

/// Secret bytes in the arena, cleared when dropped. Up to 2 KiB share pages with other secrets; longer ones have their own.
pub struct SecretBytes {
    slot: Slot,
}

impl SecretBytes {
    /// `len` secret bytes that `fill` writes in place. What `fill` wrote is cleared when it errs.
    pub fn generate<E>(len: usize, fill: &mut impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut slot = Slot::zeroed(len);
        fill(slot.bytes_mut())?;
        Ok(Self { slot })
    }

    /// Moves `source` into the arena and clears it.
    pub fn from_bytes(source: &mut [u8]) -> Self {
        let mut slot = Slot::zeroed(source.len());
        slot.bytes_mut().copy_from_slice(source);
        source.zeroize();
        Self { slot }
    }

    /// Moves `source` into the arena and clears it, with the capacity behind its length.
    pub fn from_vec(mut source: Vec<u8>) -> Self {
        let secret = Self::from_bytes(&mut source);
        source.zeroize();
        secret
    }

    /// The bytes themselves. Whoever copies them out must clear the copy.
    pub fn expose(&self) -> &[u8] {
        self.slot.bytes()
    }

    /// Length in bytes; no secret.
    pub fn len(&self) -> usize {
        self.slot.bytes().len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A second copy, in the arena. Not `Clone`: every copy of a secret should stand out where it is made.
    pub fn duplicate(&self) -> Self {
        let mut slot = Slot::zeroed(self.len());
        slot.bytes_mut().copy_from_slice(self.expose());
        Self { slot }
    }
}

impl ConstantTimeEq for SecretBytes {
    /// Constant in time over equal lengths; the lengths themselves are not secret.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.slot.bytes().ct_eq(other.slot.bytes())
    }
}
