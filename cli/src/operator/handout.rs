//! New shares on their way to their holders: encrypted to each, on sheets for printing, or shown on the screen. Where they
//! go is prepared before they are made; what can't be written afterwards is shown, so that no share is lost.
use super::holders::{self, Delivered, Handing};
use super::sheets::{self, Filed, Sheets};
use crate::api::Api;
use crate::page::{Page, say};
use crate::shapes::texts;
use crate::shares::Recipient;
use crate::words::{Exit, Failure};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where new shares go; to the screen, where nothing else is said.
#[derive(Args)]
pub(crate) struct Destination {
    /// A holder's name and X25519 public key of age; once for each holder: no share is shown then
    #[arg(long = "recipient", value_name = "NAME=age1…", requires = "out")]
    pub(crate) recipients: Vec<Recipient>,
    /// Where each holder's share is written, encrypted, as NAME.age
    #[arg(long, value_name = "DIR", requires = "recipients")]
    out: Option<PathBuf>,
    /// Write each share to a sheet for printing (SVG and PDF), and do not show it
    #[arg(long, value_name = "DIR", conflicts_with = "recipients")]
    sheets: Option<PathBuf>,
    /// Do not ask whether these are the right holders
    #[arg(long)]
    yes: bool,
}

impl Destination {
    /// Whether they go anywhere but to the screen.
    pub(crate) fn is_given(&self) -> bool {
        !self.recipients.is_empty() || self.sheets.is_some()
    }

    /// The recipients as the daemon takes them.
    pub(crate) fn recipients(&self) -> Vec<String> {
        self.recipients.iter().map(Recipient::text).collect()
    }

    /// Makes sure that so many shares can get there. Recipients are shown, and agreed to.
    pub(crate) fn prepare(&self, shares: u64, threshold: u64) -> Result<Prepared, Failure> {
        let recipients = &self.recipients;
        if let Some(folder) = self.out.as_deref().filter(|_| !recipients.is_empty()) {
            holders::check(recipients, threshold)?;
            holders::agree(recipients, threshold, self.yes)?;
            return Prepared::for_holders(recipients, folder);
        }
        match &self.sheets {
            Some(folder) => Prepared::on_sheets(folder, shares),
            None => Ok(Prepared::OnScreen),
        }
    }
}

/// Where new shares are to go, once there are any.
pub(crate) enum Prepared {
    ForHolders(Vec<Recipient>, Handing),
    OnSheets(Sheets),
    OnScreen,
}

impl Prepared {
    /// A file for each holder.
    pub(crate) fn for_holders(recipients: &[Recipient], folder: &Path) -> Result<Self, Failure> {
        Ok(Self::ForHolders(recipients.to_vec(), Handing::prepare(recipients, folder)?))
    }

    /// A pair of files for each share.
    pub(crate) fn on_sheets(folder: &Path, shares: u64) -> Result<Self, Failure> {
        Sheets::prepare(folder, shares).map(Self::OnSheets)
    }

    /// Puts the shares of an answer where they go. `node` tells what sheets say of the daemon; `environment` and
    /// `threshold` are what they say of the shares.
    pub(crate) async fn deliver(
        self,
        answer: &Value,
        node: &Api,
        environment: String,
        threshold: u64,
    ) -> Placed {
        // A daemon of another make gives no Bech32m.
        let bech32m = Some(texts(answer, "shares")).filter(|shares| !shares.is_empty());
        let shares = bech32m.unwrap_or_else(|| texts(answer, "keys_base64"));
        let clear = || shares.iter().cloned().map(Zeroizing::new).collect::<Vec<_>>();
        match (self, holders::encrypted_by_the_daemon(answer)) {
            (Self::ForHolders(_, handing), Some(encrypted)) => Placed::Encrypted(handing.deliver(encrypted)),
            // Without files for them they are shown, encrypted as they are.
            (_, Some(encrypted)) => Placed::Encrypted(Handing::on_screen().deliver(encrypted)),
            (Self::ForHolders(recipients, handing), None) => {
                let encrypted = holders::encrypted_here(&recipients, &clear());
                encrypted.map_or_else(
                    || Placed::Shown(clear()),
                    |shares| Placed::Encrypted(handing.deliver(shares)),
                )
            }
            (Self::OnSheets(sheets), None) => {
                let about = sheets::about(node, environment, threshold, shares.len()).await;
                Placed::Sheets(sheets.deliver(&shares, &about))
            }
            (Self::OnScreen, None) => Placed::Shown(clear()),
        }
    }
}

/// Where new shares are.
pub(crate) enum Placed {
    Encrypted(Delivered),
    Sheets(Filed),
    Shown(Vec<Zeroizing<String>>),
}

impl Placed {
    /// What a script gets of them.
    pub(crate) fn json(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Encrypted(delivered) => {
                let (files, shown) = delivered.json();
                vec![("files", files), ("encrypted", shown)]
            }
            Self::Sheets(filed) => vec![("sheets", filed.json()), ("shares", json!(filed.shown()))],
            Self::Shown(shares) => {
                let shares: Vec<_> = shares.iter().map(|share| share.as_str()).collect();
                vec![("shares", json!(shares))]
            }
        }
    }

    /// The shares, or the files that they are in; `name` is what a share is called.
    pub(crate) fn show(&self, page: Page, name: &str) -> Page {
        match self {
            Self::Encrypted(delivered) => delivered.show(page),
            Self::Sheets(filed) => filed.show(page),
            Self::Shown(shares) => page.fields(numbered(shares, name)),
        }
    }

    /// The same beside the page, where the command goes on.
    pub(crate) fn say(&self, name: &str) {
        match self {
            Self::Encrypted(delivered) => {
                delivered.kept.iter().for_each(|(name, path)| say(&format!("{name}: {path}")));
                delivered.shown.iter().for_each(|(name, text, why)| {
                    say(&format!(
                        "The share of {name} has no file ({why}): save these lines as {name}.age now."
                    ));
                    text.lines().for_each(say);
                });
            }
            Self::Sheets(filed) => {
                filed
                    .kept
                    .iter()
                    .for_each(|(number, svg, pdf)| say(&format!("{name} {number}: {pdf}  {svg}")));
                filed.shown.iter().for_each(|(number, share, why)| {
                    say(&format!("{name} {number} has no sheet ({why}): write it down now."));
                    say(share);
                });
            }
            Self::Shown(shares) => {
                numbered(shares, name).for_each(|(name, share)| say(&format!("{name}  {share}")));
            }
        }
    }

    /// The page's exit, where a share could not be put where it was to go.
    pub(crate) fn exit(&self, page: Page) -> Page {
        let is_whole = match self {
            // With no folder none was to have a file.
            Self::Encrypted(delivered) => delivered.kept.is_empty() || delivered.shown.is_empty(),
            Self::Sheets(filed) => filed.is_whole(),
            Self::Shown(_) => true,
        };
        if is_whole { page } else { page.exit(Exit::Failed) }
    }
}

fn numbered(shares: &[Zeroizing<String>], name: &str) -> impl Iterator<Item = (String, String)> {
    shares.iter().enumerate().map(move |(at, share)| (format!("{name} {}", at + 1), share.to_string()))
}
