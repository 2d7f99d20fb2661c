mod language;
mod matching;
mod naive;
mod parameters;
mod walls;

use crate::permit::{Grant, Refusal, decide};
use crate::{Acl, Policy};
use coffer_types::{CanonicalPath, EnvironmentPath, Operation};
use coffer_wire::{Limits, Params};
use std::sync::Arc;
use zeroize::Zeroizing;

fn acl(texts: &[&str]) -> Acl {
    Acl::new(&texts.iter().map(|text| Arc::new(Policy::parse(text).unwrap())).collect::<Vec<_>>())
}

fn path(text: &str) -> CanonicalPath {
    CanonicalPath::parse(text).unwrap()
}

fn environment(text: &str) -> EnvironmentPath {
    EnvironmentPath::parse(text).unwrap()
}

fn params(json: &str) -> Params {
    Params::parse(Zeroizing::new(json.as_bytes().to_vec()), Limits::REQUEST).unwrap()
}

fn ask(acl: &Acl, operation: Operation, at: &str, body: &str) -> Result<Grant, Refusal> {
    decide(acl, None, &path(at), operation, crate::needs_sudo(at), &params(body), None)
}

fn allows(acl: &Acl, operation: Operation, at: &str) -> bool {
    ask(acl, operation, at, "").is_ok()
}
