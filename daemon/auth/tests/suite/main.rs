//! Tokens, told as stories.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, in one binary"
)]
mod handlers;
mod lab;
mod lifetimes;
mod people;
mod trees;
