//! The set of things a stanza grants.
use coffer_types::{Operation, WriteMode};

/// A set of capabilities, or the denial that overrules every set.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Capabilities(u16);

/// Every capability by its name, in the order of names. `deny` and `root` are answers, not members.
const NAMES: [(&str, Capabilities); 8] = [
    ("create", Capabilities::CREATE),
    ("delete", Capabilities::DELETE),
    ("list", Capabilities::LIST),
    ("patch", Capabilities::PATCH),
    ("read", Capabilities::READ),
    ("scan", Capabilities::SCAN),
    ("sudo", Capabilities::SUDO),
    ("update", Capabilities::UPDATE),
];

impl Capabilities {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const DENY: Self = Self(1);
    pub(crate) const CREATE: Self = Self(1 << 1);
    pub(crate) const READ: Self = Self(1 << 2);
    pub(crate) const UPDATE: Self = Self(1 << 3);
    pub(crate) const DELETE: Self = Self(1 << 4);
    pub(crate) const LIST: Self = Self(1 << 5);
    pub(crate) const SUDO: Self = Self(1 << 6);
    pub(crate) const PATCH: Self = Self(1 << 7);
    pub(crate) const SCAN: Self = Self(1 << 8);

    /// The capability called `name`, as policies spell it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if name == "deny" {
            return Some(Self::DENY);
        }
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, capability)| *capability)
    }

    /// What the legacy attribute `policy = "…"` stands for.
    pub(crate) fn legacy(name: &str) -> Option<Self> {
        let read = Self::READ.and(Self::LIST);
        let write = read.and(Self::CREATE).and(Self::UPDATE).and(Self::DELETE);
        match name {
            "deny" => Some(Self::DENY),
            "read" => Some(read),
            "write" => Some(write),
            "sudo" => Some(write.and(Self::SUDO)),
            _ => None,
        }
    }

    /// Both sets together; a denial in either is all that is left.
    pub(crate) const fn and(self, other: Self) -> Self {
        let both = Self(self.0 | other.0);
        if both.is_denial() { Self::DENY } else { both }
    }

    /// What is in both sets.
    pub(crate) const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// This set without the members of `other`.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn is_denial(self) -> bool {
        self.0 & Self::DENY.0 != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        !self.is_denial() && self.0 & other.0 == other.0
    }

    /// Whether `operation` is granted, and how a write may go.
    pub(crate) const fn allow(self, operation: Operation) -> Option<WriteMode> {
        let is_granted = match operation {
            Operation::Read => self.has(Self::READ),
            Operation::Delete => self.has(Self::DELETE),
            Operation::List => self.has(Self::LIST),
            Operation::Scan => self.has(Self::SCAN),
            // A patch changes what is there; it never makes anything new.
            Operation::Patch => {
                return if self.has(Self::PATCH) { Some(WriteMode::UpdateOnly) } else { None };
            }
            Operation::Write => {
                return match (self.has(Self::CREATE), self.has(Self::UPDATE)) {
                    (true, true) => Some(WriteMode::Any),
                    (true, false) => Some(WriteMode::CreateOnly),
                    (false, true) => Some(WriteMode::UpdateOnly),
                    (false, false) => None,
                };
            }
        };
        if is_granted { Some(WriteMode::Any) } else { None }
    }

    /// The names, sorted; `deny` alone where nothing is granted.
    pub(crate) fn names(self) -> Vec<&'static str> {
        if self.is_denial() || self.is_empty() {
            return vec!["deny"];
        }
        NAMES.iter().filter(|(_, capability)| self.has(*capability)).map(|(name, _)| *name).collect()
    }
}
