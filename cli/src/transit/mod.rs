//! `transit`: keys that never leave the daemon.
mod crypt;
mod keys;
mod sign;

use crate::connect::Connection;
use crate::page::Page;
use crate::words::Failure;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Keys: list, create, read, rotate, config, delete
    #[command(subcommand)]
    Keys(keys::Command),
    /// Encrypt a file or standard input; gives vault:vN:…
    Encrypt(crypt::Arguments),
    /// Decrypt what encrypt gave; the plaintext comes out as it was, byte by byte
    Decrypt(crypt::Arguments),
    /// Encrypt again under the newest version, without showing the plaintext
    Rewrap(crypt::Arguments),
    /// Sign a file or standard input; gives vault:vN:…
    Sign(sign::Sign),
    /// Check a signature; exit code 4 where it is not valid
    Verify(sign::Verify),
    /// A fresh 256-bit key, wrapped by a transit key
    Datakey(crypt::DataKey),
}

/// The key that is used, and where it hangs.
#[derive(Args)]
pub(crate) struct Key {
    /// The transit key
    key: String,
    /// The transit mount
    #[arg(long, default_value = "transit")]
    mount: String,
}

impl Key {
    /// The API's path of an operation with this key.
    fn at(&self, operation: &str) -> String {
        format!("{}/{operation}/{}", self.mount.trim_matches('/'), self.key)
    }
}

/// Where what comes out goes.
#[derive(Args)]
pub(crate) struct Out {
    /// Write it to a new file that only you can read, not to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "out")]
    overwrite: bool,
}

impl Out {
    /// A page of these bytes, or one that says in which file they are.
    fn page(&self, json: serde_json::Value, bytes: &[u8]) -> Result<Page, Failure> {
        match &self.out {
            None => Ok(Page::new(json).raw(bytes)),
            Some(path) => {
                crate::files::write(path, bytes, self.overwrite)?;
                let json = serde_json::json!({ "file": path.display().to_string() });
                Ok(Page::new(json).good(format!("Written to {}.", path.display())))
            }
        }
    }
}

pub(crate) async fn run(connection: &Connection, command: Command) -> Result<Page, Failure> {
    let api = connection.api()?;
    match command {
        Command::Keys(command) => keys::run(&api, command).await,
        Command::Encrypt(arguments) => crypt::encrypt(&api, &arguments).await,
        Command::Decrypt(arguments) => crypt::decrypt(&api, &arguments).await,
        Command::Rewrap(arguments) => crypt::rewrap(&api, &arguments).await,
        Command::Sign(arguments) => sign::sign(&api, &arguments).await,
        Command::Verify(arguments) => sign::verify(&api, &arguments).await,
        Command::Datakey(arguments) => crypt::data_key(&api, &arguments).await,
    }
}
