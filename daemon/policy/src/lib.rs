//! What may be done.
//!
//! A [`Policy`] is read from its text once, a caller's policies are compiled into an [`Acl`], and [`authorise`] turns a
//! caller and a target into a [`Permit`]: the only thing that opens the next door. Nothing here does IO or knows the time.
#![forbid(unsafe_code)]

mod acl;
mod builtin;
mod capabilities;
mod explain;
mod names;
mod parameters;
mod pattern;
mod permit;
mod policy;
mod routes;
mod rule;
mod syntax;
#[cfg(test)]
mod tests;

pub use acl::Acl;
pub use builtin::DEFAULT_POLICY;
pub use explain::{Explanation, explain};
pub use names::fold_names;
pub use permit::{Permit, Refusal, Target, authorise, public};
pub use policy::{Policy, PolicyError};
pub use routes::{ANY_CALLER, PublicRoute, SUDO, needs_sudo};

/// Reads `text` as a policy and decides some paths by it: nothing may panic. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(policy) = Policy::parse(text) else { return };
    let acl = Acl::new(&[std::sync::Arc::new(policy)]);
    for piece in text.split('"') {
        if let Ok(path) = coffer_types::CanonicalPath::parse(piece) {
            let _ = acl.capabilities(&path);
        }
    }
}
