//! The application's client for Coffer.
//!
//! ```no_run
//! # async fn example() -> coffer_sdk::Result<()> {
//! use coffer_sdk::{Client, Secret};
//!
//! #[derive(serde::Deserialize)]
//! struct Database {
//!     user: String,
//!     password: Secret<String>,
//! }
//!
//! let client = Client::from_env()?;
//! let database: Database = client.kv("secret").get("app/db").await?;
//! # Ok(()) }
//! ```
//!
//! A client certificate is the identity, with or without a token. What a call may have changed is never sent
//! twice. Secrets are cleared when they are dropped and can't be printed by accident; copies that the TLS and
//! HTTP layers make on the way are cleared only where the application's allocator clears what it frees.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod body;
mod client;
mod config;
mod connect;
mod envelope;
mod error;
mod fsck;
mod fuzzed;
mod kv;
pub mod offline;
mod receipt;
mod secret;
mod snapshot;
mod sys;
mod tls;
mod tokens;
mod transit;
mod transport;

pub use client::{Answer, Call, Client};
pub use config::Builder;
pub use envelope::Envelope;
pub use error::{Cause, Error, Refusal, Result};
pub use fsck::{FsckEnd, FsckEvent, FsckFinding};
#[doc(hidden)]
pub use fuzzed::{answers as fuzz, files as fuzz_files};
pub use http::Method;
pub use keystore_format::checkpoint::Checkpoint;
pub use kv::{Cas, Kv, KvV1, Metadata, MetadataChange, VersionInfo, Versioned};
pub use receipt::{Receipt, Receipts};
pub use secret::{Secret, exposed};
pub use sys::{Health, Initialized, KeyStatus, Mount, Namespace, NewMount, SealStatus, Sys, UnsealTerms};
pub use tokens::{NewToken, Token, TokenInfo, Tokens};
pub use transit::{DataKey, KeyChange, KeyInfo, KeyType, Transit};
