//! Envelope encryption: the bytes stay here, and only their key travels to the daemon.
//!
//! Each message has a data key of its own, which the transit key wraps and the message carries; the message is
//! sealed locally, in the format of `keystore_format::envelope`. An envelope opens only messages that name its
//! own environment, mount and key: the header is in clear, and following it would let whoever wrote the message
//! choose the key.
use crate::client::Client;
use crate::error::{Error, Result};
use crate::secret::{Secret, random};
use crate::transit::Transit;
use keystore_format::envelope::{self, Header, MAX_HEADER};
use keystore_format::error::Fault;
use keystore_format::stream::CHUNK;
use std::path::{Path, PathBuf};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// Seals and opens messages under one transit key.
#[derive(Clone)]
pub struct Envelope {
    transit: Transit,
    environment: String,
    mount: String,
    key: String,
}

const PIECE: usize = 64 * 1024;

impl Client {
    /// Seals and opens messages under this key of the transit mount at this path.
    #[must_use]
    pub fn envelope(&self, mount: &str, key: &str) -> Envelope {
        Envelope {
            transit: self.transit(mount),
            environment: self.namespace().to_lowercase(),
            mount: mount.trim_matches('/').to_owned(),
            key: key.to_owned(),
        }
    }
}

impl Envelope {
    /// Seals a message under a data key of its own. `context` is not in it, and opening needs the same again.
    ///
    /// # Errors
    /// As [`Transit::data_key`]; [`Error::NoRandomness`].
    pub async fn seal(&self, plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>> {
        let (header, data_key) = self.fresh().await?;
        Ok(envelope::seal(&header, data_key.expose(), &*random()?, context, plaintext)?)
    }

    /// Opens a message.
    ///
    /// # Errors
    /// [`Error::OtherKey`] for a message of another key, [`Error::Format`] for one that is damaged or sealed in another
    /// context; as [`Transit::unwrap_data_key`].
    pub async fn open(&self, message: &[u8], context: &[u8]) -> Result<Secret<Vec<u8>>> {
        let (header, _) = Header::parse(message)?;
        let data_key = self.unwrap(&header).await?;
        Ok(envelope::open(message, data_key.expose(), context)?.into())
    }

    /// Seals all that `from` gives into `to`, with little memory, and says how many bytes it read.
    ///
    /// # Errors
    /// As [`Envelope::seal`]; [`Error::Io`]. What was written by then is no message.
    pub async fn seal_stream(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        context: &[u8],
    ) -> Result<u64> {
        let (header, data_key) = self.fresh().await?;
        let mut out = Vec::with_capacity(PIECE + 2 * CHUNK);
        let mut sealer = envelope::sealer(&header, data_key.expose(), &*random()?, context, &mut out)?;
        let mut piece = Zeroizing::new(vec![0; PIECE]);
        let mut total = 0;
        loop {
            let length = from.read(&mut piece).await?;
            if length == 0 {
                break;
            }
            total += length as u64;
            sealer.push(piece.get(..length).unwrap_or_default(), &mut out)?;
            to.write_all(&out).await?;
            out.clear();
        }
        sealer.finish(&mut out)?;
        to.write_all(&out).await?;
        to.flush().await?;
        Ok(total)
    }

    /// Opens the message that `from` gives into `to`, with little memory, and says how many bytes it wrote.
    ///
    /// What is written before the end is authentic, but not known to be the whole: on an error throw it away, or
    /// use [`Envelope::open_file`], which does.
    ///
    /// # Errors
    /// As [`Envelope::open`]; [`Error::Io`].
    pub async fn open_stream(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        context: &[u8],
    ) -> Result<u64> {
        let (header, head, rest) = read_header(&mut from).await?;
        let data_key = self.unwrap(&header).await?;
        let mut opener = envelope::opener(&head, data_key.expose(), context);
        // Large enough never to grow, so that no copy of plaintext is left behind.
        let mut out = Zeroizing::new(Vec::with_capacity(PIECE + MAX_HEADER + 2 * CHUNK));
        let mut total = 0;
        let mut piece = vec![0; PIECE];
        opener.push(&rest, &mut out)?;
        loop {
            total += out.len() as u64;
            to.write_all(&out).await?;
            out.clear();
            let length = from.read(&mut piece).await?;
            if length == 0 {
                break;
            }
            opener.push(piece.get(..length).unwrap_or_default(), &mut out)?;
        }
        opener.finish(&mut out)?;
        total += out.len() as u64;
        to.write_all(&out).await?;
        to.flush().await?;
        Ok(total)
    }

    /// Seals the file `from` as the file `to`, which appears when it is whole.
    ///
    /// # Errors
    /// As [`Envelope::seal_stream`].
    pub async fn seal_file(&self, from: &Path, to: &Path, context: &[u8]) -> Result<u64> {
        let source = File::open(from).await?;
        let mut part = Part::create(to).await?;
        let sealed = self.seal_stream(source, &mut part.file, context).await;
        part.end(sealed, to).await
    }

    /// Opens the sealed file `from` as the file `to`, which appears when all of it was found authentic and which
    /// only its owner may read.
    ///
    /// # Errors
    /// As [`Envelope::open_stream`].
    pub async fn open_file(&self, from: &Path, to: &Path, context: &[u8]) -> Result<u64> {
        let source = File::open(from).await?;
        let mut part = Part::create(to).await?;
        let opened = self.open_stream(source, &mut part.file, context).await;
        part.end(opened, to).await
    }

    async fn fresh(&self) -> Result<(Header, Secret<[u8; 32]>)> {
        let data_key = self.transit.data_key(&self.key).await?;
        let header = Header {
            environment: self.environment.clone(),
            mount: self.mount.clone(),
            key: self.key.clone(),
            wrapped: data_key.wrapped,
        };
        Ok((header, data_key.plain))
    }

    async fn unwrap(&self, header: &Header) -> Result<Secret<[u8; 32]>> {
        if (&header.environment, &header.mount, &header.key) != (&self.environment, &self.mount, &self.key) {
            return Err(Error::OtherKey {
                environment: header.environment.clone(),
                mount: header.mount.clone(),
                key: header.key.clone(),
            });
        }
        self.transit.unwrap_data_key(&self.key, &header.wrapped).await
    }
}

/// The header, its bytes, and what of the message was read beyond it.
async fn read_header(from: &mut (impl AsyncRead + Unpin)) -> Result<(Header, Vec<u8>, Vec<u8>)> {
    let mut read = Vec::with_capacity(MAX_HEADER);
    loop {
        let had = read.len();
        (&mut *from).take((MAX_HEADER - had) as u64).read_buf(&mut read).await?;
        match Header::parse(&read) {
            Ok((header, at)) => {
                let rest = read.split_off(at);
                return Ok((header, read, rest));
            }
            Err(error) if error.fault == Fault::Truncated && read.len() > had => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A file in the making, beside the place where it will appear.
struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    async fn create(target: &Path) -> Result<Self> {
        let suffix = u64::from_be_bytes(*random()?);
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{suffix:016x}.part"));
        let path = target.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        Ok(Self { file: options.open(&path).await?, path })
    }

    /// Puts the file in its place, or removes it.
    async fn end(self, outcome: Result<u64>, target: &Path) -> Result<u64> {
        let placed = async {
            let total = outcome?;
            self.file.sync_all().await?;
            tokio::fs::rename(&self.path, target).await?;
            Ok(total)
        };
        let result = placed.await;
        if result.is_err() {
            // The first error is the one to tell; what can't be removed carries no name that anyone reads.
            let _ = tokio::fs::remove_file(&self.path).await;
        }
        result
    }
}
