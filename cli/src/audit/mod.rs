//! `audit`: checked and shown offline, on the files alone; one field disclosed through the daemon.
mod checkpoint;
mod disclose;
mod folder;
mod keys;
mod show;
mod verify;

use crate::connect::Connection;
use crate::page::Page;
use crate::words::Failure;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check an audit log on its files alone, also while the daemon writes; exit code 4 where anything was altered
    Verify {
        /// The log's folder, or a copy: `audit` below the daemon's data_dir
        dir: PathBuf,
        /// A log's key as you know it from elsewhere: its line, or @FILE; give it again for each
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
    },
    /// Show an audit log as JSON lines, from its files alone
    Show(show::Arguments),
    /// Keep the newest signed checkpoint of this environment's log: an older store is then refused when it is unsealed from
    /// here. For a job that runs elsewhere than the daemon
    Checkpoint,
    /// Open one field of one leaf, into a file that proves it to an auditor
    Disclose {
        /// The leaf's index in this environment's log
        index: u64,
        /// The field, as `audit show` names it among the commitments
        field: String,
        /// Where to write it; disclosure-INDEX-FIELD.txt unless given
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long)]
        overwrite: bool,
    },
    /// Check a disclosure file offline, and show what it discloses; exit code 4 where it does not hold
    CheckDisclosure {
        /// The file
        file: PathBuf,
        /// The log's key as you know it: its line, or @FILE
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
        /// Take the key from this log's folder
        #[arg(long = "log", value_name = "DIR")]
        log: Option<PathBuf>,
    },
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    match command {
        Command::Verify { dir, keys } => verify::run(&dir, &keys),
        Command::Show(arguments) => show::run(&arguments),
        Command::Checkpoint => checkpoint::run(connection).await,
        Command::Disclose { index, field, out, overwrite } => {
            disclose::disclose(connection, index, &field, out, overwrite).await
        }
        Command::CheckDisclosure { file, keys, log } => disclose::check(&file, &keys, log.as_deref()),
    }
}
