//! What can go wrong, said once: what happened, the HTTP status, the server's sentence; never a secret.
use core::fmt;
use keystore_format::error::FormatError;

/// The result of every call.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The client can't be built as configured; the sentence says what is missing or wrong.
    Configuration(String),
    /// No connection, or TLS failed while it was made. Nothing was sent.
    Connect(Cause),
    /// The connection broke after the request may have been sent: what it asks for may have happened.
    /// A client certificate that the server refuses shows here too, because TLS 1.3 tells it only then.
    Interrupted(Cause),
    /// No whole answer in time: what the request asks for may have happened.
    TimedOut,
    /// The server answered with an error.
    Refused(Refusal),
    /// The answer is not what this call expects; says which part of it. Never carries the answer.
    Unexpected(&'static str),
    /// The value to be stored can't be written as JSON.
    Unwritable,
    /// A sealed message is damaged, foreign, or another's.
    Format(FormatError),
    /// The message names another key than this envelope's; only whoever may use that one can open it.
    OtherKey {
        /// The environment that the message names.
        environment: String,
        /// The transit mount that the message names.
        mount: String,
        /// The transit key that the message names.
        key: String,
    },
    /// The audit log's proof does not hold; says which part of it.
    Receipt(&'static str),
    /// Reading or writing a local file or stream failed.
    Io(std::io::Error),
    /// The operating system's generator gave no bytes.
    NoRandomness,
}

/// An answer with an error status.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The server's sentences; empty where it gave none.
    pub sentences: Vec<String>,
    /// After how many seconds to try again, where the server says so.
    pub retry_after: Option<u64>,
}

/// The error beneath, of the network or of TLS.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// The HTTP status, where the server answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether there is nothing at the path (404).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the caller may not do this (403).
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        self.status() == Some(403)
    }

    /// Whether the daemon or the environment is sealed or can't serve now (503).
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.status() == Some(503)
    }

    /// Whether the server showed a certificate that can't be trusted: of another CA or name, expired, revoked or not for
    /// servers. It was sent nothing.
    #[must_use]
    pub fn is_server_untrusted(&self) -> bool {
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            // What hides in one of these is not its source.
            let hidden = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            let tls = hidden.and_then(|hidden| hidden.downcast_ref());
            if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) {
                return true;
            }
            next = error.source();
        }
        false
    }

    /// Whether the server did not take the client's certificate, or wanted one and got none. Some servers break off the
    /// connection without saying so.
    #[must_use]
    pub fn is_certificate_refused(&self) -> bool {
        use rustls::AlertDescription as Alert;
        const ALERTS: [Alert; 8] = [
            Alert::CertificateRequired,
            Alert::BadCertificate,
            Alert::UnsupportedCertificate,
            Alert::CertificateRevoked,
            Alert::CertificateExpired,
            Alert::CertificateUnknown,
            Alert::UnknownCA,
            Alert::AccessDenied,
        ];
        // Of what TLS says, HTTP/2 keeps the sentence only.
        let Some(source) = std::error::Error::source(self) else { return false };
        let said = deepest(source).to_string();
        ALERTS.iter().any(|alert| said == rustls::Error::AlertReceived(*alert).to_string())
    }

    /// Whether the request may have taken effect although it failed. Read before repeating it.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Interrupted(_) | Self::TimedOut | Self::Unexpected(_))
            || self.status().is_some_and(|status| matches!(status, 500 | 502 | 504))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(what) => f.write_str(what),
            Self::Connect(cause) => write!(f, "no connection to the server: {}", deepest(cause.as_ref())),
            Self::Interrupted(cause) => {
                write!(f, "the connection broke before the answer came: {}", deepest(cause.as_ref()))
            }
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unexpected(what) => write!(f, "the server's answer can't be used: {what}"),
            Self::Unwritable => f.write_str("the value can't be written as JSON"),
            Self::Format(error) => error.fmt(f),
            Self::OtherKey { environment, mount, key } => {
                let environment = if environment.is_empty() { "root" } else { environment };
                write!(
                    f,
                    "the message was sealed under key {key:?} of {mount:?} in environment {environment:?}"
                )
            }
            Self::Receipt(what) => write!(f, "the audit log's proof does not hold: {what}"),
            Self::Io(error) => error.fmt(f),
            Self::NoRandomness => f.write_str("the operating system's random number generator failed"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status)?;
        if self.sentences.is_empty() { Ok(()) } else { write!(f, ": {}", self.sentences.join("; ")) }
    }
}

/// The last error of a chain says what the matter is; those above it repeat that something failed.
fn deepest<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(cause) | Self::Interrupted(cause) => Some(cause.as_ref()),
            Self::Format(error) => Some(error),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
