//! Hex and base64 (RFC 4648) of secrets: strict, cleared when dropped, errors name the position only.
use crate::error::{Fault, FormatError};
use alloc::{string::String, vec::Vec};
use zeroize::Zeroizing;

/// Lower-case hex.
pub(crate) fn to_hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        text.push(hex_digit(byte >> 4));
        text.push(hex_digit(byte & 15));
    }
    text
}

/// Bytes of hex in any case.
pub(crate) fn from_hex(field: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    for (index, &[high, low]) in pairs.iter().enumerate() {
        let invalid = |offset| FormatError::new(field, index * 2 + offset, Fault::Invalid);
        let (high, low) = (hex_value(high).ok_or(invalid(0))?, hex_value(low).ok_or(invalid(1))?);
        bytes.push(high << 4 | low);
    }
    if rest.is_empty() { Ok(bytes) } else { Err(FormatError::new(field, text.len(), Fault::Truncated)) }
}

/// Base64 with the standard alphabet and padding.
pub(crate) fn to_base64(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
    for chunk in bytes.chunks(3) {
        let byte = |at| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            text.push(if at <= chunk.len() { base64_digit((group >> shift & 63) as u8) } else { '=' });
        }
    }
    text
}

/// Bytes of base64 with the standard alphabet; padding is required and its bits are zero.
pub(crate) fn from_base64(field: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let fault = |offset, fault| FormatError::new(field, offset, fault);
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3));
    let (mut held, mut bits) = (0_u32, 0);
    for (at, c) in digits.bytes().enumerate() {
        let value = base64_value(c).ok_or(fault(at, Fault::Invalid))?;
        held = (held << 6 | u32::from(value)) & 0xfff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    if !text.len().is_multiple_of(4) || digits.is_empty() {
        return Err(fault(text.len(), Fault::Truncated));
    }
    if padding > 2 || held & ((1 << bits) - 1) != 0 {
        return Err(fault(digits.len(), Fault::NotCanonical));
    }
    Ok(bytes)
}

fn hex_digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'a' + (value - 10) })
}

fn hex_value(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    }
}

fn base64_digit(value: u8) -> char {
    char::from(match value {
        0..26 => b'A' + value,
        26..52 => b'a' + (value - 26),
        52..62 => b'0' + (value - 52),
        62 => b'+',
        _ => b'/',
    })
}

fn base64_value(c: u8) -> Option<u8> {
    match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}
