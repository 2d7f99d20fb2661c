//! Looking at everything that an environment keeps, told while it is done.
use crate::body::Outgoing;
use crate::error::{Error, Result};
use crate::sys::Sys;
use crate::transport::whole;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

/// The longest line of the answer, in bytes: a record's whole path, and where it lies.
const MAX_LINE: usize = 64 << 10;

/// What is told on the way.
#[derive(Deserialize, Clone, Debug)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum FsckEvent {
    /// So many records were looked at, of about as many as there are.
    Progress {
        /// Looked at.
        checked: u64,
        /// In the index, with the directories that it counts.
        of: u64,
    },
    /// Something is not as it should be.
    Finding(FsckFinding),
    /// All was looked at.
    End(FsckEnd),
}

/// One thing that is not as it should be.
#[derive(Deserialize, Serialize, Clone, Debug)]
#[non_exhaustive]
pub struct FsckFinding {
    /// What: `altered`, `replayed`, `returned`, `removed`, `directory`, `index-altered`, `index-stray` or `copy-altered`.
    pub wrong: String,
    /// The environment.
    pub environment: String,
    /// The mount's path; `sys/` for what is the environment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// What the record is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The record's path in its mount, where its name opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The record's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Where it lies in the store, or the hash of that where only the index knows of it; in hexadecimal.
    pub store_key: String,
}

/// What it came to.
#[derive(Deserialize, Serialize, Clone, Debug)]
#[non_exhaustive]
pub struct FsckEnd {
    /// Which state was looked at.
    pub generation: u64,
    /// Records that are there.
    pub records: u64,
    /// Entries of the replay index: records, and directories.
    pub indexed: u64,
    /// Nodes of the replay index.
    pub nodes: u64,
    /// Findings.
    pub findings: u64,
}

#[allow(clippy::missing_errors_doc, reason = "every call fails alike; see `Error`")]
impl Sys {
    /// Has the daemon look at every record of the environment, and tells `told` what it finds while it goes on. Needs
    /// `sudo`. Reading costs the daemon time; it goes on serving.
    pub async fn fsck(&self, mut told: impl FnMut(FsckEvent)) -> Result<FsckEnd> {
        let call = self.client.get("sys/storage/fsck").into_exchange();
        let answer = self.client.transport.stream(&call, Outgoing::Whole(None)).await?;
        if answer.status().as_u16() >= 400 {
            return match whole(answer).await?.accepted() {
                Err(error) => Err(error),
                Ok(_) => Err(Error::Unexpected("its status")),
            };
        }
        let (mut incoming, mut line, mut end) = (answer.into_body(), Vec::new(), None);
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| Error::Interrupted(error.into()))?;
            let Ok(data) = frame.into_data() else { continue };
            for piece in data.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(piece);
                if line.len() > MAX_LINE {
                    return Err(Error::Unexpected("a line of it is too long"));
                }
                if line.last() == Some(&b'\n') {
                    match event(&line)? {
                        FsckEvent::End(summary) => end = Some(summary),
                        event => told(event),
                    }
                    line.clear();
                }
            }
        }
        end.filter(|_| line.is_empty()).ok_or(Error::Unexpected("its end is missing"))
    }
}

/// Reads one line of the answer.
pub(crate) fn event(line: &[u8]) -> Result<FsckEvent> {
    serde_json::from_slice(line).map_err(|_| Error::Unexpected("a line of it"))
}
