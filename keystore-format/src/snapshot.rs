//! The backup file: the whole store in one authenticated stream, and what is needed to open it elsewhere.
//!
//! The header is in clear and carries the seal record, so that shares open the file where no store exists. The
//! body is a [`crate::stream`] under a key of this file alone, with the header as context: a foreign, cut or
//! altered file is found by reading it once ([`Decoder`] with a sink that does nothing) before the first write.
//! Memory is one chunk and one record, however long the file.
use crate::error::{Fault, FormatError};
use crate::ids::{EnvironmentId, StoreId};
use crate::kdf::{Context, derive};
use crate::reader::Reader;
use crate::stream::{self, SALT};
use alloc::vec::Vec;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The longest seal record in a header, in bytes.
pub const MAX_SEAL: usize = 64 * 1024;
/// The longest header, in bytes: with so many bytes of a file its header can be read.
pub const MAX_HEADER: usize = FIXED + MAX_SEAL;
/// The longest store key, in bytes.
pub const MAX_KEY: usize = u16::MAX as usize;
/// The longest value, in bytes.
pub const MAX_VALUE: usize = 64 * 1024 * 1024;

const MAGIC: [u8; 8] = *b"CofSnap\n";
const VERSION: u8 = 1;
const COBBLESTONE_256: u8 = 1;
const FIXED: usize = 150;
const LABEL: &[u8] = b"coffer/v1/snapshot\0";
const RECORD: u8 = 1;
const END: u8 = 0;
const TRAILER: usize = 40;

/// What a backup is of. Read in clear, believed only when the file opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store.
    pub store: StoreId,
    /// The root environment, whose root key opens the file.
    pub environment: EnvironmentId,
    /// That root key's public id.
    pub root_id: [u8; 32],
    /// When it was made: milliseconds since 1970-01-01T00:00:00Z.
    pub created_ms: u64,
    /// The store's generation.
    pub generation: u64,
    /// The incarnation of the logs.
    pub incarnation: [u8; 16],
    /// How many records follow.
    pub records: u64,
    /// 32 random bytes, of this file alone.
    pub nonce: [u8; 32],
    /// The seal record of the root environment, as it is stored.
    pub seal: Vec<u8>,
}

impl Header {
    /// The header's bytes.
    ///
    /// # Errors
    /// `snapshot seal` [`Fault::TooLong`] beyond [`MAX_SEAL`].
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        if self.seal.len() > MAX_SEAL {
            return Err(FormatError::new("snapshot seal", FIXED - 4, Fault::TooLong));
        }
        let mut out = Vec::with_capacity(FIXED + self.seal.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, COBBLESTONE_256]);
        out.extend_from_slice(&self.store.0);
        out.extend_from_slice(&self.environment.0);
        out.extend_from_slice(&self.root_id);
        out.extend_from_slice(&self.created_ms.to_be_bytes());
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.incarnation);
        out.extend_from_slice(&self.records.to_be_bytes());
        out.extend_from_slice(&self.nonce);
        // At most 64 KiB.
        out.extend_from_slice(&(self.seal.len() as u32).to_be_bytes());
        out.extend_from_slice(&self.seal);
        Ok(out)
    }

    /// Reads the header at the beginning of a file, and says how many bytes it takes.
    ///
    /// # Errors
    /// `snapshot …`; [`Fault::Truncated`] asks for more bytes, up to [`MAX_HEADER`].
    pub fn parse(file: &[u8]) -> Result<(Self, usize), FormatError> {
        let mut input = Reader::new(file);
        input.literal(&MAGIC, "snapshot magic", Fault::Invalid)?;
        input.literal(&[VERSION], "snapshot version", Fault::UnknownVersion)?;
        input.literal(&[COBBLESTONE_256], "snapshot algorithm", Fault::UnknownAlgorithm)?;
        let store = StoreId(*input.array("snapshot store")?);
        let environment = EnvironmentId(*input.array("snapshot environment")?);
        let root_id = *input.array("snapshot root id")?;
        let created_ms = input.u64("snapshot created")?;
        let generation = input.u64("snapshot generation")?;
        let incarnation = *input.array("snapshot incarnation")?;
        let records = input.u64("snapshot records")?;
        let nonce = *input.array("snapshot nonce")?;
        let too_long = input.fault("snapshot seal", Fault::TooLong);
        let length = input.u32("snapshot seal")?;
        if length as usize > MAX_SEAL {
            return Err(too_long);
        }
        let seal = input.take(length.into(), "snapshot seal")?.to_vec();
        let header =
            Self { store, environment, root_id, created_ms, generation, incarnation, records, nonce, seal };
        Ok((header, input.offset()))
    }

    /// The key of this file: `KDF(R, "snapshot", ctx ‖ nonce)`.
    #[must_use]
    pub fn file_key(&self, root_key: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        let context = Context { store: self.store, environment: self.environment };
        derive(root_key, "snapshot", &[&context.bytes(), &self.nonce])
    }
}

/// What a file held, in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many records.
    pub records: u64,
    /// SHA-256 over all of them. Equal in the pass that verifies and the pass that restores.
    pub digest: [u8; 32],
}

/// Writes a backup, piece by piece.
pub struct Encoder {
    sealer: stream::Sealer,
    hash: Sha256,
    expected: u64,
    written: u64,
}

impl Encoder {
    /// Begins a file: appends the header to `out`. The salt is random.
    ///
    /// # Errors
    /// As [`Header::encode`].
    pub fn new(
        header: &Header,
        root_key: &[u8; 32],
        salt: &[u8; SALT],
        out: &mut Vec<u8>,
    ) -> Result<Self, FormatError> {
        let bytes = header.encode()?;
        out.extend_from_slice(&bytes);
        let context = [LABEL, &bytes].concat();
        let sealer = stream::Sealer::new(&header.file_key(root_key), salt, &context, out);
        Ok(Self { sealer, hash: Sha256::new(), expected: header.records, written: 0 })
    }

    /// Adds one record; appends to `out` what is complete.
    ///
    /// # Errors
    /// [`Fault::TooLong`] for a key beyond [`MAX_KEY`] or a value beyond [`MAX_VALUE`].
    pub fn record(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let too_long = |field| FormatError::new(field, 0, Fault::TooLong);
        let key_length = u16::try_from(key.len()).map_err(|_| too_long("snapshot record key"))?;
        if value.len() > MAX_VALUE {
            return Err(too_long("snapshot record value"));
        }
        let [k0, k1] = key_length.to_be_bytes();
        // At most 64 MiB.
        let [v0, v1, v2, v3] = (value.len() as u32).to_be_bytes();
        for piece in [&[RECORD, k0, k1, v0, v1, v2, v3], key, value] {
            self.hash.update(piece);
            self.sealer.push(piece, out)?;
        }
        self.written += 1;
        Ok(())
    }

    /// Ends the file: count and digest, then the last chunk.
    ///
    /// # Errors
    /// `snapshot records` [`Fault::Invalid`] when another number was written than the header says.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Summary, FormatError> {
        if self.written != self.expected {
            return Err(FormatError::new("snapshot records", 0, Fault::Invalid));
        }
        let digest: [u8; 32] = self.hash.finalize().into();
        self.sealer.push(&[END], out)?;
        self.sealer.push(&self.written.to_be_bytes(), out)?;
        self.sealer.push(&digest, out)?;
        self.sealer.finish(out)?;
        Ok(Summary { records: self.written, digest })
    }
}

/// Reads a backup, piece by piece, from the end of its header on.
pub struct Decoder {
    opener: stream::Opener,
    body: Body,
    /// Where the body begins in the file.
    start: usize,
    plain: Zeroizing<Vec<u8>>,
}

impl Decoder {
    /// Waits for the body of the file with this header. `header` is its bytes as they came, as long as
    /// [`Header::parse`] said.
    ///
    /// # Errors
    /// As [`Header::parse`].
    pub fn new(header: &[u8], root_key: &[u8; 32]) -> Result<Self, FormatError> {
        let (parsed, length) = Header::parse(header)?;
        if length != header.len() {
            return Err(FormatError::new("snapshot header", length, Fault::TrailingBytes));
        }
        let context = [LABEL, header].concat();
        let opener = stream::Opener::new(&parsed.file_key(root_key), &context);
        let body = Body {
            pending: Zeroizing::new(Vec::new()),
            hash: Sha256::new(),
            expected: parsed.records,
            seen: 0,
            offset: 0,
            digest: None,
        };
        Ok(Self { opener, body, start: length, plain: Zeroizing::new(Vec::with_capacity(stream::CHUNK)) })
    }

    /// Takes bytes of the body and gives `sink` each record that they complete, as (key, value).
    ///
    /// # Errors
    /// `stream …` for bytes that are not authentic, with their offset in the file; `snapshot …` for a body that
    /// does not hold what its header says, with its offset in the opened body; whatever `sink` answers. The reader must then be dropped.
    pub fn push<E: From<FormatError>>(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // Pieces no longer than a chunk, so that at most two chunks are open at a time.
        for piece in bytes.chunks(stream::CHUNK) {
            let pushed = self.opener.push(piece, &mut self.plain);
            pushed.map_err(|error| shifted(error, self.start))?;
            self.body.take(&self.plain, &mut sink)?;
            self.plain.clear();
        }
        Ok(())
    }

    /// Ends the file. Only now is it known to be whole.
    ///
    /// # Errors
    /// As [`Self::push`]; [`Fault::Truncated`] where the file ends too early.
    pub fn finish<E: From<FormatError>>(
        mut self,
        mut sink: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<Summary, E> {
        let finished = self.opener.finish(&mut self.plain);
        finished.map_err(|error| shifted(error, self.start))?;
        self.body.take(&self.plain, &mut sink)?;
        Ok(self.body.finish()?)
    }
}

/// The opened body: records, then the end.
struct Body {
    /// The beginning of a record that is not complete yet.
    pending: Zeroizing<Vec<u8>>,
    hash: Sha256,
    expected: u64,
    seen: u64,
    /// Offset of `pending` in the body.
    offset: u64,
    digest: Option<[u8; 32]>,
}

impl Body {
    fn take<E: From<FormatError>>(
        &mut self,
        mut plain: &[u8],
        sink: &mut impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !plain.is_empty() {
            if self.digest.is_some() {
                return Err(self.fault("snapshot body", Fault::TrailingBytes).into());
            }
            let wanted = self.wanted()?;
            let (now, later) = plain.split_at(plain.len().min(wanted - self.pending.len()));
            self.pending.extend_from_slice(now);
            plain = later;
            if self.pending.len() == self.wanted()? {
                self.complete(sink)?;
            }
        }
        Ok(())
    }

    /// How long the pending item is, as far as its bytes say yet; always more than is there, or the whole.
    fn wanted(&self) -> Result<usize, FormatError> {
        match self.pending.as_slice() {
            [] => Ok(1),
            [END, ..] => Ok(1 + TRAILER),
            [RECORD, k0, k1, v0, v1, v2, v3, ..] => {
                let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]) as usize;
                if value > MAX_VALUE {
                    return Err(self.fault("snapshot record value", Fault::TooLong));
                }
                Ok(7 + usize::from(u16::from_be_bytes([*k0, *k1])) + value)
            }
            [RECORD, ..] => Ok(7),
            _ => Err(self.fault("snapshot record", Fault::Invalid)),
        }
    }

    fn complete<E: From<FormatError>>(
        &mut self,
        sink: &mut impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.pending.as_slice() {
            [RECORD, k0, k1, _, _, _, _, rest @ ..] => {
                let key_length = usize::from(u16::from_be_bytes([*k0, *k1]));
                let (key, value) = rest.split_at_checked(key_length).unwrap_or_default();
                self.hash.update(&*self.pending);
                self.seen += 1;
                sink(key, value)?;
            }
            [END, rest @ ..] => {
                let (count, digest) = rest.split_at_checked(8).unwrap_or_default();
                if self.seen != self.expected || count != self.seen.to_be_bytes() {
                    return Err(self.fault("snapshot records", Fault::Invalid).into());
                }
                let computed: [u8; 32] = self.hash.clone().finalize().into();
                if digest != computed {
                    return Err(self.fault("snapshot digest", Fault::NotAuthentic).into());
                }
                self.digest = Some(computed);
            }
            _ => return Err(self.fault("snapshot record", Fault::Invalid).into()),
        }
        self.offset += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn finish(self) -> Result<Summary, FormatError> {
        let truncated = self.fault("snapshot body", Fault::Truncated);
        self.digest.map(|digest| Summary { records: self.seen, digest }).ok_or(truncated)
    }

    fn fault(&self, field: &'static str, fault: Fault) -> FormatError {
        FormatError::new(field, usize::try_from(self.offset).unwrap_or(usize::MAX), fault)
    }
}

fn shifted(error: FormatError, by: usize) -> FormatError {
    FormatError { offset: error.offset.saturating_add(by), ..error }
}
