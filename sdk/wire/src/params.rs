//! Reading parameters: the members of a request's JSON object and its query, by name and with a type.
use crate::names::{decoded, repeat};
use crate::scan::{Limits, ScanError, Visit, scan_with};
use crate::text::{escape, inside, push, unescape};
use crate::{duration, query};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::ops::Range;
use zeroize::{Zeroize as _, Zeroizing};

/// A parameter that can't be used; its name and what would be right, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The parameter's name.
    pub field: &'static str,
    /// What it must be, as in "must be a whole number".
    pub must: &'static str,
}

impl core::fmt::Display for FieldError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?} {}", self.field, self.must)
    }
}

impl core::error::Error for FieldError {}

/// The parameters of one request.
///
/// A member that is `null` counts as not given. The empty text counts as not given where a number, a truth value or a
/// duration is wanted, because the field's clients send it for what they leave out.
pub struct Params {
    /// The body, and behind it the values of the query as JSON strings.
    text: Zeroizing<Vec<u8>>,
    body_bytes: usize,
    members: Vec<Member>,
}

/// Each is compared with all members, so there are few.
const MAX_QUERY_PAIRS: usize = 256;

struct Member {
    name: Box<str>,
    value: Range<usize>,
}

#[allow(
    clippy::missing_errors_doc,
    reason = "every getter fails alike: the member is there and is of another type"
)]
/// A name, and its new text, or none where it is to be removed.
pub type Patched = (String, Option<String>);

impl Params {
    /// No parameters.
    #[must_use]
    pub fn none() -> Self {
        Self { text: Zeroizing::new(b"{}".to_vec()), body_bytes: 2, members: Vec::new() }
    }

    /// Reads a body; an empty one, or `null`, is no parameters. A name that stands twice in any object is refused.
    pub fn parse(body: Zeroizing<Vec<u8>>, limits: Limits) -> Result<Self, ScanError> {
        if matches!(body.trim_ascii(), b"" | b"null") {
            return Ok(Self::none());
        }
        let mut reader = Reader::default();
        scan_with(&body, limits, &mut reader)?;
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(ScanError::NotAnObject);
        }
        if repeat(&body, &reader.names) {
            return Err(ScanError::DuplicateName);
        }
        Ok(Self::new(body, reader))
    }

    /// Adds the decoded pairs of a query, at most 256; a name that the body has too, or that stands twice, is refused.
    pub fn add_query(&mut self, query: &str) -> Result<(), ScanError> {
        for (count, pair) in query::pairs(query).enumerate() {
            let (name, value) = pair?;
            if count == MAX_QUERY_PAIRS {
                return Err(ScanError::TooMany);
            }
            if self.members.iter().any(|member| *member.name == **name) {
                return Err(ScanError::DuplicateName);
            }
            let start = self.text.len();
            escape(&mut self.text, &value);
            self.members.push(Member { name: name.as_str().into(), value: start..self.text.len() });
        }
        Ok(())
    }

    /// Gives a member this number, whatever it was: for a limit that somebody else has set.
    pub fn set_number(&mut self, name: &str, value: u64) {
        let start = self.text.len();
        push(&mut self.text, value.to_string().as_bytes());
        let value = start..self.text.len();
        match self.members.iter_mut().find(|member| &*member.name == name) {
            Some(member) => member.value = value,
            None => self.members.push(Member { name: name.into(), value }),
        }
    }

    /// The whole body as JSON text, as it came (`{}` where there was none).
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.text.get(..self.body_bytes).unwrap_or_default()
    }

    /// The names given, in the order given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| &*member.name)
    }

    /// Whether a member is there and not null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The member's JSON text, `null` included.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&[u8]> {
        let member = self.members.iter().find(|member| &*member.name == name)?;
        self.text.get(member.value.clone())
    }

    /// Text; numbers and booleans are taken as their text.
    pub fn string(&self, name: &'static str) -> Result<Option<Zeroizing<String>>, FieldError> {
        self.read(name, "must be text", text_of)
    }

    /// Text that must be there and not be empty.
    pub fn required(&self, name: &'static str) -> Result<Zeroizing<String>, FieldError> {
        match self.string(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(FieldError { field: name, must: "must be given" }),
        }
    }

    /// A whole number ≥ 0, as a number or as text.
    pub fn number(&self, name: &'static str) -> Result<Option<u64>, FieldError> {
        self.read_unless_empty(name, "must be a whole number", |text| text.parse().ok())
    }

    /// `true`, `false`, or their text, or 0 and 1.
    pub fn boolean(&self, name: &'static str) -> Result<Option<bool>, FieldError> {
        self.read_unless_empty(name, "must be true or false", |text| match text {
            "1" | "t" | "T" => Some(true),
            "0" | "f" | "F" => Some(false),
            word if word.eq_ignore_ascii_case("true") => Some(true),
            word if word.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    /// Seconds: a number, its text, or text like `1h30m`, `90s`, `2d`. A part of a second counts as a whole one.
    pub fn seconds(&self, name: &'static str) -> Result<Option<u64>, FieldError> {
        self.read_unless_empty(
            name,
            "must be a number of seconds or a duration such as 1h30m",
            duration::parse,
        )
    }

    /// Standard base64 (RFC 4648 §4), decoded. Line breaks in it are skipped.
    pub fn base64(&self, name: &'static str) -> Result<Option<Zeroizing<Vec<u8>>>, FieldError> {
        self.read(name, "must be base64", |json| {
            if json.first() != Some(&b'"') {
                return None;
            }
            if !json.contains(&b'\\') {
                return decode_base64(inside(json));
            }
            let mut text = unescape(json);
            text.retain(|c| c != '\n' && c != '\r');
            decode_base64(text.as_bytes())
        })
    }

    /// Strings: an array of them, or one text separated by commas. Empty parts of the text are dropped.
    pub fn list(&self, name: &'static str) -> Result<Option<Vec<String>>, FieldError> {
        self.read(name, "must be a list of texts", |json| {
            if json.first() == Some(&b'[') {
                return elements(json).map(|element| text_of(element).map(|text| text.to_string())).collect();
            }
            Some(
                text_of(json)?
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect(),
            )
        })
    }

    /// Whole numbers: an array of numbers or texts, or one text separated by commas.
    pub fn numbers(&self, name: &'static str) -> Result<Option<Vec<u64>>, FieldError> {
        const MUST: &str = "must be a list of whole numbers";
        let list = self.list(name).map_err(|_| FieldError { field: name, must: MUST })?;
        let Some(list) = list else { return Ok(None) };
        let numbers = list.iter().map(|text| text.parse()).collect::<Result<_, _>>();
        numbers.map(Some).map_err(|_| FieldError { field: name, must: MUST })
    }

    /// An object of strings, or an array of / one text `a=b`.
    pub fn map(&self, name: &'static str) -> Result<Option<Vec<(String, String)>>, FieldError> {
        let pair = |text: &str| {
            let (name, value) = text.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        self.read(name, "must be an object of texts", |json| match json.first() {
            Some(b'{') => {
                let inner = Self::within(json);
                let entry = |member: &Member| {
                    let value = text_of(inner.text.get(member.value.clone())?)?;
                    Some((member.name.to_string(), value.to_string()))
                };
                inner.members.iter().map(entry).collect()
            }
            Some(b'[') => elements(json).map(|element| pair(&text_of(element)?)).collect(),
            _ => {
                let text = text_of(json)?;
                if text.is_empty() { Some(Vec::new()) } else { Some(vec![pair(&text)?]) }
            }
        })
    }

    /// An object of texts and nulls, as a merge patch has it (RFC 7396): null is for what is to be removed.
    pub fn patch_map(&self, name: &'static str) -> Result<Option<Vec<Patched>>, FieldError> {
        self.read(name, "must be an object of texts and nulls", |json| {
            let inner = (json.first() == Some(&b'{')).then(|| Self::within(json))?;
            let entry = |member: &Member| {
                let value = inner.text.get(member.value.clone())?;
                let value = if value == b"null" { None } else { Some(text_of(value)?.to_string()) };
                Some((member.name.to_string(), value))
            };
            inner.members.iter().map(entry).collect()
        })
    }

    /// A nested object with parameters of its own.
    pub fn nested(&self, name: &'static str) -> Result<Option<Params>, FieldError> {
        self.read(name, "must be an object", |json| (json.first() == Some(&b'{')).then(|| Self::within(json)))
    }

    /// An array of objects, each with parameters of its own.
    pub fn each(&self, name: &'static str) -> Result<Option<Vec<Params>>, FieldError> {
        self.read(name, "must be a list of objects", |json| {
            if json.first() != Some(&b'[') {
                return None;
            }
            elements(json)
                .map(|element| (element.first() == Some(&b'{')).then(|| Self::within(element)))
                .collect()
        })
    }

    fn new(body: Zeroizing<Vec<u8>>, reader: Reader) -> Self {
        let member = |(name, value): (Range<usize>, Range<usize>)| Member {
            name: decoded(body.get(name).unwrap_or_default()).into(),
            value,
        };
        let members = reader.members.into_iter().map(member).collect();
        Self { body_bytes: body.len(), text: body, members }
    }

    /// An object that has passed the scan as part of the whole.
    fn within(json: &[u8]) -> Self {
        let mut text = Zeroizing::new(Vec::new());
        push(&mut text, json);
        let mut reader = Reader { top_only: true, ..Reader::default() };
        match scan_with(&text, Limits::SCANNED, &mut reader) {
            Ok(()) => Self::new(text, reader),
            Err(_) => Self::none(),
        }
    }

    fn value(&self, name: &str) -> Option<&[u8]> {
        self.raw(name).filter(|json| *json != b"null")
    }

    fn read<T>(
        &self,
        name: &'static str,
        must: &'static str,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, FieldError> {
        let Some(json) = self.value(name) else { return Ok(None) };
        read(json).map(Some).ok_or(FieldError { field: name, must })
    }

    fn read_unless_empty<T>(
        &self,
        name: &'static str,
        must: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, FieldError> {
        if self.value(name) == Some(b"\"\"") {
            return Ok(None);
        }
        self.read(name, must, |json| read(text_of(json)?.trim()))
    }
}

/// A string's content, or the text of a number or truth value.
fn text_of(json: &[u8]) -> Option<Zeroizing<String>> {
    match json.first()? {
        b'"' => Some(unescape(json)),
        b'{' | b'[' | b'n' => None,
        _ => core::str::from_utf8(json).ok().map(|text| Zeroizing::new(text.to_owned())),
    }
}

fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    match STANDARD.decode_slice(text, &mut out) {
        Ok(length) => {
            out.truncate(length);
            Some(out)
        }
        Err(_) => {
            out.zeroize();
            None
        }
    }
}

/// The elements of an array that has passed the scan.
fn elements(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    struct Elements(Vec<Range<usize>>);
    impl Visit for Elements {
        fn begin(&mut self, at: usize, depth: usize) {
            if depth == 1 {
                self.0.push(at..at);
            }
        }
        fn end(&mut self, at: usize, depth: usize) {
            if let (1, Some(element)) = (depth, self.0.last_mut()) {
                element.end = at;
            }
        }
    }
    let mut found = Elements(Vec::new());
    if scan_with(json, Limits::SCANNED, &mut found).is_err() {
        found.0.clear();
    }
    found.0.into_iter().filter_map(|range| json.get(range))
}

/// Takes the members of the outermost object, and all names, to find those that repeat.
#[derive(Default)]
struct Reader {
    top_only: bool,
    names: Vec<(u32, Range<usize>)>,
    members: Vec<(Range<usize>, Range<usize>)>,
    name: Range<usize>,
}

impl Visit for Reader {
    fn name(&mut self, object: u32, text: Range<usize>) {
        if !self.top_only {
            self.names.push((object, text.clone()));
        }
        self.name = text;
    }
    fn begin(&mut self, at: usize, depth: usize) {
        if depth == 1 {
            self.members.push((self.name.clone(), at..at));
        }
    }
    fn end(&mut self, at: usize, depth: usize) {
        if let (1, Some((_, value))) = (depth, self.members.last_mut()) {
            value.end = at;
        }
    }
}
