//! Who is asking, proved.
use crate::token::Bound;
use coffer_types::{EnvironmentId, EnvironmentPath, MountId};
use std::sync::Arc;

/// A token as the store knows it: never the token itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenRef {
    /// HMAC-SHA-256(token key, t): where its record lies.
    pub index: [u8; 32],
    /// Whether this request uses up one of a limited number of uses.
    pub is_use_limited: bool,
}

/// Who is asking: made only by this room, from a live token or a certificate that matches a role now.
pub struct Caller {
    pub(crate) home: EnvironmentId,
    pub(crate) home_path: EnvironmentPath,
    pub(crate) subject: Arc<str>,
    pub(crate) display_name: Arc<str>,
    pub(crate) policies: Arc<[String]>,
    pub(crate) token: Option<TokenRef>,
    pub(crate) binding: Option<Arc<Bound>>,
    pub(crate) auth_mount: MountId,
}

/// Nobody in particular: what asks for one of the public paths. Carries what the connection proved, for the log.
pub struct Anonymous;

impl Caller {
    /// The environment that the token or role belongs to.
    #[must_use]
    pub fn home(&self) -> EnvironmentId {
        self.home
    }

    /// Where that environment stands.
    #[must_use]
    pub fn home_path(&self) -> &EnvironmentPath {
        &self.home_path
    }

    /// Stable words for this identity (`token:<accessor>`, `cert:<mount>/<role>/<identity>`): what pseudonyms are made of.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The name shown to people.
    #[must_use]
    pub fn display_name(&self) -> &str {
        &self.display_name
    }

    /// The names of its policies in its home environment, sorted, each once.
    #[must_use]
    pub fn policies(&self) -> &Arc<[String]> {
        &self.policies
    }

    /// Whether it holds the root policy.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.policies.iter().any(|name| name == "root")
    }

    /// Its token, if it came with one.
    #[must_use]
    pub fn token(&self) -> Option<TokenRef> {
        self.token
    }

    /// The certificate identity it is bound to, which the tokens it makes inherit.
    #[must_use]
    pub fn binding(&self) -> Option<&Arc<Bound>> {
        self.binding.as_ref()
    }

    /// The auth mount that its tokens and roles come from; `MountId::default()` for the token mount itself. Where that
    /// mount is gone, the caller is nobody any more: whoever keeps the mount table asks.
    #[must_use]
    pub fn auth_mount(&self) -> MountId {
        self.auth_mount
    }
}
