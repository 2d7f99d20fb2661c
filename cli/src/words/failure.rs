//! Everything that ends a command without its page: what happened, what to do next, and the exit code.
use super::{CeremonyFault, Exit, SealFault, ShareFault, TargetFault, advice, server};
use coffer_sdk::Error;
use keystore_format::error::FormatError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a command has no page. Never carries a secret; names of keys, files and paths are said back.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The daemon or the way to it; `path` is what was asked for, empty where nothing was.
    Server {
        path: String,
        error: Box<Error>,
    },
    /// Nobody answered at this address.
    Unreachable {
        address: String,
        error: Box<Error>,
    },
    /// The daemon closes every connection before it answers.
    Unwelcome {
        has_identity: bool,
    },
    NotInitialized,
    AlreadyInitialized,
    Sealed {
        progress: u64,
        threshold: u64,
    },
    Usage {
        what: String,
        help: String,
    },
    Runtime(io::Error),
    Output(io::Error),
    Input(io::Error),
    Stopped,
    NothingTyped,
    NotConfirmed,
    NeedsYes(String),
    ShareAsArgument,
    SecretAsArgument,
    TokenAsArgument,
    WhichToken,
    HalfIdentity,
    File {
        path: PathBuf,
        error: io::Error,
    },
    FileExists(PathBuf),
    NoFileName(PathBuf),
    NotText(String),
    NoPair,
    InputTwice,
    RepeatedKey(String),
    NotAnObject(String),
    NotJson {
        source: String,
        line: usize,
        column: usize,
    },
    NoField {
        field: String,
        present: Vec<String>,
    },
    NoEnvironmentName,
    NoMountFor(String),
    NotKv {
        mount: String,
        kind: String,
    },
    NeedsVersions(String),
    NoSecretPath(String),
    VersionDeleted {
        path: String,
        version: u64,
        when: String,
    },
    VersionDestroyed {
        path: String,
        version: u64,
    },
    NothingToChange,
    Snapshot {
        path: PathBuf,
        error: FormatError,
    },
    /// A file that should hold a share.
    Share {
        path: PathBuf,
        fault: ShareFault,
    },
    Ceremony(CeremonyFault),
    /// What should name targets.
    Target {
        path: PathBuf,
        fault: TargetFault,
    },
    Seal(SealFault),
    NotAgreed,
    SameHolder(String),
    ShareCount {
        shares: u64,
        recipients: usize,
    },
    TooFewHolders {
        threshold: u64,
        recipients: usize,
    },
    NoAuditLog(PathBuf),
    NoSuchLog(String),
    SeveralLogs(String),
    VerifierKey(FormatError),
    NoKeyFor(String),
    NoKeyGiven,
    Disclosure {
        path: PathBuf,
        error: FormatError,
    },
}

impl Failure {
    /// A call of the API failed at this path.
    pub(crate) fn at(path: &str, error: Error) -> Self {
        Self::Server { path: path.to_owned(), error: Box::new(error) }
    }

    pub(crate) fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }

    /// Whether the daemon said that it can't serve now.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self, Self::Server { error, .. } if error.is_unavailable())
    }

    /// Whether this was asked for.
    pub(crate) fn is_of(&self, asked: &str) -> bool {
        matches!(self, Self::Server { path, .. } if path == asked)
    }

    /// Whether the daemon could not use what was sent.
    pub(crate) fn is_bad_request(&self) -> bool {
        matches!(self, Self::Server { error, .. } if matches!(&**error, Error::Refused(refusal) if refusal.status == 400))
    }

    /// Whether a file was not there.
    pub(crate) fn is_missing_file(&self) -> bool {
        matches!(self, Self::File { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether a connection was made and broke before an answer.
    pub(crate) fn is_broken_off(&self) -> bool {
        matches!(self, Self::Server { error, .. } if matches!(**error, Error::Interrupted(_)))
    }

    /// This failure with the address that was tried, where nobody answered.
    pub(crate) fn with_address(self, address: String) -> Self {
        match self {
            Self::Server { error, .. } if matches!(*error, Error::Connect(_)) => {
                Self::Unreachable { address, error }
            }
            other => other,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Server { error, .. } | Self::Unreachable { error, .. } => server::exit(error),
            Self::NotInitialized | Self::Sealed { .. } => Exit::Sealed,
            Self::Runtime(_) | Self::Output(_) => Exit::Failed,
            Self::Disclosure { error, .. } => advice::disclosure_exit(error),
            _ => Exit::Mistake,
        }
    }

    /// What happened, without a stop at its end.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Server { path, error } => server::what(path, error),
            Self::Unreachable { address, error } => server::unreachable(address, error),
            Self::Unwelcome { has_identity: true } => "the daemon does not accept your client certificate: it closes the connection without an answer".into(),
            Self::Unwelcome { has_identity: false } => "the daemon closes the connection without an answer: it wants a client certificate, and none is given".into(),
            Self::NotInitialized => "the daemon was never initialised: there is nothing in it yet".into(),
            Self::AlreadyInitialized => {
                "this daemon holds a store already, and a snapshot is only restored into a new one".into()
            }
            Self::Sealed { progress: 0, .. } => "the daemon is sealed: its keys are not in memory".into(),
            Self::Sealed { progress, threshold } => {
                format!("the daemon is sealed: {progress} of {threshold} shares are given")
            }
            Self::Usage { what, .. } => what.clone(),
            Self::Runtime(error) => format!("the operating system refuses what every program needs: {error}"),
            Self::Output(error) => format!("standard output can't be written: {error}"),
            Self::Input(error) => format!("nothing can be read from the terminal or standard input: {error}"),
            Self::Stopped => "stopped: nothing more was done".into(),
            Self::NothingTyped => "nothing was typed".into(),
            Self::NotConfirmed => "that is another name: nothing was changed".into(),
            Self::NeedsYes(what) => format!("{} There is no terminal to ask on", what.trim_end()),
            Self::ShareAsArgument => {
                "a share is never an argument: it now stands in your shell's history".into()
            }
            Self::SecretAsArgument => {
                "a share or a PIN is never an argument: what you typed now stands in your shell's history".into()
            }
            Self::TokenAsArgument => {
                "a token is never an argument: it now stands in your shell's history".into()
            }
            Self::WhichToken => "it is not said which token".into(),
            Self::HalfIdentity => {
                "a client certificate is given without its key, or a key without its certificate".into()
            }
            Self::File { path, error } => format!("{}: {}", named(path), io_words(error)),
            Self::FileExists(path) => format!("{} is there already and was left as it is", path.display()),
            Self::NoFileName(path) => format!("{} is no name for a file", path.display()),
            Self::NotText(name) => format!("{name} is not UTF-8 text"),
            Self::NoPair => "what is to be written is missing, or is no pair".into(),
            Self::InputTwice => "standard input can be read for one value only".into(),
            Self::RepeatedKey(key) => format!("the key {key} is given twice"),
            Self::NotAnObject(source) => format!("{source} is JSON, but not an object"),
            Self::NotJson { source, line, column } => {
                format!("{source} is not JSON at line {line}, column {column}")
            }
            Self::NoField { field, .. } => format!("there is no field {field}"),
            Self::NoEnvironmentName => "the environment's name is missing".into(),
            Self::NoMountFor(path) => format!("no mount that you may use holds {path}"),
            Self::NotKv { mount, kind } => format!("{mount} holds {kind}, not secrets"),
            Self::NeedsVersions(mount) => format!("{mount} is KV version 1, which keeps no versions"),
            Self::NoSecretPath(mount) => {
                format!("{mount} is the mount itself: the path of the secret is missing")
            }
            Self::VersionDeleted { path, version, when } => {
                format!("version {version} of {path} was deleted at {when}")
            }
            Self::VersionDestroyed { path, version } => {
                format!("version {version} of {path} was destroyed: its value is gone for good")
            }
            Self::NothingToChange => "it is not said what is to be changed".into(),
            Self::Snapshot { path, error } => {
                format!("{} is no snapshot of Coffer, or is damaged: {error}", path.display())
            }
            Self::Share { path, fault } => format!("{} {}", named(path), fault.what()),
            Self::Ceremony(fault) => fault.what(),
            Self::Target { path, fault } => format!("{}: {fault}", named(path)),
            Self::Seal(fault) => fault.what(),
            Self::NotAgreed => "not confirmed: nothing was changed".into(),
            Self::SameHolder(name) => format!("two recipients are the same holder: {name}"),
            Self::ShareCount { shares, recipients } => {
                format!("{shares} shares are asked for, and {recipients} recipients are given")
            }
            Self::TooFewHolders { threshold, recipients } => {
                format!("{threshold} shares are to open the daemon, and {recipients} recipients are given")
            }
            Self::NoAuditLog(path) => format!("there is no audit log in {}", path.display()),
            Self::NoSuchLog(prefix) => {
                format!("no log here is of an environment whose id begins with {prefix}")
            }
            Self::SeveralLogs(prefix) => format!("the ids of several environments begin with {prefix}"),
            Self::VerifierKey(error) => format!("that is no verifier key: {error}"),
            Self::NoKeyFor(origin) => {
                format!("the file speaks of the log {origin}, and none of the given keys is of that log")
            }
            Self::NoKeyGiven => "without the log's key nothing can be checked".into(),
            Self::Disclosure { path, error } => format!("{} does not hold: {error}", path.display()),
        }
    }

    /// What to do now; empty where there is nothing to say.
    pub(crate) fn next(&self) -> String {
        match self {
            Self::Server { path, error } => server::next(path, error),
            Self::Unreachable { error, .. } => server::next("", error),
            other => advice::next(other),
        }
    }
}

impl From<CeremonyFault> for Failure {
    fn from(fault: CeremonyFault) -> Self {
        Self::Ceremony(fault)
    }
}

impl From<SealFault> for Failure {
    fn from(fault: SealFault) -> Self {
        Self::Seal(fault)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::at("", error)
    }
}

fn named(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

fn io_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "you may not read or write there".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}
