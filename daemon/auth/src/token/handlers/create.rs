//! `create`, `create-orphan`, `create/:role`.
use super::Asker;
use crate::TokenRef;
use crate::token::issue::NewToken;
use crate::token::policies::{Wish, grant, policy_names};
use crate::token::records::TokenRole;
use crate::token::roles::{change, role_in};
use crate::token::store::live_in;
use crate::token::{Bound, TokenStore, TtlLimits};
use coffer_barrier::Tx;
use coffer_room::{Answer, Fault, Outcome};
use coffer_types::MountId;
use coffer_wire::{Params, seconds_text};
use std::sync::Arc;

pub(super) fn create(
    store: &TokenStore,
    asker: Asker<'_>,
    params: &Params,
    endpoint: &str,
    role: Option<&str>,
) -> Result<Outcome, Fault> {
    let asked = Asked::read(params, role.is_some())?;
    let mint = Mint {
        asked,
        is_orphan_endpoint: endpoint == "create-orphan",
        role: role.map(str::to_owned),
        has_sudo: asker.has_sudo(),
        is_at_home: asker.caller.home() == store.home(),
        token: asker.caller.token(),
        policies: Arc::clone(asker.caller.policies()),
        binding: asker.caller.binding().map(|bound| Bound::clone(bound)),
        limits: asker.limits,
    };
    mint.check()?;
    let store = store.clone();
    Ok(change(move |tx| {
        let (new, warning) = mint.new_token(tx)?;
        let issued = store.issue(tx, &new)?;
        let answer = Answer::auth(issued.auth()).commit("accessor", issued.accessor.as_bytes());
        Ok(if warning.is_empty() { answer } else { answer.warn(warning) })
    }))
}

/// The parameters.
struct Asked {
    policies: Vec<String>,
    no_default: bool,
    no_parent: bool,
    display_name: String,
    meta: Vec<(String, String)>,
    ttl_seconds: u64,
    explicit_max_seconds: u64,
    period_seconds: u64,
    uses: u64,
    is_renewable: bool,
}

/// Everything that decides about a new token, but the state of the store.
struct Mint {
    asked: Asked,
    is_orphan_endpoint: bool,
    role: Option<String>,
    has_sudo: bool,
    /// Whether the caller belongs to the environment that the token will belong to.
    is_at_home: bool,
    token: Option<TokenRef>,
    policies: Arc<[String]>,
    binding: Option<Bound>,
    limits: TtlLimits,
}

impl Asked {
    fn read(params: &Params, has_role: bool) -> Result<Self, Fault> {
        const MAX_META: usize = 64;
        const MAX_TEXT_BYTES: usize = 512;
        refuse_unsupported(params, has_role)?;
        let meta = params.map("meta")?.unwrap_or_default();
        if meta.len() > MAX_META
            || meta.iter().any(|(name, value)| name.len() > 128 || value.len() > MAX_TEXT_BYTES)
        {
            return Err(Fault::bad(
                "'meta' has at most 64 names of at most 128 bytes and values of at most 512",
            ));
        }
        let display_name = params.string("display_name")?.map(|text| text.to_string()).unwrap_or_default();
        if display_name.len() > MAX_TEXT_BYTES {
            return Err(Fault::bad("'display_name' has at most 512 bytes"));
        }
        let ttl = match params.seconds("ttl")? {
            Some(ttl) => Some(ttl),
            None => params.seconds("lease")?,
        };
        Ok(Self {
            policies: policy_names(params.list("policies")?.unwrap_or_default())?,
            no_default: params.boolean("no_default_policy")?.unwrap_or(false),
            no_parent: params.boolean("no_parent")?.unwrap_or(false),
            display_name: display_name_of(&display_name),
            meta,
            ttl_seconds: ttl.unwrap_or(0),
            explicit_max_seconds: params.seconds("explicit_max_ttl")?.unwrap_or(0),
            period_seconds: params.seconds("period")?.unwrap_or(0),
            uses: params.number("num_uses")?.unwrap_or(0),
            is_renewable: params.boolean("renewable")?.unwrap_or(true),
        })
    }
}

fn refuse_unsupported(params: &Params, has_role: bool) -> Result<(), Fault> {
    let given = |field| params.string(field).map(|text| text.is_some_and(|text| !text.is_empty()));
    if given("id")? {
        return Err(Fault::bad("'id' is not supported: a token's text is always chosen by the server"));
    }
    if given("entity_alias")? {
        return Err(Fault::bad("'entity_alias' is not supported"));
    }
    // The path names the role; a second name could differ from the one that was authorised.
    if given("role_name")? && !has_role {
        return Err(Fault::bad("'role_name' belongs into the path: create/<role name>"));
    }
    match params.string("type")?.as_deref().map(String::as_str) {
        None | Some("" | "service") => Ok(()),
        Some("batch") => Err(Fault::bad("batch tokens are not supported; create a service token")),
        Some(_) => Err(Fault::bad("'type' must be service")),
    }
}

/// `token`, or `token-` and the name with letters, digits and dashes only.
fn display_name_of(asked: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = asked.chars().map(plain).collect();
    match name.trim_end_matches('-') {
        "" => "token".to_owned(),
        name => format!("token-{name}"),
    }
}

impl Mint {
    /// What can be refused without looking at the store.
    fn check(&self) -> Result<(), Fault> {
        if !self.is_at_home && !self.has_sudo {
            // Names of policies and parents mean nothing across environments.
            return Err(Fault::PermissionDenied);
        }
        if self.token.is_some_and(|token| token.is_use_limited) {
            return Err(Fault::bad("restricted use token cannot generate child tokens"));
        }
        if !self.has_sudo && self.asked.no_parent && !self.is_orphan_endpoint {
            return Err(Fault::bad("root or sudo privileges required to create orphan token"));
        }
        if !self.has_sudo && self.asked.period_seconds > 0 {
            return Err(Fault::bad("root or sudo privileges required to create periodic token"));
        }
        Ok(())
    }

    /// The token to make, and a warning or nothing.
    fn new_token(&self, tx: &mut Tx<'_, '_>) -> Result<(NewToken, String), Fault> {
        let role = self.role.as_deref().map(|name| role_in(tx, name)).transpose()?;
        let wish = Wish { policies: self.asked.policies.clone(), no_default: self.asked.no_default };
        let policies = grant(&self.policies, self.has_sudo, role.as_ref(), wish)?;
        let is_orphan = !self.is_at_home
            || self.is_orphan_endpoint
            || self.asked.no_parent
            || role.as_ref().is_some_and(|role| role.is_orphan);
        let of_role = |part: fn(&TokenRole) -> u64| role.as_ref().map_or(0, part);
        let period_seconds = match of_role(|role| role.period_seconds) {
            0 => self.asked.period_seconds,
            period => period,
        };
        let new = NewToken {
            policies,
            display_name: self.asked.display_name.clone(),
            meta: self.asked.meta.clone(),
            role: self.role.clone().unwrap_or_default(),
            parent: if is_orphan { None } else { self.token.map(|token| token.index) },
            mount: MountId::default(),
            ttl_seconds: self.asked.ttl_seconds,
            explicit_max_seconds: least(
                self.asked.explicit_max_seconds,
                of_role(|role| role.explicit_max_seconds),
            ),
            period_seconds: period_seconds.min(self.limits.max_seconds),
            uses: self.asked.uses,
            is_renewable: self.asked.is_renewable && role.as_ref().is_none_or(|role| role.is_renewable),
            binding: if self.is_at_home { self.binding.clone() } else { None },
            limits: self.limits,
            path: self.path(role.as_ref()),
        };
        self.refuse_eternity(tx, &new)?;
        let warning = match new.ttl_seconds > self.limits.max_seconds {
            true => format!("the ttl was capped to the maximum of {}", seconds_text(self.limits.max_seconds)),
            false => String::new(),
        };
        Ok((new, warning))
    }

    /// An expiring root token makes no root token that never expires.
    fn refuse_eternity(&self, tx: &mut Tx<'_, '_>, new: &NewToken) -> Result<(), Fault> {
        if new.may_expire() || !self.is_at_home {
            return Ok(());
        }
        let parent = match self.token {
            Some(token) => live_in(tx, &token.index)?,
            None => None,
        };
        match parent {
            Some(parent) if parent.expires.is_none() => Ok(()),
            _ => Err(Fault::bad("expiring root tokens cannot create non-expiring root tokens")),
        }
    }

    fn path(&self, role: Option<&TokenRole>) -> String {
        let suffix = role.map_or("", |role| role.path_suffix.as_str());
        match (&self.role, suffix) {
            (Some(name), "") => format!("auth/token/create/{name}"),
            (Some(name), suffix) => format!("auth/token/create/{name}/{suffix}"),
            (None, _) if self.is_orphan_endpoint => "auth/token/create-orphan".to_owned(),
            (None, _) => "auth/token/create".to_owned(),
        }
    }
}

/// The narrower of two limits, of which 0 is none.
fn least(one: u64, other: u64) -> u64 {
    match (one, other) {
        (0, limit) | (limit, 0) => limit,
        _ => one.min(other),
    }
}
