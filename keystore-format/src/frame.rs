//! Frames of the journal, the physical log of a node: every environment's leaves, one after the other.
//!
//! The checksums are not against an attacker (the tree is); they tell a write that was cut by a power failure
//! ([`Fault::Truncated`]) from a frame that was altered ([`Fault::NotAuthentic`]). The header has its own, so
//! that a changed length is an alteration and not a missing tail.
use crate::error::{Fault, FormatError};
use crate::ids::EnvironmentId;
use crate::leaf;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// The largest sealed openings in a frame, in bytes.
pub const MAX_OPENINGS: usize = 64 * 1024;
/// Bytes of a frame beside the leaf and the openings.
pub const OVERHEAD: usize = HEADER + CHECK;
/// The largest frame, in bytes.
pub const MAX_FRAME: usize = OVERHEAD + leaf::MAX_LEAF + MAX_OPENINGS;

const MAGIC: [u8; 4] = *b"CoJf";
const VERSION: u8 = 1;
const HEADER_CHECK_AT: usize = 35;
const HEADER: usize = 39;
const CHECK: usize = 16;

/// One leaf with the openings of its commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Whose tree the leaf belongs to; all zeroes for the node's own.
    pub environment: EnvironmentId,
    /// The leaf's id, unique in the environment.
    pub leaf_id: u64,
    /// The leaf, as it is hashed.
    pub leaf: &'a [u8],
    /// The sealed openings; empty where the leaf commits to nothing.
    pub openings: &'a [u8],
}

/// Appends the frame to `out`.
///
/// # Errors
/// [`Fault::TooLong`] for a leaf or openings beyond their limit; nothing is appended then.
pub fn encode(frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let leaf_length = length("frame leaf", 29, frame.leaf, leaf::MAX_LEAF)?;
    let openings_length = length("frame openings", 31, frame.openings, MAX_OPENINGS)?;
    let start = out.len();
    out.reserve(OVERHEAD + frame.leaf.len() + frame.openings.len());
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(frame.environment.as_bytes());
    out.extend_from_slice(&frame.leaf_id.to_be_bytes());
    // At most 8 KiB.
    out.extend_from_slice(&(leaf_length as u16).to_be_bytes());
    out.extend_from_slice(&openings_length.to_be_bytes());
    let header_check = check::<4>(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&header_check);
    out.extend_from_slice(frame.leaf);
    out.extend_from_slice(frame.openings);
    let whole = check::<CHECK>(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&whole);
    Ok(())
}

/// Reads the frame at the beginning of `bytes`, and says how many bytes it takes.
///
/// # Errors
/// [`Fault::Truncated`] where the bytes end inside the frame: a torn tail. [`Fault::NotAuthentic`] where a
/// checksum does not match, [`Fault::Invalid`] where no frame begins here, [`Fault::UnknownVersion`],
/// [`Fault::TooLong`].
pub fn parse(bytes: &[u8]) -> Result<(Frame<'_>, usize), FormatError> {
    let present = bytes.get(..MAGIC.len().min(bytes.len())).unwrap_or_default();
    if !MAGIC.starts_with(present) {
        return Err(FormatError::new("frame magic", 0, Fault::Invalid));
    }
    let (header, body) =
        bytes.split_first_chunk::<HEADER>().ok_or(FormatError::new("frame header", 0, Fault::Truncated))?;
    let (fields, header_check) = header.split_at(HEADER_CHECK_AT);
    if header_check != check::<4>(fields) {
        return Err(FormatError::new("frame header", 0, Fault::NotAuthentic));
    }
    if header[4] != VERSION {
        return Err(FormatError::new("frame version", 4, Fault::UnknownVersion));
    }
    let leaf_length = usize::from(u16::from_be_bytes(array(header, 29)));
    let openings_length = u32::from_be_bytes(array(header, 31)) as usize;
    if leaf_length > leaf::MAX_LEAF {
        return Err(FormatError::new("frame leaf", 29, Fault::TooLong));
    }
    if openings_length > MAX_OPENINGS {
        return Err(FormatError::new("frame openings", 31, Fault::TooLong));
    }
    let end = HEADER + leaf_length + openings_length;
    let parts = body.split_at_checked(leaf_length).and_then(|(leaf, rest)| {
        let (openings, rest) = rest.split_at_checked(openings_length)?;
        Some((leaf, openings, rest.first_chunk::<CHECK>()?))
    });
    let (leaf, openings, whole) = parts.ok_or(FormatError::new("frame body", HEADER, Fault::Truncated))?;
    if *whole != check::<CHECK>(bytes.get(..end).unwrap_or_default()) {
        return Err(FormatError::new("frame body", HEADER, Fault::NotAuthentic));
    }
    let environment = EnvironmentId(array(header, 5));
    let leaf_id = u64::from_be_bytes(array(header, 21));
    Ok((Frame { environment, leaf_id, leaf, openings }, end + CHECK))
}

fn length(field: &'static str, at: usize, bytes: &[u8], limit: usize) -> Result<u32, FormatError> {
    if bytes.len() > limit {
        return Err(FormatError::new(field, at, Fault::TooLong));
    }
    // Both limits are far below 2^32.
    Ok(bytes.len() as u32)
}

fn check<const N: usize>(bytes: &[u8]) -> [u8; N] {
    const { assert!(N <= 32) };
    let digest = Sha256::digest(bytes);
    core::array::from_fn(|i| digest.get(i).copied().unwrap_or_default())
}

fn array<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    core::array::from_fn(|i| header.get(at + i).copied().unwrap_or_default())
}
