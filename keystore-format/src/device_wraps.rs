//! What the wraps of devices hold, in the seal record: parameters in clear, and the blob.
//!
//! Nothing here is authentic by itself. The device authenticates the blob as far as its mechanism can; that the key
//! is the right one is proved by root id and the seal record's MAC.
use crate::{
    error::{Fault, FormatError},
    reader::Reader,
};
use alloc::vec::Vec;

/// The only version, of parameters and blobs.
pub const VERSION: u8 = 1;
/// Bytes of an AES-GCM initialisation vector.
pub const GCM_IV_LEN: usize = 12;
const GCM_WRAPPED_LEN: usize = 32 + 16;
const KEY_WRAP_LEN: usize = 32 + 8;
/// Bytes of RSA-2048 and of RSA-16384.
const OAEP_LEN: core::ops::RangeInclusive<usize> = 256..=2048;

/// How a PKCS#11 key wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkcs11Mechanism {
    /// `CKM_AES_GCM`, with the binding as associated data.
    AesGcm,
    /// `CKM_AES_KEY_WRAP_PAD`.
    AesKeyWrapPad,
    /// `CKM_AES_KEY_WRAP`.
    AesKeyWrap,
    /// `CKM_RSA_PKCS_OAEP` with an empty label; the same hash for the label and for MGF1.
    RsaOaep(OaepHash),
}

/// The hash of RSA-OAEP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OaepHash {
    /// SHA-1, for modules that have no other; OAEP doesn't rest on its collision resistance.
    Sha1 = 1,
    /// SHA-256.
    Sha256 = 2,
    /// SHA-384.
    Sha384 = 3,
    /// SHA-512.
    Sha512 = 4,
}

impl Pkcs11Mechanism {
    const fn numbers(self) -> [u8; 2] {
        match self {
            Self::AesGcm => [1, 0],
            Self::AesKeyWrapPad => [2, 0],
            Self::AesKeyWrap => [3, 0],
            Self::RsaOaep(hash) => [4, hash as u8],
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let unknown = reader.fault("mechanism", Fault::UnknownAlgorithm);
        let mechanism = reader.u8("mechanism")?;
        if !(1..=4).contains(&mechanism) {
            return Err(unknown);
        }
        let (invalid, unknown) =
            (reader.fault("hash", Fault::Invalid), reader.fault("hash", Fault::UnknownAlgorithm));
        match (mechanism, reader.u8("hash")?) {
            (1, 0) => Ok(Self::AesGcm),
            (2, 0) => Ok(Self::AesKeyWrapPad),
            (3, 0) => Ok(Self::AesKeyWrap),
            (4, 1) => Ok(Self::RsaOaep(OaepHash::Sha1)),
            (4, 2) => Ok(Self::RsaOaep(OaepHash::Sha256)),
            (4, 3) => Ok(Self::RsaOaep(OaepHash::Sha384)),
            (4, 4) => Ok(Self::RsaOaep(OaepHash::Sha512)),
            (4, _) => Err(unknown),
            _ => Err(invalid),
        }
    }
}

/// The parameters of a PKCS#11 wrap: `version u8 ‖ mechanism u8 ‖ hash u8 ‖ length u8 ‖ key id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pkcs11Parameters {
    /// How the key wraps.
    pub mechanism: Pkcs11Mechanism,
    /// `CKA_ID` of the key, 0 to 255 bytes: which of the token's keys it is.
    pub key_id: Vec<u8>,
}

impl Pkcs11Parameters {
    /// The bytes.
    ///
    /// # Errors
    /// [`Fault::TooLong`] where the key id is longer than 255 bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let too_long = FormatError::new("key id length", 3, Fault::TooLong);
        let length = u8::try_from(self.key_id.len()).map_err(|_| too_long)?;
        let [mechanism, hash] = self.mechanism.numbers();
        Ok([&[VERSION, mechanism, hash, length], self.key_id.as_slice()].concat())
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::UnknownAlgorithm`], [`Fault::Invalid`] where a mechanism without a hash has
    /// one, [`Fault::Truncated`], [`Fault::TrailingBytes`].
    pub fn decode(input: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let mechanism = Pkcs11Mechanism::read(&mut reader)?;
        let length = reader.u8("key id length")?;
        let key_id = reader.take(length.into(), "key id")?.to_vec();
        reader.end("wrap parameters")?;
        Ok(Self { mechanism, key_id })
    }
}

/// The blob of a PKCS#11 wrap: `version u8 ‖ IV[12], with AES-GCM only ‖ wrapped root key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pkcs11Blob<'a> {
    /// Of AES-GCM; other mechanisms have none.
    pub iv: &'a [u8],
    /// What the module gave: with AES-GCM 48 bytes (the last 16 are the tag), with key wrap 40, with OAEP as many as
    /// the modulus, 256 to 2,048.
    pub wrapped: &'a [u8],
}

impl<'a> Pkcs11Blob<'a> {
    /// The bytes.
    ///
    /// # Errors
    /// As [`Pkcs11Blob::decode`], which would not read them back.
    pub fn encode(&self, mechanism: Pkcs11Mechanism) -> Result<Vec<u8>, FormatError> {
        let bytes = [&[VERSION], self.iv, self.wrapped].concat();
        let read = Pkcs11Blob::decode(mechanism, &bytes)?;
        if read.iv.len() == self.iv.len() {
            return Ok(bytes);
        }
        Err(FormatError::new("iv", 1, Fault::Invalid))
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::Truncated`], [`Fault::TrailingBytes`], [`Fault::TooLong`] for OAEP.
    pub fn decode(mechanism: Pkcs11Mechanism, input: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let iv = match mechanism {
            Pkcs11Mechanism::AesGcm => reader.take(GCM_IV_LEN as u64, "iv")?,
            _ => &[],
        };
        let field = "wrapped root key";
        let length = match mechanism {
            Pkcs11Mechanism::AesGcm => GCM_WRAPPED_LEN,
            Pkcs11Mechanism::AesKeyWrapPad | Pkcs11Mechanism::AesKeyWrap => KEY_WRAP_LEN,
            Pkcs11Mechanism::RsaOaep(_) if reader.rest().len() > *OAEP_LEN.end() => {
                return Err(reader.fault(field, Fault::TooLong));
            }
            Pkcs11Mechanism::RsaOaep(_) => reader.rest().len().max(*OAEP_LEN.start()),
        };
        let wrapped = reader.take(length as u64, field)?;
        reader.end("wrap blob")?;
        Ok(Self { iv, wrapped })
    }
}
