//! A log's folder as the checker reads it.
use crate::words::Failure;
use coffer_sdk::offline::{LogFolder, MayHaveMoved, Unreadable};
use keystore_format::logcheck::{Files, JOURNAL};
use std::path::Path;

/// A folder that holds a log, or what is left of one.
pub(super) fn open(base: &Path) -> Result<LogFolder, Failure> {
    let mut folder = LogFolder::open(base);
    let is_evidence =
        |path: &String| path.starts_with(&format!("{JOURNAL}/")) || path.ends_with("/checkpoint");
    if folder.list()?.iter().any(is_evidence) {
        Ok(folder)
    } else {
        Err(Failure::NoAuditLog(base.to_owned()))
    }
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        Self::file(&unreadable.path, unreadable.error)
    }
}

impl MayHaveMoved for Failure {
    fn may_have_moved(&self) -> bool {
        self.is_missing_file()
    }
}
