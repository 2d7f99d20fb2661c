//! `env`: environments, which the API calls namespaces. Each is made and deleted in the one above it.
mod create;

use crate::api::Api;
use crate::connect::Connection;
use crate::page::Page;
use crate::shapes::{flag, text, texts};
use crate::words::Failure;
use crate::{ask, pairs, sealed};
use clap::Subcommand;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long `delete` looks on while the daemon erases; it goes on by itself.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Environments directly below the one you are in (-n)
    List,
    /// Make an environment, such as prod or acme/prod; the one above must be there
    Create {
        /// Its path below the environment you are in
        path: String,
        /// A pair to keep with it, as key=value
        #[arg(long = "metadata", value_name = "KEY=VALUE")]
        metadata: Vec<String>,
        #[command(flatten)]
        seals: create::Seals,
    },
    /// Take the keys of an environment, and of all below it, out of memory; the others go on
    Seal {
        /// Its path below the environment you are in
        path: String,
    },
    /// Open a sealed environment: by its shares, or without people where it has none
    Unseal {
        /// Its path below the environment you are in
        path: String,
        #[command(flatten)]
        opening: sealed::Opening,
    },
    /// What is known of an environment, also of one that was deleted
    Show {
        /// Its path below the environment you are in
        path: String,
    },
    /// Delete an environment with all that it holds
    Delete {
        /// Its path below the environment you are in
        path: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    let api = connection.api()?;
    match command {
        Command::List => list(&api).await,
        Command::Create { path, metadata, seals } => {
            create::run(connection, &api, &path, pairs::texts(&metadata)?, seals).await
        }
        Command::Seal { path } => {
            let (above, place) = place(&api, &path)?;
            sealed::seal(&above, &place, path.trim_matches('/')).await
        }
        Command::Unseal { path, opening } => {
            let (above, place) = place(&api, &path)?;
            sealed::unseal(&above, &place, path.trim_matches('/'), opening).await
        }
        Command::Show { path } => {
            let (above, place) = place(&api, &path)?;
            Ok(described(above.get(&place).await?.data()))
        }
        Command::Delete { path, yes } => delete(&api, &path, yes).await,
    }
}

async fn list(api: &Api) -> Result<Page, Failure> {
    let found = api.list("sys/namespaces").await?;
    let info = found.get("key_info").cloned().unwrap_or_default();
    let row = |name: &String| {
        let known = info.get(name).unwrap_or(&Value::Null);
        let name = name.trim_end_matches('/').to_owned();
        vec![name, state(known), text(known, "created_time"), text(known, "uuid")]
    };
    let rows: Vec<_> = texts(&found, "keys").iter().map(row).collect();
    let page = Page::new(found);
    if rows.is_empty() {
        return Ok(page.line(format!("No environments below {}.", api.environment())));
    }
    Ok(page.table(&["ENVIRONMENT", "STATE", "CREATED", "ID"], rows))
}

async fn delete(api: &Api, path: &str, is_confirmed: bool) -> Result<Page, Failure> {
    let (above, place) = place(api, path)?;
    let path = path.trim_matches('/');
    // What is not there is said before anybody types a name.
    above.get(&place).await?;
    let what = format!("This deletes environment {path} with its keys, secrets, policies and tokens.");
    ask::confirm(&what, path, is_confirmed)?;
    let answered = above.delete(&place).await?;
    let warnings = answered.warnings();
    let until = Instant::now() + PATIENCE;
    let known = loop {
        let known = above.look(&place).await;
        if text(&known, "state") != "deleting" || Instant::now() >= until {
            break known;
        }
        sleep(PAUSE).await;
    };
    Ok(gone(path, known).warnings(warnings))
}

/// What has become of an environment, and what that means.
fn gone(path: &str, known: Value) -> Page {
    let state = text(&known, "state");
    let page = Page::new(known);
    match state.as_str() {
        "destroyed" => page
            .good(format!("Environment {path}: destroyed."))
            .line("Its keys are gone and no registered backup holds them. Copies that the daemon does not know of are yours to find."),
        "deleting" => page
            .good(format!("Environment {path}: deleted. Its keys are gone; the rest is still being erased."))
            .note(format!("`coffer env show {path}` tells when that is done.")),
        "" => page.good(format!("Environment {path}: deleted.")),
        until => page
            .good(format!("Environment {path}: {until}."))
            .line("A backup that holds its key is kept until then: restored with enough shares, it brings the environment back."),
    }
}

fn described(known: &Value) -> Page {
    Page::new(known.clone()).fields([
        ("Environment", text(known, "path").trim_end_matches('/').to_owned()),
        ("State", state(known)),
        ("Created", text(known, "created_time")),
        ("Id", text(known, "uuid")),
        ("Metadata", text(known, "custom_metadata")),
        ("Last checkpoint", text(known, "last_checkpoint")),
    ])
}

/// Whether it is open, or on its way out.
fn state(known: &Value) -> String {
    if flag(known, "sealed") { "sealed".to_owned() } else { text(known, "state") }
}

/// The environment above, and the API's path of this one in it.
fn place(api: &Api, path: &str) -> Result<(Api, String), Failure> {
    let path = path.trim_matches('/');
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name.is_empty() {
        return Err(Failure::NoEnvironmentName);
    }
    let above = if above.is_empty() { api.clone() } else { api.below(above)? };
    Ok((above, format!("sys/namespaces/{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn deletion_is_told_as_honestly_as_the_daemon_knows_it() {
        let known = |state: &str| json!({ "state": state });
        let pages = [
            gone("acme/prod", known("deleted, recoverable until 2027-01-31T00:00:00Z")),
            gone("acme/prod", known("destroyed")),
            gone("acme/prod", known("deleting")),
        ];
        crate::words::golden("env-delete.txt", &pages.map(|page| page.plain()).join("\n"));
    }
}
