//! Text that is cleared wherever it has been: a buffer that also clears what it grows out of, and the
//! two directions of a JSON string.
use zeroize::Zeroizing;

/// Appends to `text` so that a growing buffer leaves no copy behind.
pub fn push(text: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    let needed = text.len().saturating_add(bytes.len());
    if needed > text.capacity() {
        let mut grown = Zeroizing::new(Vec::with_capacity(needed.max(text.capacity() * 2).max(64)));
        grown.extend_from_slice(text);
        *text = grown;
    }
    text.extend_from_slice(bytes);
}

/// Appends `value` as a JSON string, quotes included (RFC 8259 §7; `<`, `>` and `&` stay as they are).
pub fn escape(text: &mut Zeroizing<Vec<u8>>, value: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    push(text, b"\"");
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        let (plain, tail) = rest.split_at(at);
        push(text, plain);
        let Some((special, tail)) = tail.split_first() else { break };
        match special {
            b'"' => push(text, b"\\\""),
            b'\\' => push(text, b"\\\\"),
            b'\n' => push(text, b"\\n"),
            b'\r' => push(text, b"\\r"),
            b'\t' => push(text, b"\\t"),
            control => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                push(text, &[b'\\', b'u', b'0', b'0', digit(control >> 4), digit(control & 15)]);
            }
        }
        rest = tail;
    }
    push(text, rest);
    push(text, b"\"");
}

/// The content of a JSON string that has passed the scan, quotes included in `quoted`.
/// What has not passed it gives less text, never a panic.
pub(crate) fn unescape(quoted: &[u8]) -> Zeroizing<String> {
    let inner = inside(quoted);
    // Decoded text is never longer than its escapes, so this never grows.
    let mut out = Zeroizing::new(String::with_capacity(inner.len()));
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, tail) = rest.split_at(at);
        out.push_str(core::str::from_utf8(plain).unwrap_or_default());
        let used = match tail.get(1) {
            Some(b'u') => {
                let (decoded, used) = unicode(tail);
                out.push(decoded);
                used
            }
            Some(simple) => {
                out.push(match simple {
                    b'b' => '\u{8}',
                    b'f' => '\u{c}',
                    b'n' => '\n',
                    b'r' => '\r',
                    b't' => '\t',
                    other => char::from(*other),
                });
                2
            }
            None => tail.len(),
        };
        rest = tail.get(used..).unwrap_or_default();
    }
    out.push_str(core::str::from_utf8(rest).unwrap_or_default());
    out
}

/// What stands between the quotes.
pub(crate) fn inside(quoted: &[u8]) -> &[u8] {
    quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or_default()
}

/// `\uXXXX` or a surrogate pair at the start of `tail`: the character and how many bytes it took.
fn unicode(tail: &[u8]) -> (char, usize) {
    let hex4 = |from: usize| {
        tail.get(from..from + 4)
            .unwrap_or_default()
            .iter()
            .fold(0, |value, byte| value * 16 + char::from(*byte).to_digit(16).unwrap_or_default())
    };
    let first = hex4(2);
    if !(0xd800..0xdc00).contains(&first) {
        return (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
    }
    let joined = 0x1_0000 + ((first & 0x3ff) << 10) + (hex4(8) & 0x3ff);
    (char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
}
