//! Checking the log as an auditor does: on its files alone, as `coffer audit verify` does.
use coffer_sdk::offline::{LogFolder, check_log};
use keystore_format::ids::EnvironmentId;
use keystore_format::logcheck::{self, Report};
use std::path::Path;

/// Checks the log in `folder`; says what was checked, or names the first alteration.
pub(super) fn verify(folder: &Path) -> Result<String, String> {
    let Report { logs, findings } = check_log(folder, &[])
        .map_err(|unreadable| format!("{}: {}", unreadable.path.display(), unreadable.error))?;
    if let Some(first) = findings.first() {
        return Err(format!("{} at byte {}: {}", first.file, first.offset, first.fault.message()));
    }
    let leaves: u64 = logs.iter().map(|log| log.leaves).sum();
    Ok(format!(
        "{leaves} leaves in {} logs, checked against tiles and signed checkpoints from the files alone: whole",
        logs.len()
    ))
}

/// The index of the newest leaf that records a refusal (403) in the log of the environment with this id, in hex.
pub(super) fn last_refusal(folder: &Path, environment: &str) -> Result<Option<u64>, String> {
    let environment = logcheck::unhex(environment).map(EnvironmentId).ok_or("that is no environment's id")?;
    let mut last = None;
    logcheck::frames(&mut LogFolder::open(folder), |log, index, _, leaf| {
        if log.0 == environment && leaf.status == 403 {
            last = Some(index);
        }
    })
    .map_err(|unreadable| format!("{}: {}", unreadable.path.display(), unreadable.error))?;
    Ok(last)
}
