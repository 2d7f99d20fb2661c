//! The log under a hand-turned clock, on disks that fail, and under an auditor's eyes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod alterations;
mod crash;
mod disk;
mod kept;
mod live;
mod requests;
mod world;
