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

mod after_seal;
mod audit_log;
mod backups;
mod certificates;
mod commands;
mod environments;
mod faults;
mod passwords;
mod readme;
mod rule_1_one_path;
mod rule_2_ids;
mod rule_3_authorisation;
mod rule_4_secrets;
mod rule_5_limits;
mod rule_6_and_7;
mod stories;
mod ways_in;
