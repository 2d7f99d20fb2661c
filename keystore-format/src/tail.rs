//! What later versions add behind a format's last field, without changing a byte of what exists.
//!
//! Each entry is `tag u16 ‖ length u32 ‖ value`, in ascending order of tags. A tag with the top bit set is
//! optional: who does not know it keeps it. Any other is mandatory: who does not know it refuses the whole.
use crate::{
    error::{Fault, FormatError},
    reader::Reader,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The bit of a tag that says it may be kept unread.
pub const OPTIONAL: u16 = 0x8000;

/// Tagged entries. May hold secrets: no `Debug`, no `Clone`, cleared when dropped.
#[derive(Default)]
pub struct Tail(Vec<(u16, Zeroizing<Vec<u8>>)>);

impl Tail {
    /// No entry.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of `tag`.
    #[must_use]
    pub fn get(&self, tag: u16) -> Option<&[u8]> {
        let at = self.0.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        self.0.get(at).map(|(_, value)| value.as_slice())
    }

    /// Sets the value of `tag`; the old one is cleared.
    pub fn set(&mut self, tag: u16, value: Zeroizing<Vec<u8>>) {
        match self.0.binary_search_by_key(&tag, |(tag, _)| *tag) {
            Ok(at) => {
                if let Some(entry) = self.0.get_mut(at) {
                    entry.1 = value;
                }
            }
            Err(at) => self.0.insert(at, (tag, value)),
        }
    }

    /// Bytes of all entries.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.0.iter().map(|(_, value)| 6 + value.len()).sum()
    }

    /// Appends all entries.
    ///
    /// # Errors
    /// [`Fault::TooLong`] where a value has 2³² bytes or more.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        for (tag, value) in &self.0 {
            let too_long = FormatError::new("tail value", out.len(), Fault::TooLong);
            out.extend_from_slice(&tag.to_be_bytes());
            out.extend_from_slice(&u32::try_from(value.len()).map_err(|_| too_long)?.to_be_bytes());
            out.extend_from_slice(value);
        }
        Ok(())
    }

    /// Reads entries up to the end of the input. `known` are the mandatory tags that the caller understands.
    ///
    /// # Errors
    /// [`Fault::UnknownTag`], [`Fault::NotCanonical`] where tags do not ascend, [`Fault::Truncated`].
    pub(crate) fn decode(mut reader: Reader<'_>, known: &[u16]) -> Result<Self, FormatError> {
        let mut entries: Vec<(u16, Zeroizing<Vec<u8>>)> = Vec::new();
        while !reader.rest().is_empty() {
            let fault = |fault| FormatError::new("tail tag", reader.offset(), fault);
            let (unordered, unknown) = (fault(Fault::NotCanonical), fault(Fault::UnknownTag));
            let tag = reader.u16("tail tag")?;
            if entries.last().is_some_and(|(last, _)| *last >= tag) {
                return Err(unordered);
            }
            if tag & OPTIONAL == 0 && !known.contains(&tag) {
                return Err(unknown);
            }
            let length = reader.u32("tail length")?;
            let value = reader.take(length.into(), "tail value")?;
            entries.push((tag, Zeroizing::new(value.to_vec())));
        }
        Ok(Self(entries))
    }
}
