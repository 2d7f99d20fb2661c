//! Who is asking.
//!
//! Three ways in: a token; a login with a client certificate or a password; or no login at all, where a client
//! certificate that matches a role is that role's identity. All end in a [`Caller`], which only this room can make.
#![forbid(unsafe_code)]

mod caller;
pub mod cert;
pub mod token;
pub mod userpass;

pub use caller::{Anonymous, Caller, TokenRef};
