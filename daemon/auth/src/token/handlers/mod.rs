//! `auth/token/*`.
mod create;
mod lookup;
mod renew;
mod revoke;

use crate::Caller;
use crate::token::{TokenStore, TtlLimits, roles};
use coffer_room::{Answer, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Kind, Operation, Timestamp, WriteMode};
use coffer_wire::Params;
use zeroize::Zeroizing;

/// Who asks, beside what [`Caller`] proves.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The token as it was shown, if one was: `lookup-self` and `renew-self` repeat it.
    pub shown: Option<&'a str>,
    /// Whether the caller's policies give `sudo` on this very path (root has it everywhere).
    pub has_sudo: bool,
    /// What the token mount allows.
    pub limits: TtlLimits,
}

impl Asker<'_> {
    fn has_sudo(&self) -> bool {
        self.has_sudo || self.caller.is_root()
    }

    /// The index of the caller's token, if it is one of `store`'s environment.
    fn own_index(&self, store: &TokenStore) -> Option<[u8; 32]> {
        self.caller.token().filter(|_| self.caller.home() == store.home()).map(|token| token.index)
    }
}

/// The routes below `auth/token`, for the audit log and the authorisation matrix.
pub const fn routes() -> &'static [&'static str] {
    &[
        "token/accessors",
        "token/create",
        "token/create-orphan",
        "token/create-role",
        "token/lookup",
        "token/lookup-accessor",
        "token/lookup-self",
        "token/renew",
        "token/renew-accessor",
        "token/renew-self",
        "token/revoke",
        "token/revoke-accessor",
        "token/revoke-orphan",
        "token/revoke-self",
        "token/roles",
        "token/tidy",
    ]
}

/// The route of a path below `auth/token`; `None` where there is none.
#[must_use]
pub fn route(path: &CanonicalPath) -> Option<&'static str> {
    let mut segments = path.segments();
    let name = match (segments.next()?, segments.next(), segments.next()) {
        ("create", Some(_), None) => "token/create-role",
        ("roles", _, None) => "token/roles",
        // What is named without its role is no way to create without one.
        ("create-role", None, None) => return None,
        (only, None, None) => {
            return routes().iter().copied().find(|route| route.strip_prefix("token/") == Some(only));
        }
        _ => return None,
    };
    Some(name)
}

/// Answers a request below `auth/token`. Tokens and accessors of another environment are as if they did not exist.
///
/// # Errors
/// What the request got wrong; see [`Fault`].
pub async fn handle(
    room: &Room,
    store: &TokenStore,
    asker: Asker<'_>,
    request: Request,
) -> Result<Outcome, Fault> {
    let now = room.clock.now();
    let path = request.path.clone();
    let mut segments = path.segments();
    let (first, second) = (segments.next().unwrap_or_default(), segments.next());
    let route = route(&path).ok_or(Fault::NoRoute("unsupported path".into()))?;
    let is_write = request.operation == Operation::Write;
    let params = &request.params;
    match route {
        "token/roles" => roles::handle(store, second.unwrap_or_default(), request).await,
        "token/accessors" if request.operation == Operation::List => accessors(store, asker).await,
        "token/lookup-self" if request.operation == Operation::Read => lookup::own(store, asker, now).await,
        "token/lookup" if request.operation == Operation::Read => lookup::own(store, asker, now).await,
        _ if !is_write => Err(Fault::UnsupportedOperation),
        // What these do is no creation of a path: `create` alone does not give it.
        _ if request.write_mode == WriteMode::CreateOnly => Err(Fault::PermissionDenied),
        "token/create" | "token/create-orphan" => create::create(store, asker, params, first, None),
        "token/create-role" => create::create(store, asker, params, first, second),
        "token/lookup" => match given(params)? {
            Some(token) => lookup::by_token(store, &token, now).await,
            None => lookup::own(store, asker, now).await,
        },
        "token/lookup-self" => lookup::own(store, asker, now).await,
        "token/lookup-accessor" => lookup::by_accessor(store, &accessor(params)?, now).await,
        "token/renew" => match given(params)? {
            Some(token) => renew::by_token(store, token, params),
            None => Err(Fault::bad("missing token ID")),
        },
        "token/renew-self" => renew::own(store, asker, params),
        "token/renew-accessor" => renew::by_accessor(store, &accessor(params)?, params).await,
        "token/revoke" => revoke::by_token(store, given(params)?.ok_or(Fault::bad("missing token ID"))?),
        "token/revoke-self" => revoke::own(store, asker),
        "token/revoke-accessor" => revoke::by_accessor(store, &accessor(params)?).await,
        "token/revoke-orphan" => {
            revoke::orphaning(store, asker, given(params)?.ok_or(Fault::bad("missing token ID"))?)
        }
        "token/tidy" => tidy(store, now).await,
        _ => Err(Fault::UnsupportedOperation),
    }
}

fn given(params: &Params) -> Result<Option<Zeroizing<String>>, Fault> {
    Ok(params.string("token")?.filter(|token| !token.is_empty()))
}

fn accessor(params: &Params) -> Result<Zeroizing<String>, Fault> {
    params.string("accessor")?.filter(|text| !text.is_empty()).ok_or(Fault::bad("missing accessor"))
}

fn no_such_accessor() -> Fault {
    Fault::NoRoute("invalid accessor".into())
}

async fn accessors(store: &TokenStore, asker: Asker<'_>) -> Result<Outcome, Fault> {
    if !asker.has_sudo() {
        return Err(Fault::PermissionDenied);
    }
    let listed = store.view.list(Kind::TokenAccessor, &CanonicalPath::default()).await?;
    Ok(Outcome::Answer(Answer::keys(listed.into_iter().map(|entry| entry.name))?))
}

/// The sweep goes by itself; this takes one step of it at once.
async fn tidy(store: &TokenStore, now: Timestamp) -> Result<Outcome, Fault> {
    const TIDY_AT_ONCE: usize = 500;
    let due = store.due(now, TIDY_AT_ONCE).await?;
    let mut change = store.sweep(due);
    Ok(Outcome::Change(coffer_room::Change::new(move |batch| {
        let mut answer = change.run(batch)?.warn("Tidy operation successfully started.");
        answer.status = Some(202);
        Ok(answer)
    })))
}
