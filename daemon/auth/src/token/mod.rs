//! Tokens: stored by HMAC, so that the store finds a token that is shown and cannot show one.
//!
//! A token is live while its own record and those of all its ancestors are there and unexpired. So revoking one record
//! ends a whole tree in that commit, however large, and what is left of the tree is cleared away in bounded batches.
mod binding;
mod handlers;
mod issue;
mod lifetime;
mod policies;
mod records;
mod revoke;
mod roles;
mod spend;
mod store;

pub use binding::{BindingMode, Bound, Peer, Unbound};
pub use handlers::{Asker, handle, route, routes};
pub use issue::{Issued, NewToken};
pub use lifetime::{SYSTEM_MAX_SECONDS, TtlLimits};
pub use policies::{policy_name, policy_names};
pub use revoke::Due;
pub use spend::spend;
pub use store::{AuthFault, TOKEN_CHARACTERS, TokenStore};

/// Reads `bytes` as a token's and as a role's record, and writes back what was read. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    if let Ok(record) = records::TokenRecord::decode(bytes) {
        assert_eq!(*record.encode(), bytes);
    }
    if let Ok(role) = records::TokenRole::decode(bytes) {
        assert_eq!(*role.encode(), bytes);
    }
}
