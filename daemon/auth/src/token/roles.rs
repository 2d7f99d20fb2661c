//! Token roles: what `auth/token/create/<name>` may make.
use crate::token::TokenStore;
use crate::token::policies::policy_names;
use crate::token::records::TokenRole;
use coffer_barrier::Tx;
use coffer_room::{Answer, Change, Fault, Outcome, Request};
use coffer_types::{CanonicalPath, Kind, MountId, Operation, WriteMode};
use coffer_wire::{Object, Params};

/// Reads, writes, deletes and lists roles; `name` is empty for the list.
pub(crate) async fn handle(store: &TokenStore, name: &str, request: Request) -> Result<Outcome, Fault> {
    let path = CanonicalPath::parse(name)?;
    match (request.operation, name.is_empty()) {
        (Operation::List, true) => {
            let listed = store.view.list(Kind::TokenRole, &CanonicalPath::default()).await?;
            Ok(Outcome::Answer(Answer::keys(listed.into_iter().map(|entry| entry.name))?))
        }
        (Operation::Read, false) => {
            let plain = store.view.get(Kind::TokenRole, &path, None).await?.ok_or(Fault::NotFound)?;
            Ok(Outcome::Answer(Answer::data(TokenRole::decode(&plain.bytes)?.shown(name))))
        }
        (Operation::Write, false) => write(path, &request),
        (Operation::Delete, false) => Ok(change(move |tx| {
            tx.delete(Kind::TokenRole, &path, None)?;
            Ok(Answer::empty())
        })),
        _ => Err(Fault::UnsupportedOperation),
    }
}

/// The role called `name`, as of this very transaction.
pub(crate) fn role_in(tx: &mut Tx<'_, '_>, name: &str) -> Result<TokenRole, Fault> {
    let plain = tx.get(Kind::TokenRole, &CanonicalPath::parse(name)?, None)?;
    let plain = plain.ok_or_else(|| Fault::bad("there is no token role of this name"))?;
    Ok(TokenRole::decode(&plain.bytes)?)
}

/// A change of the environment's own tables.
pub(crate) fn change(
    mut work: impl FnMut(&mut Tx<'_, '_>) -> Result<Answer, Fault> + Send + 'static,
) -> Outcome {
    Outcome::Change(Change::new(move |batch| work(&mut batch.mount(MountId::default()))))
}

fn write(path: CanonicalPath, request: &Request) -> Result<Outcome, Fault> {
    if path.segments().count() != 1
        || !path.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Err(Fault::bad("a role's name has letters, digits, '-', '_' and '.'"));
    }
    let asked = Asked::read(&request.params)?;
    let mode = request.write_mode;
    Ok(change(move |tx| {
        let found = tx.get(Kind::TokenRole, &path, None)?;
        if (mode == WriteMode::CreateOnly && found.is_some())
            || (mode == WriteMode::UpdateOnly && found.is_none())
        {
            return Err(Fault::PermissionDenied);
        }
        let role = match found {
            Some(plain) => TokenRole::decode(&plain.bytes)?,
            None => TokenRole { is_renewable: true, ..TokenRole::default() },
        };
        tx.put(Kind::TokenRole, &path, None, &asked.over(role).encode())?;
        Ok(Answer::empty())
    }))
}

/// The members that were given: what is not keeps its value.
struct Asked {
    allowed: Option<Vec<String>>,
    allowed_globs: Option<Vec<String>>,
    disallowed: Option<Vec<String>>,
    disallowed_globs: Option<Vec<String>>,
    path_suffix: Option<String>,
    is_orphan: Option<bool>,
    is_renewable: Option<bool>,
    no_default_policy: Option<bool>,
    period_seconds: Option<u64>,
    explicit_max_seconds: Option<u64>,
}

impl Asked {
    fn read(params: &Params) -> Result<Self, Fault> {
        refuse_unsupported(params)?;
        let names = |field| params.list(field)?.map(policy_names).transpose();
        let path_suffix = params.string("path_suffix")?.map(|text| text.to_string());
        if let Some(suffix) = &path_suffix {
            CanonicalPath::parse(suffix)
                .map_err(|_| Fault::bad("'path_suffix' must be a path without slash at its ends"))?;
        }
        Ok(Self {
            allowed: names("allowed_policies")?,
            allowed_globs: globs(params, "allowed_policies_glob")?,
            disallowed: names("disallowed_policies")?,
            disallowed_globs: globs(params, "disallowed_policies_glob")?,
            path_suffix,
            is_orphan: params.boolean("orphan")?,
            is_renewable: params.boolean("renewable")?,
            no_default_policy: params.boolean("token_no_default_policy")?,
            period_seconds: either(params.seconds("token_period")?, params.seconds("period")?),
            explicit_max_seconds: either(
                params.seconds("token_explicit_max_ttl")?,
                params.seconds("explicit_max_ttl")?,
            ),
        })
    }

    fn over(&self, role: TokenRole) -> TokenRole {
        TokenRole {
            allowed: self.allowed.clone().unwrap_or(role.allowed),
            allowed_globs: self.allowed_globs.clone().unwrap_or(role.allowed_globs),
            disallowed: self.disallowed.clone().unwrap_or(role.disallowed),
            disallowed_globs: self.disallowed_globs.clone().unwrap_or(role.disallowed_globs),
            path_suffix: self.path_suffix.clone().unwrap_or(role.path_suffix),
            is_orphan: self.is_orphan.unwrap_or(role.is_orphan),
            is_renewable: self.is_renewable.unwrap_or(role.is_renewable),
            no_default_policy: self.no_default_policy.unwrap_or(role.no_default_policy),
            period_seconds: self.period_seconds.unwrap_or(role.period_seconds),
            explicit_max_seconds: self.explicit_max_seconds.unwrap_or(role.explicit_max_seconds),
        }
    }
}

fn either(new: Option<u64>, deprecated: Option<u64>) -> Option<u64> {
    new.or(deprecated)
}

/// What would be silently without effect is refused instead: a limit that is not kept is worse than none.
fn refuse_unsupported(params: &Params) -> Result<(), Fault> {
    for field in ["token_bound_cidrs", "bound_cidrs", "allowed_entity_aliases"] {
        if params.list(field)?.is_some_and(|list| !list.is_empty()) {
            return Err(Fault::bad(format!("'{field}' is not supported")));
        }
    }
    match params.string("token_type")?.as_deref().map(String::as_str) {
        None | Some("" | "service" | "default-service" | "default") => Ok(()),
        Some(_) => Err(Fault::bad("'token_type' must be service: batch tokens are not supported")),
    }
}

/// Globs are compared with folded names, so they are folded too.
fn globs(params: &Params, field: &'static str) -> Result<Option<Vec<String>>, Fault> {
    let Some(list) = params.list(field)? else { return Ok(None) };
    if list.len() > 256 || list.iter().any(|glob| glob.len() > 128 || !glob.is_ascii()) {
        return Err(Fault::bad(format!(
            "'{field}' must be at most 256 globs of at most 128 ASCII characters"
        )));
    }
    Ok(Some(list.iter().map(|glob| glob.to_ascii_lowercase()).collect()))
}

impl TokenRole {
    fn shown(&self, name: &str) -> Object {
        Object::new()
            .null("allowed_entity_aliases")
            .strings("allowed_policies", &self.allowed)
            .strings("allowed_policies_glob", &self.allowed_globs)
            .strings("disallowed_policies", &self.disallowed)
            .strings("disallowed_policies_glob", &self.disallowed_globs)
            .number("explicit_max_ttl", self.explicit_max_seconds)
            .string("name", name)
            .boolean("orphan", self.is_orphan)
            .string("path_suffix", &self.path_suffix)
            .number("period", self.period_seconds)
            .boolean("renewable", self.is_renewable)
            .number("token_explicit_max_ttl", self.explicit_max_seconds)
            .boolean("token_no_default_policy", self.no_default_policy)
            .number("token_period", self.period_seconds)
            .string("token_type", "default-service")
    }
}
