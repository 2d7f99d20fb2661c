//! The message that a client seals by itself under a data key, which the daemon wrapped and never stores.
//!
//! A header says in clear who can unwrap the key: environment, transit mount, key name and the wrapped data
//! key. The payload is a [`crate::stream`] that takes the header as context, so neither can be exchanged.
use crate::error::{Fault, FormatError};
use crate::reader::Reader;
use crate::stream::{self, SALT};
use alloc::{string::String, vec::Vec};
use zeroize::Zeroizing;

/// The longest environment path, mount path and key name, in bytes.
pub const MAX_NAME: usize = 1024;
/// The longest wrapped data key, in bytes.
pub const MAX_WRAPPED: usize = 4096;
/// The longest header, in bytes: with so many bytes of a message its header can be read.
pub const MAX_HEADER: usize = 6 + 4 * 2 + 3 * MAX_NAME + MAX_WRAPPED;

const MAGIC: [u8; 4] = *b"CoEv";
const VERSION: u8 = 1;
const COBBLESTONE_256: u8 = 1;
const LABEL: &[u8] = b"coffer/v1/envelope\0";

/// Who can unwrap the data key of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The environment's path, such as `acme/prod`; empty for root.
    pub environment: String,
    /// The transit mount's path.
    pub mount: String,
    /// The transit key's name.
    pub key: String,
    /// The wrapped data key, as the daemon gave it: `vault:vN:…`.
    pub wrapped: String,
}

impl Header {
    /// `magic[4] ‖ version ‖ alg`, then the four texts, each after its length as u16.
    ///
    /// # Errors
    /// [`Fault::TooLong`] for a text beyond its limit.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, COBBLESTONE_256]);
        for (text, (field, limit)) in
            [&self.environment, &self.mount, &self.key, &self.wrapped].into_iter().zip(TEXTS)
        {
            if text.len() > limit {
                return Err(FormatError::new(field, out.len(), Fault::TooLong));
            }
            // At most 4,096.
            out.extend_from_slice(&(text.len() as u16).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Ok(out)
    }

    /// Reads the header at the beginning of a message, and says how many bytes it takes. It is authentic only
    /// when the message opens.
    ///
    /// # Errors
    /// `envelope …`; [`Fault::Truncated`] asks for more bytes, up to [`MAX_HEADER`].
    pub fn parse(message: &[u8]) -> Result<(Self, usize), FormatError> {
        let mut input = Reader::new(message);
        input.literal(&MAGIC, "envelope magic", Fault::Invalid)?;
        input.literal(&[VERSION], "envelope version", Fault::UnknownVersion)?;
        input.literal(&[COBBLESTONE_256], "envelope algorithm", Fault::UnknownAlgorithm)?;
        let mut texts = [const { String::new() }; 4];
        for (slot, (field, limit)) in texts.iter_mut().zip(TEXTS) {
            *slot = text(&mut input, field, limit)?;
        }
        let [environment, mount, key, wrapped] = texts;
        Ok((Self { environment, mount, key, wrapped }, input.offset()))
    }
}

/// Seals a whole message under a data key. `associated` is what the reader must also know, and may be empty;
/// the salt is random and never used twice with the key.
///
/// # Errors
/// As [`Header::encode`]; [`Fault::TooLong`] beyond 4 PiB − 1.
pub fn seal(
    header: &Header,
    data_key: &[u8; 32],
    salt: &[u8; SALT],
    associated: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, FormatError> {
    let mut message = header.encode()?;
    let context = context(&message, associated);
    message.extend(stream::seal(data_key, salt, &context, plain)?);
    Ok(message)
}

/// Opens a whole message whose data key was unwrapped.
///
/// # Errors
/// As [`Header::parse`] and [`stream::open`], with offsets in the message.
pub fn open(
    message: &[u8],
    data_key: &[u8; 32],
    associated: &[u8],
) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let (_, at) = Header::parse(message)?;
    let (header, sealed) = message.split_at_checked(at).unwrap_or_default();
    stream::open(data_key, &context(header, associated), sealed).map_err(|error| shifted(error, at))
}

/// Begins a message that is sealed in pieces: appends header, salt and commitment to `out`.
///
/// # Errors
/// As [`Header::encode`].
pub fn sealer(
    header: &Header,
    data_key: &[u8; 32],
    salt: &[u8; SALT],
    associated: &[u8],
    out: &mut Vec<u8>,
) -> Result<stream::Sealer, FormatError> {
    let header = header.encode()?;
    out.extend_from_slice(&header);
    Ok(stream::Sealer::new(data_key, salt, &context(&header, associated), out))
}

/// Opens a message in pieces: give it what follows the header. `header` is the header's bytes as they came, as
/// long as [`Header::parse`] said; the opener's offsets count from its end.
#[must_use]
pub fn opener(header: &[u8], data_key: &[u8; 32], associated: &[u8]) -> stream::Opener {
    stream::Opener::new(data_key, &context(header, associated))
}

const TEXTS: [(&str, usize); 4] = [
    ("envelope environment", MAX_NAME),
    ("envelope mount", MAX_NAME),
    ("envelope key", MAX_NAME),
    ("envelope wrapped key", MAX_WRAPPED),
];

/// The header ends itself, so what follows it needs no length.
fn context(header: &[u8], associated: &[u8]) -> Vec<u8> {
    [LABEL, header, associated].concat()
}

fn text(input: &mut Reader<'_>, field: &'static str, limit: usize) -> Result<String, FormatError> {
    let [too_long, invalid] = [Fault::TooLong, Fault::Invalid].map(|fault| input.fault(field, fault));
    let length = input.u16(field)?;
    if usize::from(length) > limit {
        return Err(too_long);
    }
    let text = core::str::from_utf8(input.take(length.into(), field)?);
    text.map(String::from).map_err(|_| invalid)
}

fn shifted(error: FormatError, by: usize) -> FormatError {
    FormatError { offset: error.offset.saturating_add(by), ..error }
}
