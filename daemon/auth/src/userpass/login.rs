//! `login/:name`: is this the password?
use crate::token::NewToken;
use crate::userpass::handlers::{Visitor, password_in, user_path};
use crate::userpass::hash::work;
use crate::userpass::lockout::Lockouts;
use crate::userpass::records::{UserRecord, Verifier};
use coffer_room::{Answer, Change, Fault, Outcome, Request, Room};
use coffer_types::{Kind, MountId, Timestamp};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Logins of one mount that may wait at once; the next is told to come back.
const MAX_WAITING: usize = 256;

/// Names share this many turns.
const TURNS: usize = 64;

/// What a mount remembers of the logins at it, while its environment is open.
pub(super) struct Logins {
    /// Keyed by chance, so that nobody can choose names that meet.
    hasher: RandomState,
    lockouts: Mutex<Lockouts>,
    /// One attempt at a name at a time: guesses sent side by side are counted as if they came one after the other.
    turns: Vec<Arc<Turn<()>>>,
    waiting: Arc<Semaphore>,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            lockouts: Mutex::default(),
            turns: (0..TURNS).map(|_| Arc::default()).collect(),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }
}

/// An attempt at a name that is not locked. It ends where the password is judged, whoever still waits for the answer.
struct Attempt {
    logins: Arc<Logins>,
    name: u64,
    _turn: OwnedMutexGuard<()>,
    _waiting: OwnedSemaphorePermit,
}

impl Logins {
    /// Waits for the name's turn.
    async fn attempt(self: Arc<Self>, name: &str, room: &Room) -> Result<Attempt, Fault> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned();
        let waiting = waiting.map_err(|_| Fault::Unavailable("too many logins at once; try again".into()))?;
        let name = self.hasher.hash_one(name);
        let turn = usize::try_from(name % TURNS as u64).ok().and_then(|at| self.turns.get(at));
        let turn = Arc::clone(turn.ok_or(Fault::Internal("a login has no turn"))?).lock_owned().await;
        if self.lockouts.lock().unwrap_or_else(PoisonError::into_inner).is_locked(name, room.clock.now()) {
            return Err(Fault::PermissionDenied);
        }
        Ok(Attempt { logins: self, name, _turn: turn, _waiting: waiting })
    }
}

impl Attempt {
    fn end(self, is_right: bool, now: Timestamp) {
        let mut lockouts = self.logins.lockouts.lock().unwrap_or_else(PoisonError::into_inner);
        if is_right { lockouts.succeed(self.name) } else { lockouts.fail(self.name, now) }
    }
}

/// Judges the password; the token is made in the change, of the user as it is then.
pub(super) async fn login(
    room: &Room,
    visitor: Visitor<'_>,
    name: &str,
    request: &Request,
) -> Result<Outcome, Fault> {
    let path = user_path(name)?;
    let password = password_in(&request.params)?;
    let attempt = room.view.memory::<Logins>()?.attempt(name, room).await?;
    let known = match room.view.get(Kind::UserpassUser, &path, None).await? {
        Some(plain) => Some(UserRecord::decode(&plain.bytes)?.password),
        None => None,
    };
    let is_known = known.is_some();
    let verifier = known.map_or_else(|| Verifier::of_nobody(&*room.entropy), Ok)?;
    let (salt, clock) = (verifier.salt, Arc::clone(&room.clock));
    let judge = move || {
        let is_right = verifier.matches(password.as_bytes())? & is_known;
        attempt.end(is_right, clock.now());
        Ok(is_right)
    };
    if !work(judge).await? {
        return Err(wrong());
    }
    let (mount, tokens, limits) = (room.mount, visitor.tokens.clone(), visitor.limits);
    let (name, mount_path) = (name.to_owned(), visitor.mount_path.to_owned());
    Ok(Outcome::Change(Change::new(move |batch| {
        let Some(plain) = batch.mount(mount).get(Kind::UserpassUser, &path, None)? else {
            return Err(wrong());
        };
        let user = UserRecord::decode(&plain.bytes)?;
        // The password was changed since it was judged.
        if user.password.salt != salt {
            return Err(wrong());
        }
        let mut policies = user.token_policies.clone();
        if !user.token_no_default_policy && !policies.iter().any(|policy| policy == "default") {
            policies.push("default".to_owned());
            policies.sort_unstable();
        }
        let display_name = format!("{}-{name}", mount_path.replace('/', "-"));
        let new = NewToken {
            policies,
            meta: vec![("username".to_owned(), name.clone())],
            mount,
            ttl_seconds: user.token_ttl,
            explicit_max_seconds: user.token_explicit_max_ttl,
            period_seconds: user.token_period,
            uses: user.token_num_uses,
            limits: limits.within(0, user.token_max_ttl),
            ..NewToken::login(&format!("auth/{mount_path}/login/{name}"), &display_name)
        };
        let issued = tokens.issue(&mut batch.mount(MountId::default()), &new)?;
        let answer = Answer::auth(issued.auth()).commit("accessor", issued.accessor.as_bytes());
        Ok(answer.commit("subject", format!("userpass:{mount_path}/{name}").as_bytes()))
    })))
}

/// The one answer to a wrong password and to an unknown name.
fn wrong() -> Fault {
    Fault::bad("invalid username or password")
}
