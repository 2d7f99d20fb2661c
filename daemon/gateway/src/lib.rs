//! TLS, HTTP and the request pipeline.
//!
//! Read [`pipeline`] first: it is the one way from a socket into the house.
#![forbid(unsafe_code)]

mod activity;
mod fuzzed;
mod limits;
mod listener;
mod metrics;
mod peer;
pub mod pipeline;
mod public;
mod received;
mod reply;
mod tls;

pub use coffer_wire::Limits as JsonLimits;
#[doc(hidden)]
pub use fuzzed::{files as fuzz_files, requests as fuzz};
pub use limits::Limits;
pub use listener::{Listener, serve};
pub use metrics::Metrics;
pub use peer::Peer;
pub use pipeline::Gateway;
pub use tls::{Tls, TlsError, TlsFiles};
