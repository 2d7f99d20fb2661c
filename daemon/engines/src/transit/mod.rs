//! Transit: cryptography as a service. Keys stay inside, sealed; callers send what is to be encrypted, signed or checked.
//!
//! A caller never chooses a nonce: they come from blocks of a counter that is reserved in the store before the first of
//! them is used (see `nonces.rs`), so that encrypting costs one commit in 65,536.
//!
//! Deliberately missing: derived and convergent keys, import and export. Whoever asks for them is told so.
mod aead;
mod batch;
mod encrypt;
mod hash;
mod key_type;
mod keys;
mod nonces;
mod records;
mod schedule;
mod sign;
mod signature;
#[cfg(test)]
mod tests;
mod text;

pub use schedule::{rotation, rotations_due};

use coffer_room::{Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Operation};

/// The names of all routes.
pub const ROUTES: &[&str] = &[
    "transit/keys",
    "transit/keys/name",
    "transit/keys/name/config",
    "transit/keys/name/rotate",
    "transit/keys/name/trim",
    "transit/encrypt",
    "transit/decrypt",
    "transit/rewrap",
    "transit/datakey",
    "transit/sign",
    "transit/verify",
    "transit/hmac",
    "transit/random",
    "transit/hash",
];

/// The declared name of the route that `path` (below the mount) takes; `None` where there is none.
#[must_use]
pub fn route(path: &CanonicalPath) -> Option<&'static str> {
    Route::declared(path).map(|route| route.name())
}

/// Answers a request below a mount.
///
/// # Errors
/// What the request got wrong; see [`Fault`].
pub async fn handle(room: &Room, request: Request) -> Result<Outcome, Fault> {
    let path = request.path.clone();
    let route = Route::declared(&path).ok_or(Fault::NoRoute("unsupported path".into()))?;
    match (route, request.operation) {
        (Route::Keys, Operation::List) => keys::list(room, &request).await,
        (Route::Key(name), Operation::Read) => keys::read(room, name).await,
        (Route::Key(name), Operation::Write) => keys::create(room, &request, name).await,
        (Route::Key(name), Operation::Delete) => keys::delete(room, name),
        (Route::Config(name), Operation::Write) => keys::config(room, &request, name),
        (Route::Rotate(name), Operation::Write) => keys::rotate(room, &request, name).await,
        (Route::Trim(name), Operation::Write) => keys::trim(room, &request, name),
        (Route::Encrypt(name), Operation::Write) => encrypt::encrypt(room, &request, name).await,
        (Route::Decrypt(name), Operation::Write) => encrypt::decrypt(room, &request, name).await,
        (Route::Rewrap(name), Operation::Write) => encrypt::rewrap(room, &request, name).await,
        (Route::DataKey(form, name), Operation::Write) => encrypt::data_key(room, &request, form, name).await,
        (Route::Sign(name, hash), Operation::Write) => sign::sign(room, &request, name, hash).await,
        (Route::Verify(name, hash), Operation::Write) => sign::verify(room, &request, name, hash).await,
        (Route::Hmac(name, hash), Operation::Write) => sign::hmac(room, &request, name, hash).await,
        (Route::Random(bytes), Operation::Write) => hash::random(room, &request, bytes),
        (Route::Hash(algorithm), Operation::Write) => hash::hash(&request, algorithm),
        _ => Err(Fault::UnsupportedOperation),
    }
}

/// A path below the mount, taken apart.
#[derive(Clone, Copy)]
enum Route<'p> {
    Keys,
    Key(&'p str),
    Config(&'p str),
    Rotate(&'p str),
    Trim(&'p str),
    Encrypt(&'p str),
    Decrypt(&'p str),
    Rewrap(&'p str),
    DataKey(&'p str, &'p str),
    Sign(&'p str, Option<&'p str>),
    Verify(&'p str, Option<&'p str>),
    Hmac(&'p str, Option<&'p str>),
    Random(Option<&'p str>),
    Hash(Option<&'p str>),
}

impl<'p> Route<'p> {
    /// What is not declared does not exist.
    fn declared(path: &'p CanonicalPath) -> Option<Self> {
        Self::of(path).filter(|route| ROUTES.contains(&route.name()))
    }

    fn of(path: &'p CanonicalPath) -> Option<Self> {
        let mut segments = path.segments();
        let mut next = || segments.next();
        let (first, second, third) = (next()?, next(), next());
        if segments.next().is_some() {
            return None;
        }
        Some(match (first, second, third) {
            ("keys", None, None) => Self::Keys,
            ("keys", Some(name), None) => Self::Key(name),
            ("keys", Some(name), Some("config")) => Self::Config(name),
            ("keys", Some(name), Some("rotate")) => Self::Rotate(name),
            ("keys", Some(name), Some("trim")) => Self::Trim(name),
            ("encrypt", Some(name), None) => Self::Encrypt(name),
            ("decrypt", Some(name), None) => Self::Decrypt(name),
            ("rewrap", Some(name), None) => Self::Rewrap(name),
            ("datakey", Some(form), Some(name)) => Self::DataKey(form, name),
            ("sign", Some(name), hash) => Self::Sign(name, hash),
            ("verify", Some(name), hash) => Self::Verify(name, hash),
            ("hmac", Some(name), hash) => Self::Hmac(name, hash),
            // `random/platform/32`: there is one source here, whatever it is called.
            ("random", Some("platform" | "all"), bytes) => Self::Random(bytes),
            ("random", bytes, None) => Self::Random(bytes),
            ("hash", algorithm, None) => Self::Hash(algorithm),
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Keys => "transit/keys",
            Self::Key(_) => "transit/keys/name",
            Self::Config(_) => "transit/keys/name/config",
            Self::Rotate(_) => "transit/keys/name/rotate",
            Self::Trim(_) => "transit/keys/name/trim",
            Self::Encrypt(_) => "transit/encrypt",
            Self::Decrypt(_) => "transit/decrypt",
            Self::Rewrap(_) => "transit/rewrap",
            Self::DataKey(..) => "transit/datakey",
            Self::Sign(..) => "transit/sign",
            Self::Verify(..) => "transit/verify",
            Self::Hmac(..) => "transit/hmac",
            Self::Random(_) => "transit/random",
            Self::Hash(_) => "transit/hash",
        }
    }
}

/// Reads `bytes` as each record of this engine, as a ciphertext's text and as how a signature is wanted, and writes back
/// what was read. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    records::fuzz(bytes);
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    for is_jws in [false, true] {
        if let Ok(tagged) = text::parse_tagged(text, is_jws) {
            assert_eq!(text::tagged(tagged.version, &tagged.bytes, is_jws), text);
        }
    }
    sign::fuzz(text);
}
