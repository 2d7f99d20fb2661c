//! What the targets share: fixed keys, so that what a target seals itself can be opened, and ways to cut an input.
#![forbid(unsafe_code)]

use keystore_format::ids::{EnvironmentId, MountId, StoreId};
use keystore_format::kdf::Context;

/// The environment of everything that a target seals.
pub const ENVIRONMENT: EnvironmentId = EnvironmentId([0x11; 16]);
/// The mount of everything that a target seals.
pub const MOUNT: MountId = MountId([0x22; 16]);
/// Store and environment.
pub const CONTEXT: Context = Context { store: StoreId([0x44; 16]), environment: ENVIRONMENT };
/// Any key.
pub const KEY: [u8; 32] = [0x55; 32];
/// Any name key.
pub const NAME_KEY: [u8; 64] = [0x77; 64];

/// Takes a piece off the input: its length as u16, then as many bytes as there are.
pub fn piece<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (piece, rest) = rest.split_at(length.min(rest.len()));
    *input = rest;
    Some(piece)
}

/// Takes one byte off the input; 0 at its end.
pub fn byte(input: &mut &[u8]) -> u8 {
    match input.split_first() {
        Some((first, rest)) => {
            *input = rest;
            *first
        }
        None => 0,
    }
}

/// Cuts the input into texts, with a line `=` between them. The last takes what is left; those that are missing are empty.
pub fn texts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut rest = Some(input);
    std::array::from_fn(|index| {
        let text = rest.take().unwrap_or_default();
        match text.windows(3).position(|piece| piece == b"\n=\n") {
            Some(end) if index + 1 < N => {
                rest = Some(&text[end + 3..]);
                &text[..=end]
            }
            _ => text,
        }
    })
}
