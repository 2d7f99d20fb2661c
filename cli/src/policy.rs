//! `policy`: what may be done, as text.
use crate::connect::Connection;
use crate::page::Page;
use crate::shapes::{text, texts};
use crate::words::Failure;
use crate::{ask, files};
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The policies' names
    List,
    /// A policy's text
    Read {
        /// The policy
        name: String,
    },
    /// Write a policy, in HCL or JSON
    Write {
        /// The policy
        name: String,
        /// Where its text lies; - for standard input
        file: PathBuf,
    },
    /// Remove a policy; whoever has it loses what it allowed, at once
    Delete {
        /// The policy
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    let api = connection.api()?;
    let path = |name: &str| format!("sys/policies/acl/{name}");
    match command {
        Command::List => {
            let found = api.list("sys/policies/acl").await?;
            let rows = texts(&found, "keys").into_iter().map(|name| vec![name]).collect();
            Ok(Page::new(found).table(&["POLICY"], rows))
        }
        Command::Read { name } => {
            let found = api.get(&path(&name)).await?.data().clone();
            let policy = text(&found, "policy");
            Ok(Page::new(found).text(policy))
        }
        Command::Write { name, file } => {
            let policy = files::text(&file)?;
            let answered = api.post(&path(&name), &json!({ "policy": *policy })).await?;
            let page = Page::new(json!({ "name": name }))
                .good(format!("Policy {name} is in force in {}.", api.environment()));
            Ok(page.warnings(answered.warnings()))
        }
        Command::Delete { name, yes } => {
            ask::confirm(&format!("This removes policy {name} from {}.", api.environment()), &name, yes)?;
            api.delete(&path(&name)).await?;
            Ok(Page::new(json!({ "name": name }))
                .good(format!("Policy {name} is gone from {}.", api.environment())))
        }
    }
}
