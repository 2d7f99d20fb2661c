//! A disclosure file: one field of one leaf, opened for an auditor, with the proof that the log holds it.
//!
//! A text file that ends in a C2SP tlog-proof, so that its second half can be checked by foreign tools. It opens
//! its own field only: the field's salt says nothing about the other salts of the leaf.
use crate::checkpoint::{Checkpoint, LogProof, line};
use crate::error::{Fault, FormatError};
use crate::leaf::{self, Leaf, MAX_LEAF, commitment};
use crate::mac;
use crate::note::VerifierKey;
use alloc::{format, string::String, vec::Vec};
use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

const HEADER: &str = "coffer disclosure v1";
/// The largest disclosure file, in bytes.
pub const MAX_DISCLOSURE: usize = 256 * 1024;

/// One field of one leaf, and why to believe it.
pub struct Disclosure {
    /// The field's name.
    pub field: String,
    /// Its value.
    pub value: Zeroizing<Vec<u8>>,
    /// The field's own salt, [`leaf::field_salt`]; not the leaf's.
    pub field_salt: Zeroizing<[u8; 32]>,
    /// The leaf's stored bytes.
    pub leaf: Vec<u8>,
    /// The leaf's place in the log.
    pub proof: LogProof,
}

impl Disclosure {
    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let [value, salt, leaf] =
            [&*self.value, self.field_salt.as_slice(), &self.leaf].map(|bytes| BASE64_STANDARD.encode(bytes));
        let proof = self.proof.to_text();
        format!("{HEADER}\nfield {}\nvalue {value}\nsalt {salt}\nleaf {leaf}\n\n{proof}", self.field)
    }

    /// Reads the text of a file. Says nothing yet about its truth.
    ///
    /// # Errors
    /// `disclosure …`, or as [`LogProof::parse`].
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if text.len() > MAX_DISCLOSURE {
            return Err(FormatError::new("disclosure", 0, Fault::TooLong));
        }
        let (header, rest) = line(text, 0, "disclosure header")?;
        if header != HEADER {
            return Err(FormatError::new("disclosure header", 0, Fault::UnknownVersion));
        }
        let mut at = header.len() + 1;
        let (field, rest) = entry(rest, &mut at, "disclosure field", "field ")?;
        let (value, rest) = entry(rest, &mut at, "disclosure value", "value ")?;
        let value_bytes = Zeroizing::new(decode(value, at, "disclosure value")?);
        let (salt, rest) = entry(rest, &mut at, "disclosure salt", "salt ")?;
        let salt_bytes = Zeroizing::new(decode(salt, at, "disclosure salt")?);
        let field_salt = salt_bytes.as_slice().try_into();
        let field_salt = field_salt.map_err(|_| FormatError::new("disclosure salt", at, Fault::Invalid))?;
        let (leaf, rest) = entry(rest, &mut at, "disclosure leaf", "leaf ")?;
        let leaf = decode(leaf, at, "disclosure leaf")?;
        if leaf.len() > MAX_LEAF {
            return Err(FormatError::new("disclosure leaf", at, Fault::TooLong));
        }
        let (_, rest) = entry(rest, &mut at, "disclosure proof", "")?;
        Ok(Self {
            field: field.into(),
            value: value_bytes,
            field_salt: Zeroizing::new(field_salt),
            leaf,
            proof: LogProof::parse(rest, at)?,
        })
    }

    /// Checks everything: the checkpoint's signature, the leaf's place under it, and that the leaf commits to
    /// this value of this field.
    ///
    /// # Errors
    /// `disclosure value` [`Fault::NotAuthentic`] where the leaf commits to something else; `disclosure field`
    /// [`Fault::Invalid`] where it commits to nothing of that name; otherwise as [`LogProof::verify`].
    pub fn verify(
        &self,
        key: &VerifierKey,
        verify: impl FnMut(&[u8; 32], &[u8], &[u8]) -> bool,
    ) -> Result<(Leaf, Checkpoint), FormatError> {
        let checkpoint = self.proof.verify(&leaf::hash(&self.leaf), key, verify)?;
        let leaf = Leaf::decode(&self.leaf)?;
        let committed = leaf.commitments.get(&self.field);
        let committed = committed.ok_or(FormatError::new("disclosure field", 0, Fault::Invalid))?;
        let opened = commitment(&self.field_salt, &self.field, &self.value);
        if !mac::equal(&opened, committed) {
            return Err(FormatError::new("disclosure value", 0, Fault::NotAuthentic));
        }
        Ok((leaf, checkpoint))
    }
}

/// One `name value` line; leaves `at` at the line that follows.
fn entry<'a>(
    text: &'a str,
    at: &mut usize,
    field: &'static str,
    name: &str,
) -> Result<(&'a str, &'a str), FormatError> {
    let (line, rest) = line(text, *at, field)?;
    let value = line.strip_prefix(name).ok_or(FormatError::new(field, *at, Fault::Invalid))?;
    let misplaced = name.is_empty() && !value.is_empty();
    if misplaced {
        return Err(FormatError::new(field, *at, Fault::Invalid));
    }
    *at += line.len() + 1;
    Ok((value, rest))
}

fn decode(text: &str, after: usize, field: &'static str) -> Result<Vec<u8>, FormatError> {
    let at = after.saturating_sub(text.len() + 1);
    BASE64_STANDARD.decode(text).map_err(|_| FormatError::new(field, at, Fault::Invalid))
}
