//! Key derivation: `KDF(k, label, ctx, n) = HKDF-Expand-SHA-256(k, "coffer/v1/" ‖ label ‖ 0x00 ‖ ctx, n)` (RFC 5869).
use crate::ids::{EnvironmentId, StoreId};
use crate::stack;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Where a key lives: the store and the environment, `ctx = store id[16] ‖ environment id[16]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The store.
    pub store: StoreId,
    /// The environment.
    pub environment: EnvironmentId,
}

impl Context {
    /// The 32 bytes of the context.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        let mut out = [0; 32];
        let (store, environment) = out.split_at_mut(16);
        store.copy_from_slice(&self.store.0);
        environment.copy_from_slice(&self.environment.0);
        out
    }
}

/// Derives `N` bytes from `key` for `label`, bound to `parts` one after the other.
///
/// `parts` are fixed-length or length-prefixed by the caller; `N` is at most 8,160 (255 blocks of SHA-256).
#[must_use]
pub fn derive<const N: usize>(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32) };
    let mut out = Zeroizing::new([0; N]);
    let head: [&[u8]; 3] = [b"coffer/v1/", label.as_bytes(), &[0]];
    let mut info = alloc::vec::Vec::with_capacity(3 + parts.len());
    info.extend_from_slice(&head);
    info.extend_from_slice(parts);
    // 32 bytes are a full PRK and N is checked above: neither step can fail.
    let expanded = stack::cleared(|| {
        Hkdf::<Sha256>::from_prk(key).is_ok_and(|it| it.expand_multi_info(&info, &mut *out).is_ok())
    });
    if !expanded {
        unreachable!("N is at most 255 blocks");
    }
    out
}
