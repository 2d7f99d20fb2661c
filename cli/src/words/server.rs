//! The words for answers of the daemon, and for none.
use super::Exit;
use coffer_sdk::{Error, Refusal};

/// `sys/unseal` where it was asked with a PIN, and not with a share.
pub(crate) const BY_PIN: &str = "sys/unseal by PIN";

pub(super) fn exit(error: &Error) -> Exit {
    match error {
        Error::Refused(refusal) if refusal.status < 500 => Exit::Mistake,
        Error::Interrupted(_) if refuses_us(error) => Exit::Mistake,
        Error::Connect(_) if distrust(error).is_some() => Exit::Mistake,
        Error::Connect(_)
        | Error::Interrupted(_)
        | Error::TimedOut
        | Error::Refused(_)
        | Error::Unexpected(_) => Exit::Failed,
        Error::Receipt(_) => Exit::Altered,
        _ => Exit::Mistake,
    }
}

pub(super) fn what(path: &str, error: &Error) -> String {
    match error {
        Error::Refused(refusal) => refused(path, refusal),
        Error::Connect(_) if distrust(error).is_some() => "the server is not the one that you trust".into(),
        Error::Interrupted(_) if refuses_us(error) => {
            "the daemon does not accept your client certificate".into()
        }
        Error::Interrupted(_) | Error::TimedOut => {
            format!("{error}: what was asked for may have been done, or not")
        }
        Error::Configuration(what) => what.replace(", or give it to the builder", " or give the flag"),
        _ => error.to_string(),
    }
}

/// As [`what`], with the address that was tried.
pub(super) fn unreachable(address: &str, error: &Error) -> String {
    let text = what("", error);
    text.replacen("the server", &format!("the server at {address}"), 1)
}

pub(super) fn next(path: &str, error: &Error) -> String {
    match error {
        Error::Refused(refusal) => after_refusal(path, refusal),
        Error::Connect(_) => match distrust(error) {
            Some(advice) => advice.to_owned(),
            None => "Is cofferd running there? `coffer status --address https://HOST:PORT` asks another address; COFFER_ADDR sets it.".into(),
        },
        Error::Interrupted(_) if refuses_us(error) => {
            "Check COFFER_CLIENT_CERT and COFFER_CLIENT_KEY: a certificate that has not expired, of a CA that the daemon trusts.".into()
        }
        Error::Interrupted(_) | Error::TimedOut => {
            "Look whether it was done before you repeat it; `coffer status` tells whether the daemon is there.".into()
        }
        Error::Unexpected(_) => "Is that address a Coffer daemon's, and of this version? `coffer status` shows it.".into(),
        Error::Configuration(_) => "`coffer --help` lists all settings; `cofferd dev` prints lines to paste.".into(),
        _ => String::new(),
    }
}

fn refused(path: &str, refusal: &Refusal) -> String {
    let said = refusal.sentences.join("; ");
    let at = if path.is_empty() { String::new() } else { format!(" at {path}") };
    match refusal.status {
        403 if said.is_empty() || said == "permission denied" => format!("permission denied{at}"),
        404 if said.is_empty() => format!("there is nothing{at}"),
        405 => format!("the daemon does not know this request{at}"),
        503 if said.is_empty() => "the daemon can't serve now".to_owned(),
        status if said.is_empty() => format!("the daemon answered {status}{at}"),
        500..507 => format!("the daemon failed{at}: {said}"),
        _ => said,
    }
}

fn after_refusal(path: &str, refusal: &Refusal) -> String {
    match refusal.status {
        400 if path == "sys/unseal" => "What was given before still counts; `coffer status` shows how far it is.".into(),
        400 if path == BY_PIN => {
            "A PIN is not tried again by itself; do not guess, since a TPM locks after a few. `coffer operator unseal` opens it with shares.".into()
        }
        400 if refusal.sentences.iter().any(|said| said.contains("check-and-set")) => {
            "`coffer kv get` shows which version is there now: read it again, then decide.".into()
        }
        403 if path.starts_with("auth/token/") && path.ends_with("-self") => {
            "The token has ended, is of another environment (-n; the root is -n \"\"), or there is none: `coffer login` gets one.".into()
        }
        403 if path.is_empty() => "`coffer token lookup` shows who you are to the daemon.".into(),
        403 => format!(
            "`coffer capabilities {path}` shows what you may do there; check the token or certificate, and -n for the environment."
        ),
        404 if refusal.sentences.is_empty() => {
            "Check the spelling, and -n for the environment; the `list` commands show what there is.".into()
        }
        405 => "The daemon may be of another version than this command: `coffer status` shows it.".into(),
        412 => "It was changed meanwhile: read it again, then decide.".into(),
        429 => match refusal.retry_after {
            Some(seconds) => format!("Try again in {seconds} s."),
            None => "Try again in a moment.".into(),
        },
        503 => "The daemon's own log says why; seal, status and metrics still answer.".into(),
        507 => "Reading, revoking and sealing still work.".into(),
        status if status >= 500 => {
            "It may have been done, or not: look before you repeat it. The daemon's own log says more.".into()
        }
        _ => String::new(),
    }
}

/// What to do where TLS says that the server is not to be trusted. rustls tells the reason only in its text.
fn distrust(error: &Error) -> Option<&'static str> {
    let text = error.to_string();
    let advice = [
        (
            "UnknownIssuer",
            "Its certificate is not of the CA in COFFER_CACERT (--cacert): take the CA of this daemon, and nothing that the connection offers.",
        ),
        (
            "NotValidForName",
            "Its certificate is for another name: use that name in --address, or give it with --tls-server-name.",
        ),
        (
            "Expired",
            "Its certificate has expired: renew it where the daemon runs, then send cofferd a SIGHUP.",
        ),
        ("NotValidYet", "Its certificate is not valid yet: check the clocks of both machines."),
        ("invalid peer certificate", "Check COFFER_CACERT (--cacert) and the daemon's certificate."),
    ];
    // A name says "not valid for name" in words since rustls tells which names there are.
    let known = |mark: &str| {
        text.contains(mark) || (mark == "NotValidForName" && text.contains("not valid for name"))
    };
    let expired = text.contains("certificate expired");
    advice
        .into_iter()
        .find(|(mark, _)| known(mark) || (*mark == "Expired" && expired))
        .map(|(_, advice)| advice)
}

/// TLS 1.3 tells only after the handshake that the client's certificate is refused, as an alert.
fn refuses_us(error: &Error) -> bool {
    let text = error.to_string();
    text.contains("received fatal alert")
        && ["ertificate", "UnknownCA", "AccessDenied"].iter().any(|alert| text.contains(alert))
}

#[cfg(test)]
mod tests {
    use super::super::{CeremonyFault, Failure, SealFault, ShareFault, TargetFault, golden};
    use super::*;
    use crate::page::one_line;
    use std::io;

    fn refusal(status: u16, sentences: &[&str]) -> Error {
        // The SDK makes refusals only from answers; its type has public fields.
        Error::Refused(Refusal {
            status,
            sentences: sentences.iter().map(|text| (*text).to_owned()).collect(),
            retry_after: None,
        })
    }

    fn broken(text: &'static str) -> coffer_sdk::Cause {
        io::Error::other(text).into()
    }

    #[test]
    fn every_failure_says_what_happened_and_what_to_do_in_one_line() {
        let path = "secret/data/app/db";
        let all = [
            Failure::at(path, refusal(403, &["permission denied"])),
            Failure::at(path, refusal(404, &[])),
            Failure::at(path, refusal(400, &["'data' must be an object"])),
            Failure::at(path, refusal(412, &["check-and-set parameter did not match the current version"])),
            Failure::at(path, refusal(500, &["internal error"])),
            Failure::at(
                path,
                refusal(507, &["the disk is full: nothing was changed; free space and try again"]),
            ),
            Failure::at(path, Error::Connect(broken("Connection refused (os error 111)")))
                .with_address("https://coffer:8200".into()),
            Failure::at(path, Error::Connect(broken("invalid peer certificate: UnknownIssuer"))),
            Failure::at(path, Error::Interrupted(broken("received fatal alert: CertificateRequired"))),
            Failure::at(path, Error::Interrupted(broken("connection reset"))),
            Failure::at(path, Error::TimedOut),
            Failure::Unwelcome { has_identity: true },
            Failure::Unwelcome { has_identity: false },
            Failure::Sealed { progress: 0, threshold: 3 },
            Failure::Sealed { progress: 2, threshold: 3 },
            Failure::NotInitialized,
            Failure::AlreadyInitialized,
            Failure::ShareAsArgument,
            Failure::TokenAsArgument,
            Failure::WhichToken,
            Failure::HalfIdentity,
            Failure::NeedsYes("This destroys version 3 of secret/app/db for good.".into()),
            Failure::NotConfirmed,
            Failure::at(
                "sys/unseal",
                refusal(400, &["the share is mistyped: some character of it is wrong or missing"]),
            ),
            Failure::NoMountFor("secrt/app/db".into()),
            Failure::at("auth/token/lookup-self", refusal(403, &["permission denied"])),
            Failure::NoPair,
            Failure::InputTwice,
            Failure::RepeatedKey("user".into()),
            Failure::NotJson { source: "standard input".into(), line: 1, column: 7 },
            Failure::NoField { field: "pasword".into(), present: vec!["password".into(), "user".into()] },
            Failure::VersionDeleted {
                path: "secret/app/db".into(),
                version: 3,
                when: "2026-11-22T03:00:00Z".into(),
            },
            Failure::VersionDestroyed { path: "secret/app/db".into(), version: 2 },
            Failure::NeedsVersions("old/".into()),
            Failure::FileExists("backup.snap".into()),
            Failure::file(std::path::Path::new("backup.snap"), io::ErrorKind::NotFound.into()),
            Failure::NoAuditLog("/var/lib".into()),
            Failure::SecretAsArgument,
            Failure::NotAgreed,
            Failure::Target { path: "targets.toml".into(), fault: TargetFault::Unknown("adress".into()) },
            Failure::Target { path: "--target".into(), fault: TargetFault::None },
            Failure::SameHolder("ada".into()),
            Failure::ShareCount { shares: 5, recipients: 3 },
            Failure::TooFewHolders { threshold: 3, recipients: 2 },
        ];
        let shares = ShareFault::ALL.map(|fault| Failure::Share { path: "ada.age".into(), fault });
        let ceremonies = CeremonyFault::all().map(Failure::from);
        let seals = SealFault::all().map(Failure::from);
        let lines = all.into_iter().chain(shares).chain(ceremonies).chain(seals).map(|failure| {
            format!("[{}] {}\n", failure.exit() as u8, one_line(&failure.what(), &failure.next()))
        });
        let lines: Vec<_> = lines.collect();
        assert!(lines.iter().all(|line| line.matches('\n').count() == 1));
        golden("errors.txt", &lines.concat());
    }

    #[test]
    fn exit_codes_part_the_callers_mistakes_from_the_servers_failures() {
        let exit = |error| exit(&error) as u8;
        assert_eq!([400, 403, 404, 412, 429].map(|status| exit(refusal(status, &[]))), [1; 5]);
        assert_eq!([500, 502, 503, 507].map(|status| exit(refusal(status, &[]))), [3; 4]);
        assert_eq!(exit(Error::Configuration("no server address".into())), 1);
        assert_eq!(exit(Error::Receipt("the leaf is of another request")), 4);
        assert_eq!(exit(Error::Connect(broken("invalid peer certificate: certificate expired: …"))), 1);
    }
}
