//! The ceremonies: initialise, unseal, seal, rotate, back up, restore.
mod ceremony;
mod fsck;
mod generate_root;
mod handout;
mod holders;
mod init;
mod rekey;
mod seal;
mod sheets;
mod snapshot;
mod status;
mod targets;
mod unseal;
mod unseal_all;

pub(crate) use handout::{Destination, Placed};
pub(crate) use holders::count;
pub(crate) use status::run as status;
pub(crate) use targets::Target;
pub(crate) use unseal::Source;

use crate::connect::Connection;
use crate::page::Page;
use crate::shapes::{number, text};
use crate::words::Failure;
use clap::Subcommand;
use serde_json::json;

const REKEY_POLICY: &str = "\
A holder's token needs this policy, and no more; to begin takes `update` on
sys/rekey/init too.

  path \"sys/rekey/init\" { capabilities = [\"read\", \"sudo\"] }
  path \"sys/rekey/update\" { capabilities = [\"update\"] }
  path \"sys/rekey/verify\" { capabilities = [\"read\", \"update\", \"sudo\"] }
  path \"sys/rekey/cancel\" { capabilities = [\"update\"] }";

const GENERATE_ROOT_POLICY: &str = "\
A holder's token needs this policy, and no more; to begin takes `update` on
sys/generate-root/attempt too.

  path \"sys/generate-root/attempt\" { capabilities = [\"read\", \"sudo\"] }
  path \"sys/generate-root/update\" { capabilities = [\"update\"] }
  path \"sys/generate-root/cancel\" { capabilities = [\"update\"] }";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make the root key, and show its shares and the first token: once and never again
    Init(init::Arguments),
    /// Give shares until the daemon is open
    Unseal(unseal::Arguments),
    /// Take the keys out of memory, at once, until the shares are given again; or, by a command below it, change what opens
    Seal {
        #[command(subcommand)]
        command: Option<seal::Command>,
    },
    /// Show whether the daemon is open (exit code 0) or sealed or not initialised (2)
    Status,
    /// Add an epoch to the environment's keyring; records move to it in the background
    Rotate,
    /// Show the epoch that new records are sealed under
    KeyStatus,
    /// Make new shares and a new root key, with the holders of the present shares
    #[command(subcommand, after_help = REKEY_POLICY)]
    Rekey(rekey::Command),
    /// Make a new root key under the same shares, without calling their holders
    RotateRoot {
        /// Ask for the PIN of the seal by TPM, without echo: it wraps the new root key too
        #[arg(long = "pin", alias = "ask-pin")]
        ask_pin: bool,
    },
    /// Make a root token with the holders of shares, for when there is none
    #[command(subcommand, after_help = GENERATE_ROOT_POLICY)]
    GenerateRoot(generate_root::Command),
    /// Look at every record of the environment: whether one was altered, put back or taken away on disk
    Fsck,
    /// Back up the whole store, bring it back, or look into a backup
    #[command(subcommand)]
    Snapshot(snapshot::Command),
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    match command {
        Command::Init(arguments) => init::run(connection, &arguments).await,
        Command::Unseal(arguments) => unseal::run(connection, &arguments).await,
        Command::Seal { command: Some(command) } => seal::run(connection, command).await,
        Command::Seal { command: None } => seal_now(connection).await,
        Command::Status => status::run(connection).await,
        Command::Rotate => rotate(connection).await,
        Command::KeyStatus => key_status(connection).await,
        Command::Rekey(command) => rekey::run(connection, command).await,
        Command::RotateRoot { ask_pin } => rekey::rotate_root(connection, ask_pin).await,
        Command::GenerateRoot(command) => generate_root::run(connection, command).await,
        Command::Fsck => fsck::run(connection).await,
        Command::Snapshot(command) => snapshot::run(connection, command).await,
    }
}

async fn seal_now(connection: &Connection) -> Result<Page, Failure> {
    connection.node()?.post("sys/seal", &json!({})).await?;
    Ok(Page::new(json!({ "sealed": true }))
        .good("Sealed: the keys are out of memory, and every request is refused.")
        .note("`coffer operator unseal` opens it again, with the shares."))
}

async fn rotate(connection: &Connection) -> Result<Page, Failure> {
    let api = connection.api()?;
    api.post("sys/rotate", &json!({})).await?;
    let status = api.look("sys/key-status").await;
    let epoch = match number(&status, "term") {
        0 => "a new epoch".to_owned(),
        term => format!("epoch {term}"),
    };
    let page = Page::new(status)
        .good(format!("Rotated: new records of {} are sealed under {epoch}.", api.environment()));
    Ok(page.line("What was sealed before stays readable, and moves to the new epoch in the background."))
}

async fn key_status(connection: &Connection) -> Result<Page, Failure> {
    let api = connection.api()?;
    let status = api.get("sys/key-status").await?.data().clone();
    Ok(Page::new(status.clone()).fields([
        ("Epoch", text(&status, "term")),
        ("Since", text(&status, "install_time")),
        ("Encryptions", text(&status, "encryptions")),
    ]))
}
