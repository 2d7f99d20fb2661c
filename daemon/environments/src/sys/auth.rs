//! `sys/auth`: the same as `sys/mounts`, for auth methods, which hang below `auth/`.
use super::{Desk, mounts};
use crate::mounts::Class;
use coffer_room::{Answer, Fault, Outcome};
use coffer_wire::{Object, Params};

pub(super) fn list(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let table = desk.environment.mounts();
    let all = table
        .of_class(Class::Auth)
        .fold(Object::new(), |all, mount| all.object(&mounts::key(mount), mounts::describe(mount)));
    Ok(Outcome::Answer(Answer::system(all)))
}

pub(super) fn read(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    mounts::read_one(desk, &full_path(desk)?)
}

pub(super) fn enable(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    mounts::enable_as(desk, params, Class::Auth)
}

pub(super) fn disable(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    mounts::disable_at(desk, Class::Auth, full_path(desk)?)
}

pub(super) fn read_tune(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    mounts::read_tune_of(desk, &full_path(desk)?)
}

pub(super) fn tune(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    mounts::tune_at(desk, full_path(desk)?, params)
}

fn full_path(desk: &Desk<'_>) -> Result<String, Fault> {
    Ok(format!("auth/{}", mounts::mount_path(desk.argument)?))
}
