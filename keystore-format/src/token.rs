//! Tokens are stored by HMAC: the store finds a token that is shown, and cannot show one.
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a token.
pub const TOKEN_LEN: usize = 32;

/// `t = SHA-256("coffer/v1/token" ‖ 0x00 ‖ token)`. The token's record keeps it, so that the token can be
/// indexed anew under another token key without being shown.
#[must_use]
pub fn digest(token: &[u8; TOKEN_LEN]) -> Zeroizing<[u8; 32]> {
    let hash = Sha256::new_with_prefix(b"coffer/v1/token\0").chain_update(token);
    Zeroizing::new(hash.finalize().into())
}

/// Where the store keeps a token: `HMAC-SHA-256(token key, t)`.
#[must_use]
pub fn index(token_key: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    crate::mac::hmac_sha256(token_key, &[digest])
}
