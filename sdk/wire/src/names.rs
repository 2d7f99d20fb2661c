//! Names that stand twice: two readers of such an object could see two different requests.
use crate::text::{inside, unescape};
use core::ops::Range;
use std::collections::HashSet;

/// Up to this many names are compared pair by pair, which is faster than hashing and needs no memory.
const FEW: usize = 24;

/// Whether any two of `names`, each with the number of its object, say the same once decoded.
pub(crate) fn repeat(text: &[u8], names: &[(u32, Range<usize>)]) -> bool {
    let quoted = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
    if names.len() <= FEW {
        return names.iter().enumerate().any(|(at, (object, name))| {
            names.iter().skip(at + 1).any(|(other, twin)| object == other && same(quoted(name), quoted(twin)))
        });
    }
    let mut seen = HashSet::with_capacity(names.len());
    !names.iter().all(|(object, name)| seen.insert((*object, decoded(quoted(name)))))
}

/// Whether two names in quotes say the same.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one == other || ((one.contains(&b'\\') || other.contains(&b'\\')) && *unescape(one) == *unescape(other))
}

/// A name without quotes and escapes.
pub(crate) fn decoded(quoted: &[u8]) -> std::borrow::Cow<'_, str> {
    match core::str::from_utf8(inside(quoted)) {
        Ok(plain) if !plain.contains('\\') => plain.into(),
        _ => unescape(quoted).to_string().into(),
    }
}
