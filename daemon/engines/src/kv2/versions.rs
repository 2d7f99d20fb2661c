//! `delete/`, `undelete/`, `destroy/`: versions by their numbers. Numbers that are not there are passed over.
use crate::kv2::config;
use crate::kv2::metadata::save;
use crate::kv2::records::Version;
use crate::kv2::upgrade::find_in;
use coffer_room::{Answer, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Kind, Timestamp};

pub(super) fn delete(room: &Room, path: CanonicalPath, request: &Request) -> Result<Outcome, Fault> {
    change(room, path, request, |version, now| {
        let is_changed = version.is_readable(now);
        if is_changed {
            version.deleted = Some(now);
        }
        is_changed
    })
}

pub(super) fn undelete(room: &Room, path: CanonicalPath, request: &Request) -> Result<Outcome, Fault> {
    change(room, path, request, |version, _| !version.is_destroyed && version.deleted.take().is_some())
}

pub(super) fn destroy(room: &Room, path: CanonicalPath, request: &Request) -> Result<Outcome, Fault> {
    change(room, path, request, |version, _| !std::mem::replace(&mut version.is_destroyed, true))
}

/// `alter` says whether it changed anything. A destroyed version's value goes with it.
fn change(
    room: &Room,
    path: CanonicalPath,
    request: &Request,
    alter: impl Fn(&mut Version, Timestamp) -> bool + Send + 'static,
) -> Result<Outcome, Fault> {
    let mut numbers = request.params.numbers("versions")?.unwrap_or_default();
    if numbers.is_empty() {
        return Err(Fault::bad("No version number provided"));
    }
    numbers.sort_unstable();
    Ok(room.change(move |tx| {
        let (config, now) = (config::load_in(tx)?, tx.now());
        let Some(mut metadata) = find_in(tx, &path, &config)? else { return Ok(Answer::empty()) };
        let mut is_changed = false;
        for version in
            metadata.versions.iter_mut().filter(|version| numbers.binary_search(&version.number).is_ok())
        {
            is_changed |= alter(version, now);
            if version.is_destroyed {
                tx.delete(Kind::KvV2Version, &path, Some(version.number))?;
            }
        }
        if is_changed {
            save(tx, &path, &metadata)?;
        }
        Ok(Answer::empty())
    }))
}
