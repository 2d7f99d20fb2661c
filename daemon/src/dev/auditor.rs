//! Checking the log as an auditor does: its files alone, with the rules that `coffer audit verify` has too.
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use keystore_format::logcheck::{Files, Report, check};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Checks the log in `folder`; says what was checked, or names the first alteration.
pub(super) fn verify(folder: &Path) -> Result<String, String> {
    let signed = |key: &[u8; 32], text: &[u8], signature: &[u8]| {
        UnparsedPublicKey::new(&ED25519, key).verify(text, signature).is_ok()
    };
    let Report { logs, findings } =
        check(&mut Folder(folder), &[], signed).map_err(|error| error.to_string())?;
    if let Some(first) = findings.first() {
        return Err(format!("{} at byte {}: {}", first.file, first.offset, first.fault.message()));
    }
    let leaves: u64 = logs.iter().map(|log| log.leaves).sum();
    Ok(format!(
        "{leaves} leaves in {} logs, checked against tiles and signed checkpoints from the files alone: whole",
        logs.len()
    ))
}

/// A log's files below a folder.
struct Folder<'a>(&'a Path);

impl Files for Folder<'_> {
    type Error = io::Error;

    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(name) = path.strip_prefix(self.0).ok().and_then(Path::to_str) {
                    found.push(name.to_owned());
                }
            }
        }
        Ok(found)
    }

    fn read(&mut self, path: &str, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let file = File::open(self.0.join(path))?;
        let mut bytes = vec![0; limit];
        let mut filled = 0;
        while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
            match file.read_at(free, offset + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}
