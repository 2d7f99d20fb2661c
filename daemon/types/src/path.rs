//! The one parser of paths: percent-decoded once, canonical or refused, before anything compares it.
use std::fmt;
use unicode_normalization::is_nfc;

/// Why a path is refused. Never carries the path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathError {
    /// `%` is not followed by two hexadecimal digits, or the bytes are no UTF-8.
    BadEncoding,
    /// A `.` or `..` segment.
    DotSegment,
    /// `//`, or a slash at the end where none may stand.
    EmptySegment,
    /// NUL or another control character.
    ControlCharacter,
    /// Not in Unicode normalization form C.
    NotNormalized,
    /// Longer than 1,024 bytes, or a segment longer than 512.
    TooLong,
    /// A name that is reserved or has a character an environment's name may not have.
    BadName,
}

impl PathError {
    /// One sentence that says what would be right.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::BadEncoding => "the path must be valid UTF-8, percent-encoded once",
            Self::DotSegment => "the path must not contain '.' or '..' segments",
            Self::EmptySegment => "the path must not contain empty segments or end in a slash",
            Self::ControlCharacter => "the path must not contain control characters",
            Self::NotNormalized => "the path must be in Unicode normalization form C",
            Self::TooLong => "the path must have at most 1024 bytes, each segment at most 512",
            Self::BadName => {
                "an environment's name has letters, digits, '-' and '_', and is none of root, sys, audit, auth, cubbyhole, identity"
            }
        }
    }
}

const MAX_PATH_BYTES: usize = 1024;
const MAX_SEGMENT_BYTES: usize = 512;

/// A path without leading or trailing slash whose segments can't be read in two ways. May be empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CanonicalPath(Box<str>);

impl CanonicalPath {
    /// Decodes and checks the path of a URL (without query), once. With `is_listing` (LIST and SCAN) one trailing slash is dropped.
    ///
    /// # Errors
    /// Whatever is not canonical, see [`PathError`].
    pub fn from_url(raw: &str, is_listing: bool) -> Result<Self, PathError> {
        let raw = raw.strip_prefix('/').unwrap_or(raw);
        let raw = if is_listing { raw.strip_suffix('/').unwrap_or(raw) } else { raw };
        if raw.contains('%') { Self::parse(&percent_decode(raw)?) } else { Self::parse(raw) }
    }

    /// Checks a path that is not encoded: from a JSON body or from the store.
    ///
    /// # Errors
    /// Whatever is not canonical, see [`PathError`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(PathError::ControlCharacter);
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err(PathError::EmptySegment),
                "." | ".." => return Err(PathError::DotSegment),
                long if long.len() > MAX_SEGMENT_BYTES => return Err(PathError::TooLong),
                _ => {}
            }
        }
        if text.is_ascii() || is_nfc(text) { Ok(Self(text.into())) } else { Err(PathError::NotNormalized) }
    }

    /// The path's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, from the root down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// What follows `mount` (itself without slashes at its ends), if this path lies at or below it.
    #[must_use]
    pub fn below(&self, mount: &str) -> Option<Self> {
        match self.0.strip_prefix(mount)? {
            "" => Some(Self::default()),
            rest => rest.strip_prefix('/').map(|rest| Self(rest.into())),
        }
    }

    /// This path with its last `count` segments in lower case: for names that are the same in any case.
    #[must_use]
    pub fn fold_last(&self, count: usize) -> Self {
        let total = self.segments().count();
        let folded: Vec<String> = self
            .segments()
            .enumerate()
            .map(
                |(at, segment)| if at + count >= total { segment.to_lowercase() } else { segment.to_owned() },
            )
            .collect();
        Self(folded.join("/").into())
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an environment stands: `prod`, `acme/prod`; empty for `root`. Always in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct EnvironmentPath(Box<str>);

/// First segments that would shadow the API itself or another environment's spelling.
const RESERVED: [&str; 6] = ["root", "sys", "audit", "auth", "cubbyhole", "identity"];

impl EnvironmentPath {
    /// The root environment.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a namespace header or parameter: slashes at the ends are dropped, case is folded, `root` alone means the root.
    ///
    /// # Errors
    /// [`PathError::BadName`] for a reserved or misspelt name.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text).to_lowercase();
        if text.is_empty() || text == "root" {
            return Ok(Self::root());
        }
        if text.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= 128
                && !RESERVED.contains(&name)
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if text.split('/').all(is_name) { Ok(Self(text.into())) } else { Err(PathError::BadName) }
    }

    /// The path's text; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root environment.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The environment above; none above the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or("", |(parent, _)| parent).into()))
    }

    /// The child of this environment by `name`, which may itself have several segments.
    ///
    /// # Errors
    /// [`PathError::BadName`] for a reserved or misspelt name, or none.
    pub fn child(&self, name: &str) -> Result<Self, PathError> {
        let name = Self::parse(name)?;
        match (self.is_root(), name.is_root()) {
            (_, true) => Err(PathError::BadName),
            (true, false) => Ok(name),
            (false, false) => Ok(Self(format!("{}/{}", self.0, name.0).into())),
        }
    }

    /// Whether `other` is this environment or lies below it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.is_root()
            || other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for EnvironmentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "root" } else { &self.0 })
    }
}

fn percent_decode(raw: &str) -> Result<String, PathError> {
    let mut bytes = raw.bytes();
    let mut out = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit =
            || char::from(bytes.next().unwrap_or(b'!')).to_digit(16).ok_or(PathError::BadEncoding);
        let (high, low) = (digit()?, digit()?);
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).map_err(|_| PathError::BadEncoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_canonical_is_refused() {
        for (raw, why) in [
            ("a/../b", PathError::DotSegment),
            ("a/%2e%2e/b", PathError::DotSegment),
            ("a/./b", PathError::DotSegment),
            ("a//b", PathError::EmptySegment),
            ("a/%2f/b", PathError::EmptySegment),
            ("a/", PathError::EmptySegment),
            ("a%00b", PathError::ControlCharacter),
            ("a%0ab", PathError::ControlCharacter),
            ("a%", PathError::BadEncoding),
            ("a%+1", PathError::BadEncoding),
            ("a%ff", PathError::BadEncoding),
            ("e%CC%81", PathError::NotNormalized),
        ] {
            assert_eq!(CanonicalPath::from_url(raw, false), Err(why), "{raw}");
        }
    }

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(CanonicalPath::from_url("/a/%252e%252e/b", false).unwrap().as_str(), "a/%2e%2e/b");
        assert_eq!(CanonicalPath::from_url("/a%20b/%C3%A9", false).unwrap().as_str(), "a b/é");
    }

    #[test]
    fn one_trailing_slash_is_dropped_from_a_listing_only() {
        assert_eq!(CanonicalPath::from_url("a/", true).unwrap().as_str(), "a");
        assert_eq!(CanonicalPath::from_url("a//", true), Err(PathError::EmptySegment));
    }

    #[test]
    fn a_mount_is_a_whole_segment() {
        let path = CanonicalPath::parse("secret/data/x").unwrap();
        assert_eq!(path.below("secret").unwrap().as_str(), "data/x");
        assert_eq!(path.below("secret/data/x").unwrap().as_str(), "");
        assert_eq!(path.below("sec"), None);
    }

    #[test]
    fn folding_touches_only_the_names_that_are_the_same_in_any_case() {
        let path = CanonicalPath::parse("sys/policies/acl/AdMin").unwrap();
        assert_eq!(path.fold_last(1).as_str(), "sys/policies/acl/admin");
    }

    #[test]
    fn an_environment_called_root_is_no_child() {
        for name in ["root", "ROOT", " root", "root/", "sys", "a/root", "a b", "a/../b", ""] {
            assert!(EnvironmentPath::parse("acme").unwrap().child(name).is_err(), "{name}");
        }
        assert_eq!(EnvironmentPath::parse("Acme/Prod/").unwrap().as_str(), "acme/prod");
    }

    #[test]
    fn containment_is_by_whole_names() {
        let acme = EnvironmentPath::parse("acme").unwrap();
        assert!(acme.contains(&EnvironmentPath::parse("acme/prod").unwrap()));
        assert!(!acme.contains(&EnvironmentPath::parse("acmeprod").unwrap()));
        assert!(EnvironmentPath::root().contains(&acme));
        assert!(!acme.contains(&EnvironmentPath::root()));
    }
}
