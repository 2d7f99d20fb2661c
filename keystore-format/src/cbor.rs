//! Deterministic CBOR (RFC 8949 §4.2), the subset that audit leaves are written in.
//!
//! A leaf's hash covers its bytes, so one value must have one encoding: the reader refuses every other. It is
//! driven by the format that it reads and never recurses, so nesting is bounded by that format and not by the
//! input. Floats, tags, negative numbers and indefinite lengths do not exist here.
use crate::error::{Fault, FormatError};
use alloc::{string::String, vec::Vec};

const UINT: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;

/// Writes items one after the other. The caller writes map keys in canonical order.
#[derive(Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer with room for `bytes`, so that secrets are not left behind by a growing buffer.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// An unsigned integer, in its shortest form.
    pub fn uint(&mut self, value: u64) {
        self.head(UINT, value);
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        self.head(BYTES, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    /// A text string.
    pub fn text(&mut self, value: &str) {
        self.head(TEXT, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// The head of an array; `items` items must follow.
    pub fn array(&mut self, items: usize) {
        self.head(ARRAY, items as u64);
    }

    /// The head of a map; `pairs` keys, each followed by its value, must follow.
    pub fn map(&mut self, pairs: usize) {
        self.head(MAP, pairs as u64);
    }

    /// True or false.
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { TRUE } else { FALSE });
    }

    /// Null.
    pub fn null(&mut self) {
        self.out.push(NULL);
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        let [b0, b1, b2, b3, b4, b5, b6, b7] = value.to_be_bytes();
        match value {
            0..24 => self.out.push(major | b7),
            24..0x100 => self.out.extend_from_slice(&[major | 24, b7]),
            0x100..0x1_0000 => self.out.extend_from_slice(&[major | 25, b6, b7]),
            0x1_0000..0x1_0000_0000 => self.out.extend_from_slice(&[major | 26, b4, b5, b6, b7]),
            _ => self.out.extend_from_slice(&[major | 27, b0, b1, b2, b3, b4, b5, b6, b7]),
        }
    }
}

/// The canonical order of text keys: shorter first, then bytewise. It is the bytewise order of their encodings
/// (RFC 8949 §4.2.1), since the length stands in the head.
pub fn text_order(left: &str, right: &str) -> core::cmp::Ordering {
    left.len().cmp(&right.len()).then_with(|| left.as_bytes().cmp(right.as_bytes()))
}

/// Reads items one after the other and refuses what is not canonical. `field` names what is expected there.
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

/// The keys of a map that is being read: how many are left, and where the last one stood.
pub struct Keys {
    left: u64,
    last: (usize, usize),
}

impl Keys {
    /// How many pairs are still to come.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `input`.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Offset of the next item.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Whether the next item is of this kind; for fields that allow two kinds.
    #[must_use]
    pub fn next_is_uint(&self) -> bool {
        self.input.get(self.at).is_some_and(|byte| byte >> 5 == UINT)
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// [`Fault::Truncated`], [`Fault::NotCanonical`] for a longer form than needed, [`Fault::Invalid`] for another kind.
    pub fn uint(&mut self, field: &'static str) -> Result<u64, FormatError> {
        self.head(field, UINT)
    }

    /// An unsigned integer of at most 16 bits.
    ///
    /// # Errors
    /// As [`Self::uint`]; [`Fault::TooLong`] beyond 65,535.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, FormatError> {
        let at = self.at;
        u16::try_from(self.uint(field)?).map_err(|_| FormatError::new(field, at, Fault::TooLong))
    }

    /// A byte string of at most `limit` bytes, borrowed from the input.
    ///
    /// # Errors
    /// As [`Self::uint`]; [`Fault::TooLong`] beyond the limit.
    pub fn bytes(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], FormatError> {
        self.string(field, BYTES, limit)
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// As [`Self::bytes`]; [`Fault::Invalid`] when it is shorter.
    pub fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FormatError> {
        let at = self.at;
        self.bytes(field, N)?.try_into().map_err(|_| FormatError::new(field, at, Fault::Invalid))
    }

    /// A text string of at most `limit` bytes, borrowed from the input.
    ///
    /// # Errors
    /// As [`Self::bytes`]; [`Fault::Invalid`] when it is not UTF-8.
    pub fn text(&mut self, field: &'static str, limit: usize) -> Result<&'a str, FormatError> {
        let at = self.at;
        let bytes = self.string(field, TEXT, limit)?;
        core::str::from_utf8(bytes).map_err(|_| FormatError::new(field, at, Fault::Invalid))
    }

    /// As [`Self::text`], owned.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn string_of(&mut self, field: &'static str, limit: usize) -> Result<String, FormatError> {
        self.text(field, limit).map(String::from)
    }

    /// The head of an array: how many items follow.
    ///
    /// # Errors
    /// As [`Self::uint`].
    pub fn array(&mut self, field: &'static str) -> Result<u64, FormatError> {
        self.head(field, ARRAY)
    }

    /// The head of a map. The count is not trusted: it only says when to stop.
    ///
    /// # Errors
    /// As [`Self::uint`].
    pub fn map(&mut self, field: &'static str) -> Result<Keys, FormatError> {
        let left = self.head(field, MAP)?;
        Ok(Keys { left, last: (0, 0) })
    }

    /// The next integer key of a map, or `None` after the last pair.
    ///
    /// # Errors
    /// As [`Self::uint`]; [`Fault::NotCanonical`] when keys repeat or are out of order.
    pub fn int_key(&mut self, field: &'static str, keys: &mut Keys) -> Result<Option<u64>, FormatError> {
        let at = self.at;
        let Some(left) = keys.left.checked_sub(1) else { return Ok(None) };
        let key = self.uint(field)?;
        self.in_order(field, keys, at, left)?;
        Ok(Some(key))
    }

    /// The next text key of a map, or `None` after the last pair.
    ///
    /// # Errors
    /// As [`Self::text`]; [`Fault::NotCanonical`] when keys repeat or are out of order.
    pub fn text_key(
        &mut self,
        field: &'static str,
        keys: &mut Keys,
        limit: usize,
    ) -> Result<Option<&'a str>, FormatError> {
        let at = self.at;
        let Some(left) = keys.left.checked_sub(1) else { return Ok(None) };
        let key = self.text(field, limit)?;
        self.in_order(field, keys, at, left)?;
        Ok(Some(key))
    }

    /// True or false.
    ///
    /// # Errors
    /// [`Fault::Truncated`]; [`Fault::Invalid`] for another kind.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, FormatError> {
        let at = self.at;
        match self.byte(field)? {
            FALSE => Ok(false),
            TRUE => Ok(true),
            _ => Err(FormatError::new(field, at, Fault::Invalid)),
        }
    }

    /// Takes a null where there is one and says whether there was.
    pub fn null(&mut self) -> bool {
        let null = self.input.get(self.at) == Some(&NULL);
        self.at += usize::from(null);
        null
    }

    /// Demands that nothing follows.
    ///
    /// # Errors
    /// [`Fault::TrailingBytes`].
    pub fn finish(self, field: &'static str) -> Result<(), FormatError> {
        if self.at == self.input.len() {
            return Ok(());
        }
        Err(FormatError::new(field, self.at, Fault::TrailingBytes))
    }

    fn in_order(
        &self,
        field: &'static str,
        keys: &mut Keys,
        at: usize,
        left: u64,
    ) -> Result<(), FormatError> {
        let (start, end) = keys.last;
        let last = self.input.get(start..end).unwrap_or_default();
        let this = self.input.get(at..self.at).unwrap_or_default();
        if last >= this {
            return Err(FormatError::new(field, at, Fault::NotCanonical));
        }
        *keys = Keys { left, last: (at, self.at) };
        Ok(())
    }

    fn string(&mut self, field: &'static str, major: u8, limit: usize) -> Result<&'a [u8], FormatError> {
        let at = self.at;
        let length = self.head(field, major)?;
        if length > limit as u64 {
            return Err(FormatError::new(field, at, Fault::TooLong));
        }
        // At most `limit`, which is a usize.
        self.take(field, length as usize)
    }

    fn head(&mut self, field: &'static str, major: u8) -> Result<u64, FormatError> {
        let at = self.at;
        let first = self.byte(field)?;
        if first >> 5 != major {
            return Err(FormatError::new(field, at, Fault::Invalid));
        }
        let (value, least) = match first & 0x1f {
            small @ 0..24 => return Ok(u64::from(small)),
            24 => (u64::from_be_bytes(self.wide::<1>(field)?), 24),
            25 => (u64::from_be_bytes(self.wide::<2>(field)?), 0x100),
            26 => (u64::from_be_bytes(self.wide::<4>(field)?), 0x1_0000),
            27 => (u64::from_be_bytes(self.wide::<8>(field)?), 0x1_0000_0000),
            _ => return Err(FormatError::new(field, at, Fault::NotCanonical)),
        };
        if value < least {
            return Err(FormatError::new(field, at, Fault::NotCanonical));
        }
        Ok(value)
    }

    fn wide<const N: usize>(&mut self, field: &'static str) -> Result<[u8; 8], FormatError> {
        let bytes = self.take(field, N)?;
        let mut wide = [0; 8];
        wide.iter_mut().rev().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from);
        Ok(wide)
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, FormatError> {
        self.take(field, 1).map(|bytes| bytes.first().copied().unwrap_or_default())
    }

    fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], FormatError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.input.len());
        let taken = end.and_then(|end| self.input.get(self.at..end));
        let taken = taken.ok_or(FormatError::new(field, self.at, Fault::Truncated))?;
        self.at += length;
        Ok(taken)
    }
}
