//! Signed notes (C2SP signed-note): text under Ed25519 signatures that names its keys.
//!
//! Signing and verifying come in as closures, so this crate holds no signature code and no private key.
use crate::error::{Fault, FormatError};
use alloc::{format, string::String, vec::Vec};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

/// The most signatures that a note may carry.
pub const MAX_SIGNATURES: usize = 16;
/// The largest note, in bytes: room for 16 post-quantum signatures.
pub const MAX_NOTE: usize = 128 * 1024;
/// The longest key name, in bytes.
pub const MAX_NAME: usize = 512;

const ED25519: u8 = 1;
const MARK: &str = "\u{2014} ";

/// An Ed25519 key that verifies notes, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

impl VerifierKey {
    /// Names a public key.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a name that is empty or has a space, a plus or a control character.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, FormatError> {
        check_name("key name", 0, name)?;
        Ok(Self { name: name.into(), public })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 32 bytes of the Ed25519 public key (RFC 8032).
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The first four bytes of `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)`.
    #[must_use]
    pub fn id(&self) -> u32 {
        let hash = Sha256::new().chain_update(&self.name).chain_update([b'\n', ED25519]);
        let digest: [u8; 32] = hash.chain_update(self.public).finalize().into();
        let [a, b, c, d, ..] = digest;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The vkey text: `name+hex(id)+base64(0x01 ‖ public key)`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut typed = [ED25519; 33];
        let (_, public) = typed.split_at_mut(1);
        public.copy_from_slice(&self.public);
        format!("{}+{:08x}+{}", self.name, self.id(), BASE64_STANDARD.encode(typed))
    }

    /// Reads a vkey text.
    ///
    /// # Errors
    /// `verifier key`, with [`Fault::UnknownAlgorithm`] for another signature type and [`Fault::NotAuthentic`] for
    /// an id that does not belong to name and key.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        const FIELD: &str = "verifier key";
        let invalid = |at| FormatError::new(FIELD, at, Fault::Invalid);
        let (name, rest) = text.split_once('+').ok_or(invalid(0))?;
        let (id, key) = rest.split_once('+').ok_or(invalid(name.len() + 1))?;
        let key_at = name.len() + id.len() + 2;
        let typed = BASE64_STANDARD.decode(key).map_err(|_| invalid(key_at))?;
        let public = match typed.split_first() {
            Some((&ED25519, public)) => public.try_into().map_err(|_| invalid(key_at))?,
            Some(_) => return Err(FormatError::new(FIELD, key_at, Fault::UnknownAlgorithm)),
            None => return Err(invalid(key_at)),
        };
        let key = Self::new(name, public)?;
        if format!("{:08x}", key.id()) != id {
            return Err(FormatError::new(FIELD, name.len() + 1, Fault::NotAuthentic));
        }
        Ok(key)
    }
}

/// One signature line. Its key may be of any kind; only [`Note::verify`] knows which ones matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub key_id: u32,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

/// A text, ending in a newline, with its signatures. Nothing in it is to be believed before
/// [`Self::verify`] said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// Signs a text: `sign` is given the text and answers with the Ed25519 signature.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a text that does not end in a newline or has control characters.
    pub fn sign(
        text: &str,
        key: &VerifierKey,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Self, FormatError> {
        check_text(text)?;
        let mut note = Self { text: text.into(), signatures: Vec::new() };
        note.add_signature(key, sign)?;
        Ok(note)
    }

    /// Adds one more signature over the same text.
    ///
    /// # Errors
    /// [`Fault::TooLong`] beyond [`MAX_SIGNATURES`].
    pub fn add_signature(
        &mut self,
        key: &VerifierKey,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<(), FormatError> {
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(FormatError::new("note signatures", self.text.len() + 1, Fault::TooLong));
        }
        let bytes = sign(self.text.as_bytes()).to_vec();
        self.signatures.push(Signature { name: key.name.clone(), key_id: key.id(), bytes });
        Ok(())
    }

    /// Reads a signed note. Says nothing yet about its signatures.
    ///
    /// # Errors
    /// `note`, `note text` or `note signature`, with the offset of the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > MAX_NOTE {
            return Err(FormatError::new("note", 0, Fault::TooLong));
        }
        let note = core::str::from_utf8(bytes)
            .map_err(|error| FormatError::new("note", error.valid_up_to(), Fault::Invalid))?;
        if let Some(at) = note.bytes().position(|byte| byte < 0x20 && byte != b'\n') {
            return Err(FormatError::new("note", at, Fault::Invalid));
        }
        // The last empty line parts text and signatures.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(FormatError::new(
            "note signatures",
            note.len(),
            Fault::Truncated,
        ))?;
        let mut at = text.len() + 2;
        let body = lines.strip_suffix('\n');
        let body = body.ok_or(FormatError::new("note signature", note.len(), Fault::Truncated))?;
        let mut signatures = Vec::new();
        for line in body.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(FormatError::new("note signatures", at, Fault::TooLong));
            }
            signatures.push(signature(line, at)?);
            at += line.len() + 1;
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The signed note as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("{}\n", self.text);
        for signature in &self.signatures {
            let mut bytes = signature.key_id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&signature.bytes);
            out += &format!("{MARK}{} {}\n", signature.name, BASE64_STANDARD.encode(bytes));
        }
        out
    }

    /// The text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in the note's order.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Demands a signature by this key: `verify` is given (public key, text, signature).
    ///
    /// # Errors
    /// `note signature` [`Fault::NotAuthentic`] where no signature is by this key, or one that is does not verify.
    pub fn verify(
        &self,
        key: &VerifierKey,
        mut verify: impl FnMut(&[u8; 32], &[u8], &[u8]) -> bool,
    ) -> Result<(), FormatError> {
        let id = key.id();
        let mut ours =
            self.signatures.iter().filter(|line| line.name == key.name && line.key_id == id).peekable();
        let present = ours.peek().is_some();
        if present && ours.all(|line| verify(&key.public, self.text.as_bytes(), &line.bytes)) {
            return Ok(());
        }
        Err(FormatError::new("note signature", self.text.len() + 1, Fault::NotAuthentic))
    }
}

fn signature(line: &str, at: usize) -> Result<Signature, FormatError> {
    const FIELD: &str = "note signature";
    let invalid = FormatError::new(FIELD, at, Fault::Invalid);
    let (name, encoded) = line.strip_prefix(MARK).and_then(|rest| rest.split_once(' ')).ok_or(invalid)?;
    check_name(FIELD, at, name)?;
    let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| invalid)?;
    match bytes.split_first_chunk::<4>() {
        Some((id, rest)) if !rest.is_empty() => {
            Ok(Signature { name: name.into(), key_id: u32::from_be_bytes(*id), bytes: rest.to_vec() })
        }
        _ => Err(FormatError::new(FIELD, at, Fault::Truncated)),
    }
}

fn check_name(field: &'static str, at: usize, name: &str) -> Result<(), FormatError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.len() > MAX_NAME {
        return Err(FormatError::new(field, at, Fault::TooLong));
    }
    if name.is_empty() || name.contains(bad) {
        return Err(FormatError::new(field, at, Fault::Invalid));
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), FormatError> {
    if let Some(at) = text.bytes().position(|byte| byte < 0x20 && byte != b'\n') {
        return Err(FormatError::new("note text", at, Fault::Invalid));
    }
    if !text.ends_with('\n') {
        return Err(FormatError::new("note text", text.len(), Fault::Truncated));
    }
    if text.len() > MAX_NOTE / 2 {
        return Err(FormatError::new("note text", 0, Fault::TooLong));
    }
    Ok(())
}
