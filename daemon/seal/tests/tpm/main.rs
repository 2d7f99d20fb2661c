//! Seals by a TPM 2.0, with software TPMs and tpm2-tools.
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
mod lab;
mod on_the_bus;
mod sealing;
mod trouble;
