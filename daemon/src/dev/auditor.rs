//! Checking the log as an auditor does: on its files alone, as `coffer audit verify` does.
use coffer_sdk::offline::check_log;
use keystore_format::logcheck::Report;
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
