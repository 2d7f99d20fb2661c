//! An audit log as files: reading a folder of one, and checking it, without a daemon.
mod folder;

pub use folder::LogFolder;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use keystore_format::logcheck::{self, Report};
use keystore_format::note::VerifierKey;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A daemon that writes while we read can look like an alteration, once: a real one is found there again, so often.
const PERSISTENT: u32 = 3;
/// So often we look, where what we find goes on changing.
const ATTEMPTS: u32 = 20;
/// Between two looks: a frame of which half is written is whole by then.
const PAUSE: Duration = Duration::from_millis(50);

/// A file that could not be read.
#[derive(Debug)]
pub struct Unreadable {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// Checks the log in `folder` on its files alone (`keystore_format::logcheck`); `known` are keys that the auditor has from
/// elsewhere. The log may be written meanwhile.
///
/// # Errors
/// [`Unreadable`], where a file is there and can't be read.
pub fn check_log(folder: &Path, known: &[VerifierKey]) -> Result<Report, Unreadable> {
    steadily(folder, || logcheck::check(&mut LogFolder::open(folder), known, is_signed))
}

/// Looks at a log in `folder` that may be written meanwhile, until a look finds nothing wrong, or the same thing as the
/// looks before it.
///
/// # Errors
/// [`Unreadable`], where that is no file that the daemon has just replaced.
pub fn steadily<E: From<Unreadable> + MayHaveMoved>(
    folder: &Path,
    mut look: impl FnMut() -> Result<Report, E>,
) -> Result<Report, E> {
    let mut before = None;
    let (mut attempt, mut times) = (0, 0);
    loop {
        attempt += 1;
        match look() {
            Ok(report) => {
                let first = report.findings.first().cloned();
                times = if first == before { times + 1 } else { 1 };
                if first.is_none() || times == PERSISTENT || attempt >= ATTEMPTS {
                    return Ok(report);
                }
                before = first;
            }
            // The daemon replaced the file between our list and our look.
            Err(error) if error.may_have_moved() && attempt < ATTEMPTS && folder.is_dir() => {}
            Err(error) => return Err(error),
        }
        std::thread::sleep(PAUSE);
    }
}

/// An error that may only mean that a file was replaced between a list and a look.
pub trait MayHaveMoved {
    /// Whether the file was not there.
    fn may_have_moved(&self) -> bool;
}

impl MayHaveMoved for Unreadable {
    fn may_have_moved(&self) -> bool {
        self.error.kind() == io::ErrorKind::NotFound
    }
}

/// Whether an Ed25519 signature (RFC 8032) is this key's.
#[must_use]
pub fn is_signed(key: &[u8; 32], text: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(text, signature).is_ok()
}
