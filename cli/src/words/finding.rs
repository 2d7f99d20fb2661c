//! What an alteration of the audit log means, for somebody who must decide what to do about it.
use keystore_format::logcheck::{Finding, LogFault};

/// Where it is: file, offset, and the leaf where that is known.
pub(crate) fn place(finding: &Finding) -> String {
    let mut place = format!("{} at byte {}", finding.file, finding.offset);
    if let Some(index) = finding.index {
        place += &format!(", leaf {index}");
    }
    // A file of the log's own folder says so already.
    if let Some((environment, _)) = finding.log.filter(|log| !finding.file.starts_with(&log.0.to_string())) {
        place += &format!(" of environment {environment}");
    }
    place
}

/// What it means.
pub(crate) const fn meaning(fault: &LogFault) -> &'static str {
    match fault {
        LogFault::Frame(_) | LogFault::Leaf(_) | LogFault::LeafId => {
            "Somebody or something changed the journal here; what follows in it can't be read. Where the daemon is running, a frame that is just being written can look so at the very end: check again."
        }
        LogFault::Openings => {
            "The log still proves what was done, but what stands sealed beside this leaf was changed: its fields can't be disclosed."
        }
        LogFault::MissingSegment | LogFault::MissingLeaf => {
            "Part of the record was removed. The checkpoint proves that it was there."
        }
        LogFault::AlteredLeaf => "The record of a request was replaced by another after it was signed.",
        LogFault::Beginning | LogFault::Fork => {
            "The log was exchanged for another, or one incarnation does not go on from the one before: records between them may be missing."
        }
        LogFault::Order | LogFault::Round => {
            "Records of different environments were moved, removed or added after the node saw them."
        }
        LogFault::AlteredTile | LogFault::MissingTile => {
            "The journal holds, but a file made from it was changed or is missing: proofs that are served from it fail."
        }
        LogFault::Checkpoint(_) | LogFault::MissingCheckpoint => {
            "Without its signed checkpoint, nothing proves the leaves of this log but their own checksums."
        }
        LogFault::Key(_) | LogFault::OtherKey => {
            "The log is signed by a key that is not the one you know: all of it may have been written anew."
        }
        LogFault::UnknownFile => {
            "Somebody put a file here that the daemon does not write. The log itself may be whole."
        }
    }
}
