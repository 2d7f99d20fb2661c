//! Runs the daemon as a process, with real certificates and real clients, and looks afterwards whether anything leaked.
//!
//! [`House`] is a daemon in a folder of its own. Tests start as many as they like; nothing is shared, so they run in
//! parallel. Whatever is secret in a test is told to the house as a canary; when the house goes, its log and its audit
//! files must hold none of them, in no spelling.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "a harness fails by panicking, and says why it skips"
)]

mod binaries;
mod canaries;
mod commands;
mod devices;
mod house;
mod kills;
mod memory;
mod moments;
mod people;
mod process;
mod search;
mod setup;
mod wire;

pub use binaries::{coffer, cofferd};
pub use canaries::{Canaries, random_hex};
pub use commands::{Output, find, run};
pub use devices::{HSM_PIN, Hsm, TPM_OWNER, Tpm, two_free_ports};
pub use house::{House, furnish};
pub use kills::{Kills, Point};
pub use memory::{Found, Frozen, Scan, core_dump, is_root, memory, resident_bytes};
pub use moments::Moments;
pub use people::{Authority, Identity, Person, Usage};
pub use process::free_port;
pub use search::{Hit, Search, Wanted};
pub use setup::{Ask, Asked, Setup, ask, eventually, policy, skip};
pub use wire::{Reply, Tls, Wire};
