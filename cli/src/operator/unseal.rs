//! `operator unseal`: asks for shares until the daemon is open.
use super::targets::Target;
use super::unseal_all::{self, Where};
use crate::api::Api;
use crate::ask;
use crate::connect::{Connection, PATIENT};
use crate::files;
use crate::kept::Kept;
use crate::page::{Page, one_line, say};
use crate::shares;
use crate::words::{BY_PIN, Exit, Failure};
use clap::Args;
use coffer_sdk::{Error, Method, SealStatus, Secret, UnsealTerms};
use serde_json::json;
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Forget the shares given so far, and begin again
    #[arg(long)]
    reset: bool,
    /// Read a share from a file: text, an .age file (with --identity), or a picture of its QR code (PNG, JPEG)
    #[arg(long = "file", value_name = "FILE", conflicts_with = "reset")]
    files: Vec<PathBuf>,
    /// The age identity that opens an .age file, as `age-keygen` writes it
    #[arg(long = "identity", value_name = "FILE", requires = "files")]
    identities: Vec<PathBuf>,
    /// Give each share to every target that it fits: exit code 0 where all are open, 2 where some are not, 3 where none answers
    #[arg(long, conflicts_with = "reset")]
    all: bool,
    /// One of several daemons, or an environment with shares of its own in it; once for each
    #[arg(long = "target", value_name = "NAME=https://HOST:PORT[/ENVIRONMENT]", requires = "all")]
    targets: Vec<Target>,
    /// The same as a TOML file: a table [[target]] for each, with name, address, environment, ca, certificate, key, server_name
    #[arg(long = "targets", id = "targets_file", value_name = "FILE", requires = "all")]
    file_of_targets: Option<PathBuf>,
    /// Open by this seal instead, and ask for its PIN, without echo
    #[arg(long, value_name = "SEAL", conflicts_with_all = ["reset", "files", "all"])]
    pin: Option<String>,
    /// Open a store that is older than its audit log, than the TPM's counter, or than a checkpoint that was kept: where a copy
    /// of the disk was put back on purpose. Each holder says so
    #[arg(long, conflicts_with_all = ["reset", "all", "pin"])]
    accept_rollback: bool,
    /// Make the replay index of an environment anew of what is on the disk (`root` for the first), where `coffer operator
    /// fsck` found damage and no backup will do. Records that do not open are removed, and what was put back or taken away can't
    /// be told any more. Each holder says so
    #[arg(long, value_name = "ENVIRONMENT", conflicts_with_all = ["reset", "all", "pin"])]
    rebuild_index: Vec<String>,
    /// A signed checkpoint that an auditor, an application or a witness keeps: the store opens only where its log goes on
    /// from it. The one that was kept here last goes along by itself
    #[arg(long = "checkpoint", value_name = "FILE", conflicts_with_all = ["reset", "all"])]
    checkpoints: Vec<PathBuf>,
    /// Whoever types a share here is told why not.
    #[arg(hide = true, num_args = 0..)]
    shares: Vec<String>,
}

pub(crate) async fn run(connection: &Connection, arguments: &Arguments) -> Result<Page, Failure> {
    if !arguments.shares.is_empty() {
        return Err(Failure::ShareAsArgument);
    }
    let source = Source::of(&arguments.files, &arguments.identities)?;
    if arguments.all {
        let places = Where { targets: &arguments.targets, file: arguments.file_of_targets.as_deref() };
        return unseal_all::run(connection, places, source).await;
    }
    let api = connection.node_within(PATIENT)?;
    if arguments.reset {
        let status = api.client.sys().unseal_reset().await.map_err(at)?;
        return Ok(Page::new(json(&status))
            .good(format!("Forgotten: 0 of {} shares are given.", status.threshold))
            .note("`coffer operator unseal` begins again.")
            .exit(if status.sealed { Exit::Sealed } else { Exit::Fine }));
    }
    let mut terms = UnsealTerms {
        accepts_rollback: arguments.accept_rollback,
        rebuilt: arguments.rebuild_index.clone(),
        ..UnsealTerms::default()
    };
    for path in &arguments.checkpoints {
        terms.checkpoints.push(files::text(path)?.to_string());
    }
    match &arguments.pin {
        Some(name) => by_pin(&api, name, terms.checkpoints).await,
        None => until_open_by(&api, source, terms).await,
    }
}

/// Opens by a device, with a PIN. Once: a PIN that is tried again is a PIN that locks.
async fn by_pin(api: &Api, name: &str, mut notes: Vec<String>) -> Result<Page, Failure> {
    let status = api.client.sys().seal_status().await.map_err(at)?;
    if !status.initialized {
        return Err(Failure::NotInitialized);
    }
    if !status.sealed {
        return Ok(Page::new(json(&status)).good("Open already: there is nothing to unseal."));
    }
    let pin = ask::required(&format!("PIN of seal {name} (not shown): ")).await?;
    let kept = Kept::of(&status.cluster_id);
    notes.extend_from_slice(kept.notes());
    let body = json!({ "seal": name, "pin": *pin, "checkpoints": notes });
    let body = Zeroizing::new(body.to_string().into_bytes());
    let answer = api.client.call(Method::POST, "sys/unseal").json(body).send().await;
    let status: SealStatus =
        answer.and_then(|answer| answer.json()).map_err(|error| Failure::at(BY_PIN, error))?;
    let page = Page::new(json(&status)).good(format!("Open, by seal {name}: the daemon serves requests."));
    Ok(kept.renew(&status, page))
}

/// Where shares come from.
pub(crate) enum Source {
    /// A person, or standard input.
    Asked,
    /// Files, all of which were read and hold shares.
    Files(std::vec::IntoIter<Zeroizing<String>>),
}

impl Source {
    /// The files that are named, or else whoever is there.
    pub(crate) fn of(files: &[PathBuf], identities: &[PathBuf]) -> Result<Self, Failure> {
        if files.is_empty() {
            return Ok(Self::Asked);
        }
        let read = |path: &PathBuf| shares::from_file(path, identities).map(|given| given.text);
        Ok(Self::Files(files.iter().map(read).collect::<Result<Vec<_>, _>>()?.into_iter()))
    }

    /// Whether a person can be asked again.
    pub(crate) fn is_person(&self) -> bool {
        matches!(self, Self::Asked) && ask::is_terminal()
    }

    /// The next share; none where there are no more.
    pub(crate) async fn next(&mut self, prompt: String) -> Result<Option<Zeroizing<String>>, Failure> {
        match self {
            Self::Files(shares) => Ok(shares.next()),
            Self::Asked => {
                let typed = ask::hidden(prompt).await?;
                Ok(typed.map(|text| shares::tidy(&text)).filter(|share| !share.is_empty()))
            }
        }
    }
}

/// Takes shares until it is open, or until nothing more is typed.
pub(crate) async fn until_open(api: &Api, source: Source) -> Result<Page, Failure> {
    until_open_by(api, source, UnsealTerms::default()).await
}

async fn until_open_by(api: &Api, mut source: Source, mut terms: UnsealTerms) -> Result<Page, Failure> {
    let sys = api.client.sys();
    let mut status = sys.seal_status().await.map_err(at)?;
    if !status.initialized {
        return Err(Failure::NotInitialized);
    }
    if !status.sealed {
        return Ok(Page::new(json(&status)).good("Open already: there is nothing to unseal."));
    }
    let kept = Kept::of(&status.cluster_id);
    terms.checkpoints.extend_from_slice(kept.notes());
    if source.is_person() {
        say(&format!(
            "Sealed. {} of {} shares are given. What you type is not shown; Enter alone stops.",
            status.progress, status.threshold
        ));
    }
    while status.sealed {
        let prompt = format!("Share {} of {}: ", status.progress + 1, status.threshold);
        let Some(share) = source.next(prompt).await? else {
            return Ok(stopped(&status));
        };
        let share = Secret::from(share);
        match sys.unseal_with(&share, &terms).await {
            Ok(now) => {
                let is_known = now.sealed && now.progress == status.progress;
                status = now;
                if is_known {
                    say(&format!(
                        "That share was given already: still {} of {}.",
                        status.progress, status.threshold
                    ));
                } else if status.sealed {
                    say(&format!("{} of {}", status.progress, status.threshold));
                }
            }
            // A typo, or a share of another set: the others still count, so the person may try again.
            Err(Error::Refused(refusal)) if refusal.status == 400 && source.is_person() => {
                status = sys.seal_status().await.map_err(at)?;
                let counts = format!("{} of {} still count.", status.progress, status.threshold);
                say(&one_line(&refusal.sentences.join("; "), &counts));
            }
            Err(error) => return Err(at(error)),
        }
    }
    let page = Page::new(json(&status)).good("Open: the daemon serves requests.");
    Ok(kept.renew(&status, page))
}

fn stopped(status: &SealStatus) -> Page {
    let missing = status.threshold.saturating_sub(status.progress);
    Page::new(json(status))
        .bad(format!("Still sealed: {} of {} shares are given.", status.progress, status.threshold))
        .note(format!(
            "{} to go: the next holder runs `coffer operator unseal`; `--reset` begins again.",
            crate::shapes::counted(missing, "share", "shares")
        ))
        .exit(Exit::Sealed)
}

fn json(status: &SealStatus) -> serde_json::Value {
    json!({ "sealed": status.sealed, "progress": status.progress, "t": status.threshold, "n": status.shares,
        "checkpoints_compared": status.checkpoints_compared })
}

fn at(error: Error) -> Failure {
    Failure::at("sys/unseal", error)
}
