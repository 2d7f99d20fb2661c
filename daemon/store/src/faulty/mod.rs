//! Stores that fail on request, for tests of this crate and of every room above it.
//!
//! [`Disk`] is a disk in memory for the real redb store: it loses power, tears and reorders what was not synced, and
//! answers EIO or ENOSPC. [`Faulty`] wraps any store and makes single calls err.

mod disk;
mod media;
mod trace;
mod wrapper;

pub use disk::{Disk, Fault, Survivors};
pub use trace::Trace;
pub use wrapper::{Call, Faulty};
