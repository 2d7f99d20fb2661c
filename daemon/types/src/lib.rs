//! The words of the daemon.
//!
//! Ids, canonical paths, operations, record kinds, and time and randomness as arguments: what every room
//! above speaks. No IO and no policy of its own.
#![forbid(unsafe_code)]

mod clock;
mod entropy;
mod kind;
mod operation;
mod path;

pub use clock::{Clock, Timestamp};
pub use entropy::{Entropy, EntropyError, random};
pub use keystore_format::ids::{EnvironmentId, MountId, StoreId, WrapId};
pub use kind::Kind;
pub use operation::{Operation, WriteMode};
pub use path::{CanonicalPath, EnvironmentPath, PathError};
