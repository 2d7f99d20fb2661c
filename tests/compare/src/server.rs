//! A server under comparison: started by its target command, opened, and watched through /proc.
use crate::Failure;
use coffer_sdk::{Client, Method};
use serde::Deserialize;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long a server may take to start, to open and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running, open server and its root client.
pub(crate) struct Server {
    pub(crate) name: String,
    process: std::process::Child,
    address: String,
    pki: PathBuf,
    pub(crate) root: Client,
}

/// Bytes of memory, as the kernel counts them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// The process's share of it; `None` where /proc does not tell, as it does only to root for a hardened process.
    pub(crate) proportional: Option<u64>,
}

#[derive(Deserialize)]
struct Init {
    keys_base64: Vec<String>,
    root_token: String,
}

impl Server {
    /// Starts `command DIR` (see tests/conformance/target), initialises and unseals it with one share.
    pub(crate) async fn start(name: &str, command: &str, pki: &Path, folder: &Path) -> Result<Self, Failure> {
        let mut process = std::process::Command::new(command)
            .arg(folder)
            .env("CONF_PKI", pki)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command}: {error}"))?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let address =
            line.trim().strip_prefix("VAULT_ADDR=").ok_or(format!("{command} does not say its address"))?;
        let root = client(address, pki)?;
        let mut server = Self { name: name.into(), process, address: address.into(), pki: pki.into(), root };
        server.until(Method::GET, "sys/seal-status", None).await?;
        let shares = br#"{"secret_shares":1,"secret_threshold":1}"#;
        let init: Init = server.root.request(Method::PUT, "sys/init", Some(shares)).await?.json()?;
        let share = init.keys_base64.first().ok_or("no share")?;
        let share = format!(r#"{{"key":"{share}"}}"#);
        server.root.request(Method::PUT, "sys/unseal", Some(share.as_bytes())).await?;
        server.root = server.root.with_token(init.root_token)?;
        server.until(Method::GET, "sys/mounts", None).await?;
        Ok(server)
    }

    /// A client with one connection of its own.
    pub(crate) fn client(&self, token: &str) -> Result<Client, Failure> {
        Ok(client(&self.address, &self.pki)?.with_token(token.to_owned())?)
    }

    /// Asks until the server answers with success: it starts, or a mount is being made ready.
    pub(crate) async fn until(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let error = match self.root.request(method.clone(), path, body).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("{} ended with {status}", self.name).into());
            }
            if Instant::now() > deadline {
                return Err(format!("{}: {path}: {error}", self.name).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// CPU time of the process so far, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        cpu_of(&self.process.id().to_string())
    }

    /// Memory of the process now.
    pub(crate) fn memory(&self) -> Result<Memory, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process.id()));
        Ok(Memory {
            resident: kibibytes(&status, "VmRSS:").ok_or("no VmRSS")?,
            proportional: rollup.ok().and_then(|text| kibibytes(&text, "Pss:")),
        })
    }

    /// Starts a shell command that looks at the process.
    pub(crate) fn watched_by(&self, command: &str) -> Result<tokio::process::Child, Failure> {
        let mut shell = tokio::process::Command::new("sh");
        Ok(shell.args(["-c", command]).env("SERVER_PID", self.process.id().to_string()).spawn()?)
    }

    /// Asks the process to end, and waits.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.process),
            rustix::process::Signal::TERM,
        )?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    /// For a comparison that failed half-way; one that was stopped is gone already.
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// CPU time of this process, the client, so far.
pub(crate) fn own_cpu() -> Result<Duration, Failure> {
    cpu_of("self")
}

/// Waits for a command of [`Server::watched_by`].
pub(crate) async fn finished(mut command: tokio::process::Child) -> Result<(), Failure> {
    let status = command.wait().await?;
    if status.success() { Ok(()) } else { Err(format!("the command beside the load: {status}").into()) }
}

fn client(address: &str, pki: &Path) -> Result<Client, Failure> {
    let client = Client::builder()
        .address(address)
        .ca_file(pki.join("ca.pem"))
        .identity_files(pki.join("client.pem"), pki.join("client-key.pem"))
        .retries(0)
        .build()?;
    Ok(client)
}

/// utime and stime of proc_pid_stat(5), the 14th and 15th field; the name before them may hold anything but `)` at its end.
fn cpu_of(process: &str) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("another /proc/PID/stat")?;
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    let ticks: u64 = ticks.iter().sum();
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
