//! Clearing the stack that a cipher used: it clears what it holds when it is dropped, but moves key schedules before,
//! and what was moved leaves a copy of the key where it lay.
use core::hint::black_box;

/// More than any cipher here uses, in words of eight bytes: 8.6 KiB where AES has registers of 512 bits. Without
/// optimisation each step keeps a copy of its own: then it is some 20 KiB.
const WORDS: usize = if cfg!(debug_assertions) { 8192 } else { 1536 };

/// Runs `act`, which has a key in its hands, and clears the stack below the caller.
pub(crate) fn cleared<T>(act: impl FnOnce() -> T) -> T {
    let result = below(act);
    clear();
    result
}

/// A frame of its own, so that nothing of `act` is in the caller's.
#[inline(never)]
fn below<T>(act: impl FnOnce() -> T) -> T {
    act()
}

/// Its frame lies where that of [`below`] lay.
#[inline(never)]
fn clear() {
    black_box(&mut [0_u64; WORDS]);
}
