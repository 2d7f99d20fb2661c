//! Engines, told as stories.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, in one binary"
)]
mod kv1;
mod kv2_bad_input;
mod kv2_metadata;
mod kv2_races;
mod kv2_upgrade;
mod kv2_values;
#[path = "../../../auth/tests/suite/lab.rs"]
mod lab;
mod mounted;
