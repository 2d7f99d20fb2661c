//! The keys that logs are checked with, and who vouches for them.
use super::folder;
use crate::files;
use crate::words::Failure;
use coffer_sdk::offline::LogFolder;
use keystore_format::logcheck::Files;
use keystore_format::note::{MAX_NAME, VerifierKey};
use std::path::Path;

/// Keys as the auditor gives them: a line each, or `@FILE`.
pub(super) fn given(texts: &[String]) -> Result<Vec<VerifierKey>, Failure> {
    let read = |text: &String| {
        let line = match text.strip_prefix('@') {
            Some(path) => files::text(Path::new(path))?.to_string(),
            None => text.clone(),
        };
        VerifierKey::parse(line.trim()).map_err(Failure::VerifierKey)
    };
    texts.iter().map(read).collect()
}

/// The keys that lie in a log's folder, which nobody vouches for.
pub(super) fn of_folder(dir: &Path) -> Result<Vec<VerifierKey>, Failure> {
    let mut folder = folder::open(dir)?;
    let mut keys = Vec::new();
    for path in folder.list()?.into_iter().filter(|path| path.ends_with("/vkey")) {
        keys.extend(at(&mut folder, &path)?);
    }
    Ok(keys)
}

/// The key in this file, where it is one.
pub(super) fn at(folder: &mut LogFolder, path: &str) -> Result<Option<VerifierKey>, Failure> {
    let bytes = folder.read(path, 0, MAX_NAME * 2)?;
    Ok(core::str::from_utf8(&bytes).ok().and_then(|text| VerifierKey::parse(text.trim()).ok()))
}
