//! `auth/<mount>/certs`, `crls`, `config` and `login`.
use crate::cert::asked::{Asked, shown};
use crate::cert::crl::{self, Crl, CrlError, Signed};
use crate::cert::records::{Bind, ConfigRecord, RoleRecord};
use crate::cert::role::Role;
use crate::cert::{CertMount, PeerChain, config_path};
use crate::token::{TokenStore, TtlLimits};
use coffer_room::{Answer, Change, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Kind, MountId, Operation, WriteMode};
use coffer_wire::{Object, Params};
use std::sync::Arc;

/// Who asks, as far as this method needs to know.
#[derive(Clone, Copy)]
pub struct Visitor<'a> {
    /// What the connection's client showed.
    pub chain: &'a PeerChain,
    /// Where a login's token is made.
    pub tokens: &'a TokenStore,
    /// What the mount allows.
    pub limits: TtlLimits,
}

/// The routes of a certificate mount, for the audit log and the authorisation matrix. `cert/login` is public.
#[must_use]
pub const fn routes() -> &'static [&'static str] {
    &["cert/certs", "cert/config", "cert/crls", "cert/login"]
}

/// The route of a path below the mount; `None` where there is none.
#[must_use]
pub fn route(path: &CanonicalPath) -> Option<&'static str> {
    let mut segments = path.segments();
    let name = match (segments.next()?, segments.next(), segments.next()) {
        ("certs", _, None) => "cert/certs",
        ("crls", _, None) => "cert/crls",
        ("config", None, None) => "cert/config",
        ("login", None, None) => "cert/login",
        _ => return None,
    };
    // What is not declared does not exist.
    routes().iter().copied().find(|route| *route == name)
}

/// Answers a request below the mount.
///
/// # Errors
/// What the request got wrong; see [`Fault`].
pub async fn handle(
    mount: &Arc<CertMount>,
    room: &Room,
    visitor: Visitor<'_>,
    request: Request,
) -> Result<Outcome, Fault> {
    let route = route(&request.path).ok_or(Fault::NoRoute("unsupported path".into()))?;
    let name = request.path.segments().nth(1).map(str::to_lowercase);
    match (route, request.operation, name) {
        ("cert/certs", Operation::List, None) => list(mount.table().roles.keys(), &request.params),
        ("cert/certs", Operation::Read, Some(name)) => {
            let table = mount.table();
            let role = table.roles.get(&name).ok_or(Fault::NotFound)?;
            Ok(Outcome::Answer(Answer::data(shown(&role.record))))
        }
        ("cert/certs", Operation::Write, Some(name)) => write_role(mount, room, &name, &request),
        ("cert/certs", Operation::Delete, Some(name)) => delete(mount, room, Kind::CertRole, &name),
        ("cert/crls", Operation::List, None) => list(mount.table().crls.keys(), &request.params),
        ("cert/crls", Operation::Read, Some(name)) => {
            let table = mount.table();
            Ok(Outcome::Answer(shown_crl(table.crls.get(&name).ok_or(Fault::NotFound)?)))
        }
        ("cert/crls", Operation::Write, Some(name)) => write_crl(mount, room, &name, &request),
        ("cert/crls", Operation::Delete, Some(name)) => delete(mount, room, Kind::CertRevocation, &name),
        ("cert/config", Operation::Read, _) => {
            let config = mount.table().config;
            let data = Object::new()
                .boolean("disable_binding", false)
                .boolean("enable_identity_alias_metadata", config.enable_identity_alias_metadata);
            Ok(Outcome::Answer(Answer::data(data)))
        }
        ("cert/config", Operation::Write, _) => write_config(mount, room, &request),
        ("cert/login", Operation::Write, _) => login(mount, room, visitor, &request),
        _ => Err(Fault::UnsupportedOperation),
    }
}

fn login(mount: &CertMount, room: &Room, visitor: Visitor<'_>, request: &Request) -> Result<Outcome, Fault> {
    let role = request.params.string("name")?.filter(|name| !name.is_empty()).map(|name| name.to_lowercase());
    let matched = mount.matching(visitor.chain, role.as_deref(), room.clock.now())?;
    let new = matched.token(visitor.limits);
    let tokens = visitor.tokens.clone();
    Ok(Outcome::Change(Change::new(move |batch| {
        let issued = tokens.issue(&mut batch.mount(MountId::default()), &new)?;
        let answer = Answer::auth(issued.auth()).commit("accessor", issued.accessor.as_bytes());
        Ok(answer.commit("subject", matched.subject().as_bytes()))
    })))
}

fn write_role(mount: &Arc<CertMount>, room: &Room, name: &str, request: &Request) -> Result<Outcome, Fault> {
    let path = name_path(name)?;
    let asked = Asked::read(&request.params)?;
    let (mount, name, mode) = (Arc::clone(mount), name.to_owned(), request.write_mode);
    Ok(room.change(move |tx| {
        let record = match tx.get(Kind::CertRole, &path, None)? {
            Some(_) if mode == WriteMode::CreateOnly => return Err(Fault::PermissionDenied),
            // As in Vault, where a role has no existence check, `update` alone may make one.
            Some(plain) => RoleRecord::decode(&plain.bytes)?,
            None => {
                let mut id = [0; 16];
                tx.random(&mut id)?;
                new_record(id, &name)
            }
        };
        let record = asked.over(record)?;
        let bytes = record.encode()?;
        let role = Arc::new(Role::new(&name, record)?);
        tx.put(Kind::CertRole, &path, None, &bytes)?;
        let (mount, name) = (Arc::clone(&mount), name.clone());
        tx.after(Box::new(move || {
            mount.change(|table| drop(table.roles.insert(name.clone(), Arc::clone(&role))));
        }));
        Ok(Answer::empty())
    }))
}

fn new_record(id: [u8; 16], name: &str) -> RoleRecord {
    RoleRecord {
        id,
        certificate: String::new(),
        display_name: name.to_owned(),
        allowed_names: Vec::new(),
        allowed_common_names: Vec::new(),
        allowed_dns_sans: Vec::new(),
        allowed_email_sans: Vec::new(),
        allowed_uri_sans: Vec::new(),
        allowed_organizational_units: Vec::new(),
        required_extensions: Vec::new(),
        allowed_metadata_extensions: Vec::new(),
        token_policies: Vec::new(),
        token_no_default_policy: false,
        token_ttl: 0,
        token_max_ttl: 0,
        token_explicit_max_ttl: 0,
        token_period: 0,
        token_num_uses: 0,
        bind: Bind::Identity,
        login_required: false,
    }
}

fn write_crl(mount: &Arc<CertMount>, room: &Room, name: &str, request: &Request) -> Result<Outcome, Fault> {
    let path = name_path(name)?;
    if request.params.string("url")?.is_some_and(|url| !url.is_empty()) {
        return Err(Fault::bad("'url' is not supported: nothing is fetched; write the list itself to 'crl'"));
    }
    let der = crl::der_of(&request.params.required("crl")?)?;
    let crl = Arc::new(Crl::read(&der)?);
    let (mount, name, mode) = (Arc::clone(mount), name.to_owned(), request.write_mode);
    Ok(room.change(move |tx| {
        let found = tx.get(Kind::CertRevocation, &path, None)?;
        if found.is_some() && mode == WriteMode::CreateOnly {
            return Err(Fault::PermissionDenied);
        }
        // A list that came damaged may name a CA that nobody knows: it must not stand in for one that was checked.
        if let Some(plain) = found
            && Crl::read(&plain.bytes)?.issuer != crl.issuer
        {
            return Err(Fault::bad(
                "the list is of another issuer than the one it would replace; delete that one first",
            ));
        }
        let table = mount.table();
        let anchors = table.roles.values().flat_map(|role| role.anchors.iter().map(|anchor| &**anchor));
        let mut answer = Answer::empty();
        match crl::signed_by(&der, &crl.issuer, anchors) {
            Signed::Yes => {}
            Signed::No => {
                return Err(Fault::bad("the list is not signed by the CA of its name that the roles know"));
            }
            Signed::Unknown => {
                answer = answer.warn("no role has this list's CA; its signature could not be checked")
            }
        }
        if crl.is_past(tx.now()) {
            answer = answer.warn("the list is past its next update; what it revokes stays revoked");
        }
        if table.crls.get(&name).is_some_and(|known| known.this_update > crl.this_update) {
            answer = answer.warn("the list is older than the one it replaces");
        }
        tx.put(Kind::CertRevocation, &path, None, &der)?;
        let (mount, name, crl) = (Arc::clone(&mount), name.clone(), Arc::clone(&crl));
        tx.after(Box::new(move || {
            mount.change(|table| drop(table.crls.insert(name.clone(), Arc::clone(&crl))));
        }));
        Ok(answer)
    }))
}

fn write_config(mount: &Arc<CertMount>, room: &Room, request: &Request) -> Result<Outcome, Fault> {
    if request.params.boolean("disable_binding")?.unwrap_or(false) {
        return Err(Fault::bad(
            "'disable_binding' is not supported; a role's 'bind' says what a token is bound to",
        ));
    }
    let given = request.params.boolean("enable_identity_alias_metadata")?;
    let (mount, path) = (Arc::clone(mount), config_path()?);
    Ok(room.change(move |tx| {
        let mut config = match tx.get(Kind::AuthConfig, &path, None)? {
            Some(plain) => ConfigRecord::decode(&plain.bytes)?,
            None => ConfigRecord::default(),
        };
        config.enable_identity_alias_metadata = given.unwrap_or(config.enable_identity_alias_metadata);
        tx.put(Kind::AuthConfig, &path, None, &config.encode()?)?;
        let mount = Arc::clone(&mount);
        tx.after(Box::new(move || mount.change(|table| table.config = config)));
        Ok(Answer::empty())
    }))
}

fn delete(mount: &Arc<CertMount>, room: &Room, kind: Kind, name: &str) -> Result<Outcome, Fault> {
    let path = CanonicalPath::parse(name)?;
    let (mount, name) = (Arc::clone(mount), name.to_owned());
    Ok(room.change(move |tx| {
        tx.delete(kind, &path, None)?;
        let (mount, name) = (Arc::clone(&mount), name.clone());
        tx.after(Box::new(move || {
            mount.change(|table| match kind {
                Kind::CertRevocation => drop(table.crls.remove(&name)),
                _ => drop(table.roles.remove(&name)),
            });
        }));
        Ok(Answer::empty())
    }))
}

/// The names behind `after`, at most `limit` of them where one is given.
fn list<'n>(names: impl Iterator<Item = &'n String>, params: &Params) -> Result<Outcome, Fault> {
    let after = params.string("after")?;
    let limit = match params.number("limit")? {
        None | Some(0) => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let names = names.filter(|name| after.as_ref().is_none_or(|after| name.as_str() > after.as_str()));
    Ok(Outcome::Answer(Answer::keys(names.take(limit))?))
}

fn shown_crl(crl: &Crl) -> Answer {
    let serials = crl.shown.iter().fold(Object::new(), |all, serial| all.object(serial, Object::new()));
    let data = Object::new().object("serials", serials).number("this_update", crl.this_update);
    Answer::data(if crl.next_update > 0 { data.number("next_update", crl.next_update) } else { data })
}

/// The path of a role or list; its name has been folded.
fn name_path(name: &str) -> Result<CanonicalPath, Fault> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let ends_in_words =
        [name.bytes().next(), name.bytes().last()].into_iter().all(|end| end.is_some_and(is_word));
    let is_name =
        ends_in_words && name.len() <= 128 && name.bytes().all(|byte| is_word(byte) || b"-.".contains(&byte));
    if !is_name {
        return Err(Fault::bad(
            "a name has at most 128 letters, digits, '-', '_' and '.', and ends in a letter or digit",
        ));
    }
    Ok(CanonicalPath::parse(name)?)
}

impl From<CrlError> for Fault {
    fn from(error: CrlError) -> Self {
        Self::bad(match error {
            CrlError::Malformed => {
                "'crl' must be a certificate revocation list, in PEM or as DER in base64, of at most 8 MiB"
            }
            CrlError::Partial => {
                "delta and indirect revocation lists are not supported; write the full list of each CA"
            }
        })
    }
}
