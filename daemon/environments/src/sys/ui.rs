//! `sys/internal/ui/mounts`: what clients ask before they speak to a KV mount, to learn its version and real path.
use super::{Desk, mounts};
use crate::mounts::{Class, Mount};
use coffer_policy::Acl;
use coffer_room::{Answer, Fault, Outcome};
use coffer_types::CanonicalPath;
use coffer_wire::Object;

pub(super) fn mounts(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let acl = desk.registry.acl_of(desk.caller)?;
    let table = desk.environment.mounts();
    let seen = |class| {
        table
            .of_class(class)
            .filter(|mount| mount.record.listing_visibility == "unauth" || reaches(desk, &acl, mount))
            .fold(Object::new(), |all, mount| all.object(&mounts::key(mount), mounts::describe(mount)))
    };
    Ok(Outcome::Answer(Answer::data(
        Object::new().object("secret", seen(Class::Secret)).object("auth", seen(Class::Auth)),
    )))
}

pub(super) fn mount(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let path = CanonicalPath::parse(desk.argument)?;
    let table = desk.environment.mounts();
    // What is not there and what may not be seen look the same.
    let (mount, _) = table.find(&path).ok_or(Fault::PermissionDenied)?;
    let acl = desk.registry.acl_of(desk.caller)?;
    if !reaches(desk, &acl, mount) && mount.record.listing_visibility != "unauth" {
        return Err(Fault::PermissionDenied);
    }
    Ok(Outcome::Answer(Answer::data(
        mounts::describe(mount).string("path", &format!("{}/", mount.record.full_path())),
    )))
}

/// Whether the caller's policies grant anything in the mount.
fn reaches(desk: &Desk<'_>, acl: &Acl, mount: &Mount) -> bool {
    let here = &desk.environment.path;
    let named = (desk.caller.home_path() != here).then_some(here);
    CanonicalPath::parse(&mount.record.full_path()).is_ok_and(|path| acl.reaches(named, &path))
}
