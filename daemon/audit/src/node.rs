//! The node log: what comes while nothing is open, and a witness of every tree.
use crate::Unrecorded;
use crate::journal::Journal;
use keystore_format::leaf::{Leaf, LeafKind, Plain};
use std::sync::Arc;

/// The node's own log. Cheap to clone.
#[derive(Clone)]
pub struct NodeLog {
    journal: Arc<Journal>,
}

/// What the node log records one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeEvent {
    /// The daemon started.
    Start,
    /// The daemon stops in order.
    Stop,
    /// An environment was initialised.
    Initialized,
    /// A share was accepted.
    UnsealProgress,
    /// A share was refused.
    UnsealRefused,
    /// An unseal attempt was reset.
    UnsealReset,
    /// An environment opened.
    Unsealed,
    /// An environment was sealed.
    Sealed,
    /// Another ceremony: rekey, generate-root, snapshot restore.
    Ceremony,
    /// An environment's log begins or goes on: its verifier key.
    LogOpened,
    /// An environment was destroyed: its last checkpoint.
    Destroyed,
    /// The configuration or the certificates were read anew.
    Reloaded,
}

/// What the node log only counts, one leaf a second, so that a flood can't fill it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeCount {
    /// Refused, because the environment or the daemon is sealed or not initialised.
    WhileSealed,
    /// Could not be addressed to an environment: malformed, or no such namespace.
    Unaddressed,
    /// Failed before it was a request: limits, HTTP syntax. Handshakes that fail are in the metrics alone: whoever can
    /// reach the port could write the log with them.
    Unreadable,
}

/// The fields that a node event may have. `fields.txt` freezes the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeField {
    /// Hex id of an environment.
    Environment,
    /// What was done, a fixed word.
    Action,
    /// How it ended, a fixed word.
    Result,
    /// How far it is, a number.
    Progress,
    /// How much is needed, a number.
    Threshold,
    /// The daemon's version.
    Version,
    /// A verifier key of an environment's log (C2SP vkey).
    VerifierKey,
    /// A checkpoint: size and root.
    Checkpoint,
}

/// The names of [`NodeCount`]s, in their order.
pub(crate) const COUNTS: [&str; 3] = ["while_sealed", "unaddressed", "unreadable"];

impl NodeEvent {
    /// The event's name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Initialized => "initialized",
            Self::UnsealProgress => "unseal_progress",
            Self::UnsealRefused => "unseal_refused",
            Self::UnsealReset => "unseal_reset",
            Self::Unsealed => "unsealed",
            Self::Sealed => "sealed",
            Self::Ceremony => "ceremony",
            Self::LogOpened => "log_opened",
            Self::Destroyed => "destroyed",
            Self::Reloaded => "reloaded",
        }
    }
}

impl NodeField {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Environment,
        Self::Action,
        Self::Result,
        Self::Progress,
        Self::Threshold,
        Self::Version,
        Self::VerifierKey,
        Self::Checkpoint,
    ];

    /// The field's name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Action => "action",
            Self::Result => "result",
            Self::Progress => "progress",
            Self::Threshold => "threshold",
            Self::Version => "version",
            Self::VerifierKey => "verifier_key",
            Self::Checkpoint => "checkpoint",
        }
    }
}

impl NodeLog {
    pub(crate) fn new(journal: Arc<Journal>) -> Self {
        Self { journal }
    }

    /// Records an event. It is in the journal when this returns, and durable within a second.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub fn event(&self, event: NodeEvent, fields: &[(NodeField, &str)]) -> Result<(), Unrecorded> {
        let (id, now) = (self.journal.next_id(), self.journal.now_ms());
        let mut leaf = Leaf::new(LeafKind::NodeEvent, id, now, "node", event.name(), 0);
        for (field, value) in fields {
            leaf.plain.insert(field.name().into(), Plain::Text((*value).into()));
        }
        self.journal.append_node(leaf).map(drop)
    }

    /// Counts what may come in floods. Each round with counts becomes one leaf.
    ///
    /// # Errors
    /// Where the log cannot be written: what is counted here must then not be answered.
    pub fn count(&self, what: NodeCount) -> Result<(), Unrecorded> {
        if !self.journal.is_writable() {
            return Err(Unrecorded::Failed);
        }
        self.journal.add_count(what as usize);
        Ok(())
    }
}
