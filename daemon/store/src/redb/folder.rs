//! The store's folder: its own permissions and lock, the file, and the reserve beside it.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

use super::media::Media;
use crate::error::StoreError;

/// Bits of a mode that let anybody but the owner in.
const OTHERS: u32 = 0o077;

/// An open store's place on disk.
pub(crate) struct Folder {
    folder: File,
    file: PathBuf,
    reserve_bytes: u64,
    reserve_held: bool,
    /// Held for its lock.
    _lock: File,
}

impl Folder {
    pub(crate) fn open(file: &Path, reserve_bytes: u64) -> Result<Self, StoreError> {
        let parent = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        match DirBuilder::new().mode(0o700).create(parent) {
            // A folder that the power cut takes back would take the store with it.
            Ok(()) => File::open(parent.join(".."))?.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        let folder = File::open(parent)?;
        refuse_broad(&folder.metadata()?)?;
        let lock = open_private(&beside(file, ".lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut this =
            Self { folder, file: file.to_owned(), reserve_bytes, reserve_held: false, _lock: lock };
        this.discard();
        this.take_reserve();
        Ok(this)
    }
}

impl Media for Folder {
    fn current(&mut self) -> Result<Option<Box<dyn StorageBackend>>, StoreError> {
        match std::fs::symlink_metadata(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
            Ok(found) if found.is_file() && found.len() == 0 => Ok(None),
            Ok(_) => Ok(Some(Box::new(PlainFile { file: open_private(&self.file)? }))),
        }
    }

    fn fresh(&mut self) -> Result<Box<dyn StorageBackend>, StoreError> {
        self.discard();
        Ok(Box::new(PlainFile { file: open_private(&beside(&self.file, ".compact"))? }))
    }

    fn replace(&mut self) -> Result<(), StoreError> {
        std::fs::rename(beside(&self.file, ".compact"), &self.file)?;
        self.folder.sync_all().map_err(|_| StoreError::Failed)
    }

    fn discard(&mut self) {
        remove(&beside(&self.file, ".compact"));
    }

    fn take_reserve(&mut self) -> bool {
        if self.reserve_held || self.reserve_bytes == 0 {
            return true;
        }
        let path = beside(&self.file, ".reserve");
        self.reserve_held = reserve(&path, self.reserve_bytes).is_ok();
        if !self.reserve_held {
            remove(&path);
        }
        self.reserve_held
    }

    fn release_reserve(&mut self) {
        remove(&beside(&self.file, ".reserve"));
        self.reserve_held = false;
    }

    fn free_bytes(&self) -> u64 {
        fstatvfs(&self.folder).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

fn reserve(path: &Path, bytes: u64) -> io::Result<()> {
    let file = open_private(path).map_err(|_| io::ErrorKind::PermissionDenied)?;
    // What an earlier run took stays taken; only what is over the size goes back.
    if file.metadata()?.len() > bytes {
        file.set_len(bytes)?;
    }
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) => fill(&file, bytes)?,
        other => other?,
    }
    file.sync_all()
}

/// For file systems that can't allocate without writing.
fn fill(file: &File, bytes: u64) -> io::Result<()> {
    let zeros = [0; 64 * 1024];
    let mut at = 0;
    while at < bytes {
        let len = usize::try_from(bytes - at).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(zeros.get(..len).unwrap_or(&zeros), at)?;
        at += len as u64;
    }
    Ok(())
}

fn open_private(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    refuse_broad(&file.metadata()?)?;
    Ok(file)
}

fn refuse_broad(found: &Metadata) -> Result<(), StoreError> {
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    if ours && found.mode() & OTHERS == 0 { Ok(()) } else { Err(StoreError::BroadPermissions) }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(kind = %error.kind(), "a file beside the store could not be removed");
    }
}

/// The file grows without taking space; blocks are taken as they are written. So a full disk shows in a write before the
/// commit, never in redb's doubling of the file, and a small reserve is enough for a small commit.
#[derive(Debug)]
struct PlainFile {
    file: File,
}

impl StorageBackend for PlainFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
