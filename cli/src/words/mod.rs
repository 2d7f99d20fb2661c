//! The words for what goes wrong, and the exit codes: here and nowhere else.
mod advice;
mod ceremony;
mod failure;
mod finding;
mod seal;
mod server;
mod share;
mod target;

pub(crate) use ceremony::CeremonyFault;
pub(crate) use failure::Failure;
pub(crate) use finding::{meaning, place};
pub(crate) use seal::SealFault;
pub(crate) use server::BY_PIN;
pub(crate) use share::ShareFault;
pub(crate) use target::TargetFault;

/// How a command ends, as `coffer --help` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Fine = 0,
    /// A mistake of the caller, or a refusal.
    Mistake = 1,
    /// Sealed or not initialised.
    Sealed = 2,
    /// Not reachable, or failed.
    Failed = 3,
    /// A check found an alteration, or a signature that is not valid.
    Altered = 4,
}

/// Compares with a text that people review. `COFFER_WRITE_GOLDEN=1` writes it anew.
#[cfg(test)]
pub(crate) fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("COFFER_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} differs; COFFER_WRITE_GOLDEN=1 writes it anew", path.display());
}
