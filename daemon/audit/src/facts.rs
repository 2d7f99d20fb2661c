//! What is known of a request before it is acted upon, and which of it may stand in the log as it is.
use coffer_room::{Answer, Body, Fault};
use coffer_types::{EnvironmentId, MountId};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a leaf says of a request. Everything with a free value is committed to, salted; only [`PlainField`]s are
/// written as they are.
#[derive(Default)]
pub struct Facts {
    /// The declared name of the route, such as `kv2/data`; never the path that was asked for.
    pub route: &'static str,
    /// The operation's name, see [`coffer_types::Operation::name`].
    pub operation: &'static str,
    /// The mount acted upon.
    pub mount: Option<MountId>,
    /// The caller's own environment, where it is another than the one acted upon.
    pub caller_home: Option<EnvironmentId>,
    /// The caller's stable words, as the auth room gives them; none for an anonymous caller. Becomes a pseudonym.
    pub subject: Option<Arc<str>>,
    /// What the leaf commits to: name and value. The path belongs here. Names are fixed words, each once.
    pub committed: Vec<(&'static str, Zeroizing<Vec<u8>>)>,
    /// What stands in the leaf as it is.
    pub plain: Vec<(PlainField, String)>,
    /// [`keystore_format::leaf::request_digest`], where the client sent a nonce.
    pub request_digest: Option<[u8; 32]>,
    /// Revocation and sealing: may use the space that is kept back for a full disk.
    pub is_urgent: bool,
}

/// The fields of a request that may be read by whoever may read the log. `fields.txt` freezes the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlainField {
    /// The daemon's own random id of the request.
    RequestId,
    /// Method of the request.
    Method,
    /// How the caller proved itself: `token`, `cert`, `none`.
    Proof,
    /// Whether the answer was wrapped: `true`.
    Wrapped,
}

impl PlainField {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RequestId, Self::Method, Self::Proof, Self::Wrapped];

    /// The field's name in the leaf.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestId => "request_id",
            Self::Method => "method",
            Self::Proof => "proof",
            Self::Wrapped => "wrapped",
        }
    }
}

/// The HTTP status of a result: what the leaf records, and what the gateway must answer.
#[must_use]
pub fn status_of(result: &Result<Answer, Fault>) -> u16 {
    match result {
        Ok(answer) => answer.status.unwrap_or(match answer.body {
            Body::Empty => 204,
            _ => 200,
        }),
        Err(fault) => match fault {
            Fault::BadRequest(_) => 400,
            Fault::PermissionDenied => 403,
            Fault::NotFound | Fault::NotFoundWith(_) | Fault::NoRoute(_) => 404,
            Fault::UnsupportedOperation => 405,
            Fault::Conflict(_) => 412,
            Fault::TooLarge(_) => 413,
            Fault::UnsupportedMediaType(_) => 415,
            Fault::Sealed | Fault::Unavailable(_) => 503,
            Fault::Full => 507,
            Fault::OnDisk(_) | Fault::Internal(_) => 500,
        },
    }
}

/// A fault's name in the log: its kind, never its sentence.
#[must_use]
pub const fn fault_name(fault: &Fault) -> &'static str {
    match fault {
        Fault::BadRequest(_) => "bad_request",
        Fault::PermissionDenied => "permission_denied",
        Fault::NotFound | Fault::NotFoundWith(_) => "not_found",
        Fault::NoRoute(_) => "no_route",
        Fault::UnsupportedOperation => "unsupported_operation",
        Fault::Conflict(_) => "conflict",
        Fault::TooLarge(_) => "too_large",
        Fault::UnsupportedMediaType(_) => "unsupported_media_type",
        Fault::Sealed => "sealed",
        Fault::Unavailable(_) => "unavailable",
        Fault::Full => "full",
        Fault::OnDisk(_) => "altered_on_disk",
        Fault::Internal(_) => "internal",
    }
}
