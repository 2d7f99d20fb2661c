//! `sys/namespaces`: environments, as the API calls them.
use super::{Desk, seal_text};
use crate::Environment;
use crate::ceremonies::{holders, names_holders, threshold};
use crate::children::{self, Wanted};
use crate::records::{ChildRecord, ChildState};
use coffer_room::{Answer, Fault, Outcome};
use coffer_seal::seals::INHERIT;
use coffer_types::Timestamp;
use coffer_wire::{Object, Params};

pub(super) fn list(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let children = desk.environment.children();
    let mut info = Object::new();
    let mut keys = Vec::new();
    for (name, child) in children.iter().filter(|(_, child)| child.state == ChildState::Active) {
        let key = format!("{name}/");
        info = info.object(&key, shown(desk, name, child)?);
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(Fault::NotFound);
    }
    Ok(Outcome::Answer(Answer::data(Object::new().strings("keys", &keys).object("key_info", info))))
}

pub(super) fn read(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let children = desk.environment.children();
    let child = children.get(desk.argument).ok_or(Fault::NotFound)?;
    Ok(Outcome::Answer(Answer::system(shown(desk, desk.argument, child)?)))
}

/// What there is to say of a child, and whether it is open now.
fn shown(desk: &Desk<'_>, name: &str, child: &ChildRecord) -> Result<Object, Fault> {
    let path = desk.environment.path.child(name)?;
    let is_open = desk.registry.open().is_some_and(|open| open.at(&path).is_some());
    let is_sealed = child.state == ChildState::Active && !is_open;
    Ok(describe(desk.environment, name, child)?.boolean("sealed", is_sealed))
}

pub(super) async fn create(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let metadata = params.map("custom_metadata")?.unwrap_or_default();
    let wanted = wanted(params)?;
    children::create(desk.registry, desk.environment, desk.argument, metadata, wanted).await
}

/// What it is to be sealed by: `seal` as OpenBao has it, or `secret_shares` and `secret_threshold`, in either case with the
/// shares' `recipients`; and names of configured seals.
fn wanted(params: &Params) -> Result<Wanted, Fault> {
    let text = params.string("seal")?.filter(|text| !text.is_empty());
    let numbers = (params.number("secret_shares")?, params.number("secret_threshold")?);
    let shares = match (text, numbers) {
        (Some(_), (Some(_), _) | (_, Some(_))) => {
            return Err(Fault::bad("'seal' and 'secret_shares' say the same: give one"));
        }
        (Some(text), _) => {
            let (shares, needed) = seal_text::shares(&text)?;
            Some(threshold(params, Some(shares), Some(needed))?)
        }
        (None, (None, None)) if !names_holders(params)? => None,
        (None, (shares, needed)) => Some(threshold(params, shares, needed)?),
    };
    let holders = shares.map(|threshold| holders(params, threshold)).transpose()?.flatten();
    let mut devices: Vec<String> =
        params.list("seals")?.unwrap_or_default().iter().map(|name| name.to_lowercase()).collect();
    devices.sort();
    devices.dedup();
    let named = devices.len();
    devices.retain(|name| name != INHERIT);
    let and_inherits = devices.len() < named;
    Ok(Wanted { shares, holders, devices, and_inherits })
}

pub(super) fn patch(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    children::patch(desk.environment, desk.argument, params.patch_map("custom_metadata")?.unwrap_or_default())
}

pub(super) async fn delete(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    children::delete(desk.registry, desk.environment, desk.argument, false).await
}

/// Deletes an environment without looking for others below it, which nobody can while it is sealed: what they hold stays
/// in the store, closed for ever unless they have seals of their own.
pub(super) async fn delete_sealed(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    children::delete(desk.registry, desk.environment, desk.argument, true).await
}

/// A child as the API describes it.
pub(crate) fn describe(parent: &Environment, name: &str, child: &ChildRecord) -> Result<Object, Fault> {
    let path = parent.path.child(name)?;
    let metadata =
        child.custom_metadata.iter().fold(Object::new(), |all, (key, value)| all.string(key, value));
    let described = Object::new()
        .string("id", child.id.get(..8).unwrap_or_default())
        .string("uuid", &child.id)
        .string("path", &format!("{}/", path.as_str()))
        .boolean("locked", false)
        .boolean("tainted", child.state != ChildState::Active)
        .object("custom_metadata", metadata)
        .string("created_time", &Timestamp(child.created).rfc3339())
        .string("state", &children::state_text(&child.state, parent.clock().now()));
    Ok(match &child.state {
        ChildState::Active => described,
        ChildState::Deleting { last_checkpoint, .. } | ChildState::Deleted { last_checkpoint, .. } => {
            described.string("last_checkpoint", last_checkpoint)
        }
    })
}
