//! `auth/<mount>/users` and what lies below it.
use crate::token::{TokenStore, TtlLimits};
use crate::userpass::asked::{Asked, policies_in, shown};
use crate::userpass::hash::work;
use crate::userpass::login::login;
use crate::userpass::records::{UserRecord, Verifier};
use coffer_room::{Answer, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Kind, Operation, WriteMode, random};
use coffer_wire::Params;
use zeroize::Zeroizing;

/// The longest password, in bytes.
const MAX_PASSWORD_BYTES: usize = 4096;

/// What a login needs besides its mount's records.
#[derive(Clone, Copy)]
pub struct Visitor<'a> {
    /// Where a login's token is made.
    pub tokens: &'a TokenStore,
    /// What the mount allows.
    pub limits: TtlLimits,
    /// The mount's path below `auth/`, without slashes at its ends.
    pub mount_path: &'a str,
}

/// The routes of a userpass mount, for the audit log and the authorisation matrix. `userpass/login` is public.
#[must_use]
pub const fn routes() -> &'static [&'static str] {
    &["userpass/login", "userpass/users", "userpass/users/password", "userpass/users/policies"]
}

/// The route of a path below the mount; `None` where there is none.
#[must_use]
pub fn route(path: &CanonicalPath) -> Option<&'static str> {
    let segments: Vec<_> = path.segments().collect();
    let name = match segments.as_slice() {
        ["login", _] => "userpass/login",
        ["users"] | ["users", _] => "userpass/users",
        ["users", _, "password"] => "userpass/users/password",
        ["users", _, "policies"] => "userpass/users/policies",
        _ => return None,
    };
    // What is not declared does not exist.
    routes().iter().copied().find(|route| *route == name)
}

/// Answers a request below the mount.
///
/// # Errors
/// What the request got wrong; see [`Fault`].
pub async fn handle(room: &Room, visitor: Visitor<'_>, request: Request) -> Result<Outcome, Fault> {
    let route = route(&request.path).ok_or(Fault::NoRoute("unsupported path".into()))?;
    let name = request.path.segments().nth(1).map(str::to_lowercase);
    match (route, request.operation, name.as_deref()) {
        ("userpass/login", Operation::Write, Some(name)) => login(room, visitor, name, &request).await,
        ("userpass/users", Operation::List, None) => list(room, &request.params).await,
        ("userpass/users", Operation::Read, Some(name)) => read(room, name).await,
        ("userpass/users", Operation::Write, Some(name)) => write(room, name, &request).await,
        ("userpass/users", Operation::Delete, Some(name)) => {
            let path = user_path(name)?;
            Ok(room.change(move |tx| {
                tx.delete(Kind::UserpassUser, &path, None)?;
                Ok(Answer::empty())
            }))
        }
        ("userpass/users/password", Operation::Write, Some(name)) => {
            let made = make(room, password_in(&request.params)?).await?;
            alter(room, name, &request, move |user| user.password = made.clone())
        }
        ("userpass/users/policies", Operation::Write, Some(name)) => {
            let policies =
                policies_in(&request.params)?.ok_or(Fault::bad("'token_policies' must be given"))?;
            alter(room, name, &request, move |user| user.token_policies.clone_from(&policies))
        }
        _ => Err(Fault::UnsupportedOperation),
    }
}

async fn read(room: &Room, name: &str) -> Result<Outcome, Fault> {
    let plain = room.view.get(Kind::UserpassUser, &user_path(name)?, None).await?.ok_or(Fault::NotFound)?;
    Ok(Outcome::Answer(Answer::data(shown(&UserRecord::decode(&plain.bytes)?))))
}

/// The names behind `after`, at most `limit` of them where one is given.
async fn list(room: &Room, params: &Params) -> Result<Outcome, Fault> {
    let after = params.string("after")?;
    let limit = match params.number("limit")? {
        None | Some(0) => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let users = room.view.list(Kind::UserpassUser, &CanonicalPath::default()).await?;
    let names = users.into_iter().map(|user| user.name);
    let names = names.filter(|name| after.as_ref().is_none_or(|after| name.as_str() > after.as_str()));
    Ok(Outcome::Answer(Answer::keys(names.take(limit))?))
}

/// Makes a user, or changes what is given of one.
async fn write(room: &Room, name: &str, request: &Request) -> Result<Outcome, Fault> {
    let path = user_path(name)?;
    let asked = Asked::read(&request.params)?;
    let password = match request.params.has("password") {
        true => Some(make(room, password_in(&request.params)?).await?),
        false => None,
    };
    let mode = request.write_mode;
    Ok(room.change(move |tx| {
        let user = match (tx.get(Kind::UserpassUser, &path, None)?, mode) {
            (Some(_), WriteMode::CreateOnly) | (None, WriteMode::UpdateOnly) => {
                return Err(Fault::PermissionDenied);
            }
            (Some(plain), _) => {
                let mut user = UserRecord::decode(&plain.bytes)?;
                user.password = password.clone().unwrap_or_else(|| user.password.clone());
                user
            }
            (None, _) => UserRecord::new(password.clone().ok_or(Fault::bad("'password' must be given"))?),
        };
        tx.put(Kind::UserpassUser, &path, None, &asked.over(user)?.encode()?)?;
        Ok(Answer::empty())
    }))
}

/// Changes a user that is there.
fn alter(
    room: &Room,
    name: &str,
    request: &Request,
    mut change: impl FnMut(&mut UserRecord) + Send + 'static,
) -> Result<Outcome, Fault> {
    let (path, mode) = (user_path(name)?, request.write_mode);
    Ok(room.change(move |tx| {
        if mode == WriteMode::CreateOnly {
            return Err(Fault::PermissionDenied);
        }
        let plain = tx.get(Kind::UserpassUser, &path, None)?.ok_or(Fault::NotFound)?;
        let mut user = UserRecord::decode(&plain.bytes)?;
        change(&mut user);
        tx.put(Kind::UserpassUser, &path, None, &user.encode()?)?;
        Ok(Answer::empty())
    }))
}

async fn make(room: &Room, password: Zeroizing<String>) -> Result<Verifier, Fault> {
    let salt = random(&*room.entropy)?;
    work(move || Verifier::make(password.as_bytes(), salt)).await
}

/// The password of a request, as its bytes: it is not normalized, folded or trimmed.
pub(super) fn password_in(params: &Params) -> Result<Zeroizing<String>, Fault> {
    let password = params.required("password")?;
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(Fault::bad("'password' must have at most 4096 bytes"));
    }
    Ok(password)
}

/// Where a user lies; the name has been folded. One spelling is one user: names are ASCII, and nothing is trimmed.
pub(super) fn user_path(name: &str) -> Result<CanonicalPath, Fault> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let ends_in_words =
        [name.bytes().next(), name.bytes().last()].into_iter().all(|end| end.is_some_and(is_word));
    let is_name = ends_in_words
        && name.len() <= 128
        && name.bytes().all(|byte| is_word(byte) || b"-.@".contains(&byte));
    if !is_name {
        return Err(Fault::bad(
            "a user's name has at most 128 letters, digits, '-', '_', '.' and '@', and begins and ends in a letter or digit",
        ));
    }
    Ok(CanonicalPath::parse(name)?)
}
