//! Seals by a TPM 2.0, with software TPMs, tpm2-tools and tss-esapi.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]
mod bus;
mod counter;
mod esapi;
mod lab;
mod on_the_bus;
mod sealing;
mod trouble;
