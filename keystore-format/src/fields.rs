//! The building blocks of what a record holds: numbers, flags, texts and lists, each in one spelling.
//!
//! The rooms lay out their own records with these (token, role, metadata …); the bytes below a record's seal are theirs,
//! the spelling of a field is the same everywhere.
use crate::error::{Fault, FormatError};
use crate::reader::Reader;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// Writes fields one after the other, into a buffer that is cleared when it is dropped.
pub struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// Begins with the layout's version.
    #[must_use]
    pub fn new(version: u8) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(512));
        bytes.push(version);
        Self(bytes)
    }

    /// Bytes of a length that the layout fixes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// 8 bytes, big-endian.
    pub fn number(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    /// How many follow: 4 bytes, big-endian. Lists and texts are limited to far less where they come in.
    pub fn count(&mut self, count: usize) {
        self.bytes(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
    }

    /// UTF-8 behind its length.
    pub fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }

    /// Texts behind their count.
    pub fn texts(&mut self, texts: &[String]) {
        self.count(texts.len());
        texts.iter().for_each(|text| self.text(text));
    }

    /// 1 or 0.
    pub fn flag(&mut self, flag: bool) {
        self.bytes(&[u8::from(flag)]);
    }

    /// A flag, and the number where there is one.
    pub fn optional(&mut self, number: Option<u64>) {
        self.flag(number.is_some());
        if let Some(number) = number {
            self.number(number);
        }
    }

    /// All of it.
    #[must_use]
    pub fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads what [`Writer::text`] wrote.
///
/// # Errors
/// `text` where it ends early or is no UTF-8.
pub fn text(from: &mut Reader<'_>) -> Result<String, FormatError> {
    let length = from.u32("length")?;
    let bytes = from.take(length.into(), "text")?;
    core::str::from_utf8(bytes).map(str::to_owned).map_err(|_| from.fault("text", Fault::Invalid))
}

/// Reads a count and so many of what `one` reads. Allocates nothing on the word of the count.
///
/// # Errors
/// As `one`.
pub fn many<T>(
    from: &mut Reader<'_>,
    mut one: impl FnMut(&mut Reader<'_>) -> Result<T, FormatError>,
) -> Result<Vec<T>, FormatError> {
    let count = from.u32("count")?;
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(one(from)?);
    }
    Ok(found)
}

/// Reads what [`Writer::texts`] wrote.
///
/// # Errors
/// As [`text`].
pub fn texts(from: &mut Reader<'_>) -> Result<Vec<String>, FormatError> {
    many(from, text)
}

/// Reads a flag: 0 or 1, nothing else.
///
/// # Errors
/// `flag` for any other byte.
pub fn flag(from: &mut Reader<'_>) -> Result<bool, FormatError> {
    match from.u8("flag")? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(from.fault("flag", Fault::Invalid)),
    }
}

/// Reads what [`Writer::optional`] wrote.
///
/// # Errors
/// As [`flag`].
pub fn optional(from: &mut Reader<'_>) -> Result<Option<u64>, FormatError> {
    if flag(from)? { from.u64("number").map(Some) } else { Ok(None) }
}
