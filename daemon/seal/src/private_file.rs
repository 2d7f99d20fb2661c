//! Files that hold a secret: opened only where nobody else can read them or put another in their place.
use rustix::fs::{Mode, OFlags};
use std::{
    fs::{File, Metadata},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Why a file is not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    Missing,
    Unreadable,
    NotAFile,
    Owner,
    Mode,
    Place,
}

impl Wrong {
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Missing => "is not there",
            Self::Unreadable => "can't be read",
            Self::NotAFile => "is not a regular file",
            Self::Owner => "belongs to another user",
            Self::Mode => "is open to its group or to others",
            Self::Place => "lies where others can put another in its place",
        }
    }

    pub(crate) const fn would_be_right(self) -> &'static str {
        match self {
            Self::Missing => "its path must be that of a file",
            Self::Unreadable => "the daemon's user must be able to read it",
            Self::NotAFile => "it must be one",
            Self::Owner => "it must belong to the daemon's user or to root",
            Self::Mode => "its mode must be 0600 or 0400",
            Self::Place => {
                "each folder on the way to it, and to where a link leads, must belong to the daemon's user or to root \
                 and must not be writable by others"
            }
        }
    }
}

/// Opens a file that only its owner can read, who is the daemon's user or root, along folders that only they can
/// change. A link may lead to it.
pub(crate) fn open(path: &Path) -> Result<File, Wrong> {
    let path = std::path::absolute(path).map_err(|_| Wrong::Missing)?;
    let real = std::fs::canonicalize(&path).map_err(|error| unreadable(&error))?;
    // Each way is looked at: a link is as much the file's place as what it leads to.
    for way in ways(&path)?.iter().chain([&real]) {
        way.parent().map_or(Ok(()), folders)?;
    }
    // The last link was followed above: one that appears now was put there by somebody.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file =
        File::from(rustix::fs::open(&real, flags, Mode::empty()).map_err(|error| unreadable(&error.into()))?);
    let found = file.metadata().map_err(|_| Wrong::Unreadable)?;
    if !found.is_file() {
        return Err(Wrong::NotAFile);
    }
    if !ours(&found) {
        return Err(Wrong::Owner);
    }
    if found.mode() & 0o077 != 0 {
        return Err(Wrong::Mode);
    }
    Ok(file)
}

/// All of a file, which is at most `limit` bytes long.
pub(crate) fn read(file: &File, limit: usize) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    // With room for one byte more, so that the vector never moves and leaves a copy.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|_| Wrong::Unreadable)?;
    if bytes.len() > limit { Err(Wrong::NotAFile) } else { Ok(bytes) }
}

fn unreadable(error: &std::io::Error) -> Wrong {
    if error.kind() == std::io::ErrorKind::NotFound { Wrong::Missing } else { Wrong::Unreadable }
}

/// The path, and where each link on it leads in turn. Bounded: `canonicalize` has already seen to it that they end.
fn ways(path: &Path) -> Result<Vec<PathBuf>, Wrong> {
    let mut ways = vec![path.to_owned()];
    let mut at = path.to_owned();
    for _ in 0..40 {
        let link = at.ancestors().find_map(|part| Some((part.to_owned(), std::fs::read_link(part).ok()?)));
        let Some((link, target)) = link else { break };
        // In a folder like /tmp somebody else can make a link, but not one that is ours.
        if !std::fs::symlink_metadata(&link).is_ok_and(|found| ours(&found)) {
            return Err(Wrong::Place);
        }
        let rest = at.strip_prefix(&link).map(Path::to_owned).unwrap_or_default();
        // An absolute target takes the place of what it is joined to.
        at = link.parent().unwrap_or(Path::new("/")).join(target).join(rest);
        ways.push(at.clone());
    }
    Ok(ways)
}

/// Whether a file may be made in a folder: only the daemon's user or root can change it and those above it.
pub(crate) fn check_folder(folder: &Path) -> Result<(), Wrong> {
    let real = std::fs::canonicalize(folder).map_err(|error| unreadable(&error))?;
    ways(folder)?.iter().chain([&real]).try_for_each(|way| folders(way))
}

fn folders(folder: &Path) -> Result<(), Wrong> {
    folder.ancestors().try_for_each(nobody_else_can_change)
}

/// A folder of ours or root's that others can't write to, or one like `/tmp`, where they can't replace what isn't theirs.
fn nobody_else_can_change(folder: &Path) -> Result<(), Wrong> {
    let found = std::fs::metadata(folder).map_err(|_| Wrong::Unreadable)?;
    let open = found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0;
    if open || !ours(&found) { Err(Wrong::Place) } else { Ok(()) }
}

fn ours(found: &Metadata) -> bool {
    found.uid() == 0 || found.uid() == rustix::process::geteuid().as_raw()
}
