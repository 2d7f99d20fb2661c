//! `sys/policies/acl` and its older spelling `sys/policy`.
use super::{Desk, Route};
use coffer_policy::{DEFAULT_POLICY, Policy};
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_types::{CanonicalPath, Kind, MountId};
use coffer_wire::{Object, Params};
use std::sync::Arc;

pub(super) fn list(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let names = desk.environment.policies.names();
    Ok(Outcome::Answer(Answer::system(Object::new().strings("keys", &names).strings("policies", &names))))
}

pub(super) async fn read(desk: &Desk<'_>, route: Route) -> Result<Outcome, Fault> {
    let name = name(desk)?;
    let text = match desk.environment.view(MountId::default()).get(Kind::Policy, &name, None).await? {
        Some(record) => String::from_utf8_lossy(&record.bytes).into_owned(),
        None if name.as_str() == "default" => DEFAULT_POLICY.to_owned(),
        None if name.as_str() == "root" => String::new(),
        None => return Err(Fault::NoRoute("no policy of this name; `coffer policy list` shows all".into())),
    };
    let text_member = if route == Route::Policy { "policy" } else { "rules" };
    Ok(Outcome::Answer(Answer::system(
        Object::new().string("name", name.as_str()).string(text_member, &text),
    )))
}

pub(super) fn write(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let name = name(desk)?;
    if name.as_str() == "root" {
        return Err(Fault::bad("the root policy can't be changed"));
    }
    let text = match params.string("policy")? {
        Some(text) => text,
        None => params.required("rules").map_err(|_| Fault::bad("'policy' must be the text of a policy"))?,
    };
    if text.trim().is_empty() {
        return Err(Fault::bad("'policy' must be the text of a policy"));
    }
    let policy = Arc::new(
        Policy::parse(&text).map_err(|error| Fault::bad(format!("the policy does not parse: {error}")))?,
    );
    let environment = Arc::clone(desk.environment);
    Ok(Outcome::Change(Change::new(move |batch| {
        batch.mount(MountId::default()).put(Kind::Policy, &name, None, text.as_bytes())?;
        let (environment, name, policy) = (Arc::clone(&environment), name.clone(), Arc::clone(&policy));
        batch.after(Box::new(move || environment.policies.replace(name.as_str(), Some(policy))));
        Ok(Answer::empty())
    })))
}

pub(super) fn delete(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let name = name(desk)?;
    if matches!(name.as_str(), "root" | "default") {
        return Err(Fault::bad("the policies root and default can't be deleted"));
    }
    let environment = Arc::clone(desk.environment);
    Ok(Outcome::Change(Change::new(move |batch| {
        batch.mount(MountId::default()).delete(Kind::Policy, &name, None)?;
        let (environment, name) = (Arc::clone(&environment), name.clone());
        batch.after(Box::new(move || environment.policies.replace(name.as_str(), None)));
        Ok(Answer::empty())
    })))
}

/// One segment of the characters that a policy's name may have; the address has folded its case already.
fn name(desk: &Desk<'_>) -> Result<CanonicalPath, Fault> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if desk.argument.is_empty() || desk.argument.len() > 128 || !desk.argument.bytes().all(is_name) {
        return Err(Fault::bad("a policy's name has at most 128 letters, digits, '-', '_' and '.'"));
    }
    Ok(CanonicalPath::parse(desk.argument)?)
}
