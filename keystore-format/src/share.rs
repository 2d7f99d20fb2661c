//! A share of a wrapping key, as its holder keeps and types it. Splitting and joining is the seal's work.
//!
//! Payload, 43 bytes: `version u8 ‖ set id[8] ‖ x u8 ‖ k u8 ‖ y[32]`. Text: Bech32m under `coffer`, 82
//! characters. Over the Vault API the same payload as hex (86 characters) or base64 (60).
use crate::{
    bech32m,
    error::{Fault, FormatError},
    ids::WrapId,
    kdf::{self, Context},
    reader::Reader,
    text,
};
use alloc::string::String;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The only version.
pub const VERSION: u8 = 1;
/// Bytes of a payload.
pub const PAYLOAD_LEN: usize = 43;
/// Characters of a payload in hex.
pub const HEX_LEN: usize = 2 * PAYLOAD_LEN;
/// Characters of a payload in base64.
pub const BASE64_LEN: usize = PAYLOAD_LEN.div_ceil(3) * 4;
/// The human-readable prefix of the text.
pub const PREFIX: &str = "coffer";

/// One share. Cleared when dropped; no `Debug`, no `Clone`.
pub struct Share {
    /// The set it belongs to; see [`set_id`].
    pub set_id: [u8; 8],
    /// The point, never 0.
    pub x: u8,
    /// Shares that are needed, never 0.
    pub k: u8,
    /// The values of the polynomials at `x`, byte by byte.
    pub y: Zeroizing<[u8; 32]>,
}

/// The public name of a set of shares: `KDF(kek, "set", ctx ‖ wrap id, 8)`.
#[must_use]
pub fn set_id(kek: &[u8; 32], ctx: &Context, wrap: WrapId) -> [u8; 8] {
    *kdf::derive(kek, "set", &[&ctx.bytes(), wrap.as_bytes()])
}

impl Share {
    /// The 43 bytes.
    #[must_use]
    pub fn payload(&self) -> Zeroizing<[u8; PAYLOAD_LEN]> {
        let mut payload = Zeroizing::new([0; PAYLOAD_LEN]);
        let [version, s0, s1, s2, s3, s4, s5, s6, s7, x, k, y @ ..] = &mut *payload;
        *version = VERSION;
        [*s0, *s1, *s2, *s3, *s4, *s5, *s6, *s7] = self.set_id;
        (*x, *k) = (self.x, self.k);
        y.copy_from_slice(&*self.y);
        payload
    }

    /// Reads the 43 bytes.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::Truncated`], [`Fault::TrailingBytes`], [`Fault::Invalid`] where
    /// x or k is 0.
    pub fn from_payload(payload: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(payload);
        reader.version(VERSION)?;
        let set_id = *reader.array("share set id")?;
        let x = not_zero(&mut reader, "share x")?;
        let k = not_zero(&mut reader, "share k")?;
        let y = Zeroizing::new(*reader.array("share y")?);
        reader.end("share")?;
        Ok(Self { set_id, x, k, y })
    }

    /// The text for people, in lower case.
    ///
    /// # Errors
    /// None for a payload of this length.
    pub fn to_text(&self) -> Result<Zeroizing<String>, FormatError> {
        bech32m::encode(PREFIX, &*self.payload())
    }

    /// The payload in lower-case hex.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        text::to_hex(&*self.payload())
    }

    /// The payload in base64 (RFC 4648 §4, padded).
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        text::to_base64(&*self.payload())
    }

    /// Reads any of the three forms, told apart by their lengths; white space around it is not looked at.
    ///
    /// # Errors
    /// As [`bech32m::decode`], or [`Fault::Invalid`] or [`Fault::NotCanonical`] for "share text", with
    /// offsets in the text; as [`Share::from_payload`] with offsets in the payload.
    pub fn parse_any(input: &str) -> Result<Self, FormatError> {
        let input = input.trim_ascii();
        let payload = match input.len() {
            HEX_LEN => text::from_hex("share text", input)?,
            BASE64_LEN => text::from_base64("share text", input)?,
            _ => bech32m::decode(PREFIX, input)?,
        };
        Self::from_payload(&payload)
    }

    /// SHA-256 of the payload, which the seal record keeps in clear.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(*self.payload()).into()
    }
}

fn not_zero(reader: &mut Reader<'_>, field: &'static str) -> Result<u8, FormatError> {
    let invalid = reader.fault(field, Fault::Invalid);
    match reader.u8(field)? {
        0 => Err(invalid),
        value => Ok(value),
    }
}
