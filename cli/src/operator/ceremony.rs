//! What all ceremonies ask of a holder: to look at what is under way, to agree to it, and to give one share.
use super::unseal::Source;
use crate::api::{Api, Place};
use crate::ask;
use crate::page::{Page, one_line, say};
use crate::shapes::{flag, number, text};
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

/// Which ceremony is called off, and by what right.
#[derive(Args)]
pub(crate) struct Cancel {
    /// The nonce of the ceremony that you mean
    #[arg(long, value_name = "NONCE")]
    nonce: Option<String>,
    /// Prove with a present share that you may: for a holder without `sudo`
    #[arg(long, requires = "nonce")]
    by_share: bool,
    #[command(flatten)]
    share: OneShare,
}

impl Cancel {
    /// Calls off the ceremony at `status`; by a share at `path`, where that was asked for. Gives its nonce; none where
    /// nothing was under way.
    pub(crate) async fn run(
        &self,
        api: &Api,
        (path, status): (&str, &str),
        prompt: &str,
    ) -> Result<Option<String>, Failure> {
        let source = self.share.source()?;
        if let Some(nonce) = self.nonce.as_deref().map(str::trim).filter(|_| self.by_share) {
            give(api, (path, status), nonce, source, prompt).await?;
            return Ok(Some(nonce.to_owned()));
        }
        let found = api.get(status).await?.data().clone();
        if !flag(&found, "started") {
            return Ok(None);
        }
        let nonce = text(&found, "nonce");
        same_nonce(self.nonce.as_deref(), &nonce)?;
        api.delete(status).await?;
        Ok(Some(nonce))
    }
}

/// The beginning of a page on a ceremony that was called off, or on none.
pub(crate) fn cancelled(nonce: Option<&str>) -> Page {
    Page::new(json!({ "cancelled": nonce.is_some(), "nonce": nonce.unwrap_or_default() }))
}

/// What whoever began a ceremony does next. `command` is its name below `operator`, `shares` what is given for it.
pub(crate) fn call_holders(page: Page, command: &str, shares: &str, nonce: &str, flags: &str) -> Page {
    page.note(format!("Next: tell the holders of {shares} this nonce. Each runs `coffer operator {command} give{flags}` and compares it, or adds --nonce {nonce}."))
}

/// The page of a share that was taken and is not the last, or that had been given `before`.
pub(crate) fn counted(answer: Value, before: &Value, (command, shares): (&str, &str), place: &Place) -> Page {
    let (has, need) = (number(&answer, "progress"), number(&answer, "required"));
    let page = Page::new(answer.clone());
    let page = match has == number(before, "progress") {
        true => page.note(format!("That share was given already: {has} of {need} are given.")),
        false => page.good(format!("Taken: {has} of {need} {shares} are given. Nothing has changed yet.")),
    };
    page.note(format!(
        "Next: another holder runs `coffer operator {command} give{} --nonce {}`.",
        place.flags,
        text(&answer, "nonce")
    ))
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
