//! The parameters of a user, and how a user is shown.
use crate::token::policy_names;
use crate::userpass::records::{UserRecord, Verifier};
use coffer_room::Fault;
use coffer_wire::{Object, Params};

/// The members that were given; what is not keeps its value. The password is not among them.
pub(crate) struct Asked {
    token_policies: Option<Vec<String>>,
    token_no_default_policy: Option<bool>,
    token_ttl: Option<u64>,
    token_max_ttl: Option<u64>,
    token_explicit_max_ttl: Option<u64>,
    token_period: Option<u64>,
    token_num_uses: Option<u64>,
}

impl Asked {
    /// Reads a user's parameters, the older names of some among them.
    ///
    /// # Errors
    /// 400 for a member of the wrong type, and for what would be weaker than it says.
    pub(crate) fn read(params: &Params) -> Result<Self, Fault> {
        refuse_unsupported(params)?;
        let seconds = |name, older| match params.seconds(name)? {
            Some(seconds) => Ok::<_, Fault>(Some(seconds)),
            None => Ok(params.seconds(older)?),
        };
        Ok(Self {
            token_policies: policies_in(params)?,
            token_no_default_policy: params.boolean("token_no_default_policy")?,
            token_ttl: seconds("token_ttl", "ttl")?,
            token_max_ttl: seconds("token_max_ttl", "max_ttl")?,
            token_explicit_max_ttl: params.seconds("token_explicit_max_ttl")?,
            token_period: seconds("token_period", "period")?,
            token_num_uses: params.number("token_num_uses")?,
        })
    }

    /// `user` with what was given.
    ///
    /// # Errors
    /// 400 where the members do not go together.
    pub(crate) fn over(&self, mut user: UserRecord) -> Result<UserRecord, Fault> {
        if let Some(policies) = &self.token_policies {
            user.token_policies.clone_from(policies);
        }
        user.token_no_default_policy = self.token_no_default_policy.unwrap_or(user.token_no_default_policy);
        user.token_ttl = self.token_ttl.unwrap_or(user.token_ttl);
        user.token_max_ttl = self.token_max_ttl.unwrap_or(user.token_max_ttl);
        user.token_explicit_max_ttl = self.token_explicit_max_ttl.unwrap_or(user.token_explicit_max_ttl);
        user.token_period = self.token_period.unwrap_or(user.token_period);
        user.token_num_uses = self.token_num_uses.unwrap_or(user.token_num_uses);
        if user.token_max_ttl > 0 && user.token_ttl > user.token_max_ttl {
            return Err(Fault::bad("'token_ttl' must not be greater than 'token_max_ttl'"));
        }
        Ok(user)
    }
}

impl UserRecord {
    /// A user with nothing but a password.
    pub(crate) fn new(password: Verifier) -> Self {
        Self {
            password,
            token_policies: Vec::new(),
            token_no_default_policy: false,
            token_ttl: 0,
            token_max_ttl: 0,
            token_explicit_max_ttl: 0,
            token_period: 0,
            token_num_uses: 0,
        }
    }
}

/// The policies of a request, sorted, each once; `None` where it names none.
///
/// # Errors
/// 400 for `root` in any spelling, and for what is no policy's name.
pub(crate) fn policies_in(params: &Params) -> Result<Option<Vec<String>>, Fault> {
    let given = match params.list("token_policies")? {
        Some(policies) => Some(policies),
        None => params.list("policies")?,
    };
    let policies = given.map(policy_names).transpose()?;
    if policies.iter().flatten().any(|name| name == "root") {
        return Err(Fault::bad("'token_policies' must not hold root: no login makes a root token"));
    }
    Ok(policies)
}

/// A user as it is read: nothing of the password.
pub(crate) fn shown(user: &UserRecord) -> Object {
    let none: [&str; 0] = [];
    Object::new()
        .strings("token_bound_cidrs", none)
        .number("token_explicit_max_ttl", user.token_explicit_max_ttl)
        .number("token_max_ttl", user.token_max_ttl)
        .boolean("token_no_default_policy", user.token_no_default_policy)
        .number("token_num_uses", user.token_num_uses)
        .number("token_period", user.token_period)
        .strings("token_policies", &user.token_policies)
        .number("token_ttl", user.token_ttl)
        .string("token_type", "default")
}

/// What would make a user weaker than it reads is refused.
fn refuse_unsupported(params: &Params) -> Result<(), Fault> {
    for name in ["token_bound_cidrs", "bound_cidrs"] {
        if params.list(name)?.is_some_and(|list| !list.is_empty()) {
            return Err(Fault::bad(
                "'token_bound_cidrs' is not supported: client addresses are not looked at",
            ));
        }
    }
    if params.boolean("token_strictly_bind_ip")?.unwrap_or(false) {
        return Err(Fault::bad(
            "'token_strictly_bind_ip' is not supported: client addresses are not looked at",
        ));
    }
    if params.has("password_hash") {
        return Err(Fault::bad("'password_hash' is not supported; give 'password'"));
    }
    match params.string("token_type")?.as_ref().map(|text| text.as_str()) {
        None | Some("" | "default" | "default-service" | "service") => Ok(()),
        Some(_) => Err(Fault::bad("'token_type' must be service or default")),
    }
}
