//! What a request wants to do with a path.

/// The operations of the API. Nothing internal can be named here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// GET.
    Read,
    /// POST or PUT: creates what is not there, updates what is.
    Write,
    /// PATCH: a JSON merge patch (RFC 7396).
    Patch,
    /// DELETE.
    Delete,
    /// LIST, or GET with `list=true`: the names directly below a path.
    List,
    /// SCAN, or GET with `scan=true`: the names at any depth below a path.
    Scan,
}

impl Operation {
    /// The operation's name in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Scan => "scan",
        }
    }
}

/// What a permit to write allows. The engine decides inside its transaction, where existence is exact:
/// `create` without `update` must not overwrite, `update` without `create` must not make anything new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteMode {
    /// Both `create` and `update` are granted.
    Any,
    /// Only `create` is granted.
    CreateOnly,
    /// Only `update` is granted.
    UpdateOnly,
}
