//! Names of wraps, in the tail of the seal record: by them a configuration says which device opens which wrap.
use crate::{
    error::{Fault, FormatError},
    ids::WrapId,
    reader::Reader,
};
use alloc::{string::String, vec::Vec};

/// The tag of the entry in the seal record's tail. Optional: who does not know it opens the wraps without.
pub const TAG: u16 = 0x8001;
/// Bytes of the longest name.
pub const MAX_LEN: usize = 64;

/// Whether a wrap may have this name: 1 to 64 of `a` to `z`, `0` to `9` and `-`, not at the ends.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_LEN).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The entry's bytes, for each wrap `wrap id[16] ‖ length u8 ‖ name`.
///
/// # Errors
/// As [`decode`], which would not read them back.
pub fn encode(names: &[(WrapId, String)]) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    for (wrap, name) in names {
        let too_long = FormatError::new("wrap name length", out.len() + 16, Fault::TooLong);
        out.extend_from_slice(wrap.as_bytes());
        out.push(u8::try_from(name.len()).map_err(|_| too_long)?);
        out.extend_from_slice(name.as_bytes());
    }
    decode(&out)?;
    Ok(out)
}

/// Reads the entry. A wrap or name that the record doesn't have is no fault: a reader that doesn't know the entry keeps
/// it as it is.
///
/// # Errors
/// [`Fault::Truncated`]; [`Fault::Invalid`] where a name is none; [`Fault::NotCanonical`] where wrap ids do not ascend or
/// two have one name.
pub fn decode(input: &[u8]) -> Result<Vec<(WrapId, String)>, FormatError> {
    let mut reader = Reader::new(input);
    let mut names: Vec<(WrapId, String)> = Vec::new();
    while !reader.rest().is_empty() {
        let unordered = reader.fault("wrap id", Fault::NotCanonical);
        let wrap = WrapId(*reader.array("wrap id")?);
        if names.last().is_some_and(|(last, _)| last.as_bytes() >= wrap.as_bytes()) {
            return Err(unordered);
        }
        let length = reader.u8("wrap name length")?;
        let (invalid, twice) =
            (reader.fault("wrap name", Fault::Invalid), reader.fault("wrap name", Fault::NotCanonical));
        let name = core::str::from_utf8(reader.take(length.into(), "wrap name")?).ok();
        let name = name.filter(|name| is_name(name)).ok_or(invalid)?;
        if names.iter().any(|(_, earlier)| earlier == name) {
            return Err(twice);
        }
        names.push((wrap, String::from(name)));
    }
    Ok(names)
}
