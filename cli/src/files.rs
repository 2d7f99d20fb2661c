//! Files that are read and written: new ones appear whole or not at all, and only their owner can read them.
use crate::words::Failure;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A file, or standard input for `-`.
pub(crate) fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let read = if path == Path::new("-") {
        let mut all = Zeroizing::new(Vec::new());
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut all).map(|_| all)
    } else {
        fs::read(path).map(Zeroizing::new)
    };
    read.map_err(|error| Failure::file(path, error))
}

/// As [`bytes`], where it is text.
pub(crate) fn text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = bytes(path)?;
    match core::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::NotText(path.display().to_string())),
    }
}

/// A file under construction beside its place, readable by its owner only.
pub(crate) struct Draft {
    target: PathBuf,
    path: PathBuf,
    overwrites: bool,
    is_kept: bool,
}

impl Draft {
    /// Begins a file that is to stand at `target`.
    pub(crate) fn begin(target: &Path, overwrites: bool) -> Result<(Self, File), Failure> {
        if !overwrites && fs::symlink_metadata(target).is_ok() {
            return Err(Failure::FileExists(target.to_owned()));
        }
        let name = target.file_name().ok_or_else(|| Failure::NoFileName(target.to_owned()))?;
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}.part", std::process::id()));
        let path = target.with_file_name(draft);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| Failure::file(target, error))?;
        Ok((Self { target: target.to_owned(), path, overwrites, is_kept: false }, file))
    }

    /// Where it lies until it is kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is to stand.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Puts the file in its place, on disk before this returns. What came there meanwhile is not written over unasked.
    pub(crate) fn keep(mut self, file: &File) -> Result<(), Failure> {
        let folder = match self.target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let kept = file.sync_all().and_then(|()| self.put()).and_then(|()| File::open(folder)?.sync_all());
        self.is_kept = kept.is_ok();
        kept.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::FileExists(self.target.clone()),
            _ => Failure::file(&self.target, error),
        })
    }

    fn put(&self) -> io::Result<()> {
        if self.overwrites {
            return fs::rename(&self.path, &self.target);
        }
        match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
            // Not every file system knows that; a link is as careful.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                fs::hard_link(&self.path, &self.target)?;
                fs::remove_file(&self.path)
            }
            renamed => Ok(renamed?),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // It is in the way of nothing if it stays; the failure that led here is what is told.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a whole new file.
pub(crate) fn write(target: &Path, content: &[u8], overwrites: bool) -> Result<(), Failure> {
    let (draft, mut file) = Draft::begin(target, overwrites)?;
    file.write_all(content).map_err(|error| Failure::file(target, error))?;
    draft.keep(&file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_written_file_is_its_owners_alone_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write(&path, b"secret", false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap(), b"secret");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_is_not_written_over_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        fs::write(&path, b"old").unwrap();
        assert!(matches!(write(&path, b"new", false), Err(Failure::FileExists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write(&path, b"new", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn what_came_there_meanwhile_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("share");
        let (draft, file) = Draft::begin(&path, false).unwrap();
        fs::write(&path, b"another's").unwrap();
        assert!(matches!(draft.keep(&file), Err(Failure::FileExists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"another's");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_that_is_given_up_vanishes() {
        let folder = tempfile::tempdir().unwrap();
        let (draft, _file) = Draft::begin(&folder.path().join("backup"), false).unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
