//! The barrier over a store that the tests can look into and change behind its back.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, in one binary"
)]
mod batches;
mod ceremonies;
mod crash;
mod epochs;
mod listing;
mod opening;
mod rebuilding;
mod records;
mod replay;
mod sealing;
mod support;
mod transplants;
