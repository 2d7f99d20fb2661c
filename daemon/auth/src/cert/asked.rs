//! The parameters of a role, and how a role is shown.
use crate::cert::records::{Bind, RoleRecord};
use crate::token::policy_names;
use coffer_room::Fault;
use coffer_wire::{Object, Params};

/// The members that were given; what is not keeps its value.
#[derive(Clone)]
pub(crate) struct Asked {
    certificate: Option<String>,
    display_name: Option<String>,
    allowed_names: Option<Vec<String>>,
    allowed_common_names: Option<Vec<String>>,
    allowed_dns_sans: Option<Vec<String>>,
    allowed_email_sans: Option<Vec<String>>,
    allowed_uri_sans: Option<Vec<String>>,
    allowed_organizational_units: Option<Vec<String>>,
    required_extensions: Option<Vec<String>>,
    allowed_metadata_extensions: Option<Vec<String>>,
    token_policies: Option<Vec<String>>,
    token_no_default_policy: Option<bool>,
    token_ttl: Option<u64>,
    token_max_ttl: Option<u64>,
    token_explicit_max_ttl: Option<u64>,
    token_period: Option<u64>,
    token_num_uses: Option<u64>,
    bind: Option<Bind>,
    login_required: Option<bool>,
}

impl Asked {
    /// Reads a role's parameters, the older names of some among them.
    ///
    /// # Errors
    /// 400 for a member of the wrong type, and for what would be weaker than it says.
    pub(crate) fn read(params: &Params) -> Result<Self, Fault> {
        refuse_unsupported(params)?;
        let text = |name| Ok::<_, Fault>(params.string(name)?.map(|text| text.to_string()));
        let seconds = |name, older| {
            Ok::<_, Fault>(match params.seconds(name)? {
                Some(seconds) => Some(seconds),
                None => params.seconds(older)?,
            })
        };
        let policies = match params.list("token_policies")? {
            Some(policies) => Some(policies),
            None => params.list("policies")?,
        };
        let policies = policies.map(policy_names).transpose()?;
        if policies.as_ref().is_some_and(|names| names.iter().any(|name| name == "root")) {
            return Err(Fault::bad("'token_policies' must not hold root: no login makes a root token"));
        }
        let display_name = text("display_name")?;
        if display_name.as_ref().is_some_and(|name| name.len() > 512) {
            return Err(Fault::bad("'display_name' has at most 512 bytes"));
        }
        let names = |name| names_in(params, name);
        let required_extensions = names("required_extensions")?;
        if required_extensions.iter().flatten().any(|required| !required.contains(':')) {
            return Err(Fault::bad("'required_extensions' must be a list of 'oid:value'"));
        }
        Ok(Self {
            certificate: text("certificate")?,
            display_name,
            allowed_names: names("allowed_names")?,
            allowed_common_names: names("allowed_common_names")?,
            allowed_dns_sans: names("allowed_dns_sans")?,
            allowed_email_sans: names("allowed_email_sans")?,
            allowed_uri_sans: names("allowed_uri_sans")?,
            allowed_organizational_units: names("allowed_organizational_units")?,
            required_extensions,
            allowed_metadata_extensions: names("allowed_metadata_extensions")?,
            token_policies: policies,
            token_no_default_policy: params.boolean("token_no_default_policy")?,
            token_ttl: match seconds("token_ttl", "ttl")? {
                Some(seconds) => Some(seconds),
                None => params.seconds("lease")?,
            },
            token_max_ttl: seconds("token_max_ttl", "max_ttl")?,
            token_explicit_max_ttl: params.seconds("token_explicit_max_ttl")?,
            token_period: seconds("token_period", "period")?,
            token_num_uses: params.number("token_num_uses")?,
            bind: bind(params)?,
            login_required: params.boolean("login_required")?,
        })
    }

    /// `record` with what was given.
    ///
    /// # Errors
    /// 400 where the members do not go together.
    pub(crate) fn over(&self, mut record: RoleRecord) -> Result<RoleRecord, Fault> {
        fn set<T: Clone>(field: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
        set(&mut record.certificate, self.certificate.as_ref());
        set(&mut record.display_name, self.display_name.as_ref());
        set(&mut record.allowed_names, self.allowed_names.as_ref());
        set(&mut record.allowed_common_names, self.allowed_common_names.as_ref());
        set(&mut record.allowed_dns_sans, self.allowed_dns_sans.as_ref());
        set(&mut record.allowed_email_sans, self.allowed_email_sans.as_ref());
        set(&mut record.allowed_uri_sans, self.allowed_uri_sans.as_ref());
        set(&mut record.allowed_organizational_units, self.allowed_organizational_units.as_ref());
        set(&mut record.required_extensions, self.required_extensions.as_ref());
        set(&mut record.allowed_metadata_extensions, self.allowed_metadata_extensions.as_ref());
        set(&mut record.token_policies, self.token_policies.as_ref());
        set(&mut record.token_no_default_policy, self.token_no_default_policy.as_ref());
        set(&mut record.token_ttl, self.token_ttl.as_ref());
        set(&mut record.token_max_ttl, self.token_max_ttl.as_ref());
        set(&mut record.token_explicit_max_ttl, self.token_explicit_max_ttl.as_ref());
        set(&mut record.token_period, self.token_period.as_ref());
        set(&mut record.token_num_uses, self.token_num_uses.as_ref());
        set(&mut record.bind, self.bind.as_ref());
        set(&mut record.login_required, self.login_required.as_ref());
        if record.token_max_ttl > 0 && record.token_ttl > record.token_max_ttl {
            return Err(Fault::bad("'token_ttl' must not be greater than 'token_max_ttl'"));
        }
        Ok(record)
    }
}

/// A role as it is read.
pub(crate) fn shown(record: &RoleRecord) -> Object {
    let none: [&str; 0] = [];
    Object::new()
        .strings("allowed_common_names", &record.allowed_common_names)
        .strings("allowed_dns_sans", &record.allowed_dns_sans)
        .strings("allowed_email_sans", &record.allowed_email_sans)
        .strings("allowed_metadata_extensions", &record.allowed_metadata_extensions)
        .strings("allowed_names", &record.allowed_names)
        .strings("allowed_organizational_units", &record.allowed_organizational_units)
        .strings("allowed_uri_sans", &record.allowed_uri_sans)
        .string("bind", record.bind.name())
        .string("certificate", &record.certificate)
        .string("display_name", &record.display_name)
        .boolean("login_required", record.login_required)
        .boolean("ocsp_enabled", false)
        .strings("required_extensions", &record.required_extensions)
        .strings("token_bound_cidrs", none)
        .number("token_explicit_max_ttl", record.token_explicit_max_ttl)
        .number("token_max_ttl", record.token_max_ttl)
        .boolean("token_no_default_policy", record.token_no_default_policy)
        .number("token_num_uses", record.token_num_uses)
        .number("token_period", record.token_period)
        .strings("token_policies", &record.token_policies)
        .number("token_ttl", record.token_ttl)
        .string("token_type", "default")
}

/// A list of names or globs. All of a mount's roles are in memory, and each login compares with all of theirs.
fn names_in(params: &Params, name: &'static str) -> Result<Option<Vec<String>>, Fault> {
    // As long as a SPIFFE id may be.
    const MAX_NAME_BYTES: usize = 2048;
    const MAX_NAMES: usize = 1024;
    let names = params.list(name)?;
    if names
        .as_ref()
        .is_some_and(|names| names.len() > MAX_NAMES || names.iter().any(|name| name.len() > MAX_NAME_BYTES))
    {
        return Err(Fault::bad(format!("'{name}' has at most 1024 names of at most 2048 bytes")));
    }
    Ok(names)
}

fn bind(params: &Params) -> Result<Option<Bind>, Fault> {
    let Some(text) = params.string("bind")? else { return Ok(None) };
    let modes = [Bind::Identity, Bind::Key, Bind::Cert];
    let mode = modes.into_iter().find(|mode| mode.name() == text.as_str());
    mode.map(Some).ok_or(Fault::bad("'bind' must be identity, key or cert"))
}

/// Every member that a role may be written with, older names and those of other servers among them.
const KNOWN: [&str; 36] = [
    "name",
    "certificate",
    "display_name",
    "allowed_names",
    "allowed_common_names",
    "allowed_dns_sans",
    "allowed_email_sans",
    "allowed_uri_sans",
    "allowed_organizational_units",
    "required_extensions",
    "allowed_metadata_extensions",
    "token_policies",
    "policies",
    "token_no_default_policy",
    "token_ttl",
    "ttl",
    "lease",
    "token_max_ttl",
    "max_ttl",
    "token_explicit_max_ttl",
    "token_period",
    "period",
    "token_num_uses",
    "token_type",
    "token_bound_cidrs",
    "bound_cidrs",
    "token_strictly_bind_ip",
    "bind",
    "login_required",
    "ocsp_enabled",
    "ocsp_ca_certificates",
    "ocsp_servers_override",
    "ocsp_fail_open",
    "ocsp_query_all_servers",
    "ocsp_this_update_max_age",
    "ocsp_max_retries",
];

/// What would make a role weaker than it reads is refused: a constraint with a slip in its name, too.
fn refuse_unsupported(params: &Params) -> Result<(), Fault> {
    if params.names().any(|name| !KNOWN.contains(&name)) {
        return Err(Fault::bad(
            "a member is none that a role has: 'certificate', 'display_name', 'allowed_names', 'allowed_common_names', 'allowed_dns_sans', 'allowed_email_sans', 'allowed_uri_sans', 'allowed_organizational_units', 'required_extensions', 'token_…', 'bind', 'login_required'",
        ));
    }
    if params.boolean("ocsp_enabled")?.unwrap_or(false) {
        return Err(Fault::bad("'ocsp_enabled' is not supported; write revocation lists to crls/<name>"));
    }
    for name in ["token_bound_cidrs", "bound_cidrs"] {
        if params.list(name)?.is_some_and(|list| !list.is_empty()) {
            return Err(Fault::bad(
                "'token_bound_cidrs' is not supported; tokens are bound to the certificate",
            ));
        }
    }
    if params.boolean("token_strictly_bind_ip")?.unwrap_or(false) {
        return Err(Fault::bad(
            "'token_strictly_bind_ip' is not supported; tokens are bound to the certificate",
        ));
    }
    match params.string("token_type")?.as_ref().map(|text| text.as_str()) {
        None | Some("" | "default" | "default-service" | "service") => Ok(()),
        Some(_) => Err(Fault::bad("'token_type' must be service or default")),
    }
}
