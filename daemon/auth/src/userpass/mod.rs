//! Users with a password: for people who have no certificate of their own.
//!
//! Whoever asks must learn nothing but whether name and password are right together: an unknown name costs the same work
//! and gets the same answer, and failures are counted by the folded name, known or not. Passwords are kept as Argon2id
//! verifiers, each with the cost it was made at. Not here: client addresses, and batch tokens; a user that asks for them is
//! refused, not weakened.
mod asked;
mod handlers;
mod hash;
mod lockout;
mod login;
mod records;

pub use handlers::{Visitor, handle, route, routes};

/// Reads `bytes` as a user's record: nothing may panic. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let _ = records::UserRecord::decode(bytes);
}
