//! random and hash: what needs no key.
use super::{signature::Hash, text::base64_secret};
use aws_lc_rs::digest;
use coffer_room::{Answer, Fault, Outcome, Request, Room};
use coffer_wire::{Object, Params};
use zeroize::Zeroizing;

/// Most random bytes of one request.
const MAX_RANDOM_BYTES: u64 = 128 * 1024;

pub(super) fn random(room: &Room, request: &Request, in_path: Option<&str>) -> Result<Outcome, Fault> {
    const MUST: &str = "'bytes' must be a number from 1 to 131072";
    let bytes = match in_path {
        Some(text) => Some(text.parse().map_err(|_| Fault::bad(MUST))?),
        None => request.params.number("bytes")?,
    };
    let bytes = bytes.unwrap_or(32);
    if bytes == 0 || bytes > MAX_RANDOM_BYTES {
        return Err(Fault::bad(MUST));
    }
    let mut random = Zeroizing::new(vec![0; bytes as usize]);
    let is_hex = is_hex(&request.params, "base64")?;
    room.entropy.fill(&mut random)?;
    Ok(Outcome::Answer(Answer::data(Object::new().string("random_bytes", &text(&random, is_hex)))))
}

pub(super) fn hash(request: &Request, in_path: Option<&str>) -> Result<Outcome, Fault> {
    let params = &request.params;
    let named = params.string("algorithm")?;
    let hash = Hash::parse(in_path.or(named.as_ref().map(|name| name.as_str()))).map_err(Fault::bad)?;
    let input = params.base64("input")?.ok_or(Fault::bad("'input' must be given, in base64"))?;
    let sum = digest::digest(hash.algorithm(), &input);
    Ok(Outcome::Answer(Answer::data(
        Object::new().string("sum", &text(sum.as_ref(), is_hex(params, "hex")?)),
    )))
}

fn is_hex(params: &Params, default: &str) -> Result<bool, Fault> {
    let given = params.string("format")?.filter(|format| !format.is_empty());
    match given.as_ref().map_or(default, |format| format.as_str()) {
        "hex" => Ok(true),
        "base64" => Ok(false),
        _ => Err(Fault::bad("'format' must be hex or base64")),
    }
}

fn text(bytes: &[u8], is_hex: bool) -> Zeroizing<String> {
    if !is_hex {
        return base64_secret(bytes);
    }
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for nibble in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        text.extend(char::from_digit(nibble.into(), 16));
    }
    text
}
