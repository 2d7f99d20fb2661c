//! A cursor over untrusted bytes. Every refusal names the field and the offset where the field begins;
//! nothing here panics, and nothing is allocated on the word of a length that the input does not back.
use crate::error::{Fault, FormatError};

/// Reads fields one after the other from `input`. Integers are big-endian.
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `input`.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Offset of the next byte.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// What has not been read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// A fault at the next byte.
    #[must_use]
    pub const fn fault(&self, field: &'static str, fault: Fault) -> FormatError {
        FormatError::new(field, self.at, fault)
    }

    /// The next `length` bytes. `length` may be any `u64`, as it stands in the input.
    ///
    /// # Errors
    /// [`Fault::Truncated`] where the input has fewer.
    pub fn take(&mut self, length: u64, field: &'static str) -> Result<&'a [u8], FormatError> {
        let taken = usize::try_from(length).ok().and_then(|length| self.rest().get(..length));
        let taken = taken.ok_or(self.fault(field, Fault::Truncated))?;
        self.at += taken.len();
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`] where the input has fewer.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], FormatError> {
        let taken = self.rest().first_chunk().ok_or(self.fault(field, Fault::Truncated))?;
        self.at += N;
        Ok(taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn u8(&mut self, field: &'static str) -> Result<u8, FormatError> {
        self.array(field).map(|&[byte]| byte)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn u16(&mut self, field: &'static str) -> Result<u16, FormatError> {
        self.array(field).copied().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn u32(&mut self, field: &'static str) -> Result<u32, FormatError> {
        self.array(field).copied().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`].
    pub fn u64(&mut self, field: &'static str) -> Result<u64, FormatError> {
        self.array(field).copied().map(u64::from_be_bytes)
    }

    /// The version byte that opens a format.
    ///
    /// # Errors
    /// [`Fault::Truncated`], or [`Fault::UnknownVersion`] where it is not `known`.
    pub fn version(&mut self, known: u8) -> Result<(), FormatError> {
        let unknown = self.fault("version", Fault::UnknownVersion);
        if self.u8("version")? == known { Ok(()) } else { Err(unknown) }
    }

    /// A literal, such as a magic. Where the input ends inside it, what is there says whether it is foreign or cut.
    ///
    /// # Errors
    /// `fault` where the bytes differ, [`Fault::Truncated`] where they are equal and too few.
    pub fn literal(&mut self, literal: &[u8], field: &'static str, fault: Fault) -> Result<(), FormatError> {
        let present = self.rest().get(..literal.len()).unwrap_or(self.rest());
        if !literal.starts_with(present) {
            return Err(self.fault(field, fault));
        }
        self.take(literal.len() as u64, field).map(|_| ())
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Fault::TrailingBytes`] where bytes are left.
    pub fn end(self, field: &'static str) -> Result<(), FormatError> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.fault(field, Fault::TrailingBytes)) }
    }
}
