//! Chunked streams, envelope messages and backup files: what is sealed in pieces of any size.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::ok_expect,
    reason = "a test fails by panicking; secrets have no Debug"
)]
mod envelope;
mod snapshot;
mod stream;

mod wycheproof_chunked;

/// `length` bytes that differ from their neighbours.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}
