//! The way to a TPM: a device file, or a simulator over TCP. Both are a file descriptor that is waited for with a deadline.
use super::error::{Result, TpmError};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use std::{
    fmt,
    fs::OpenOptions,
    io::ErrorKind,
    net::{TcpStream, ToSocketAddrs},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::PathBuf,
    str::FromStr,
    time::{Duration, Instant},
};

/// No answer is longer; TCG's simulator and all TPMs seen keep to it.
const MAX_ANSWER: usize = 4096;
const HEADER: usize = 10;

/// Where a TPM is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A device file. `/dev/tpmrm0` is the kernel's, with a resource manager; `/dev/tpm0` works where nobody else uses it.
    Device(PathBuf),
    /// A simulator's data port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => path.display().fmt(f),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for Address {
    type Err = &'static str;

    /// An absolute path, or `host:port`.
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        const WANTED: &str =
            "a TPM is given by the path of its device, as /dev/tpmrm0, or by a simulator's host:port";
        if text.starts_with('/') {
            return Ok(Self::Device(text.into()));
        }
        let (host, port) = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).ok_or(WANTED)?;
        Ok(Self::Tcp { host: host.to_owned(), port: port.parse().map_err(|_| WANTED)? })
    }
}

/// Sends a command and takes its answer.
pub(super) trait Channel: Send {
    /// The whole answer, header included, of at least a header's length; nothing else is known of it.
    fn exchange(&mut self, command: &[u8], deadline: Instant) -> Result<Vec<u8>>;

    /// Lets the TPM get on with something else. It says nothing of when it will be ready.
    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A file or a connection.
pub(super) struct Wire(OwnedFd);

impl Wire {
    pub(super) fn open(address: &Address, deadline: Instant) -> Result<Self> {
        match address {
            Address::Device(path) => {
                let mut options = OpenOptions::new();
                options
                    .read(true)
                    .write(true)
                    .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
                options.open(path).map(|file| Self(file.into())).map_err(absent)
            }
            Address::Tcp { host, port } => {
                let mut failed = ErrorKind::NotFound.into();
                for address in (host.as_str(), *port).to_socket_addrs().map_err(absent)? {
                    match TcpStream::connect_timeout(&address, left(deadline)?) {
                        Ok(stream) => {
                            stream
                                .set_nodelay(true)
                                .and_then(|()| stream.set_nonblocking(true))
                                .map_err(absent)?;
                            return Ok(Self(stream.into()));
                        }
                        Err(error) => failed = error,
                    }
                }
                Err(absent(failed))
            }
        }
    }

    fn wait(&self, what: PollFlags, deadline: Instant) -> Result<()> {
        let left = left(deadline)?;
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.0, what)], Some(&timeout)) {
            Ok(0) => Err(TpmError::Silent),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(_) => Err(TpmError::Lost),
        }
    }
}

impl Channel for Wire {
    fn exchange(&mut self, mut command: &[u8], deadline: Instant) -> Result<Vec<u8>> {
        while !command.is_empty() {
            self.wait(PollFlags::OUT, deadline)?;
            match rustix::io::write(&self.0, command) {
                Ok(written) => command = command.get(written..).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return Err(TpmError::Lost),
            }
        }
        // A device gives its answer to one read, a connection to as many as it likes.
        let (mut answer, mut filled) = (vec![0; MAX_ANSWER], 0);
        loop {
            self.wait(PollFlags::IN, deadline)?;
            match rustix::io::read(&self.0, answer.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => return Err(TpmError::Lost),
                Ok(read) => filled += read,
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(_) => return Err(TpmError::Lost),
            }
            let announced =
                answer.get(2..6).and_then(|size| size.try_into().ok()).map_or(0, u32::from_be_bytes);
            // The size is checked against what came where the header is read.
            if filled >= HEADER && (filled >= announced as usize || filled == MAX_ANSWER) {
                answer.truncate(filled);
                return Ok(answer);
            }
        }
    }
}

fn left(deadline: Instant) -> Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(TpmError::Silent) } else { Ok(left) }
}

fn absent(error: std::io::Error) -> TpmError {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => TpmError::Silent,
        kind => TpmError::Absent(kind),
    }
}
