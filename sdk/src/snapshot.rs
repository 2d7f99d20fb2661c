//! Backups as streams: sealed by the daemon, of any length, never in memory as a whole.
use crate::body::Outgoing;
use crate::client::Answer;
use crate::error::{Error, Result};
use crate::sys::{SealStatus, Sys};
use crate::transport::whole;
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

#[allow(clippy::missing_errors_doc, reason = "every call fails alike; see `Error`")]
impl Sys {
    /// Writes a snapshot of the whole store into `to`, and says how many bytes it has. What was written before an
    /// error is no snapshot.
    pub async fn save_snapshot(&self, mut to: impl AsyncWrite + Unpin) -> Result<u64> {
        let call = self.client.get("sys/storage/raft/snapshot").into_exchange();
        let answer = self.client.transport.stream(&call, Outgoing::Whole(None)).await?;
        if answer.status().as_u16() >= 400 {
            return match whole(answer).await?.accepted() {
                Err(error) => Err(error),
                Ok(_) => Err(Error::Unexpected("its status")),
            };
        }
        let mut incoming = answer.into_body();
        let mut total = 0;
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| Error::Interrupted(error.into()))?;
            if let Ok(data) = frame.into_data() {
                to.write_all(&data).await?;
                total += data.len() as u64;
            }
        }
        to.flush().await?;
        Ok(total)
    }

    /// Gives a new daemon, which was never initialised, a snapshot to restore. It answers with the seal whose
    /// shares open the snapshot; give them to [`Sys::unseal`], and the daemon checks the whole file before it
    /// writes anything.
    pub async fn restore_snapshot(&self, from: impl AsyncRead + Send + 'static) -> Result<SealStatus> {
        let node = self.client.with_namespace("")?;
        let call = node.post("sys/storage/raft/snapshot-restore").into_exchange();
        let answer = node.transport.stream(&call, Outgoing::Stream(Box::pin(from))).await?;
        Answer::from(whole(answer).await?).accepted()?.json()
    }
}
