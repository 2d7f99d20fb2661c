//! The openings of a leaf's commitments, sealed beside it in the journal.
//!
//! They are under a key of one month and one data subject, so that erasing a person is deleting keys: the leaf
//! and every proof stay valid, and what they committed to is gone.
use crate::cbor::{Reader, Writer};
use crate::error::{Fault, FormatError};
use crate::frame::MAX_OPENINGS;
use crate::ids::EnvironmentId;
use crate::leaf::{commitment, field_name, field_salt, in_text_order, named, required};
use crate::xaes;
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const XAES_256_GCM: u8 = 1;
const HEADER: usize = 18;
const NONCE: usize = xaes::NONCE_LEN;
const TAG: usize = xaes::TAG_LEN;

/// The salt of a leaf and the values that it commits to.
pub struct Openings {
    /// 32 random bytes, for this leaf alone.
    pub salt: Zeroizing<[u8; 32]>,
    /// The values by field name.
    pub values: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

impl Openings {
    /// Openings under this salt, without values yet.
    #[must_use]
    pub fn new(salt: Zeroizing<[u8; 32]>) -> Self {
        Self { salt, values: BTreeMap::new() }
    }

    /// Keeps the value and returns its commitment, for the leaf.
    pub fn commit(&mut self, field: &str, value: &[u8]) -> [u8; 32] {
        self.values.insert(field.into(), Zeroizing::new(value.to_vec()));
        commitment(&field_salt(&self.salt, field), field, value)
    }

    /// Deterministic CBOR: `{0: salt, 1: {field: value}}`.
    ///
    /// # Errors
    /// [`Fault::TooLong`] when they do not fit a frame, [`Fault::Invalid`] for an empty field name.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let size: usize = self.values.iter().map(|(field, value)| field.len() + value.len() + 18).sum();
        let room = MAX_OPENINGS - HEADER - NONCE - TAG;
        if size > room {
            return Err(FormatError::new("openings", 0, Fault::TooLong));
        }
        // Sized first, so that the buffer never grows and leaves no copy behind.
        let mut out = Writer::with_capacity(64 + size);
        out.map(1 + usize::from(!self.values.is_empty()));
        out.uint(0);
        out.bytes(&*self.salt);
        if !self.values.is_empty() {
            out.uint(1);
            out.map(self.values.len());
            for (field, value) in in_text_order(&self.values) {
                field_name("openings values", 0, field)?;
                out.text(field);
                out.bytes(value);
            }
        }
        let out = Zeroizing::new(out.finish());
        if out.len() > room {
            return Err(FormatError::new("openings", 0, Fault::TooLong));
        }
        Ok(out)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// A fault with the field and offset.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut input = Reader::new(bytes);
        let at = input.offset();
        let mut keys = input.map("openings")?;
        if keys.left() > 2 {
            return Err(FormatError::new("openings", at, Fault::Invalid));
        }
        required(&mut input, &mut keys, 0, "openings salt")?;
        let mut openings = Self::new(Zeroizing::new(input.fixed("openings salt")?));
        if keys.left() > 0 {
            required(&mut input, &mut keys, 1, "openings values")?;
            openings.values = named(&mut input, "openings values", |input| {
                input.bytes("openings value", MAX_OPENINGS).map(|value| Zeroizing::new(value.to_vec()))
            })?;
        }
        input.finish("openings")?;
        Ok(openings)
    }

    /// Seals under an opening key: `version ‖ alg ‖ key id[16] ‖ nonce[24] ‖ ciphertext ‖ tag[16]`.
    ///
    /// `key_id` says which key (the data subject's pseudonym of that month); `nonce` is random and unique.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn seal(
        &self,
        key: &[u8; 32],
        key_id: &[u8; 16],
        nonce: &[u8; NONCE],
        environment: EnvironmentId,
        leaf_id: u64,
    ) -> Result<Vec<u8>, FormatError> {
        let mut body = self.encode()?;
        let mut header = [0; HEADER];
        let (kinds, id) = header.split_at_mut(2);
        kinds.copy_from_slice(&[VERSION, XAES_256_GCM]);
        id.copy_from_slice(key_id);
        let aad = associated_data(&header, environment, leaf_id);
        let tag = xaes::encrypt(key, nonce, &aad, &mut body);
        let tag = tag.map_err(|_| FormatError::new("openings", 0, Fault::TooLong))?;
        Ok([&header, nonce.as_slice(), &body, &tag].concat())
    }

    /// Opens sealed openings of this leaf.
    ///
    /// # Errors
    /// [`Fault::NotAuthentic`] under another key or for another leaf or environment; otherwise as decoding.
    pub fn open(
        sealed: &[u8],
        key: &[u8; 32],
        environment: EnvironmentId,
        leaf_id: u64,
    ) -> Result<Self, FormatError> {
        let (header, rest) = split_header(sealed)?;
        let (nonce, rest) =
            rest.split_first_chunk().ok_or(FormatError::new("openings nonce", HEADER, Fault::Truncated))?;
        let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(FormatError::new(
            "openings tag",
            HEADER + NONCE,
            Fault::Truncated,
        ))?;
        let aad = associated_data(header, environment, leaf_id);
        let mut body = Zeroizing::new(body.to_vec());
        let opened = xaes::decrypt(key, nonce, &aad, &mut body, tag);
        opened.map_err(|_| FormatError::new("openings", HEADER + NONCE, Fault::NotAuthentic))?;
        Self::decode(&body)
    }
}

/// The id of the key that sealed openings are under.
///
/// # Errors
/// [`Fault::Truncated`], [`Fault::UnknownVersion`], [`Fault::UnknownAlgorithm`].
pub fn key_id(sealed: &[u8]) -> Result<[u8; 16], FormatError> {
    let (header, _) = split_header(sealed)?;
    Ok(core::array::from_fn(|i| header.get(2 + i).copied().unwrap_or_default()))
}

fn split_header(sealed: &[u8]) -> Result<(&[u8; HEADER], &[u8]), FormatError> {
    let (header, rest) = sealed.split_first_chunk::<HEADER>().ok_or(FormatError::new(
        "openings header",
        0,
        Fault::Truncated,
    ))?;
    match header {
        [VERSION, XAES_256_GCM, ..] => Ok((header, rest)),
        [VERSION, ..] => Err(FormatError::new("openings algorithm", 1, Fault::UnknownAlgorithm)),
        _ => Err(FormatError::new("openings version", 0, Fault::UnknownVersion)),
    }
}

fn associated_data(header: &[u8; HEADER], environment: EnvironmentId, leaf_id: u64) -> Vec<u8> {
    let label = b"coffer/v1/openings\0";
    [label, header.as_slice(), environment.as_bytes(), &leaf_id.to_be_bytes()].concat()
}
