//! The few calls that can fail on a full or dying disk, in one place, so that tests can make them fail.
use crate::JournalError;
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Writing a segment.
pub(crate) trait Disk: Send + Sync {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Keeps blocks for the file beyond its end, without making it longer.
    fn allocate(&self, file: &File, offset: u64, length: u64) -> io::Result<()>;
}

/// The operating system's.
pub(crate) struct Real;

impl Disk for Real {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn allocate(&self, file: &File, offset: u64, length: u64) -> io::Result<()> {
        match fallocate(file, FallocateFlags::KEEP_SIZE, offset, length) {
            // A file system that can't keep blocks: then a full disk shows itself when writing.
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            other => other.map_err(io::Error::from),
        }
    }
}

/// Whether the disk is full, rather than broken.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The folder, with mode 0700; refused where others can look in.
pub(crate) fn private_folder(path: &Path) -> Result<(), JournalError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    demand_private(path)
}

/// Demands that only the owner can read and write, and that the owner is this process's user.
pub(crate) fn demand_private(path: &Path) -> Result<(), JournalError> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.mode() & 0o077 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(JournalError::BroadPermissions);
    }
    Ok(())
}

/// Options for a file with mode 0600.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Puts a whole file in its place at once: whoever reads sees the old or the new one. `scratch` is on the same disk.
pub(crate) fn replace(scratch: &Path, path: &Path, bytes: &[u8], is_durable: bool) -> io::Result<()> {
    let file = private_file().write(true).create(true).truncate(true).open(scratch)?;
    file.write_all_at(bytes, 0)?;
    if is_durable {
        file.sync_data()?;
    }
    match fs::rename(scratch, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            fs::rename(scratch, path)
        }
        done => done,
    }
}

/// Makes new names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
