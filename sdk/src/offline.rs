//! An audit log as files: reading a folder of one, and checking it, without a daemon.
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use keystore_format::logcheck::{self, Files, Report};
use keystore_format::note::VerifierKey;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A log that is being written is looked at so often before the check gives up.
const TRIES: usize = 20;

/// A file that could not be read.
#[derive(Debug)]
pub struct Unreadable {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// Checks the log in `folder` on its files alone (`keystore_format::logcheck`); `known` are keys that the auditor has from
/// elsewhere. A log that is being written meanwhile is looked at again until a look saw no change.
///
/// # Errors
/// [`Unreadable`]; of [`io::ErrorKind::ResourceBusy`] where the log never stood still: check a copy.
pub fn check_log(folder: &Path, known: &[VerifierKey]) -> Result<Report, Unreadable> {
    for _ in 0..TRIES {
        let before = LogFolder::open(folder).sizes();
        let checked = logcheck::check(&mut LogFolder::open(folder), known, is_signed);
        let after = LogFolder::open(folder).sizes();
        match (before, checked, after) {
            (Ok(before), Ok(report), Ok(after)) if before == after => return Ok(report),
            // A folder that stands still and can't be read is not being written.
            (Ok(before), Err(error), Ok(after)) if before == after => return Err(error),
            (Err(error), _, Err(_)) => return Err(error),
            _ => {}
        }
    }
    Err(Unreadable { path: folder.to_owned(), error: io::ErrorKind::ResourceBusy.into() })
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

    /// Every file with its size in bytes, in order of names.
    ///
    /// # Errors
    /// Where the folder can't be read.
    pub fn sizes(&self) -> Result<Vec<(String, u64)>, Unreadable> {
        let mut found = Vec::new();
        self.collect(Path::new(""), &mut found)?;
        found.sort();
        Ok(found)
    }

    fn collect(&self, below: &Path, found: &mut Vec<(String, u64)>) -> Result<(), Unreadable> {
        let path = self.base.join(below);
        let unreadable = |error| Unreadable { path: path.clone(), error };
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = below.join(entry.file_name());
            let about = entry.metadata().map_err(unreadable)?;
            if about.is_dir() {
                self.collect(&name, found)?;
            } else {
                found.push((name.to_string_lossy().into_owned(), about.len()));
            }
        }
        Ok(())
    }
}

impl Files for LogFolder {
    type Error = Unreadable;

    fn list(&mut self) -> Result<Vec<String>, Unreadable> {
        Ok(self.sizes()?.into_iter().map(|(name, _)| name).collect())
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
