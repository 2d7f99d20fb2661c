//! Stories told to a running daemon, and what must not happen in them. See `coffer_tests` for the harness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod certificates;
mod environments;
mod stories;
mod ways_in;
