//! Drives Coffer and OpenBao with the same client and says what each request costs the server.
//!
//! Called by `compare/run`. Rounds alternate between the servers, so that what drifts on the machine (clock, caches,
//! other work) meets both alike. A request that fails ends the comparison: nobody is fast at refusing.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod load;
mod server;
mod table;

use load::{ALL, Load};
use server::Server;
use std::path::{Path, PathBuf};
use std::time::Duration;
use table::Row;

/// Whatever went wrong, for the one line at the end.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: compare [--quick] [--connections N] [--rounds N] [--seconds N] [--only NAME] [--during COMMAND] PKI DIR TARGET...
  TARGET    NAME=COMMAND, a target as tests/conformance has them; a second one is compared with the first
  --only    one of kv-read, kv-write, kv-write-hot, transit-encrypt
  --during  a shell command that runs while the first target is under load, with SERVER_PID set";

struct Options {
    connections: usize,
    rounds: u32,
    seconds: f64,
    only: Option<String>,
    during: Option<String>,
    places: Vec<String>,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(failure) => {
            eprintln!("{failure}\n{USAGE}");
            return 2.into();
        }
    };
    match run(&options).await {
        Ok(()) => 0.into(),
        Err(failure) => {
            eprintln!("compare: {failure}");
            1.into()
        }
    }
}

fn options() -> Result<Options, Failure> {
    let mut options =
        Options { connections: 16, rounds: 4, seconds: 5.0, only: None, during: None, places: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} takes a value"));
        match argument.as_str() {
            "--quick" => (options.rounds, options.seconds) = (1, 0.3),
            "--connections" => options.connections = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--seconds" => options.seconds = value()?.parse()?,
            "--only" => options.only = Some(value()?),
            "--during" => options.during = Some(value()?),
            unknown if unknown.starts_with('-') => return Err(format!("{unknown}: no such option").into()),
            _ => options.places.push(argument),
        }
    }
    let is_known = |name: &String| ALL.iter().any(|load| load.name() == name);
    if !options.only.as_ref().is_none_or(is_known) {
        return Err("--only: no such workload".into());
    }
    if options.places.len() < 3 || options.connections == 0 || options.rounds == 0 {
        return Err("something is missing".into());
    }
    Ok(options)
}

async fn run(options: &Options) -> Result<(), Failure> {
    let [pki, folder, targets @ ..] = options.places.as_slice() else { return Err(USAGE.into()) };
    let mut servers = Vec::new();
    for target in targets {
        let (name, command) = target.split_once('=').ok_or("a target is NAME=COMMAND")?;
        let mut server =
            Server::start(name, command, &PathBuf::from(pki), &Path::new(folder).join(name)).await?;
        load::furnish(&mut server).await?;
        servers.push(server);
    }
    println!(
        "{} connections; {} rounds of {} s each, alternating; CPU and memory are the server process's",
        options.connections, options.rounds, options.seconds
    );
    println!("{}", table::head());
    for load in ALL.into_iter().filter(|load| options.only.as_deref().is_none_or(|name| name == load.name()))
    {
        let rows = measure(load, &servers, options).await?;
        for row in &rows {
            println!("{}", row.line(load.name()));
        }
        if let [first, second] = rows.as_slice() {
            println!("{}", first.ratio(second));
        }
    }
    servers.into_iter().try_for_each(Server::stop)
}

/// Warms every server up, then measures them in turns.
async fn measure(load: Load, servers: &[Server], options: &Options) -> Result<Vec<Row>, Failure> {
    let length = Duration::from_secs_f64(options.seconds);
    let mut drivers = Vec::new();
    for server in servers {
        let driver = load::Driver::new(server, load, options.connections).await?;
        driver.run(length / 5).await?;
        drivers.push((driver, Row::new(&server.name)));
    }
    for round in 0..options.rounds {
        for (at, ((driver, row), server)) in drivers.iter_mut().zip(servers).enumerate() {
            let watching = match &options.during {
                Some(command) if at == 0 && round == 0 => Some(server.watched_by(command)?),
                _ => None,
            };
            let (cpu, own_cpu) = (server.cpu()?, server::own_cpu()?);
            let done = driver.run(length).await?;
            row.add(done, server.cpu()? - cpu, server::own_cpu()? - own_cpu);
            if let Some(watching) = watching {
                server::finished(watching).await?;
            }
        }
    }
    let with_memory = drivers.into_iter().zip(servers).map(|((_, mut row), server)| {
        row.memory = server.memory()?;
        Ok(row)
    });
    with_memory.collect()
}
