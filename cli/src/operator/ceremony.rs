//! What all ceremonies ask of a holder: to look at what is under way, to agree to it, and to give one share.
use super::unseal::Source;
use crate::api::Api;
use crate::ask;
use crate::page::{one_line, say};
use crate::shapes::text;
use crate::words::{CeremonyFault, Failure};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// One holder's share, and what they agree to.
#[derive(Args)]
pub(crate) struct Holder {
    /// The nonce of the ceremony that you mean, as its beginner told you; then nothing is asked
    #[arg(long, value_name = "NONCE")]
    pub(crate) nonce: Option<String>,
    /// Do not ask whether you agree
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) share: OneShare,
}

/// Where a share comes from: a file, or whoever is there.
#[derive(Args)]
pub(crate) struct OneShare {
    /// Read your share from a file: text, an .age file (with --identity), or a picture of its QR code (PNG, JPEG)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The age identity that opens an .age file, as `age-keygen` writes it
    #[arg(long = "identity", value_name = "FILE", requires = "file")]
    identities: Vec<PathBuf>,
    /// Whoever types a share here is told why not.
    #[arg(hide = true, num_args = 0..)]
    shares: Vec<String>,
}

impl OneShare {
    /// Reads a file now, before anything is asked or sent.
    pub(crate) fn source(&self) -> Result<Source, Failure> {
        if !self.shares.is_empty() {
            return Err(Failure::ShareAsArgument);
        }
        let files: Vec<_> = self.file.iter().cloned().collect();
        Source::of(&files, &self.identities)
    }
}

impl Holder {
    /// Shows what is under way, on standard error beside the page, and asks whether that is what was agreed.
    pub(crate) fn agree(&self, nonce: &str, lines: &[String], question: &str) -> Result<(), Failure> {
        same_nonce(self.nonce.as_deref(), nonce)?;
        lines.iter().for_each(|line| say(line));
        ask::agree(question, self.yes || self.nonce.is_some())
    }
}

/// Refuses where another ceremony is under way than the one that was meant.
pub(crate) fn same_nonce(meant: Option<&str>, found: &str) -> Result<(), Failure> {
    match meant {
        Some(meant) if meant.trim() != found => {
            Err(CeremonyFault::OtherNonce { found: found.to_owned() }.into())
        }
        _ => Ok(()),
    }
}

/// Sends one share to `path` with the nonce. Where a person mistyped it, they are asked again as long as the ceremony
/// at `status` has that nonce.
pub(crate) async fn give(
    api: &Api,
    (path, status): (&str, &str),
    nonce: &str,
    mut source: Source,
    prompt: &str,
) -> Result<Value, Failure> {
    loop {
        let Some(share) = source.next(prompt.to_owned()).await? else { return Err(Failure::NothingTyped) };
        let answer = api.post(path, &json!({ "key": *share, "nonce": nonce })).await;
        let refused = match answer {
            Err(failure) if failure.is_bad_request() && source.is_person() => failure,
            answer => return answer.map(|answered| answered.data().clone()),
        };
        if text(&api.look(status).await, "nonce") != nonce {
            return Err(refused);
        }
        say(&one_line(&refused.what(), "Type it again; Enter alone stops."));
    }
}
