//! A wrap of type 4, by a transit key of another Coffer, OpenBao or Vault: which key it was made with, and its ciphertext
//! as that server's API writes it. What lies in the ciphertext is the server's own format and read by it alone.
use crate::{
    error::{Fault, FormatError},
    reader::Reader,
};
use alloc::{borrow::ToOwned as _, string::String, vec::Vec};

/// The only version, of the parameters and of the blob.
pub const VERSION: u8 = 1;
/// The longest name of a key, in bytes.
pub const MAX_KEY_LEN: usize = 255;
/// The longest ciphertext, in bytes: RSA-16384 gives 2,744 and an AES key 92.
pub const MAX_CIPHERTEXT_LEN: usize = 4096;

const CIPHERTEXT_AT: usize = 1;

/// The parameters of a transit wrap: `version u8 ‖ associated data u8 ‖ length u8 ‖ key name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitParameters {
    /// Whether the server authenticated the wrap's place with it.
    pub associated_data: bool,
    /// The name of the transit key that made it: 1 to 255 bytes, without slashes and control characters. For people: it
    /// says which key to look for, and never chooses one.
    pub key: String,
}

impl TransitParameters {
    /// The bytes.
    ///
    /// # Errors
    /// [`Fault::TooLong`] or [`Fault::Invalid`] for the key's name.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let too_long = FormatError::new("key name length", 2, Fault::TooLong);
        let length = u8::try_from(self.key.len()).map_err(|_| too_long)?;
        let bytes = [&[VERSION, self.associated_data.into(), length], self.key.as_bytes()].concat();
        Self::decode(&bytes).map(|_| bytes)
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::Invalid`], [`Fault::Truncated`], [`Fault::TrailingBytes`].
    pub fn decode(input: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let invalid = reader.fault("associated data", Fault::Invalid);
        let associated_data = match reader.u8("associated data")? {
            0 => false,
            1 => true,
            _ => return Err(invalid),
        };
        let invalid = reader.fault("key name length", Fault::Invalid);
        let length = reader.u8("key name length")?;
        if length == 0 {
            return Err(invalid);
        }
        let invalid = reader.fault("key name", Fault::Invalid);
        let key = core::str::from_utf8(reader.take(length.into(), "key name")?).map_err(|_| invalid)?;
        if key.contains(|sign: char| sign == '/' || sign.is_control()) {
            return Err(invalid);
        }
        reader.end("wrap parameters")?;
        Ok(Self { associated_data, key: key.to_owned() })
    }
}

/// The blob of a transit wrap: `version u8 ‖ ciphertext`, which has the form `vault:v<key version>:<base64>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitBlob {
    ciphertext: String,
    key_version: u32,
}

impl TransitBlob {
    /// Takes a ciphertext as a server's API writes it.
    ///
    /// # Errors
    /// [`Fault::TooLong`], [`Fault::Invalid`] for another form.
    pub fn parse(ciphertext: &str) -> Result<Self, FormatError> {
        let fault = |fault| FormatError::new("ciphertext", CIPHERTEXT_AT, fault);
        if ciphertext.len() > MAX_CIPHERTEXT_LEN {
            return Err(fault(Fault::TooLong));
        }
        let key_version = key_version(ciphertext).ok_or(fault(Fault::Invalid))?;
        Ok(Self { ciphertext: ciphertext.to_owned(), key_version })
    }

    /// The ciphertext as the server wrote it.
    #[must_use]
    pub fn ciphertext(&self) -> &str {
        &self.ciphertext
    }

    /// The version of the transit key that it was made with, from 1.
    #[must_use]
    pub const fn key_version(&self) -> u32 {
        self.key_version
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&[VERSION], self.ciphertext.as_bytes()].concat()
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::Truncated`] where there is no version, [`Fault::TooLong`], [`Fault::Invalid`].
    pub fn decode(input: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let too_long = reader.fault("ciphertext", Fault::TooLong);
        let invalid = reader.fault("ciphertext", Fault::Invalid);
        if reader.rest().len() > MAX_CIPHERTEXT_LEN {
            return Err(too_long);
        }
        Self::parse(core::str::from_utf8(reader.rest()).map_err(|_| invalid)?)
    }
}

/// The version in `vault:v<version>:<base64>`; `None` for any other form. One spelling: no sign, no leading zero.
fn key_version(ciphertext: &str) -> Option<u32> {
    let (version, body) = ciphertext.strip_prefix("vault:v")?.split_once(':')?;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let is_number = version.bytes().all(|digit| digit.is_ascii_digit()) && !version.starts_with('0');
    (is_number && !body.is_empty() && body.bytes().all(is_base64)).then(|| version.parse().ok())?
}
