//! `operator seal`: what opens an environment beside its shares, or instead of them: list, add, remove, replace.
//!
//! Where there are shares, a change takes as many as open the environment: whoever begins it gives theirs here, the other
//! holders at terminals of their own, after they have seen what it is for.
mod change;
mod pages;
mod share;

pub(crate) use pages::{means, opens};

/// A page about another root key, with what has to be written in the configuration then.
pub(crate) async fn with_pins(page: Page, api: &Api) -> Page {
    pages::pins(page, &api.look(SEALS).await)
}

use super::ceremony::Holder;
use super::handout::Destination;
use super::unseal::Source;
use crate::api::Api;
use crate::ask;
use crate::connect::{Connection, PATIENT};
use crate::page::Page;
use crate::shapes::{flag, text};
use crate::words::Failure;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

const SEALS: &str = "sys/seals";
const CHANGE: &str = "sys/seals/change";
const UPDATE: &str = "sys/seals/update";
const VERIFY: &str = "sys/seals/verify";
const APPROVE: &str = "sys/seals/approve";
const COUNTER: &str = "sys/seals/counter";
/// The name of the seal that shares open.
const SHARES: &str = "shares";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show what opens the environment, which of it is the weakest, and what is not well
    List,
    /// Add a seal: one that the configuration names in [[seal]], `shares`, or `inherit` for the environment above
    Add {
        /// Its name
        name: String,
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        holders: NewHolders,
        #[command(flatten)]
        given: GivenShares,
    },
    /// Remove a seal; any other goes on opening the environment
    Remove {
        /// Its name
        name: String,
        /// The last shares go, and with the devices that are left all could be lost
        #[arg(long)]
        i_accept_loss: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        given: GivenShares,
    },
    /// Put one seal in the place of another
    Migrate {
        /// The seal that ends
        from: String,
        /// The seal that takes its place, as `add` takes it
        to: String,
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        holders: NewHolders,
        /// The last shares go, and with the devices that are left all could be lost
        #[arg(long)]
        i_accept_loss: bool,
        #[command(flatten)]
        given: GivenShares,
    },
    /// Give your share for a change that another began, or show the new share that you got
    Share(Holder),
    /// Open a seal now, to know that it would: nothing changes
    Verify {
        /// Its name
        name: String,
        /// Ask for its PIN, without echo
        #[arg(long)]
        pin: bool,
    },
    /// Approve how this machine was started, for a seal by TPM: after an update of its firmware
    Approve {
        /// The seal's name
        name: String,
        /// Take the approval back: the TPM opens nothing until there is another
        #[arg(long)]
        withdraw: bool,
    },
    /// Let a TPM count, so that an older store with its older log is refused: its seal's section has a `counter_index`
    Counter {
        /// Count no longer: where the TPM is lost
        #[arg(long)]
        end: bool,
    },
    /// Call off the change that is under way: nothing has changed then
    Cancel,
}

/// On what a new seal by TPM opens.
#[derive(Args)]
pub(crate) struct Conditions {
    /// Ask for a PIN for the new seal, twice and without echo
    #[arg(long)]
    pin: bool,
    /// The registers that a TPM is to look at
    #[arg(long, value_name = "BANK:N,N")]
    pcrs: Option<String>,
    /// Ask for the password of the TPM's owner, without echo: registers need one
    #[arg(long)]
    owner_password: bool,
}

/// New shares, and for whom.
#[derive(Args)]
pub(crate) struct NewHolders {
    /// For `shares`: how many to make, each for another person [default: 5, or one for each recipient]
    #[arg(long, alias = "key-shares")]
    shares: Option<u64>,
    /// For `shares`: how many of them are to open it [default: 3]
    #[arg(long, alias = "key-threshold")]
    threshold: Option<u64>,
    #[command(flatten)]
    destination: Destination,
}

/// Where the shares come from that a change takes.
#[derive(Args)]
pub(crate) struct GivenShares {
    /// Read a share from a file: text, an .age file (with --identity), or a picture of its QR code (PNG, JPEG)
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The age identity that opens an .age file, as `age-keygen` writes it
    #[arg(long = "identity", value_name = "FILE", requires = "files")]
    identities: Vec<PathBuf>,
    /// Whoever types a share or a PIN here is told why not.
    #[arg(hide = true, num_args = 0..)]
    typed: Vec<String>,
}

impl GivenShares {
    /// Reads files now, before anything is asked or sent.
    fn source(&self) -> Result<Source, Failure> {
        if !self.typed.is_empty() {
            return Err(Failure::SecretAsArgument);
        }
        Source::of(&self.files, &self.identities)
    }
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    let api = connection.api_within(PATIENT)?;
    match command {
        Command::List => Ok(pages::list(api.get(SEALS).await?.data().clone(), &api.place())),
        Command::Add { name, conditions, holders, given } => {
            let wanted = change::Wanted { add: &name, remove: "", conditions, holders, accept_loss: false };
            change::run(connection, &api, wanted, given.source()?).await
        }
        Command::Remove { name, i_accept_loss, yes, given } => {
            let source = given.source()?;
            change::remove(&api, &name, i_accept_loss, yes, source).await
        }
        Command::Migrate { from, to, conditions, holders, i_accept_loss, given } => {
            let wanted =
                change::Wanted { add: &to, remove: &from, conditions, holders, accept_loss: i_accept_loss };
            change::run(connection, &api, wanted, given.source()?).await
        }
        Command::Share(holder) => share::run(&api, &holder).await,
        Command::Verify { name, pin } => verify(&api, &name, pin).await,
        Command::Approve { name, withdraw } => approve(&api, &name, withdraw).await,
        Command::Counter { end } => counter(&api, end).await,
        Command::Cancel => cancel(&api).await,
    }
}

async fn verify(api: &Api, name: &str, asks_pin: bool) -> Result<Page, Failure> {
    let pin = match asks_pin {
        true => Some(ask::required(&format!("PIN of seal {name} (not shown): ")).await?),
        false => None,
    };
    let body = json!({ "seal": name, "pin": pin.as_ref().map(|pin| pin.as_str()) });
    let verified = api.post(VERIFY, &body).await?.data().clone();
    Ok(Page::new(verified)
        .good(format!("Seal {name} opens: it gave the root key of {}, just now.", api.environment())))
}

async fn approve(api: &Api, name: &str, is_withdrawn: bool) -> Result<Page, Failure> {
    let owner = ask::required("Owner password of the TPM (not shown): ").await?;
    let body = json!({ "seal": name, "owner_password": *owner, "withdraw": is_withdrawn });
    let page = Page::new(api.post(APPROVE, &body).await?.data().clone());
    let flags = api.place().flags;
    Ok(match is_withdrawn {
        false => page
            .good(format!("Approved: seal {name} opens where the machine is started as it was this time."))
            .line("The firmware and software that were approved before open nothing any more.")
            .note(format!("Next: `coffer operator seal verify {name}{flags}`, with --pin where it takes one.")),
        true => page.good(format!("Taken back: seal {name} opens nothing any more.")).note(format!(
            "Next: `coffer operator seal approve {name}{flags}` approves again; until then the other seals open."
        )),
    })
}

async fn counter(api: &Api, is_end: bool) -> Result<Page, Failure> {
    if is_end {
        api.delete(COUNTER).await?;
        return Ok(Page::new(json!({ "counter": 0 }))
            .good("The store's age is no longer held against a TPM's counter.")
            .note("Take `counter_index` out of the configuration before the next start: a TPM that counts beside a store that does not is refused.")
            .line("An older store is still told by its audit log, unless both are put back together."));
    }
    let owner = ask::required("Owner password of the TPM (not shown): ").await?;
    let defined = api.post(COUNTER, &json!({ "owner_password": *owner })).await?;
    let page = Page::new(defined.data().clone());
    let value = text(defined.data(), "counter");
    Ok(page.good(format!("The TPM counts, from {value} on: an older store is refused from now on.")).line(
        "It counts at each start and seal, and within 30 seconds after something was taken away. When the TPM is lost, shares open the store with `coffer operator unseal --accept-rollback`.",
    ))
}

async fn cancel(api: &Api) -> Result<Page, Failure> {
    let found: Value = api.get(CHANGE).await?.data().clone();
    if !flag(&found, "started") {
        return Ok(Page::new(json!({ "cancelled": false, "nonce": "" })).good(format!(
            "No change of the seals of {} is under way: there is nothing to cancel.",
            api.environment()
        )));
    }
    api.delete(CHANGE).await?;
    let page = Page::new(json!({ "cancelled": true, "nonce": text(&found, "nonce") }))
        .good("Cancelled: nothing has changed, and the shares given so far are forgotten.");
    Ok(match text(&found, "add") == SHARES {
        true => page.line("The new shares that were handed out open nothing: destroy them."),
        false => page,
    })
}
