//! Chunked encryption (C2SP chunked-encryption, instance Cobblestone-256: SHA-512 and AES-256-GCM).
//!
//! `salt[24] ‖ commitment[32] ‖ chunks`, each chunk 16 KiB of plaintext but the last, which is shorter and may
//! be empty. It commits to its key and context, which records do not; and it is read and written with one chunk
//! in memory. What a truncated stream gave before its end was noticed is authentic, but not the whole: act on
//! it only after `finish`.
use crate::error::{Fault, FormatError};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use alloc::vec::Vec;
use hkdf::Hkdf;
use sha2::Sha512;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of plaintext in every chunk but the last.
pub const CHUNK: usize = 16 * 1024;
/// Bytes of the tag of each chunk.
pub const TAG: usize = 16;
/// Bytes of the salt.
pub const SALT: usize = 24;
/// Bytes before the first chunk: salt and commitment.
pub const PREFIX: usize = SALT + 32;
/// Chunks of the longest message (4 PiB − 1 byte).
pub const MAX_CHUNKS: u64 = 1 << 38;

const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";

/// The length of a sealed message, in bytes; `None` beyond 4 PiB − 1.
#[must_use]
pub fn sealed_length(plain: u64) -> Option<u64> {
    let chunks = plain / CHUNK as u64 + 1;
    (chunks <= MAX_CHUNKS).then(|| plain + PREFIX as u64 + chunks * TAG as u64)
}

/// Seals a whole message. The salt is random and never used twice with the key.
///
/// # Errors
/// [`Fault::TooLong`] beyond 4 PiB − 1.
pub fn seal(key: &[u8; 32], salt: &[u8; SALT], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::with_capacity(plain.len() + PREFIX + (plain.len() / CHUNK + 1) * TAG);
    let mut sealer = Sealer::new(key, salt, context, &mut out);
    sealer.push(plain, &mut out)?;
    sealer.finish(&mut out)?;
    Ok(out)
}

/// Opens a whole message.
///
/// # Errors
/// As [`Opener::push`] and [`Opener::finish`].
pub fn open(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    // Never larger than the input, so that no plaintext is left behind by a growing buffer.
    let mut out = Zeroizing::new(Vec::with_capacity(sealed.len()));
    let mut opener = Opener::new(key, context);
    opener.push(sealed, &mut out)?;
    opener.finish(&mut out)?;
    Ok(out)
}

/// Seals a message that comes in pieces; holds one chunk.
pub struct Sealer {
    chunks: Chunks,
    buffer: Zeroizing<Vec<u8>>,
}

impl Sealer {
    /// Begins a message: appends salt and commitment to `out`.
    #[must_use]
    pub fn new(key: &[u8; 32], salt: &[u8; SALT], context: &[u8], out: &mut Vec<u8>) -> Self {
        let (chunks, commitment) = Chunks::derive(key, salt, context);
        out.extend_from_slice(salt);
        out.extend_from_slice(&commitment);
        Self { chunks, buffer: Zeroizing::new(Vec::with_capacity(CHUNK)) }
    }

    /// Takes plaintext and appends the chunks that it completes to `out`.
    ///
    /// # Errors
    /// [`Fault::TooLong`] beyond 4 PiB − 1.
    pub fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        while !plain.is_empty() {
            let (now, later) = plain.split_at(plain.len().min(CHUNK - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            plain = later;
            if self.buffer.len() == CHUNK {
                self.chunks.seal(&mut self.buffer, out)?;
            }
        }
        Ok(())
    }

    /// Ends the message: appends the last chunk, which is shorter than the others and may be empty.
    ///
    /// # Errors
    /// [`Fault::TooLong`] beyond 4 PiB − 1.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.chunks.seal(&mut self.buffer, out)
    }
}

/// Opens a message that comes in pieces; holds one chunk.
pub struct Opener {
    key: Zeroizing<[u8; 32]>,
    context: Vec<u8>,
    chunks: Option<Chunks>,
    buffer: Zeroizing<Vec<u8>>,
}

impl Opener {
    /// Waits for a message under this key and context.
    #[must_use]
    pub fn new(key: &[u8; 32], context: &[u8]) -> Self {
        Self {
            key: Zeroizing::new(*key),
            context: context.to_vec(),
            chunks: None,
            buffer: Zeroizing::new(Vec::with_capacity(CHUNK + TAG)),
        }
    }

    /// Takes bytes of the message and appends the plaintext of the chunks that they complete to `out`.
    ///
    /// # Errors
    /// `stream commitment` [`Fault::NotAuthentic`] under another key or context; `stream chunk`
    /// [`Fault::NotAuthentic`] for a chunk that was altered, moved or shortened; [`Fault::TooLong`] beyond 2^38
    /// chunks. Nothing is appended for the chunk in question, and the opener must be dropped.
    pub fn push(&mut self, mut sealed: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        while !sealed.is_empty() {
            let full = if self.chunks.is_some() { CHUNK + TAG } else { PREFIX };
            let (now, later) = sealed.split_at(sealed.len().min(full - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            sealed = later;
            if self.buffer.len() < full {
                continue;
            }
            match &mut self.chunks {
                Some(chunks) => chunks.open(&mut self.buffer, out)?,
                None => self.begin()?,
            }
        }
        Ok(())
    }

    /// Ends the message. Only after this is what came before known to be the whole of it.
    ///
    /// # Errors
    /// [`Fault::Truncated`] for `stream commitment`, or for `stream final chunk` where the message ends with a full
    /// chunk; `stream chunk` [`Fault::NotAuthentic`] where the last chunk was altered or cut.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let Some(chunks) = &mut self.chunks else {
            return Err(FormatError::new("stream commitment", self.buffer.len(), Fault::Truncated));
        };
        if self.buffer.len() < TAG {
            return Err(FormatError::new("stream final chunk", chunks.offset(), Fault::Truncated));
        }
        chunks.open(&mut self.buffer, out)
    }

    fn begin(&mut self) -> Result<(), FormatError> {
        let parts = self.buffer.split_first_chunk::<SALT>();
        let (salt, commitment) = parts.ok_or(FormatError::new("stream commitment", 0, Fault::Truncated))?;
        let (chunks, expected) = Chunks::derive(&self.key, salt, &self.context);
        if !bool::from(expected.as_slice().ct_eq(commitment)) {
            return Err(FormatError::new("stream commitment", SALT, Fault::NotAuthentic));
        }
        self.chunks = Some(chunks);
        self.buffer.clear();
        self.key.zeroize();
        Ok(())
    }
}

/// The message's own key, and the number of the next chunk.
struct Chunks {
    cipher: Aes256Gcm,
    base_nonce: [u8; 12],
    next: u64,
}

impl Chunks {
    fn derive(key: &[u8; 32], salt: &[u8; SALT], context: &[u8]) -> (Self, [u8; 32]) {
        let mut derived = Zeroizing::new([0; 32 + 12 + 32]);
        // The input key is the PRK. HKDF wants one as long as SHA-512's output; HMAC pads a key with zeroes to
        // its block anyway, so that zeroes change nothing.
        let mut prk = Zeroizing::new([0; 64]);
        prk.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        let expanded = Hkdf::<Sha512>::from_prk(&*prk)
            .map(|hkdf| hkdf.expand_multi_info(&[INFO, salt, context], &mut *derived));
        let Ok(Ok(())) = expanded else { unreachable!("64 bytes are a PRK, and 76 are two blocks") };
        let (message_key, rest) = derived.split_at(32);
        let (nonce, commitment) = rest.split_at(12);
        let base_nonce = core::array::from_fn(|i| nonce.get(i).copied().unwrap_or_default());
        let commitment = core::array::from_fn(|i| commitment.get(i).copied().unwrap_or_default());
        let Ok(cipher) = Aes256Gcm::new_from_slice(message_key) else { unreachable!("32 bytes are a key") };
        (Self { cipher, base_nonce, next: 0 }, commitment)
    }

    /// Seals the buffer's plaintext into `out`, and empties it.
    fn seal(&mut self, plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let nonce = self.nonce()?;
        let sealed = self.cipher.encrypt_inout_detached((&nonce).into(), &[], plain.as_mut_slice().into());
        // A chunk is far below the 64 GiB that AES-GCM takes.
        let tag = sealed.map_err(|_| FormatError::new("stream chunk", self.offset(), Fault::TooLong))?;
        out.extend_from_slice(plain);
        out.extend_from_slice(&tag);
        plain.clear();
        self.next += 1;
        Ok(())
    }

    /// Opens the buffer's ciphertext and tag into `out`, and empties it.
    fn open(&mut self, sealed: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let nonce = self.nonce()?;
        let altered = FormatError::new("stream chunk", self.offset(), Fault::NotAuthentic);
        let (body, tag) = sealed.split_last_chunk_mut::<TAG>().ok_or(altered)?;
        let opened =
            self.cipher.decrypt_inout_detached((&nonce).into(), &[], (&mut *body).into(), (&*tag).into());
        opened.map_err(|_| altered)?;
        out.extend_from_slice(body);
        sealed.clear();
        self.next += 1;
        Ok(())
    }

    fn nonce(&self) -> Result<[u8; 12], FormatError> {
        if self.next >= MAX_CHUNKS {
            return Err(FormatError::new("stream chunk", self.offset(), Fault::TooLong));
        }
        let mut nonce = self.base_nonce;
        let counter = self.next.to_be_bytes();
        nonce.iter_mut().rev().zip(counter.iter().rev()).for_each(|(byte, count)| *byte ^= count);
        Ok(nonce)
    }

    /// Where the next chunk begins in the message.
    fn offset(&self) -> usize {
        let offset = PREFIX as u64 + self.next * (CHUNK + TAG) as u64;
        usize::try_from(offset).unwrap_or(usize::MAX)
    }
}
