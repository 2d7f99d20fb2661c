//! The query of a URL: `name=value` pairs, percent-encoded, `+` for a space (WHATWG URL, urlencoded).
use crate::scan::ScanError;
use zeroize::Zeroizing;

/// The decoded pairs of `query`, in order. A name without `=` has the empty value.
pub(crate) fn pairs(
    query: &str,
) -> impl Iterator<Item = Result<(Zeroizing<String>, Zeroizing<String>), ScanError>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let malformed = || ScanError::Malformed { offset: pair.as_ptr().addr() - query.as_ptr().addr() };
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name).ok_or_else(malformed)?, decode(value).ok_or_else(malformed)?))
    })
}

fn decode(text: &str) -> Option<Zeroizing<String>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    core::str::from_utf8(&out).ok()?;
    String::from_utf8(core::mem::take(&mut *out)).ok().map(Zeroizing::new)
}
