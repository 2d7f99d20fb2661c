//! The gate: what passed it is a [`Permit`], and only this file can make one.
use crate::acl::Acl;
use crate::capabilities::Capabilities;
use crate::routes::{PublicRoute, is_for_any_caller, needs_sudo};
use coffer_auth::Caller;
use coffer_types::{CanonicalPath, EnvironmentId, EnvironmentPath, Operation, WriteMode};
use coffer_wire::Params;

/// What somebody wants to act upon.
pub struct Target {
    /// The environment acted upon.
    pub environment: EnvironmentId,
    /// Where it stands.
    pub environment_path: EnvironmentPath,
    /// The path inside that environment, with its mount.
    pub path: CanonicalPath,
    /// What is wanted.
    pub operation: Operation,
    /// Whether the route needs `sudo`. What the list [`crate::SUDO`] names needs it in any case.
    pub needs_sudo: bool,
    /// Time to live of the wrapping token that the answer shall be given in, in seconds.
    pub wrap_seconds: Option<u64>,
}

/// Leave to do one thing.
pub struct Permit {
    who: Who,
    target: Target,
    grant: Grant,
}

enum Who {
    Caller(Caller),
    Public(PublicRoute),
}

/// What the deciding rule gives.
#[derive(Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) write_mode: WriteMode,
    is_sudo: bool,
    is_root: bool,
    pub(crate) page_limit: Option<u64>,
}

/// Why not. All of these are one answer to the caller: 403, "permission denied".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No stanza is about this path.
    NoStanza,
    /// The most specific stanza denies it.
    Denied,
    /// The most specific stanza does not grant this operation.
    Capability,
    /// The path needs `sudo` too.
    Sudo,
    /// A parameter is missing, is not allowed or is denied, by name or by value.
    Parameter,
    /// The answer must be wrapped, with a time to live within the stanza's limits.
    Wrapping,
    /// The page is larger than the stanza allows, or no number.
    PageLimit,
    /// The environment is neither the caller's own nor one below it that a stanza names.
    Environment,
    /// The public list has no such path and operation.
    NotPublic,
}

/// Decides whether `caller`, whose policies are compiled in `acl`, may do this.
///
/// In an environment below the caller's own only the root policy and stanzas that name it count (`environments = […]`).
///
/// # Errors
/// The reason, for the audit log and for `explain`; the caller hears only that permission is denied.
pub fn authorise(acl: &Acl, caller: Caller, target: Target, params: &Params) -> Result<Permit, Refusal> {
    let is_home =
        acts_at_home((caller.home(), caller.home_path()), (target.environment, &target.environment_path))?;
    let grant = if acl.is_root() && caller.is_root() {
        Grant::ROOT
    } else {
        let environment = (!is_home).then_some(&target.environment_path);
        let needs_sudo = target.needs_sudo || needs_sudo(target.path.as_str());
        decide(acl, environment, &target.path, target.operation, needs_sudo, params, target.wrap_seconds)?
    };
    Ok(Permit { who: Who::Caller(caller), target, grant })
}

/// Whether the caller acts in its own environment; refused where it is neither that nor one below it. Id and path must
/// tell the same story: an environment made anew under an old path is another one.
pub(crate) fn acts_at_home(
    (home, home_path): (EnvironmentId, &EnvironmentPath),
    (environment, path): (EnvironmentId, &EnvironmentPath),
) -> Result<bool, Refusal> {
    match (home == environment, home_path == path) {
        (true, true) => Ok(true),
        (false, false) if home_path.contains(path) => Ok(false),
        _ => Err(Refusal::Environment),
    }
}

/// Leave for one entry of the public list.
///
/// # Errors
/// [`Refusal::NotPublic`] where the entry is about another path or operation.
pub fn public(target: Target, route: PublicRoute) -> Result<Permit, Refusal> {
    if !route.covers(target.path.as_str(), target.operation) {
        return Err(Refusal::NotPublic);
    }
    Ok(Permit { who: Who::Public(route), target, grant: Grant::PLAIN })
}

/// The decision itself, without an identity: by rules alone, never by the root policy.
pub(crate) fn decide(
    acl: &Acl,
    environment: Option<&EnvironmentPath>,
    path: &CanonicalPath,
    operation: Operation,
    needs_sudo: bool,
    params: &Params,
    wrap_seconds: Option<u64>,
) -> Result<Grant, Refusal> {
    if !acl.acts_in(environment) {
        return Err(Refusal::Environment);
    }
    let Some(rule) = acl.rule(environment, path.as_str(), operation) else {
        return if is_for_any_caller(path.as_str(), operation) {
            Ok(Grant::PLAIN)
        } else {
            Err(Refusal::NoStanza)
        };
    };
    if rule.capabilities.is_denial() {
        return Err(Refusal::Denied);
    }
    let is_sudo = rule.capabilities.has(Capabilities::SUDO);
    let Some(write_mode) = rule.capabilities.allow(operation) else {
        return if is_for_any_caller(path.as_str(), operation) {
            Ok(Grant::PLAIN)
        } else {
            Err(Refusal::Capability)
        };
    };
    if needs_sudo && !is_sudo {
        return Err(Refusal::Sudo);
    }
    let page_limit = match &rule.conditions {
        Some(conditions) => conditions.check(operation, params, wrap_seconds)?,
        None => None,
    };
    Ok(Grant { write_mode, is_sudo, is_root: false, page_limit })
}

impl Grant {
    const ROOT: Self = Self { write_mode: WriteMode::Any, is_sudo: true, is_root: true, page_limit: None };
    const PLAIN: Self = Self { write_mode: WriteMode::Any, is_sudo: false, is_root: false, page_limit: None };
}

impl Permit {
    /// Who holds it; nobody, for a public path.
    #[must_use]
    pub fn caller(&self) -> Option<&Caller> {
        match &self.who {
            Who::Caller(caller) => Some(caller),
            Who::Public(_) => None,
        }
    }

    /// The entry of the public list, for a public path.
    #[must_use]
    pub fn public_route(&self) -> Option<PublicRoute> {
        match self.who {
            Who::Caller(_) => None,
            Who::Public(route) => Some(route),
        }
    }

    /// What it is for.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether a write may create, update or both. A handler that can't tell the two apart must refuse `CreateOnly`.
    #[must_use]
    pub fn write_mode(&self) -> WriteMode {
        self.grant.write_mode
    }

    /// Whether the deciding stanza grants `sudo`, or the caller is root.
    #[must_use]
    pub fn is_sudo(&self) -> bool {
        self.grant.is_sudo
    }

    /// Whether it stands on the root policy.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.grant.is_root
    }

    /// For LIST and SCAN: the page size to keep instead of the request's `limit`.
    #[must_use]
    pub fn page_limit(&self) -> Option<u64> {
        self.grant.page_limit
    }
}
