//! `sys/namespaces/:path/seal`, `unseal` and `seal-status`: one environment sealed alone, asked in the one above it.
use super::Desk;
use crate::Terms;
use crate::ceremonies::Collected;
use crate::open;
use crate::records::ChildState;
use crate::registry::Unsettled;
use crate::sealing::refused;
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_seal::device::Given;
use coffer_seal::devices::is_by_device;
use coffer_seal::seals::word;
use coffer_seal::{Seal, UnsealProgress};
use coffer_secmem::Key32;
use coffer_types::{EnvironmentPath, WrapId};
use coffer_wire::{Object, Params};
use std::sync::Arc;

/// Its path, where it is there.
fn child(desk: &Desk<'_>) -> Result<EnvironmentPath, Fault> {
    let children = desk.environment.children();
    children.get(desk.argument).filter(|child| child.state == ChildState::Active).ok_or(Fault::NotFound)?;
    Ok(desk.environment.path.child(desk.argument)?)
}

/// Takes its keys out of memory, and those of all below it.
pub(super) fn seal(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let path = child(desk)?;
    let id = desk.registry.open().and_then(|open| open.at(&path).map(|found| found.id));
    let Some(id) = id else { return Ok(Outcome::Answer(Answer::empty())) };
    let registry = Arc::clone(desk.registry);
    Ok(Outcome::Change(Change::new(move |batch| {
        let (registry, path) = (Arc::clone(&registry), path.clone());
        batch.after(Box::new(move || registry.ask(Unsettled::SealOne(path))));
        Ok(Answer::empty().commit("environment", id.as_bytes()))
    })))
}

pub(super) async fn status(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let path = child(desk)?;
    let opened = desk.registry.open().and_then(|open| open.at(&path).cloned());
    if let Some(environment) = opened {
        let context = environment.barrier().context();
        let copies = coffer_barrier::read_seal_record(&*desk.registry.store, context.environment).await?;
        let seal = Seal::found(context, copies).map_err(crate::sealing::unsealable)?;
        return Ok(Outcome::Answer(Answer::system(described(&seal, None, false))));
    }
    let closed = desk.registry.closed();
    let closed = closed.get(&path).ok_or_else(damaged)?;
    Ok(Outcome::Answer(Answer::system(described(&closed.seal, Some(&closed.shares), true))))
}

fn described(seal: &Seal, shares: Option<&UnsealProgress>, is_sealed: bool) -> Object {
    let wraps = seal.wraps();
    let (n, t) = wraps.iter().find_map(|wrap| wrap.shares).unwrap_or_default();
    let kind = wraps.iter().find(|wrap| is_by_device(wrap.wrap_type)).or(wraps.first());
    let nonce = shares.and_then(UnsealProgress::nonce).map(|nonce| crate::node::uuid(&nonce));
    Object::new()
        .string("type", kind.map_or("", |wrap| word(wrap.wrap_type)))
        .boolean("initialized", true)
        .boolean("sealed", is_sealed)
        .number("t", t.into())
        .number("n", n.into())
        .number("progress", shares.map_or(0, |shares| shares.count().into()))
        .string("nonce", &nonce.unwrap_or_default())
        .strings("seals", wraps.iter().filter(|wrap| wrap.is_current).map(|wrap| wrap.name.as_str()))
}

/// Takes a share of its own; or, from a caller with sudo, opens it by the environment above or by a device.
pub(super) async fn unseal(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let path = child(desk)?;
    let key = params.string("key")?.filter(|key| !key.is_empty());
    if desk.registry.open().is_some_and(|open| open.at(&path).is_some()) {
        return status(desk).await;
    }
    if params.boolean("reset")?.unwrap_or_default() {
        if let Some(closed) = desk.registry.closed().get_mut(&path) {
            closed.shares.reset();
        }
        return status(desk).await;
    }
    let Some(key) = key else { return by_itself(desk, params, path).await };
    let said = Terms::of(params)?;
    let (context, joined, terms) = {
        let mut closed = desk.registry.closed();
        let closed = closed.get_mut(&path).ok_or_else(damaged)?;
        let is_first = closed.shares.count() == 0;
        let collected =
            crate::ceremonies::collect(&mut closed.shares, &key, &closed.seal, desk.environment.entropy())?;
        closed.terms.join(said, is_first);
        match collected {
            Collected::Progress => {
                let shown = described(&closed.seal, Some(&closed.shares), true);
                return Ok(Outcome::Answer(Answer::system(shown)));
            }
            Collected::Joined(joined) => (closed.context, joined, closed.terms.clone()),
        }
    };
    let held = Some(joined.shared.wrap);
    open_it(desk, path, context, (joined.root_key, held, terms)).await
}

async fn by_itself(desk: &Desk<'_>, params: &Params, path: EnvironmentPath) -> Result<Outcome, Fault> {
    if !desk.has_sudo {
        return Err(Fault::PermissionDenied);
    }
    let name = params.string("seal")?.map(|name| name.to_lowercase());
    let given = Given { pin: params.string("pin")?, ..Given::default() };
    let (context, seal) = {
        let closed = desk.registry.closed();
        let closed = closed.get(&path).ok_or_else(damaged)?;
        (closed.context, closed.seal.clone())
    };
    let opened = match name {
        None => open::by_itself(desk.registry, desk.environment, &seal, &path).await,
        Some(name) => {
            let asked = desk.registry.ask_devices(seal, path.clone(), Some(name), given).await;
            asked.map(|opened| opened.root_key)
        }
    };
    match opened {
        Ok(root_key) => open_it(desk, path, context, (root_key, None, Terms::of(params)?.by_device())).await,
        Err(why) => Err(why.first().map_or_else(
            || Fault::bad("no seal of it opens without people: give its shares, as 'key'"),
            |first| refused(&first.name, &first.error),
        )),
    }
}

/// Opens it now, and lets requests in when that is recorded.
async fn open_it(
    desk: &Desk<'_>,
    path: EnvironmentPath,
    context: coffer_barrier::Context,
    (root_key, held, terms): (Key32, Option<WrapId>, Terms),
) -> Result<Outcome, Fault> {
    let opened = desk.registry.open_closed(&path, context, root_key, held, &terms).await?;
    let copies = coffer_barrier::read_seal_record(&*desk.registry.store, context.environment).await?;
    let seal = Seal::found(context, copies).map_err(crate::sealing::unsealable)?;
    Ok(Outcome::Change(desk.registry.let_in_with(opened, move || {
        let answer = Answer::system(described(&seal, None, false));
        answer.commit("environment", context.environment.as_bytes())
    })))
}

fn damaged() -> Fault {
    Fault::Unavailable("the environment can't be read: the daemon's log says why".into())
}
