//! HMAC-SHA-256 (RFC 2104) under 32-byte keys.
use crate::stack;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The MAC of `parts`, one after the other: fixed-length or length-prefixed by the caller.
#[must_use]
pub fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    stack::cleared(|| of(key, parts))
}

fn of(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // A 32-byte key is padded to the hash's block as RFC 2104 says; giving the block makes this infallible.
    let mut block = zeroize::Zeroizing::new([0; 64]);
    let (head, _) = block.split_at_mut(32);
    head.copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Compares in constant time.
#[must_use]
pub fn equal(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.ct_eq(right).into()
}
