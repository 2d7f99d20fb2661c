//! `operator rekey`: new shares and a new root key, agreed to by the holders of the present shares.
//!
//! Each holder sees what they agree to before they give their share: the nonce, how many new shares there will be, and who
//! gets them. Unless told otherwise, the new shares are in force only when enough of them were shown.
mod give;
mod pages;

use super::ceremony::{Cancel, Holder, cancelled, give};
use super::holders;
use super::seal::with_pins;
use crate::api::Api;
use crate::ask;
use crate::connect::{Connection, PATIENT};
use crate::page::Page;
use crate::shapes::{flag, number, text, texts};
use crate::shares::Recipient;
use crate::words::{CeremonyFault, Failure};
use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

const INIT: &str = "sys/rekey/init";
const UPDATE: &str = "sys/rekey/update";
const VERIFY: &str = "sys/rekey/verify";
const CANCEL: &str = "sys/rekey/cancel";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Begin: say how many new shares there are to be, and for whom; nothing changes yet
    Begin(Begin),
    /// Give your present share, after you have seen what it is for
    Give(give::Arguments),
    /// Show your new share: with enough of them the new ones are in force and the old ones end
    Verify(Holder),
    /// Show what is under way, and what to do next
    Status,
    /// Call it off: nothing has changed then; with `sudo` on the path, or with a present share
    Cancel(Cancel),
}

#[derive(Args)]
pub(crate) struct Begin {
    /// How many new shares to make, each for another person [default: 5, or one for each recipient]
    #[arg(long, alias = "key-shares")]
    shares: Option<u64>,
    /// How many of them are to open it
    #[arg(long, alias = "key-threshold", default_value_t = 3)]
    threshold: u64,
    /// A new holder's name and X25519 public key of age; once for each: the daemon gives no new share in clear then
    #[arg(long = "recipient", value_name = "NAME=age1…")]
    recipients: Vec<Recipient>,
    /// Put the new shares in force at once, before anybody has shown that they arrived
    #[arg(long)]
    without_verification: bool,
    /// A holder leaves: what is written from then on is under keys that no old backup and no old share opens
    #[arg(long, conflicts_with_all = ["without_verification", "keep_root_key"])]
    revoke_holder: bool,
    /// Make new shares for the same root key: only where no share is in wrong hands
    #[arg(long)]
    keep_root_key: bool,
    /// Ask for the PIN of the seal by TPM, without echo: it wraps the new root key too
    #[arg(long = "pin", alias = "ask-pin")]
    ask_pin: bool,
    /// Do not ask whether these are the right holders
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    let api = connection.api_within(PATIENT)?;
    match command {
        Command::Begin(arguments) => begin(&api, &arguments).await,
        Command::Give(arguments) => give::run(connection, &api, &arguments).await,
        Command::Verify(holder) => verify(&api, &holder).await,
        Command::Status => status(&api).await,
        Command::Cancel(arguments) => cancel(&api, &arguments).await,
    }
}

async fn begin(api: &Api, arguments: &Begin) -> Result<Page, Failure> {
    let (recipients, threshold) = (&arguments.recipients, arguments.threshold);
    let shares = holders::count(arguments.shares, recipients)?;
    if !recipients.is_empty() {
        holders::check(recipients, threshold)?;
        holders::agree(recipients, threshold, arguments.yes)?;
    }
    let pin = pin(arguments.ask_pin).await?;
    let body = json!({
        "secret_shares": shares, "secret_threshold": threshold,
        "require_verification": !arguments.without_verification,
        "refresh": arguments.keep_root_key, "revoke_holder": arguments.revoke_holder,
        "pin": pin.as_deref().map(String::as_str),
        "recipients": recipients.iter().map(Recipient::text).collect::<Vec<_>>(),
    });
    let begun = api.post(INIT, &body).await?.data().clone();
    if texts(&begun, "recipients").len() != recipients.len() {
        // A daemon that does not know them would give the shares to whoever comes last.
        let _ = api.delete(INIT).await;
        return Err(CeremonyFault::NoRecipients.into());
    }
    let page = Page::new(begun.clone())
        .good(format!("A rekey of {} has begun. Nothing has changed yet.", api.environment()))
        .line("")
        .fields(pages::fields(&begun));
    Ok(pages::next(page.line(""), &begun, &api.place()))
}

/// The PIN of a TPM, which is never an argument.
async fn pin(is_asked: bool) -> Result<Option<Zeroizing<String>>, Failure> {
    if is_asked { ask::required("PIN of the TPM (not shown): ").await.map(Some) } else { Ok(None) }
}

async fn verify(api: &Api, holder: &Holder) -> Result<Page, Failure> {
    let source = holder.share.source()?;
    let waiting = api.get(VERIFY).await?.data().clone();
    let (nonce, has, need) = (text(&waiting, "nonce"), number(&waiting, "progress"), number(&waiting, "t"));
    let lines = [
        format!("New shares of {} wait to be shown: {has} of {need} were.", api.environment()),
        format!("  Nonce           {nonce}"),
    ];
    let question = format!("With {need} of them shown, the old shares end. Show yours?");
    holder.agree(&nonce, &lines, &question)?;
    let prompt = format!("Your NEW share ({} of {need}): ", has + 1);
    let answer = give(api, (VERIFY, VERIFY), &nonce, source, &prompt).await?;
    let is_complete = flag(&answer, "complete");
    let page = pages::verified(answer, need, &api.place());
    Ok(if is_complete { with_pins(page, api).await } else { page })
}

async fn status(api: &Api) -> Result<Page, Failure> {
    let rekey = api.get(INIT).await?.data().clone();
    Ok(pages::status(rekey, &api.place()))
}

async fn cancel(api: &Api, arguments: &Cancel) -> Result<Page, Failure> {
    let ended = arguments.run(api, (CANCEL, INIT), "Your present share: ").await?;
    let page = cancelled(ended.as_deref());
    Ok(match ended {
        None => {
            page.good(format!("No rekey of {} is under way: there is nothing to cancel.", api.environment()))
        }
        Some(_) => page
            .good("Cancelled: nothing has changed, and the shares given so far are forgotten.")
            .line("New shares that were handed out and not shown open nothing: destroy them."),
    })
}

/// `operator rotate-root`: a new root key under the same shares.
pub(crate) async fn rotate_root(connection: &Connection, asks_pin: bool) -> Result<Page, Failure> {
    let api = connection.api()?;
    let pin = pin(asks_pin).await?;
    api.post("sys/rotate/root", &json!({ "pin": pin.as_deref().map(String::as_str) })).await?;
    Ok(with_pins(pages::rotated(&api.place()), &api).await)
}
