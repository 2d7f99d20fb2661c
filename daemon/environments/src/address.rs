//! Step 3: a request's path becomes an environment, a mount and a path below it.
use crate::mounts::Mount;
use crate::sys::Route;
use crate::{Environment, Registry};
use coffer_room::Fault;
use coffer_types::{CanonicalPath, EnvironmentPath, Operation, PathError};
use std::sync::Arc;

/// Where a request goes. Only the registry makes one, from an environment that is open.
pub struct Addressed {
    /// The environment acted upon.
    pub environment: Arc<Environment>,
    /// The canonical path in that environment: what policies are compared with.
    pub path: CanonicalPath,
    /// What is wanted.
    pub operation: Operation,
    /// Who will do it.
    pub handler: Handler,
}

/// Who handles a path.
pub enum Handler {
    /// `sys/`: the route, and what its `:path` stands for.
    System(Route, String),
    /// A mount, and the path below it.
    Mount(Arc<Mount>, CanonicalPath),
    /// Nobody: no environment, mount or route is there. Said only to those who may do it.
    Nobody,
}

impl Registry {
    /// Finds the environment (`namespace`, then leading segments of the path that name environments), then the handler.
    ///
    /// # Errors
    /// Where the node is sealed, or the namespace or the path is not canonical.
    pub fn address(
        &self,
        namespace: Option<&str>,
        raw_path: &str,
        operation: Operation,
    ) -> Result<Addressed, Fault> {
        let is_listing = matches!(operation, Operation::List | Operation::Scan);
        if raw_path.starts_with('/') {
            return Err(PathError::EmptySegment.into());
        }
        let path = CanonicalPath::from_url(raw_path, is_listing)?;
        let wanted = EnvironmentPath::parse(namespace.unwrap_or_default())?;
        let open = self.open().ok_or(Fault::Sealed)?;
        let (environment, beneath) = open.nearest(&wanted)?;
        if let Some(missing) = beneath {
            self.refuse_closed(&environment, &missing)?;
            // Authorised, and refused, in the environment above: what is not there looks like what is forbidden.
            let path = CanonicalPath::parse(&format!("{missing}/{path}"))?;
            return Ok(Addressed { environment, path, operation, handler: Handler::Nobody });
        }
        let (environment, path) = open.descend(environment, path);
        let addressed = route(environment, path, operation);
        // A sealed environment has no handler: what has one need not look.
        if matches!(addressed.handler, Handler::Nobody) {
            self.refuse_closed(&addressed.environment, addressed.path.as_str())?;
        }
        Ok(addressed)
    }
}

impl Registry {
    /// Where the first name of `beneath` is an environment that is there and sealed, whoever asks is to come again.
    fn refuse_closed(&self, environment: &Environment, beneath: &str) -> Result<(), Fault> {
        let first = beneath.split('/').next().unwrap_or_default();
        let Ok(path) = environment.path.child(first) else { return Ok(()) };
        if self.closed().contains_key(&path) {
            return Err(Fault::Unavailable(
                "the environment is sealed: `coffer env unseal` opens it, in the one above it".into(),
            ));
        }
        Ok(())
    }
}

fn route(environment: Arc<Environment>, path: CanonicalPath, operation: Operation) -> Addressed {
    let segments: Vec<&str> = path.segments().collect();
    if let ["sys", rest @ ..] = segments.as_slice() {
        let Some((route, argument)) = Route::find(rest) else {
            return Addressed { environment, path, operation, handler: Handler::Nobody };
        };
        if !route.folds() {
            return Addressed { environment, path, operation, handler: Handler::System(route, argument) };
        }
        let folded = path.fold_last(argument.split('/').count() + usize::from(route.has_word_last()));
        let handler = Handler::System(route, argument.to_lowercase());
        return Addressed { environment, path: folded, operation, handler };
    }
    let found = environment.mounts().find(&path).map(|(mount, rest)| (Arc::clone(mount), rest));
    let Some((mount, rest)) = found else {
        return Addressed { environment, path, operation, handler: Handler::Nobody };
    };
    // Names of roles, lists and users of an auth method are the same in any case.
    let folds = match (mount.kind, rest.segments().next()) {
        (crate::MountKind::Cert, Some("certs" | "crls"))
        | (crate::MountKind::Token, Some("roles" | "create")) => 1,
        // What stands behind a user's name too.
        (crate::MountKind::Userpass, Some("users" | "login")) => rest.segments().skip(1).count(),
        _ => 0,
    };
    let (path, rest) = match folds {
        0 => (path, rest),
        _ => (path.fold_last(folds), rest.fold_last(folds)),
    };
    Addressed { environment, path, operation, handler: Handler::Mount(mount, rest) }
}
