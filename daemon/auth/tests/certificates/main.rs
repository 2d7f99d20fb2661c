//! Client certificates, told as stories.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, in one binary"
)]
mod binding;
mod chains;
mod hall;
#[path = "../suite/lab.rs"]
mod lab;
mod names;
mod pki;
mod revocation;
mod roles;
