//! `cofferd`: the daemon's command line.
//!
//! Composition happens in [`serve`]: a function after which nothing holds everything.
#![forbid(unsafe_code)]

mod clock;
mod config;
mod dev;
mod jobs;
mod seals;
mod serve;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What is freed is cleared: copies that a request left on the heap do not outlive it.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// Coffer keeps secrets and keys, and proves what was done with them.
#[derive(Parser)]
#[command(name = "cofferd", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve by a configuration file. Starts sealed.
    Serve {
        /// The configuration; `daemon/cofferd.example.toml` explains every key.
        #[arg(long, short, default_value = "/etc/coffer/cofferd.toml", env = "COFFERD_CONFIG")]
        config: PathBuf,
        /// Start although the clock is behind the audit log's newest entry: where that was written under a wrong clock.
        /// Tokens that have expired meanwhile are valid again.
        #[arg(long)]
        accept_earlier_clock: bool,
    },
    /// Say whether a configuration can be used, and what would be right where it can't.
    CheckConfig {
        /// The configuration.
        config: PathBuf,
    },
    /// Make everything in one folder, do the main job once, and stay up for trying it out. Not for production.
    Dev {
        /// End after the main job: exit status 0 where every step succeeded.
        #[arg(long)]
        once: bool,
        /// The folder; made new. Without it: a temporary one.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Where to listen; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:8200")]
        listen: std::net::SocketAddr,
    },
}

fn main() -> ExitCode {
    let hardening = coffer_secmem::harden();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // A worker that waits shall hold nothing of what it did, on its stack or in its registers.
    let runtime = match runtime.enable_all().on_thread_park(coffer_secmem::rest).build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the runtime does not start: {error}")),
    };
    let done = match Arguments::parse().command {
        Command::CheckConfig { config } => {
            config::Config::read(&config).and_then(|config| serve::check(&config)).map(|()| {
                say("the configuration can be used: certificates, key and lists were read too");
            })
        }
        Command::Serve { config, accept_earlier_clock } => config::Config::read(&config)
            .and_then(|config| runtime.block_on(serve::run(config, accept_earlier_clock, &hardening))),
        Command::Dev { once, dir, listen } => runtime.block_on(dev::run(once, dir, listen, &hardening)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => failed(&sentence),
    }
}

#[allow(clippy::print_stdout, reason = "this is what the command is asked to say")]
fn say(sentence: &str) {
    println!("{sentence}");
}

#[allow(clippy::print_stderr, reason = "the last word of a command that failed")]
fn failed(sentence: &str) -> ExitCode {
    eprintln!("cofferd: {sentence}");
    ExitCode::FAILURE
}
