//! An audit log as files: reading a folder of one, and checking it, without a daemon.
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use keystore_format::logcheck::{self, Files, Report};
use keystore_format::note::VerifierKey;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A daemon that writes while we read can look like an alteration, once: a real one is found there again, so often.
const PERSISTENT: u32 = 3;
/// So often we look, where what we find goes on changing.
const ATTEMPTS: u32 = 20;

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

/// The files of a log, below one folder. Links are not followed: they show as files that no log has.
pub struct LogFolder {
    base: PathBuf,
    last: Option<(String, File)>,
}

impl LogFolder {
    /// The log in `base`.
    #[must_use]
    pub fn open(base: &Path) -> Self {
        Self { base: base.to_owned(), last: None }
    }

    fn collect(&self, below: &Path, found: &mut Vec<String>) -> Result<(), Unreadable> {
        let path = self.base.join(below);
        let unreadable = |error| Unreadable { path: path.clone(), error };
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = below.join(entry.file_name());
            if entry.file_type().map_err(unreadable)?.is_dir() {
                self.collect(&name, found)?;
            } else {
                found.push(name.to_string_lossy().into_owned());
            }
        }
        Ok(())
    }
}

impl Files for LogFolder {
    type Error = Unreadable;

    fn list(&mut self) -> Result<Vec<String>, Unreadable> {
        let mut found = Vec::new();
        self.collect(Path::new(""), &mut found)?;
        found.sort();
        Ok(found)
    }

    fn read(&mut self, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, Unreadable> {
        let unreadable = |error| Unreadable { path: self.base.join(path), error };
        let file = match self.last.take() {
            Some((name, file)) if name == path => file,
            _ => File::open(self.base.join(path)).map_err(unreadable)?,
        };
        let mut bytes = vec![0; limit];
        let mut length = 0;
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + length as u64).map_err(unreadable)? {
                0 => break,
                read => length += read,
            }
        }
        bytes.truncate(length);
        self.last = Some((path.to_owned(), file));
        Ok(bytes)
    }
}
