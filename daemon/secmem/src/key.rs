//! Keys of a fixed size.

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use crate::arena::Slot;

/// `N` secret bytes in the arena, cleared when dropped. See [`Key32`] and [`Key64`].
pub struct Key<const N: usize> {
    slot: Slot,
}

/// A 256-bit key.
pub type Key32 = Key<32>;

/// A 512-bit key.
pub type Key64 = Key<64>;

impl<const N: usize> Key<N> {
    /// A new key that `fill` writes in place, so that no copy is left elsewhere. What `fill` wrote is cleared when it errs.
    pub fn generate<E>(fill: &mut impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut slot = Slot::zeroed(N);
        fill(slot.bytes_mut())?;
        Ok(Self { slot })
    }

    /// As [`Key::generate`], for derivations that write an array and can't fail.
    pub fn derive(write: impl FnOnce(&mut [u8; N])) -> Self {
        let mut slot = Slot::zeroed(N);
        match slot.bytes_mut().try_into() {
            Ok(bytes) => write(bytes),
            // Can't happen: the slot was made with N bytes a line above.
            Err(_) => unreachable!("a key's slot has exactly its length"),
        }
        Self { slot }
    }

    /// Moves `source` into the arena and clears it.
    pub fn from_bytes(source: &mut [u8; N]) -> Self {
        let key = Self::derive(|bytes| bytes.copy_from_slice(source));
        source.zeroize();
        key
    }

    /// The key itself. Whoever copies it out must clear the copy.
    pub fn expose(&self) -> &[u8; N] {
        match self.slot.bytes().try_into() {
            Ok(bytes) => bytes,
            // Can't happen: every constructor makes the slot with N bytes.
            Err(_) => unreachable!("a key's slot has exactly its length"),
        }
    }

    /// A second copy, in the arena. Not `Clone`: every copy of a key should stand out where it is made.
    pub fn duplicate(&self) -> Self {
        Self::derive(|bytes| bytes.copy_from_slice(self.expose()))
    }
}

impl<const N: usize> ConstantTimeEq for Key<N> {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.slot.bytes().ct_eq(other.slot.bytes())
    }
}
