//! Limits first: one pass over the bytes that counts depth and values and allocates nothing.
//!
//! The grammar is RFC 8259 without leniency: UTF-8 without a byte order mark, no lone surrogates, no
//! leading zeroes. What passes here can be cut and decoded later without a second set of rules.
use core::ops::Range;

/// How much JSON a body may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Greatest nesting depth, at most 128.
    pub depth: usize,
    /// Greatest count of values and names together.
    pub values: usize,
}

impl Limits {
    /// A request's body: 64 deep, 100,000 values and names.
    pub const REQUEST: Self = Self { depth: 64, values: 100_000 };
    /// What has passed a scan before: only depth is watched.
    pub(crate) const SCANNED: Self = Self { depth: MAX_DEPTH, values: usize::MAX };
}

/// Why a body is refused. Never carries input; the offset is a byte position in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// Nested deeper than the limit.
    TooDeep,
    /// More values than the limit.
    TooMany,
    /// Not JSON.
    Malformed {
        /// Where it stops being JSON.
        offset: usize,
    },
    /// JSON, but not an object.
    NotAnObject,
    /// The same name twice in one object.
    DuplicateName,
}

impl core::fmt::Display for ScanError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooDeep => f.write_str("the JSON is nested too deeply"),
            Self::TooMany => f.write_str("the JSON has too many values"),
            Self::Malformed { offset } => write!(f, "the text stops being JSON at byte {offset}"),
            Self::NotAnObject => f.write_str("the JSON must be an object"),
            Self::DuplicateName => f.write_str("a name stands twice in one object"),
        }
    }
}

impl core::error::Error for ScanError {}

/// Checks that `text` is one JSON value within `limits`. Names may repeat; see [`crate::Params::parse`].
///
/// # Errors
/// [`ScanError::Malformed`], [`ScanError::TooDeep`] or [`ScanError::TooMany`].
pub fn scan(text: &[u8], limits: Limits) -> Result<(), ScanError> {
    scan_with(text, limits, &mut Nothing)
}

/// What the scanner tells while it goes. Ranges are byte positions; those of strings include the quotes.
pub(crate) trait Visit {
    /// A member's name in the object that was opened as the `object`th container.
    fn name(&mut self, _object: u32, _text: Range<usize>) {}
    /// A value begins; `depth` is the number of containers around it.
    fn begin(&mut self, _at: usize, _depth: usize) {}
    /// The value that began last at this `depth` ends before `at`.
    fn end(&mut self, _at: usize, _depth: usize) {}
}

struct Nothing;
impl Visit for Nothing {}

const MAX_DEPTH: usize = 128;

/// Scans `text` and tells `visit` what stands where.
pub(crate) fn scan_with(text: &[u8], limits: Limits, visit: &mut impl Visit) -> Result<(), ScanError> {
    if let Err(error) = core::str::from_utf8(text) {
        return Err(ScanError::Malformed { offset: error.valid_up_to() });
    }
    let mut scanner = Scanner { text, at: 0, values_left: limits.values };
    let mut open = Containers { stack: [(0, false); MAX_DEPTH], depth: 0, opened: 0, limit: limits.depth };
    loop {
        // Here a value must begin.
        scanner.skip_space();
        scanner.count()?;
        visit.begin(scanner.at, open.depth);
        let opened = match scanner.peek() {
            Some(b'{') => Some(true),
            Some(b'[') => Some(false),
            _ => None,
        };
        if let Some(is_object) = opened {
            scanner.at += 1;
            open.push(is_object)?;
            scanner.skip_space();
            let close = if is_object { b'}' } else { b']' };
            if scanner.peek() == Some(close) {
                scanner.at += 1;
                open.pop();
                visit.end(scanner.at, open.depth);
            } else {
                if is_object {
                    scanner.member_name(open.top().0, visit)?;
                }
                continue;
            }
        } else {
            scanner.scalar()?;
            visit.end(scanner.at, open.depth);
        }
        // Here a value has ended: close what ends with it, or go to the next one.
        loop {
            scanner.skip_space();
            if open.depth == 0 {
                return if scanner.at == text.len() { Ok(()) } else { Err(scanner.malformed()) };
            }
            let (object, is_object) = open.top();
            match (scanner.peek(), is_object) {
                (Some(b','), true) => {
                    scanner.at += 1;
                    scanner.skip_space();
                    scanner.member_name(object, visit)?;
                    break;
                }
                (Some(b','), false) => {
                    scanner.at += 1;
                    break;
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    scanner.at += 1;
                    open.pop();
                    visit.end(scanner.at, open.depth);
                }
                _ => return Err(scanner.malformed()),
            }
        }
    }
}

/// The containers that are open: each with its number, counted from 1, and whether it is an object.
struct Containers {
    stack: [(u32, bool); MAX_DEPTH],
    depth: usize,
    opened: u32,
    limit: usize,
}

impl Containers {
    fn push(&mut self, is_object: bool) -> Result<(), ScanError> {
        if self.depth >= self.limit {
            return Err(ScanError::TooDeep);
        }
        self.opened = self.opened.checked_add(1).ok_or(ScanError::TooMany)?;
        *self.stack.get_mut(self.depth).ok_or(ScanError::TooDeep)? = (self.opened, is_object);
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn top(&self) -> (u32, bool) {
        self.stack.get(self.depth.wrapping_sub(1)).copied().unwrap_or_default()
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    values_left: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn malformed(&self) -> ScanError {
        ScanError::Malformed { offset: self.at }
    }

    fn count(&mut self) -> Result<(), ScanError> {
        self.values_left = self.values_left.checked_sub(1).ok_or(ScanError::TooMany)?;
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.peek() != Some(byte) {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    fn member_name(&mut self, object: u32, visit: &mut impl Visit) -> Result<(), ScanError> {
        self.count()?;
        let start = self.at;
        self.string()?;
        visit.name(object, start..self.at);
        self.skip_space();
        self.take(b':')
    }

    fn scalar(&mut self) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), ScanError> {
        word.iter().try_for_each(|byte| self.take(*byte))
    }

    fn number(&mut self) -> Result<(), ScanError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.malformed()) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<(), ScanError> {
        self.take(b'"')?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                None | Some(0..=0x1f) => return Err(self.malformed()),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                return Ok(());
            }
            Some(b'u') => self.at += 1,
            _ => return Err(self.malformed()),
        }
        let lone = ScanError::Malformed { offset: start };
        match self.hex4()? {
            0xd800..=0xdbff => {
                self.take(b'\\')?;
                self.take(b'u')?;
                if matches!(self.hex4()?, 0xdc00..=0xdfff) { Ok(()) } else { Err(lone) }
            }
            0xdc00..=0xdfff => Err(lone),
            _ => Ok(()),
        }
    }

    fn hex4(&mut self) -> Result<u32, ScanError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16)).ok_or(self.malformed())?;
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }
}
