//! `vault:vN:` and base64: how ciphertexts, signatures and MACs look on the wire.
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Why one item fails; fixed words and names of fields, never a value.
pub(super) type Sentence = Cow<'static, str>;

/// What a key version made: ciphertext, signature or MAC.
pub(super) struct Tagged {
    pub(super) version: u32,
    /// Decoded.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// `vault:v<version>:` and base64; base64url without padding where `is_jws`.
pub(super) fn tagged(version: u32, bytes: &[u8], is_jws: bool) -> String {
    let mut text = format!("vault:v{version}:");
    if is_jws {
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    } else {
        STANDARD.encode_string(bytes, &mut text);
    }
    text
}

/// Reads `vault:v<version>:<base64>`.
pub(super) fn parse_tagged(text: &str, is_jws: bool) -> Result<Tagged, Sentence> {
    const SHAPE: &str = "it must have the form vault:v<version>:<base64>";
    let rest = text.strip_prefix("vault:v").ok_or(SHAPE)?;
    let (version, encoded) = rest.split_once(':').ok_or(SHAPE)?;
    // One spelling only: no sign, no leading zero.
    if version.is_empty() || version.starts_with('0') || !version.bytes().all(|digit| digit.is_ascii_digit())
    {
        return Err(SHAPE.into());
    }
    let version = version.parse().map_err(|_| SHAPE)?;
    let decoded = if is_jws { URL_SAFE_NO_PAD.decode(encoded) } else { STANDARD.decode(encoded) };
    let bytes = decoded.map_err(|_| {
        if is_jws { "it must end in base64url without padding" } else { "it must end in base64" }
    })?;
    Ok(Tagged { version, bytes: Zeroizing::new(bytes) })
}

/// Base64 of a secret, in a buffer that never grew.
pub(super) fn base64_secret(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
    STANDARD.encode_string(bytes, &mut text);
    text
}
