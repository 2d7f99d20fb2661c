//! Transit against a real barrier over a store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod crypt;
mod lab;
mod lifecycle;
mod nonces;
mod options;
mod records;
mod schedule;
mod sign;
