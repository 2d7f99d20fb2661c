//! Bech32m (BIP-350): text for bytes that people type. Any change of up to three characters is found; upper
//! and lower case are equal, mixed case is refused. Holds shares, so texts are cleared when dropped.
//!
//! And its elder sister Bech32 (BIP-173), which differs in one constant: recipients of [`crate::age`] are written in it.
use crate::error::{Fault, FormatError};
use alloc::{string::String, vec::Vec};
use zeroize::Zeroizing;

/// The longest text, in characters.
pub const MAX_LEN: usize = 90;

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECKSUM_LEN: usize = 6;
const BECH32M: u32 = 0x2bc8_30a3;
const BECH32: u32 = 1;

/// Text of `bytes` under the human-readable prefix `hrp`, in lower case.
///
/// # Errors
/// [`Fault::Invalid`] where the prefix is empty, has upper case or is not printable ASCII,
/// [`Fault::TooLong`] where the text would be longer than [`MAX_LEN`].
pub fn encode(hrp: &str, bytes: &[u8]) -> Result<Zeroizing<String>, FormatError> {
    encode_as(BECH32M, hrp, bytes)
}

/// As [`encode`], in Bech32.
pub(crate) fn encode_bech32(hrp: &str, bytes: &[u8]) -> Result<Zeroizing<String>, FormatError> {
    encode_as(BECH32, hrp, bytes)
}

fn encode_as(constant: u32, hrp: &str, bytes: &[u8]) -> Result<Zeroizing<String>, FormatError> {
    let values = to_five_bits(bytes);
    if hrp.len() + 1 + values.len() + CHECKSUM_LEN > MAX_LEN {
        return Err(FormatError::new("text", MAX_LEN, Fault::TooLong));
    }
    let printable = |c: u8| (33..=126).contains(&c) && !c.is_ascii_uppercase();
    if hrp.is_empty() || !hrp.bytes().all(printable) {
        return Err(FormatError::new("prefix", 0, Fault::Invalid));
    }
    let mut checksum = Checksum::of_prefix(hrp.bytes());
    let mut text = Zeroizing::new(String::with_capacity(MAX_LEN));
    text.push_str(hrp);
    text.push('1');
    for &value in values.iter() {
        checksum.add(value);
        text.push(symbol(value));
    }
    for value in checksum.symbols(constant) {
        text.push(symbol(value));
    }
    Ok(text)
}

/// The bytes of `text`, whose prefix must be `hrp` (in lower case).
///
/// # Errors
/// With the offset of the character at fault: [`Fault::Invalid`], [`Fault::NotCanonical`] where cases are
/// mixed or padding bits are set, [`Fault::TooLong`], [`Fault::Truncated`]; [`Fault::NotAuthentic`] where
/// the checksum is wrong: some character is mistyped, and nobody can say which.
pub fn decode(hrp: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    decode_as(BECH32M, hrp, text)
}

/// As [`decode`], of Bech32.
pub(crate) fn decode_bech32(hrp: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    decode_as(BECH32, hrp, text)
}

fn decode_as(constant: u32, hrp: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let (prefix_len, values) = values(constant, text)?;
    let found = text.as_bytes().get(..prefix_len).unwrap_or_default();
    if !found.eq_ignore_ascii_case(hrp.as_bytes()) {
        return Err(FormatError::new("prefix", 0, Fault::Invalid));
    }
    from_five_bits(&values).ok_or(FormatError::new(
        "padding",
        text.len() - CHECKSUM_LEN - 1,
        Fault::NotCanonical,
    ))
}

/// Checks `text` and gives the length of its prefix and its values of five bits, checksum removed.
fn values(constant: u32, text: &str) -> Result<(usize, Zeroizing<Vec<u8>>), FormatError> {
    let fault = |field, offset, fault| Err(FormatError::new(field, offset, fault));
    if text.len() > MAX_LEN {
        return fault("text", MAX_LEN, Fault::TooLong);
    }
    if let Some(at) = text.bytes().position(|c| !(33..=126).contains(&c)) {
        return fault("character", at, Fault::Invalid);
    }
    let upper = text.bytes().position(|c| c.is_ascii_uppercase());
    let lower = text.bytes().position(|c| c.is_ascii_lowercase());
    if let (Some(upper), Some(lower)) = (upper, lower) {
        return fault("case", upper.max(lower), Fault::NotCanonical);
    }
    let Some((prefix, data)) = text.rsplit_once('1').filter(|(prefix, _)| !prefix.is_empty()) else {
        return fault("prefix", 0, Fault::Invalid);
    };
    if data.len() < CHECKSUM_LEN {
        return fault("checksum", text.len(), Fault::Truncated);
    }
    let mut checksum = Checksum::of_prefix(prefix.bytes().map(|c| c.to_ascii_lowercase()));
    let mut values = Zeroizing::new(Vec::with_capacity(data.len()));
    for (index, c) in data.bytes().enumerate() {
        let Some(value) = value_of(c.to_ascii_lowercase()) else {
            return fault("character", prefix.len() + 1 + index, Fault::Invalid);
        };
        checksum.add(value);
        values.push(value);
    }
    if checksum.0 != constant {
        return fault("checksum", text.len() - CHECKSUM_LEN, Fault::NotAuthentic);
    }
    values.truncate(data.len() - CHECKSUM_LEN);
    Ok((prefix.len(), values))
}

/// The BCH code of BIP-173; the constant tells Bech32 from Bech32m.
struct Checksum(u32);

impl Checksum {
    fn of_prefix(prefix: impl Iterator<Item = u8> + Clone) -> Self {
        let mut checksum = Self(1);
        prefix.clone().for_each(|c| checksum.add(c >> 5));
        checksum.add(0);
        prefix.for_each(|c| checksum.add(c & 31));
        checksum
    }

    fn add(&mut self, value: u8) {
        const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let top = self.0 >> 25;
        self.0 = ((self.0 & 0x01ff_ffff) << 5) ^ u32::from(value);
        for (bit, generator) in GENERATOR.iter().enumerate() {
            // A mask and no branch: the values are secret.
            self.0 ^= generator & 0_u32.wrapping_sub((top >> bit) & 1);
        }
    }

    fn symbols(mut self, constant: u32) -> [u8; CHECKSUM_LEN] {
        (0..CHECKSUM_LEN).for_each(|_| self.add(0));
        let checksum = self.0 ^ constant;
        [25, 20, 15, 10, 5, 0].map(|shift| ((checksum >> shift) & 31) as u8)
    }
}

/// Reads the whole alphabet whatever the value, so that memory access tells nothing.
fn symbol(value: u8) -> char {
    let found = (0_u8..).zip(ALPHABET).fold(0, |found, (at, &c)| found | (c & mask(at == value)));
    char::from(found)
}

fn value_of(c: u8) -> Option<u8> {
    let found = (0_u8..).zip(ALPHABET).fold(0xff, |found, (at, &known)| {
        let mask = mask(known == c);
        (found & !mask) | (at & mask)
    });
    (found != 0xff).then_some(found)
}

const fn mask(set: bool) -> u8 {
    0_u8.wrapping_sub(set as u8)
}

fn to_five_bits(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut values = Zeroizing::new(Vec::with_capacity(bytes.len() * 8 / 5 + 1));
    let (mut held, mut bits) = (0_u32, 0);
    for &byte in bytes {
        held = ((held << 8) | u32::from(byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            values.push(((held >> bits) & 31) as u8);
        }
    }
    if bits > 0 {
        values.push(((held << (5 - bits)) & 31) as u8);
    }
    values
}

/// `None` where more than four bits are left over or one of them is set.
fn from_five_bits(values: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(values.len() * 5 / 8));
    let (mut held, mut bits) = (0_u32, 0);
    for &value in values {
        held = ((held << 5) | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(((held >> bits) & 0xff) as u8);
        }
    }
    (bits < 5 && held & ((1 << bits) - 1) == 0).then_some(bytes)
}
