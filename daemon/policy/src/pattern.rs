//! Which paths a stanza is about, and which of two stanzas is the more specific.
use crate::names::fold_names;
use coffer_types::CanonicalPath;
use std::cmp::Reverse;

/// A stanza's path: plain, with `*` at its end (any continuation), with `+` for whole segments, or both.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Without the `*` at the end, names folded.
    pub(crate) literal: Box<str>,
    pub(crate) is_prefix: bool,
    /// How many segments are `+`.
    pub(crate) wildcards: usize,
}

/// How specific a pattern is: the greater one decides, as Vault orders them (its documentation, "policy syntax"): the
/// later first wildcard, then no `*` at the end, then fewer `+`, then the longer, then the greater text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    first_wildcard: usize,
    is_whole: bool,
    wildcards: Reverse<usize>,
    length: usize,
    text: Box<str>,
}

impl Pattern {
    /// Reads a stanza's path; one leading slash is dropped.
    ///
    /// # Errors
    /// A sentence on what would be right, where the pattern could never match, or not mean what it seems to.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_prefix('/').unwrap_or(text);
        if text.contains("{{") || text.contains("}}") {
            return Err("templates ({{…}}) are not supported in a path yet");
        }
        let (literal, is_prefix) = text.strip_suffix('*').map_or((text, false), |literal| (literal, true));
        if literal.contains('*') {
            return Err("'*' may stand only at the end of a path; for one segment write '+'");
        }
        if is_prefix && literal.ends_with('+') {
            return Err("'+*' is not allowed in a path");
        }
        // A request's path is canonical, so a pattern that is not would match nothing: fatal where it denies.
        let sample = if is_prefix {
            format!("{literal}x")
        } else {
            literal.strip_suffix('/').unwrap_or(literal).to_owned()
        };
        if literal == "/" || CanonicalPath::parse(&sample).is_err() {
            return Err(
                "this path can never match: a request's path has no empty, '.' or '..' segments, no control characters, and is in Unicode normalization form C",
            );
        }
        let literal: Box<str> = fold_names(literal).into();
        let wildcards = literal.split('/').filter(|segment| *segment == "+").count();
        Ok(Self { literal, is_prefix, wildcards })
    }

    pub(crate) fn rank(&self) -> Rank {
        let mut first_wildcard = self.literal.len();
        let mut at = 0;
        for segment in self.literal.split('/') {
            if segment == "+" {
                first_wildcard = at;
                break;
            }
            at += segment.len() + 1;
        }
        Rank {
            first_wildcard,
            is_whole: !self.is_prefix,
            wildcards: Reverse(self.wildcards),
            length: self.literal.len(),
            text: self.literal.clone(),
        }
    }

    /// Whether this pattern, segment by segment, covers `path`, or with `as_directory` the path with a slash behind it.
    pub(crate) fn covers(&self, path: &str, as_directory: bool) -> bool {
        let mut given = path.split('/').chain(as_directory.then_some(""));
        let mut wanted = self.literal.split('/').peekable();
        while let Some(part) = wanted.next() {
            let Some(segment) = given.next() else { return false };
            if self.is_prefix && wanted.peek().is_none() {
                return segment.starts_with(part);
            }
            if part != "+" && part != segment {
                return false;
            }
        }
        given.next().is_none()
    }

    /// Whether this pattern covers anything at or below `directory`.
    pub(crate) fn reaches(&self, directory: &str) -> bool {
        let mut wanted = self.literal.split('/').peekable();
        for segment in directory.split('/').filter(|segment| !segment.is_empty()) {
            let Some(part) = wanted.next() else { return false };
            if self.is_prefix && wanted.peek().is_none() {
                return segment.starts_with(part);
            }
            if part != "+" && part != segment {
                return false;
            }
        }
        true
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.literal, if self.is_prefix { "*" } else { "" })
    }
}
