//! Why a decision is what it is: for the matrix of routes that is kept under review, and for tests.
use crate::acl::Acl;
use crate::permit::{Refusal, decide};
use crate::routes::needs_sudo;
use coffer_types::{CanonicalPath, EnvironmentPath, Operation};
use coffer_wire::Params;
use std::fmt;

/// A decision and the stanza that made it.
pub struct Explanation {
    /// `None` where it is allowed.
    pub refusal: Option<Refusal>,
    /// The deciding stanza's path as it was understood; none where no stanza is about the path.
    pub pattern: Option<String>,
    /// What that stanza grants.
    pub capabilities: Vec<&'static str>,
}

/// Decides `operation` on `path` without parameters and without wrapping; `environment` is `None` for the policies' own.
#[must_use]
pub fn explain(
    acl: &Acl,
    environment: Option<&EnvironmentPath>,
    path: &CanonicalPath,
    operation: Operation,
) -> Explanation {
    if acl.is_root() {
        return Explanation { refusal: None, pattern: None, capabilities: vec!["root"] };
    }
    let needs_sudo = needs_sudo(path.as_str());
    let refusal = decide(acl, environment, path, operation, needs_sudo, &Params::none(), None).err();
    let rule = acl.rule(environment, path.as_str(), operation);
    Explanation {
        refusal,
        pattern: rule.map(|rule| rule.pattern.to_string()),
        capabilities: rule.map_or_else(|| vec!["deny"], |rule| rule.capabilities.names()),
    }
}

impl fmt::Display for Explanation {
    /// `allowed by "a/*" [read, list]`, `refused (Denied) by "a/b" [deny]`, `refused (NoStanza)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refusal {
            None => f.write_str("allowed")?,
            Some(refusal) => write!(f, "refused ({refusal:?})")?,
        }
        if let Some(pattern) = &self.pattern {
            write!(f, " by \"{pattern}\"")?;
        }
        write!(f, " [{}]", self.capabilities.join(", "))
    }
}
