//! The ceremonies: initialise, unseal, seal, rotate, back up, restore.
mod fsck;
mod holders;
mod init;
mod snapshot;
mod unseal;

use crate::connect::Connection;
use crate::page::Page;
use crate::shapes::{flag, number, text};
use crate::words::{Exit, Failure};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make the root key, and show its shares and the first token: once and never again
    Init(init::Arguments),
    /// Give shares until the daemon is open
    Unseal(unseal::Arguments),
    /// Take the keys out of memory, at once: every request is refused until the shares are given again
    Seal,
    /// Show whether the daemon is open (exit code 0) or sealed or not initialised (2)
    Status,
    /// Add an epoch to the environment's keyring; records move to it in the background
    Rotate,
    /// Show the epoch that new records are sealed under
    KeyStatus,
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
        Command::Seal => seal(connection).await,
        Command::Status => status(connection).await,
        Command::Rotate => rotate(connection).await,
        Command::KeyStatus => key_status(connection).await,
        Command::Fsck => fsck::run(connection).await,
        Command::Snapshot(command) => snapshot::run(connection, command).await,
    }
}

pub(crate) async fn status(connection: &Connection) -> Result<Page, Failure> {
    let api = connection.node()?;
    let answer = api.client.call(coffer_sdk::Method::GET, "sys/seal-status").send().await?;
    Ok(status_page(&api.address, answer.json()?))
}

/// How the daemon is, and what to type where it is not open.
fn status_page(address: &str, status: Value) -> Page {
    let (threshold, shares) = (number(&status, "t"), number(&status, "n"));
    let is_initialized = flag(&status, "initialized");
    let is_sealed = flag(&status, "sealed") || !is_initialized;
    let progress = number(&status, "progress");
    let page = Page::new(status.clone());
    let page = match (is_initialized, is_sealed) {
        (false, _) => page.bad("not initialised"),
        (_, true) => page.bad("sealed"),
        _ => page.good("open"),
    };
    let page = page.fields([
        ("Address", address.to_owned()),
        ("Version", text(&status, "version")),
        ("Cluster", text(&status, "cluster_name")),
        ("Store id", text(&status, "cluster_id")),
        (
            "Seal",
            if shares == 0 {
                text(&status, "type")
            } else {
                format!("{}, {threshold} of {shares} shares open it", text(&status, "type"))
            },
        ),
        (
            "Given so far",
            if is_initialized && is_sealed {
                format!("{progress} of {threshold} shares")
            } else {
                String::new()
            },
        ),
    ]);
    match (is_initialized, is_sealed) {
        (false, _) => page.note("Next: `coffer operator init`, or `coffer operator snapshot restore FILE` to bring a backup back.").exit(Exit::Sealed),
        (_, true) => page.note("Next: `coffer operator unseal`, by each holder of a share.").exit(Exit::Sealed),
        _ => page,
    }
}

async fn seal(connection: &Connection) -> Result<Page, Failure> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::golden;

    fn status(initialized: bool, sealed: bool, progress: u64) -> Value {
        json!({ "type": "shamir", "initialized": initialized, "sealed": sealed, "t": if initialized { 3 } else { 0 },
            "n": if initialized { 5 } else { 0 }, "progress": progress, "version": "0.1.0", "cluster_name": "coffer",
            "cluster_id": if initialized { "0f3a6c1d-0000-4000-8000-00000000002a" } else { "" } })
    }

    #[test]
    fn the_status_says_how_it_is_and_what_to_type_next() {
        let all = [status(true, false, 0), status(true, true, 2), status(false, true, 0)];
        let pages = all.map(|status| status_page("https://coffer.example.com:8200", status).plain());
        golden("status.txt", &pages.join("\n"));
    }

    #[test]
    fn the_exit_code_tells_a_script_whether_it_is_open() {
        let exit = |value| status_page("", value).exit_code() as u8;
        assert_eq!(exit(status(true, false, 0)), 0);
        assert_eq!(exit(status(true, true, 0)), 2);
        assert_eq!(exit(status(false, true, 0)), 2);
        assert_eq!(exit(status(false, false, 0)), 2);
    }
}
