//! The daemon's process: started, watched until it listens, ended in three ways.
use crate::setup::Setup;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a start or a stop may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// A running daemon.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it and waits until it says where it listens; its last words where it does not.
    pub(crate) fn start(config: &Path, log: &Path, setup: &Setup) -> Result<Self, String> {
        let output = File::options().create(true).append(true).open(log).unwrap();
        let from = output.metadata().unwrap().len();
        let mut command = command(&setup.before);
        command.args(["serve", "--config"]).arg(config).args(&setup.options).stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output).env_clear();
        command.envs(setup.variables.iter().map(|(name, value)| (name, value)));
        // A Ctrl-C for the tests is none for the daemon: the house ends it.
        command.process_group(0);
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = read_from(log, from);
            if let Some(address) = address_in(&said) {
                return Ok(Self { child, address });
            }
            if let Some(status) = child.try_wait().unwrap() {
                return Err(format!("{status}: {}", read_from(log, from)));
            }
            assert!(Instant::now() < deadline, "the daemon does not say where it listens: {said}");
            std::thread::sleep(LOOK);
        }
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill9(mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Waits for the end after a signal.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the daemon does not stop");
            std::thread::sleep(LOOK);
        }
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

/// The daemon, or a program that becomes it.
fn command(before: &[String]) -> Command {
    let Some((program, words)) = before.split_first() else { return Command::new(crate::cofferd()) };
    let mut command = Command::new(program);
    command.args(words).arg(crate::cofferd());
    command
}

fn read_from(log: &Path, from: u64) -> String {
    let mut file = File::open(log).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    let mut text = Vec::new();
    file.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

fn address_in(said: &str) -> Option<SocketAddr> {
    let (_, rest) = said.split_once("address=")?;
    let (word, _) = rest.split_once(['\n', ' '])?;
    word.trim_matches('"').parse().ok()
}

/// A port that was free a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
