//! What is done: KV, transit.
//!
//! An engine receives the room of its mount and a request that was authorised, with the path below the mount. It reads
//! through the room's view, and gives back an answer or a change; nothing here can reach another mount.
#![forbid(unsafe_code)]

pub mod kv1;
pub mod kv2;
mod paging;
pub mod transit;

use coffer_room::{Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, WriteMode};

/// The engines that a mount can have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Engine {
    /// Values without versions.
    KvV1,
    /// Values with versions.
    KvV2,
    /// Cryptography as a service.
    Transit,
}

impl Engine {
    /// Answers a request below a mount of this engine.
    ///
    /// # Errors
    /// What the request got wrong; see [`Fault`].
    pub async fn handle(self, room: &Room, request: Request) -> Result<Outcome, Fault> {
        match self {
            Self::KvV1 => kv1::handle(room, request).await,
            Self::KvV2 => kv2::handle(room, request).await,
            Self::Transit => transit::handle(room, request).await,
        }
    }

    /// The declared name of the route that `path` (below the mount) takes, for the audit log and the authorisation
    /// matrix; `None` where there is none.
    #[must_use]
    pub fn route(self, path: &CanonicalPath) -> Option<&'static str> {
        match self {
            Self::KvV1 => Some(kv1::ROUTE),
            Self::KvV2 => kv2::route(path),
            Self::Transit => transit::route(path),
        }
    }

    /// The names of all routes.
    #[must_use]
    pub const fn routes(self) -> &'static [&'static str] {
        match self {
            Self::KvV1 => &[kv1::ROUTE],
            Self::KvV2 => kv2::ROUTES,
            Self::Transit => transit::ROUTES,
        }
    }
}

/// Reads `bytes` as the query of a listing and the names that it is of, a line each. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    paging::fuzz(bytes);
}

/// Whether a permit of this `mode` may write where something `exists`, or does not. Asked inside the change.
pub(crate) fn may_write(mode: WriteMode, exists: bool) -> Result<(), Fault> {
    match (mode, exists) {
        (WriteMode::CreateOnly, true) | (WriteMode::UpdateOnly, false) => Err(Fault::PermissionDenied),
        _ => Ok(()),
    }
}
