//! Secret memory. Long-lived keys rest in pages that the kernel has taken out of its own map (`memfd_secret(2)`), so that
//! no core dump, no debugger and no other process finds them; where the kernel has none, in locked pages kept out of
//! dumps. What is freed is cleared first.
//!
//! The only `unsafe` of the workspace is here, in `arena.rs`, in `pages.rs` below it, and in `traces.rs`.
//!
//! Deliberately missing: `Debug`, `Clone` and every form of serialisation, so that a key can't end in a log by accident.
//!
//! ```compile_fail
//! fn debug<T: std::fmt::Debug>() {}
//! debug::<coffer_secmem::Key32>();
//! ```
//! ```compile_fail
//! fn debug<T: std::fmt::Debug>() {}
//! debug::<coffer_secmem::Key64>();
//! ```
//! ```compile_fail
//! fn debug<T: std::fmt::Debug>() {}
//! debug::<coffer_secmem::SecretBytes>();
//! ```
//! ```compile_fail
//! fn display<T: std::fmt::Display>() {}
//! display::<coffer_secmem::Key32>();
//! ```
//! ```compile_fail
//! fn clone<T: Clone>() {}
//! clone::<coffer_secmem::Key32>();
//! ```
//! ```compile_fail
//! fn clone<T: Clone>() {}
//! clone::<coffer_secmem::Key64>();
//! ```
//! ```compile_fail
//! fn clone<T: Clone>() {}
//! clone::<coffer_secmem::SecretBytes>();
//! ```
//! ```compile_fail
//! fn equal<T: PartialEq>() {}
//! equal::<coffer_secmem::Key32>();
//! ```
//! That these fail for the right reason, and that keys may cross threads:
//! ```
//! fn send_and_sync<T: Send + Sync>() {}
//! send_and_sync::<coffer_secmem::Key32>();
//! send_and_sync::<coffer_secmem::Key64>();
//! send_and_sync::<coffer_secmem::SecretBytes>();
//! ```

mod arena;
mod bytes;
mod harden;
mod key;
mod pages;
mod traces;

pub use arena::{Backing, backing, mapped_bytes};
pub use bytes::SecretBytes;
pub use harden::{Hardening, Step, harden};
pub use key::{Key, Key32, Key64};
pub use traces::{clear_registers, leaving_nothing, rest};
