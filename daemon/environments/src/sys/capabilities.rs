//! `sys/capabilities*`: what a token may do at which paths.
use super::Desk;
use coffer_policy::Acl;
use coffer_room::{Answer, Fault, Outcome};
use coffer_types::{CanonicalPath, EnvironmentPath};
use coffer_wire::{Object, Params};

pub(super) async fn of_token(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let token = params.required("token")?;
    let policies = desk
        .environment
        .tokens
        .policies_of_token(&token, desk.environment.clock().now())
        .await?
        .ok_or_else(no_token)?;
    answer(&desk.environment.policies.acl(&policies), params)
}

pub(super) async fn of_accessor(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let accessor = params.required("accessor")?;
    let policies = desk
        .environment
        .tokens
        .policies_of_accessor(&accessor, desk.environment.clock().now())
        .await?
        .ok_or_else(no_token)?;
    answer(&desk.environment.policies.acl(&policies), params)
}

pub(super) fn of_caller(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let here = &desk.environment.path;
    let named = (desk.caller.home_path() != here).then_some(here);
    answer_within(&*desk.registry.acl_of(desk.caller)?, named, params)
}

fn answer(acl: &Acl, params: &Params) -> Result<Outcome, Fault> {
    answer_within(acl, None, params)
}

fn answer_within(
    acl: &Acl,
    environment: Option<&EnvironmentPath>,
    params: &Params,
) -> Result<Outcome, Fault> {
    let paths = match params.list("paths")? {
        Some(paths) => paths,
        None => params.list("path")?.ok_or_else(|| Fault::bad("'paths' must be a list of paths"))?,
    };
    if paths.is_empty() || paths.len() > 1000 {
        return Err(Fault::bad("'paths' must name 1 to 1000 paths"));
    }
    let mut answer = Object::new();
    for text in &paths {
        // Not a URL: what stands in a body is not encoded. A slash at the end asks for the listing.
        let bare = text.strip_prefix('/').unwrap_or(text);
        let path = CanonicalPath::parse(bare.strip_suffix('/').unwrap_or(bare))?;
        let capabilities = acl.capabilities_within(environment, &path);
        answer = answer.strings(text, &capabilities);
        // Clients that ask for one path look there; several paths may have one of that very name.
        if paths.len() == 1 && text != "capabilities" {
            answer = answer.strings("capabilities", &capabilities);
        }
    }
    Ok(Outcome::Answer(Answer::system(answer)))
}

fn no_token() -> Fault {
    Fault::bad("no such token in this environment")
}
