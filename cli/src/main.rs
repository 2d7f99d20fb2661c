//! `coffer`: the operator's command line, for somebody who is tired and has little time.
//!
//! A command gives one [`page::Page`], which is shown as text for people or as JSON for scripts, and carries the exit
//! code. What goes wrong is a [`words::Failure`]; its words stand in `words` and nowhere else.
#![forbid(unsafe_code)]

mod api;
mod args;
mod ask;
mod audit;
mod auth;
mod capabilities;
mod connect;
mod env;
mod files;
mod kept;
mod kv;
mod login;
mod mounts;
mod operator;
mod page;
mod pairs;
mod policy;
mod sealed;
mod shapes;
mod shares;
mod sheet;
mod token;
mod transit;
mod usage;
mod values;
mod words;

use args::{Cli, Command};
use coffer_sdk::Error;
use connect::Connection;
use page::Page;
use std::process::ExitCode;
use words::{Exit, Failure};

/// What is freed is cleared: secrets that were read or shown leave no copy on the heap.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    let arguments = usage::with_two_dashes(std::env::args_os());
    let cli = match usage::parse(&arguments) {
        Ok(cli) => cli,
        Err(shown) => return shown.print(),
    };
    let format = cli.connection.format;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return page::fail(&Failure::Runtime(error), format),
    };
    match runtime.block_on(run(cli)) {
        Ok(page) => page.print(format),
        Err(failure) => page::fail(&failure, format),
    }
}

async fn run(cli: Cli) -> Result<Page, Failure> {
    let connection = cli.connection;
    match command(&connection, cli.command).await {
        Err(failure) => Err(explained(&connection, failure).await),
        done => done,
    }
}

async fn command(connection: &Connection, command: Command) -> Result<Page, Failure> {
    match command {
        Command::Status => operator::status(connection).await,
        Command::Operator(command) => operator::run(connection, command).await,
        Command::Env(command) => env::run(connection, command).await,
        Command::Login(arguments) => login::run(connection, arguments).await,
        Command::Token(command) => token::run(connection, command).await,
        Command::Policy(command) => policy::run(connection, command).await,
        Command::Capabilities(arguments) => capabilities::run(connection, arguments).await,
        Command::Kv(command) => kv::run(connection, command).await,
        Command::Transit(command) => transit::run(connection, command).await,
        Command::Secrets(command) => mounts::run(connection, mounts::Kind::Secrets, command).await,
        Command::Auth(command) => auth::run(connection, command).await,
        Command::Audit(command) => audit::run(connection, command).await,
    }
}

/// 503 has several reasons, and so has a connection that breaks: the daemon is asked, before anything is guessed.
async fn explained(connection: &Connection, failure: Failure) -> Failure {
    let (is_unavailable, is_broken) = (failure.is_unavailable(), failure.is_broken_off());
    if !is_unavailable && !is_broken {
        return failure.with_address(connection.shown_address());
    }
    let Ok(api) = connection.node() else { return failure };
    match api.client.sys().seal_status().await {
        Ok(status) if is_unavailable && !status.initialized => Failure::NotInitialized,
        // Where it was asked to open, its own sentence says why it does not.
        Ok(status) if is_unavailable && status.sealed && !failure.is_of("sys/unseal") => {
            Failure::Sealed { progress: status.progress, threshold: status.threshold }
        }
        // It answers nobody who comes like this: TLS 1.3 refuses a certificate only after the handshake.
        Err(Error::Interrupted(_)) if is_broken => {
            Failure::Unwelcome { has_identity: connection.has_identity() }
        }
        _ => failure,
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
