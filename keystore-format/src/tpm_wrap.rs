//! A wrap of type 3, by a TPM 2.0: which storage key, policy and approval it needs, and the sealed object. What lies in
//! the object is the TPM's own format and read by it alone.
use crate::{
    error::{Fault, FormatError},
    reader::Reader,
};
use alloc::vec::Vec;

/// The only version, of the parameters and of the blob.
pub const VERSION: u8 = 1;
/// Bytes of [`TpmParameters::encode`].
pub const PARAMETERS_LEN: usize = 1 + NAME_LEN + 1 + 2 + 3 + 4;
/// Bytes of a TPM's name for a key or an NV index: `000b ‖ SHA-256(public area)`.
pub const NAME_LEN: usize = 2 + 32;
/// The longest public or private area.
pub const MAX_AREA_LEN: usize = 1024;

const SHA256: [u8; 2] = [0, 0x0b];
const PIN_AT: usize = 1 + NAME_LEN;

/// A bank of platform configuration registers, by the TCG's number of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum PcrBank {
    /// SHA-256.
    Sha256 = 0x000b,
    /// SHA-384.
    Sha384 = 0x000c,
    /// SHA-512.
    Sha512 = 0x000d,
}

/// Registers that a policy looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrSelection {
    /// Of which bank.
    pub bank: PcrBank,
    /// Register n is bit `n mod 8`, lowest first, of byte `n div 8`; never all zero.
    pub mask: [u8; 3],
}

/// What a TPM wrap needs besides its blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TpmParameters {
    /// The name of the storage root key that the object was made under.
    pub srk_name: [u8; NAME_LEN],
    /// Whether a PIN is needed.
    pub pin: bool,
    /// The registers that the policy looks at.
    pub pcrs: Option<PcrSelection>,
    /// The NV index that holds the approved policy, `0x01000000` to `0x01ffffff`.
    pub approval_index: u32,
}

impl TpmParameters {
    /// The 45 bytes.
    ///
    /// # Errors
    /// As [`TpmParameters::decode`], where that would not read them back.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = Vec::with_capacity(PARAMETERS_LEN);
        out.push(VERSION);
        out.extend_from_slice(&self.srk_name);
        out.push(self.pin.into());
        let (bank, mask) = self.pcrs.map_or((0, [0; 3]), |pcrs| (pcrs.bank as u16, pcrs.mask));
        out.extend_from_slice(&bank.to_be_bytes());
        out.extend_from_slice(&mask);
        out.extend_from_slice(&self.approval_index.to_be_bytes());
        Self::decode(&out).map(|_| out)
    }

    /// Reads the 45 bytes.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::UnknownAlgorithm`] for a name that is not SHA-256's or an unknown bank,
    /// [`Fault::Invalid`], [`Fault::Truncated`], [`Fault::TrailingBytes`].
    pub fn decode(input: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let foreign = reader.fault("SRK name", Fault::UnknownAlgorithm);
        let srk_name: [u8; NAME_LEN] = *reader.array("SRK name")?;
        if !srk_name.starts_with(&SHA256) {
            return Err(foreign);
        }
        let invalid = reader.fault("PIN", Fault::Invalid);
        let pin = match reader.u8("PIN")? {
            0 => false,
            1 => true,
            _ => return Err(invalid),
        };
        let unknown = reader.fault("PCR bank", Fault::UnknownAlgorithm);
        let bank = match reader.u16("PCR bank")? {
            0 => None,
            0x000b => Some(PcrBank::Sha256),
            0x000c => Some(PcrBank::Sha384),
            0x000d => Some(PcrBank::Sha512),
            _ => return Err(unknown),
        };
        let invalid = reader.fault("PCR mask", Fault::Invalid);
        let mask = *reader.array("PCR mask")?;
        if bank.is_none() != (mask == [0; 3]) {
            return Err(invalid);
        }
        let pcrs = bank.map(|bank| PcrSelection { bank, mask });
        // An approval of nothing would be met by every policy that has not begun.
        if pcrs.is_none() && !pin {
            return Err(FormatError::new("PIN", PIN_AT, Fault::Invalid));
        }
        let invalid = reader.fault("approval index", Fault::Invalid);
        let approval_index = reader.u32("approval index")?;
        if approval_index >> 24 != 1 {
            return Err(invalid);
        }
        reader.end("wrap parameters")?;
        Ok(Self { srk_name, pin, pcrs, approval_index })
    }
}

/// The blob of a TPM wrap: the sealed object as `TPM2_Create` gives it, in its two halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmBlob {
    /// The content of the TPM2B_PUBLIC, 1 to 1,024 bytes.
    pub public: Vec<u8>,
    /// The content of the TPM2B_PRIVATE, encrypted by the TPM, 1 to 1,024 bytes.
    pub private: Vec<u8>,
}

impl TpmBlob {
    /// The bytes: `version ‖ TPM2B_PUBLIC ‖ TPM2B_PRIVATE`.
    ///
    /// # Errors
    /// [`Fault::Invalid`] or [`Fault::TooLong`] for a half that is empty or too long.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = Vec::with_capacity(1 + 2 + self.public.len() + 2 + self.private.len());
        out.push(VERSION);
        for (field, area) in [("public area length", &self.public), ("private area length", &self.private)] {
            let length = u16::try_from(area.len()).unwrap_or(u16::MAX);
            check_length(length, FormatError::new(field, out.len(), Fault::Invalid))?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(area);
        }
        Ok(out)
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::Invalid`], [`Fault::TooLong`], [`Fault::Truncated`],
    /// [`Fault::TrailingBytes`].
    pub fn decode(input: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let public = read_area(&mut reader, "public area length", "public area")?;
        let private = read_area(&mut reader, "private area length", "private area")?;
        reader.end("wrap blob")?;
        Ok(Self { public, private })
    }
}

fn read_area(
    reader: &mut Reader<'_>,
    length_field: &'static str,
    field: &'static str,
) -> Result<Vec<u8>, FormatError> {
    let empty = reader.fault(length_field, Fault::Invalid);
    let length = reader.u16(length_field)?;
    check_length(length, empty)?;
    Ok(reader.take(length.into(), field)?.to_vec())
}

fn check_length(length: u16, empty: FormatError) -> Result<(), FormatError> {
    match usize::from(length) {
        0 => Err(empty),
        1..=MAX_AREA_LEN => Ok(()),
        _ => Err(FormatError { fault: Fault::TooLong, ..empty }),
    }
}
