//! `sys/seal`, `sys/key-status`, `sys/rotate`.
use super::Desk;
use crate::registry::Unsettled;
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_wire::Object;
use std::sync::Arc;

/// Sealing happens after the answer is recorded: the registry is told by the commit that records the request.
pub(super) fn seal(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    if !desk.environment.path.is_root() {
        return Err(Fault::bad("only the root environment is sealed by this call"));
    }
    let registry = Arc::clone(desk.registry);
    Ok(Outcome::Change(Change::new(move |batch| {
        let registry = Arc::clone(&registry);
        batch.after(Box::new(move || registry.ask(Unsettled::Seal)));
        Ok(Answer::empty())
    })))
}

pub(super) fn status(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let epoch = desk.environment.barrier().epoch_status()?;
    Ok(Outcome::Answer(Answer::system(
        Object::new()
            .number("term", u64::from(epoch.number))
            .string("install_time", &epoch.created.rfc3339())
            .number("encryptions", epoch.encryptions),
    )))
}

pub(super) fn rotate(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let registry = Arc::clone(desk.registry);
    Ok(Outcome::Change(Change::new(move |batch| {
        let number = batch.rotate()?;
        let registry = Arc::clone(&registry);
        batch.after(Box::new(move || registry.wake_jobs()));
        Ok(Answer::empty().commit("epoch", &number.to_be_bytes()))
    })))
}
