//! A log's folder as the checker reads it.
use crate::words::Failure;
use keystore_format::logcheck::{Files, JOURNAL};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Files below one folder. Links are not followed: they show as files that no log has.
pub(crate) struct Folder {
    base: PathBuf,
    last: Option<(String, File)>,
}

impl Folder {
    /// A folder that holds a log, or what is left of one.
    pub(crate) fn open(base: &Path) -> Result<Self, Failure> {
        let mut folder = Self { base: base.to_owned(), last: None };
        let is_evidence =
            |path: &String| path.starts_with(&format!("{JOURNAL}/")) || path.ends_with("/checkpoint");
        if folder.list()?.iter().any(is_evidence) {
            Ok(folder)
        } else {
            Err(Failure::NoAuditLog(base.to_owned()))
        }
    }

    fn collect(&self, below: &Path, found: &mut Vec<String>) -> Result<(), Failure> {
        let path = self.base.join(below);
        let unreadable = |error| Failure::file(&path, error);
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

impl Files for Folder {
    type Error = Failure;

    fn list(&mut self) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        self.collect(Path::new(""), &mut found)?;
        found.sort();
        Ok(found)
    }

    fn read(&mut self, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, Failure> {
        let unreadable = |error| Failure::file(&self.base.join(path), error);
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
