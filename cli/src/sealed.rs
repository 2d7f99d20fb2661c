//! `env seal` and `env unseal`: one environment alone, asked in the one above it.
use crate::api::Api;
use crate::kept::Kept;
use crate::operator::Source;
use crate::page::{Page, one_line, say};
use crate::shapes::{flag, number, texts};
use crate::words::{Exit, Failure};
use clap::Args;
use coffer_sdk::Error;
use serde_json::{Value, json};
use std::path::PathBuf;

/// How an environment is opened.
#[derive(Args)]
pub(crate) struct Opening {
    /// Without shares: by the environment above or by a device, which takes sudo
    #[arg(long, conflicts_with_all = ["files", "accept_rollback", "rebuild_index"])]
    by_itself: bool,
    /// Open although it is older than its audit log: where a backup of the disk was put back on purpose. Each holder says so
    #[arg(long)]
    accept_rollback: bool,
    /// Make its replay index anew of what is on the disk, where `coffer operator fsck` found damage and no backup will do. Each
    /// holder says so
    #[arg(long)]
    rebuild_index: bool,
    /// Read a share from a file: text, an .age file (with --identity), or a picture of its QR code (PNG, JPEG)
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The age identity that opens an .age file, as `age-keygen` writes it
    #[arg(long = "identity", value_name = "FILE", requires = "files")]
    identities: Vec<PathBuf>,
}

pub(crate) async fn seal(above: &Api, place: &str, path: &str) -> Result<Page, Failure> {
    above.post(&format!("{place}/seal"), &json!({})).await?;
    Ok(Page::new(json!({ "sealed": true }))
        .good(format!("Sealed: the keys of {path} and of all below it are out of memory."))
        .note(format!("`coffer env unseal {path}` opens it again; the others go on.")))
}

pub(crate) async fn unseal(above: &Api, place: &str, path: &str, opening: Opening) -> Result<Page, Failure> {
    let mut source = Source::of(&opening.files, &opening.identities)?;
    let mut status = above.get(&format!("{place}/seal-status")).await?.data().clone();
    if !flag(&status, "sealed") {
        return Ok(Page::new(status).good(format!("{path} is open already: there is nothing to unseal.")));
    }
    let name = place.rsplit('/').next().unwrap_or_default();
    let rebuilt = [format!("{}/{name}", above.client.namespace())];
    let rebuilt = if opening.rebuild_index { &rebuilt[..] } else { &[] };
    let node =
        above.client.sys().seal_status().await.map_err(|error| Failure::at("sys/seal-status", error))?;
    let kept = Kept::of(&node.cluster_id);
    let place = format!("{place}/unseal");
    if opening.by_itself || number(&status, "n") == 0 {
        let opened = above.post(&place, &json!({})).await?.data().clone();
        return Ok(open(path, opened));
    }
    while flag(&status, "sealed") {
        let (have, need) = (number(&status, "progress"), number(&status, "t"));
        let Some(share) = source.next(format!("Share {} of {need} of {path}: ", have + 1)).await? else {
            return Ok(stopped(path, status));
        };
        let body = json!({
            "key": share.as_str(), "accept_rollback": opening.accept_rollback,
            "checkpoints": kept.notes(), "rebuild_index": rebuilt,
        });
        match above.post(&place, &body).await {
            Ok(answer) => status = answer.data().clone(),
            // The others still count, so a person may try again.
            Err(Failure::Server { path, error }) => match *error {
                Error::Refused(refusal) if refusal.status == 400 && source.is_person() => {
                    say(&one_line(&refusal.sentences.join("; "), &format!("{have} of {need} still count.")));
                }
                error => return Err(Failure::at(&path, error)),
            },
            Err(failure) => return Err(failure),
        }
    }
    Ok(open(path, status))
}

fn open(path: &str, status: Value) -> Page {
    let seals = texts(&status, "seals").join(", ");
    Page::new(status).good(format!("Open: {path} serves requests.")).line(format!("What opens it: {seals}."))
}

fn stopped(path: &str, status: Value) -> Page {
    let (have, need) = (number(&status, "progress"), number(&status, "t"));
    Page::new(status)
        .bad(format!("{path} is still sealed: {have} of {need} shares are given."))
        .note(format!("The next holder runs `coffer env unseal {path}`."))
        .exit(Exit::Sealed)
}
