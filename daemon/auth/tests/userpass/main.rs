//! Users with a password, told as stories.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, in one binary"
)]
mod desk;
#[path = "../suite/lab.rs"]
mod lab;
mod locking;
mod logins;
mod users;
