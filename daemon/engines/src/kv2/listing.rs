//! LIST and SCAN of `metadata/` and `detailed-metadata/`.
use crate::kv2::config;
use crate::kv2::upgrade::find;
use crate::paging::{Page, shown};
use coffer_room::{Answer, Fault, Outcome, Room};
use coffer_types::{CanonicalPath, Kind};
use coffer_wire::{Object, Params};

/// Most secrets that one detailed listing tells of: each is a record to open.
const MAX_DETAILED: usize = 10_000;

pub(super) async fn list(room: &Room, path: &CanonicalPath, params: &Params) -> Result<Outcome, Fault> {
    Ok(Outcome::Answer(Answer::keys(listed(room, path, params).await?)?))
}

pub(super) async fn scan(room: &Room, path: &CanonicalPath, params: &Params) -> Result<Outcome, Fault> {
    Ok(Outcome::Answer(Answer::keys(scanned(room, path, params).await?)?))
}

pub(super) async fn detailed_list(
    room: &Room,
    path: &CanonicalPath,
    params: &Params,
) -> Result<Outcome, Fault> {
    detailed(room, path, listed(room, path, params).await?).await
}

pub(super) async fn detailed_scan(
    room: &Room,
    path: &CanonicalPath,
    params: &Params,
) -> Result<Outcome, Fault> {
    detailed(room, path, scanned(room, path, params).await?).await
}

async fn listed(room: &Room, path: &CanonicalPath, params: &Params) -> Result<Vec<String>, Fault> {
    let page = Page::read(params)?;
    let mut names = shown(room.view.list(Kind::KvV2Metadata, path).await?);
    if config::load(room).await?.upgrading_since.is_some() {
        names.extend(shown(room.view.list(Kind::KvV1, path).await?));
    }
    page.cut(names)
}

async fn scanned(room: &Room, path: &CanonicalPath, params: &Params) -> Result<Vec<String>, Fault> {
    let page = Page::read(params)?;
    let mut names = room.view.scan(Kind::KvV2Metadata, path, page.after(), page.wanted()).await?;
    if config::load(room).await?.upgrading_since.is_some() {
        names.extend(room.view.scan(Kind::KvV1, path, page.after(), page.wanted()).await?);
    }
    page.cut(names)
}

/// The names, with the metadata of those that are secrets.
async fn detailed(room: &Room, directory: &CanonicalPath, names: Vec<String>) -> Result<Outcome, Fault> {
    if names.len() > MAX_DETAILED {
        return Err(Fault::bad(
            "there are more than 10000 secrets: ask for them in pages, with 'limit' and 'after'",
        ));
    }
    let mut info = Object::new();
    for name in names.iter().filter(|name| !name.ends_with('/')) {
        let path = match directory.as_str() {
            "" => CanonicalPath::parse(name)?,
            directory => CanonicalPath::parse(&format!("{directory}/{name}"))?,
        };
        if let Some(known) = find(room, &path).await? {
            info = info.object(name, known.metadata.shown());
        }
    }
    if names.is_empty() {
        return Err(Fault::NotFound);
    }
    Ok(Outcome::Answer(Answer::data(Object::new().object("key_info", info).strings("keys", names))))
}
