//! `kv`: secrets, with versions (2) or without (1). Which of them a mount is, the daemon is asked.
mod place;
mod read;
mod versions;
mod write;

use crate::api::Api;
use crate::connect::Connection;
use crate::page::Page;
use crate::pairs;
use crate::words::Failure;
use clap::{Args, Subcommand};
use place::Place;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Read a secret
    Get(read::Arguments),
    /// Write a secret, or a new version of it
    Put(write::Put),
    /// Change or remove single keys of a secret
    Patch(write::Patch),
    /// Delete the newest version, or those that are named; with versions, it can be taken back
    Delete {
        #[command(flatten)]
        at: At,
        /// These versions
        #[arg(long, value_delimiter = ',', value_parser = pairs::version, value_name = "N,N")]
        versions: Vec<u64>,
        /// Do not ask; without versions, a secret that is deleted is gone for good
        #[arg(long)]
        yes: bool,
    },
    /// Take back the deletion of versions
    Undelete {
        #[command(flatten)]
        at: At,
        /// These versions
        #[arg(long, required = true, value_delimiter = ',', value_parser = pairs::version, value_name = "N,N")]
        versions: Vec<u64>,
    },
    /// Remove the values of versions for good
    Destroy {
        #[command(flatten)]
        at: At,
        /// These versions
        #[arg(long, required = true, value_delimiter = ',', value_parser = pairs::version, value_name = "N,N")]
        versions: Vec<u64>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// The names below a path; those that end in / have names below them
    List(At),
    /// A secret's versions and settings: get, put, delete
    #[command(subcommand)]
    Metadata(versions::Command),
}

/// Where a secret is.
#[derive(Args)]
pub(crate) struct At {
    /// Its path with the mount's, such as secret/app/db
    path: String,
    /// The mount, where `path` is meant below it
    #[arg(long)]
    mount: Option<String>,
}

impl At {
    fn full(&self) -> String {
        let path = self.path.trim_matches('/');
        match &self.mount {
            Some(mount) => format!("{}/{path}", mount.trim_matches('/')),
            None => path.to_owned(),
        }
    }
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    let api = connection.api()?;
    match command {
        Command::Get(arguments) => read::get(&api, &arguments).await,
        Command::Put(arguments) => write::put(&api, &arguments).await,
        Command::Patch(arguments) => write::patch(&api, &arguments).await,
        Command::Delete { at, versions, yes } => versions::delete(&api, &at, &versions, yes).await,
        Command::Undelete { at, versions } => versions::undelete(&api, &at, &versions).await,
        Command::Destroy { at, versions, yes } => versions::destroy(&api, &at, &versions, yes).await,
        Command::List(at) => read::list(&api, &at).await,
        Command::Metadata(command) => versions::metadata(&api, command).await,
    }
}

impl Place {
    /// Asks the daemon, as other clients of this API do.
    async fn find(api: &Api, at: &At) -> Result<Self, Failure> {
        let full = at.full();
        match api.get(&format!("sys/internal/ui/mounts/{full}")).await {
            Ok(known) => Self::of(&full, known.data()),
            // What is not there and what may not be seen look the same.
            Err(Failure::Server { error, .. }) if error.is_permission_denied() => {
                Err(Failure::NoMountFor(full))
            }
            Err(failure) => Err(failure),
        }
    }

    /// As [`Self::find`], for one secret of a mount that keeps versions.
    async fn find_versions(api: &Api, at: &At) -> Result<Self, Failure> {
        let place = Self::find(api, at).await?;
        if place.has_versions { place.secret() } else { Err(Failure::NeedsVersions(place.mount)) }
    }
}
