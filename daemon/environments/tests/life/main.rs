//! What happens to environments and mounts when requests meet: on a node in memory, without the socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod meetings;
mod node;
