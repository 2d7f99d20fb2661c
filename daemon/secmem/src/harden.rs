//! What the process gives up at start, so that a fault in it later exposes less.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};
use rustix::thread::set_no_new_privs;

/// One thing that the process gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// `RLIMIT_CORE` 0: no core file is written.
    NoCoreDump,
    /// `PR_SET_DUMPABLE` 0: other processes of the same user can't attach or read its memory.
    NotDumpable,
    /// `PR_SET_NO_NEW_PRIVS`: nothing it starts gains rights from set-user-id files.
    NoNewPrivileges,
}

/// What [`harden`] could not do; empty when all is well. The umask, 077, can't fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "what could not be hardened should be said at start"]
pub struct Hardening {
    /// The steps that the kernel refused.
    pub refused: Vec<Step>,
}

impl Hardening {
    /// Whether every step was done.
    pub fn is_complete(&self) -> bool {
        self.refused.is_empty()
    }
}

/// Takes from this process what a secrets daemon never needs. Call it first, before threads and secrets exist: no new
/// privileges is a promise of the calling thread, which threads started later inherit.
pub fn harden() -> Hardening {
    umask(Mode::RWXG | Mode::RWXO);
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    let steps = [
        (Step::NoCoreDump, setrlimit(Resource::Core, no_core)),
        (Step::NotDumpable, set_dumpable_behavior(DumpableBehavior::NotDumpable)),
        (Step::NoNewPrivileges, set_no_new_privs(true)),
    ];
    Hardening { refused: steps.into_iter().filter(|(_, done)| done.is_err()).map(|(step, _)| step).collect() }
}
