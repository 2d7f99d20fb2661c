//! The words for what is wrong with the targets of `operator unseal --all`.
use std::fmt;

/// Why these are no targets. Names are said back, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetFault {
    /// Not `NAME=https://host:port`.
    Shape,
    SameName(String),
    NotToml {
        line: usize,
    },
    Unknown(String),
    NoText(String),
    Incomplete,
    HalfIdentity(String),
    /// None at all.
    None,
}

impl fmt::Display for TargetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => {
                f.write_str("write it as NAME=https://HOST:PORT, or NAME=https://HOST:PORT/ENVIRONMENT")
            }
            Self::SameName(name) => write!(f, "two targets have the name {name}"),
            Self::NotToml { line } => write!(f, "that is not TOML at line {line}"),
            Self::Unknown(name) => write!(f, "it has {name}, which no target has"),
            Self::NoText(name) => write!(f, "its {name} is not text"),
            Self::Incomplete => f.write_str("a target has no name or no address"),
            Self::HalfIdentity(name) => {
                write!(f, "target {name} has a certificate without its key, or a key without it")
            }
            Self::None => f.write_str("it names no target"),
        }
    }
}

impl std::error::Error for TargetFault {}
