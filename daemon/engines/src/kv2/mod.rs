//! KV version 2: values with versions.
//!
//! A secret has one metadata record, which lists its versions, and one record for each version's value. A read opens
//! both and splices the value into the answer as it was written. Everything that decides (check-and-set, create-only,
//! which version is next) runs inside the committer, where the state is exact.
mod config;
mod data;
mod listing;
mod metadata;
mod records;
mod subkeys;
mod upgrade;
mod versions;

pub(crate) use config::was_upgraded;
pub use upgrade::{upgrade, upgrade_step};

use coffer_room::{Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Operation, WriteMode};

/// The names of this engine's routes.
pub const ROUTES: &[&str] = &[
    "kv2/config",
    "kv2/data",
    "kv2/delete",
    "kv2/destroy",
    "kv2/detailed-metadata",
    "kv2/metadata",
    "kv2/subkeys",
    "kv2/undelete",
];

/// The route of a path below the mount; `None` where there is none.
#[must_use]
pub fn route(path: &CanonicalPath) -> Option<&'static str> {
    let first = path.segments().next()?;
    ROUTES.iter().copied().find(|route| route.strip_prefix("kv2/") == Some(first))
}

/// Answers a request below a mount.
///
/// # Errors
/// What the request got wrong; see [`Fault`].
pub async fn handle(room: &Room, request: Request) -> Result<Outcome, Fault> {
    let route = route(&request.path).ok_or_else(no_route)?;
    let first = route.strip_prefix("kv2/").unwrap_or(route);
    let path = request.path.below(first).ok_or_else(no_route)?;
    let at_root = path.as_str().is_empty();
    match (route, request.operation) {
        ("kv2/config", Operation::Read) if at_root => config::read(room).await,
        ("kv2/config", Operation::Write) if at_root => config::write(room, acting(&request)?),
        ("kv2/config", _) if !at_root => Err(no_route()),
        ("kv2/metadata", Operation::List) => listing::list(room, &path, &request.params).await,
        ("kv2/metadata", Operation::Scan) => listing::scan(room, &path, &request.params).await,
        ("kv2/detailed-metadata", Operation::List) => {
            listing::detailed_list(room, &path, &request.params).await
        }
        ("kv2/detailed-metadata", Operation::Scan) => {
            listing::detailed_scan(room, &path, &request.params).await
        }
        ("kv2/config" | "kv2/detailed-metadata", _) => Err(Fault::UnsupportedOperation),
        (_, Operation::List | Operation::Scan) => Err(Fault::UnsupportedOperation),
        _ if at_root => Err(Fault::NoRoute(
            "Non-listing operations on the root of a K/V v2 mount are not supported.".into(),
        )),
        ("kv2/data", Operation::Read) => data::read(room, &path, &request.params).await,
        ("kv2/data", Operation::Write) => data::write(room, path, &request),
        ("kv2/data", Operation::Patch) => data::patch(room, path, &request),
        ("kv2/data", Operation::Delete) => Ok(data::delete(room, path)),
        ("kv2/delete", Operation::Write) => versions::delete(room, path, acting(&request)?),
        ("kv2/undelete", Operation::Write) => versions::undelete(room, path, acting(&request)?),
        ("kv2/destroy", Operation::Write) => versions::destroy(room, path, acting(&request)?),
        ("kv2/metadata", Operation::Read) => metadata::read(room, &path).await,
        ("kv2/metadata", Operation::Write) => metadata::write(room, path, &request),
        ("kv2/metadata", Operation::Patch) => metadata::patch(room, path, &request),
        ("kv2/metadata", Operation::Delete) => Ok(metadata::delete(room, path)),
        ("kv2/subkeys", Operation::Read) => subkeys::read(room, &path, &request.params).await,
        _ => Err(Fault::UnsupportedOperation),
    }
}

/// For what creates no path: `create` alone does not give it.
fn acting(request: &Request) -> Result<&Request, Fault> {
    if request.write_mode == WriteMode::CreateOnly { Err(Fault::PermissionDenied) } else { Ok(request) }
}

fn no_route() -> Fault {
    Fault::NoRoute("Invalid path for a versioned K/V secrets engine: it begins with data/, metadata/, delete/, undelete/, destroy/, subkeys/ or config.".into())
}

/// Reads `bytes` as each record of this engine, and writes back what was read. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    if let Ok(metadata) = records::Metadata::decode(bytes) {
        assert_eq!(*metadata.encode(), bytes);
        let _ = metadata.version(0);
    }
    if let Ok(config) = records::Config::decode(bytes) {
        assert_eq!(*config.encode(), bytes);
    }
}
