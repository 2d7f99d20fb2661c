//! Sealed names: what the store sees instead of paths.
//!
//! Each segment is AEAD_AES_SIV_CMAC_512 (RFC 5297) with its sealed parent as associated data: equal
//! names in different directories look different. The store still sees the shape of the tree, counts of
//! children and lengths in steps of 32 bytes. Sealed order is not name order.
use crate::{
    error::{Fault, FormatError},
    ids::{EnvironmentId, MountId},
    reader::Reader,
    stack,
};
use aes_siv::{KeyInit, Tag, siv::Aes256Siv};
use alloc::{string::String, vec::Vec};
use zeroize::Zeroizing;

/// The longest segment, in bytes of UTF-8.
pub const MAX_SEGMENT_LEN: usize = 1023;
/// The longest sealed path, in bytes. Each segment authenticates its whole parent, so the work grows with
/// the square of the depth: this bounds it.
pub const MAX_SEALED_PATH_LEN: usize = 8192;

const LABEL: &[u8] = b"coffer/v1/name";
const PAD: usize = 32;
const TAG_LEN: usize = 16;

/// A sealed path: for each segment `u16 length ‖ sealed segment`. The root is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealedPath(Vec<u8>);

impl SealedPath {
    /// The root of a mount: no segment.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Seals `path`, segments joined by `/`; the empty path is the root.
    ///
    /// # Errors
    /// As [`SealedPath::child`]; the offset is that of the segment in `path`.
    pub fn of(
        name_key: &[u8; 64],
        environment: EnvironmentId,
        mount: MountId,
        path: &str,
    ) -> Result<Self, FormatError> {
        let mut sealed = Self::root();
        if path.is_empty() {
            return Ok(sealed);
        }
        let mut offset = 0;
        for segment in path.split('/') {
            sealed = sealed
                .child(name_key, environment, mount, segment)
                .map_err(|fault| FormatError { offset, ..fault })?;
            offset += segment.len() + 1;
        }
        Ok(sealed)
    }

    /// Seals `segment` below this path.
    ///
    /// # Errors
    /// [`Fault::Invalid`] where the segment is empty or has a `/`, [`Fault::TooLong`] where it is longer
    /// than [`MAX_SEGMENT_LEN`] or the path would be longer than [`MAX_SEALED_PATH_LEN`].
    pub fn child(
        &self,
        name_key: &[u8; 64],
        environment: EnvironmentId,
        mount: MountId,
        segment: &str,
    ) -> Result<Self, FormatError> {
        if segment.is_empty() || segment.contains('/') {
            return Err(FormatError::new("segment", 0, Fault::Invalid));
        }
        let too_long = FormatError::new("segment", 0, Fault::TooLong);
        let padded = padded_len(segment.len());
        let sealed_len = u16::try_from(TAG_LEN + padded).map_err(|_| too_long)?;
        let path_len = self.0.len() + 2 + TAG_LEN + padded;
        if segment.len() > MAX_SEGMENT_LEN || path_len > MAX_SEALED_PATH_LEN {
            return Err(too_long);
        }

        let mut path = Vec::with_capacity(path_len);
        path.extend_from_slice(&self.0);
        path.extend_from_slice(&sealed_len.to_be_bytes());
        path.extend_from_slice(&[0; TAG_LEN]);
        path.extend_from_slice(segment.as_bytes());
        path.push(0x80);
        path.resize(path_len, 0);

        let (head, buffer) = path.split_at_mut(path_len - padded);
        let (_, tag) = head.split_at_mut(head.len() - TAG_LEN);
        let sealed = stack::cleared(|| {
            Aes256Siv::new(name_key.into())
                .encrypt_inout_detached([LABEL, &place(environment, mount), &self.0], buffer.into())
        })
        .map_err(|_| too_long)?;
        tag.copy_from_slice(&sealed);
        Ok(Self(path))
    }

    /// Takes a sealed path as it stands in a store key.
    ///
    /// # Errors
    /// As [`first_segment`], for any of its segments; [`Fault::TooLong`].
    pub fn from_bytes(path: &[u8]) -> Result<Self, FormatError> {
        if path.len() > MAX_SEALED_PATH_LEN {
            return Err(FormatError::new("sealed path", MAX_SEALED_PATH_LEN, Fault::TooLong));
        }
        let mut rest = path;
        while !rest.is_empty() {
            let offset = path.len() - rest.len();
            (_, rest) = first_segment(rest)
                .map_err(|fault| FormatError { offset: fault.offset + offset, ..fault })?;
        }
        Ok(Self(path.to_vec()))
    }

    /// The bytes, as they stand in a store key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Opens one sealed segment (without its length) below the sealed path `parent`.
///
/// # Errors
/// [`Fault::Invalid`] where its length is none that sealing gives, [`Fault::NotAuthentic`] where it was
/// altered, moved or is under another key, [`Fault::NotCanonical`] where the padding is.
pub fn open_segment(
    name_key: &[u8; 64],
    environment: EnvironmentId,
    mount: MountId,
    parent: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<String>, FormatError> {
    let fault = |fault| FormatError::new("sealed segment", 0, fault);
    let (tag, ciphertext) = sealed.split_first_chunk::<TAG_LEN>().ok_or(fault(Fault::Truncated))?;
    if !is_sealed_len(sealed.len()) {
        return Err(fault(Fault::Invalid));
    }
    let mut padded = Zeroizing::new(ciphertext.to_vec());
    stack::cleared(|| {
        Aes256Siv::new(name_key.into()).decrypt_inout_detached(
            [LABEL, &place(environment, mount), parent],
            padded.as_mut_slice().into(),
            &Tag::from(*tag),
        )
    })
    .map_err(|_| fault(Fault::NotAuthentic))?;

    let length = padded.iter().rposition(|&byte| byte != 0).ok_or(fault(Fault::NotCanonical))?;
    if padded.get(length) != Some(&0x80) || padded_len(length) != padded.len() {
        return Err(fault(Fault::NotCanonical));
    }
    padded.truncate(length);
    let segment = core::str::from_utf8(&padded).map_err(|_| fault(Fault::Invalid))?;
    if segment.is_empty() || segment.contains('/') {
        return Err(fault(Fault::Invalid));
    }
    Ok(Zeroizing::new(String::from(segment)))
}

/// Takes the first sealed segment from the tail of a store key: `(sealed, what follows)`.
///
/// A tail of exactly eight bytes is a version and no segment: a segment takes at least 50.
///
/// # Errors
/// [`Fault::Truncated`], or [`Fault::Invalid`] where the length is none that sealing gives.
pub fn first_segment(rest: &[u8]) -> Result<(&[u8], &[u8]), FormatError> {
    let mut reader = Reader::new(rest);
    let length = reader.u16("segment length")?;
    if !is_sealed_len(length.into()) {
        return Err(FormatError::new("segment length", 0, Fault::Invalid));
    }
    let sealed = reader.take(length.into(), "sealed segment")?;
    Ok((sealed, reader.rest()))
}

/// `table u8 ‖ environment[16] ‖ mount[16] ‖ kind u16 ‖ sealed path ‖ [version u64]`.
#[must_use]
pub fn store_key(
    table: u8,
    environment: EnvironmentId,
    mount: MountId,
    kind: u16,
    path: &SealedPath,
    version: Option<u64>,
) -> Vec<u8> {
    let mut key = Vec::with_capacity(STORE_KEY_HEAD_LEN + path.0.len() + 8);
    key.push(table);
    key.extend_from_slice(environment.as_bytes());
    key.extend_from_slice(mount.as_bytes());
    key.extend_from_slice(&kind.to_be_bytes());
    key.extend_from_slice(&path.0);
    if let Some(version) = version {
        key.extend_from_slice(&version.to_be_bytes());
    }
    key
}

/// What all store keys at and below `path` begin with.
#[must_use]
pub fn prefix(
    table: u8,
    environment: EnvironmentId,
    mount: MountId,
    kind: u16,
    path: &SealedPath,
) -> Vec<u8> {
    store_key(table, environment, mount, kind, path, None)
}

/// Bytes of a store key before its sealed path.
pub const STORE_KEY_HEAD_LEN: usize = 1 + 16 + 16 + 2;

/// A store key taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreKey<'a> {
    /// The table.
    pub table: u8,
    /// The environment.
    pub environment: EnvironmentId,
    /// The mount.
    pub mount: MountId,
    /// The kind of the record there.
    pub kind: u16,
    /// The sealed path.
    pub path: &'a [u8],
    /// The version, where the kind has versions.
    pub version: Option<u64>,
}

impl<'a> StoreKey<'a> {
    /// Takes apart what [`store_key`] made.
    ///
    /// # Errors
    /// [`Fault::Truncated`], or as [`first_segment`].
    pub fn parse(key: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(key);
        let table = reader.u8("table")?;
        let environment = EnvironmentId(*reader.array("environment")?);
        let mount = MountId(*reader.array("mount")?);
        let kind = reader.u16("kind")?;
        let tail = reader.rest();
        let mut rest = tail;
        while !rest.is_empty() && rest.len() != 8 {
            let offset = key.len() - rest.len();
            (_, rest) = first_segment(rest)
                .map_err(|fault| FormatError { offset: fault.offset + offset, ..fault })?;
        }
        let version = rest.first_chunk().copied().map(u64::from_be_bytes);
        let path = tail.strip_suffix(rest).unwrap_or(tail);
        Ok(Self { table, environment, mount, kind, path, version })
    }
}

fn place(environment: EnvironmentId, mount: MountId) -> [u8; 32] {
    let mut place = [0; 32];
    let (first, second) = place.split_at_mut(16);
    first.copy_from_slice(environment.as_bytes());
    second.copy_from_slice(mount.as_bytes());
    place
}

/// Length of a segment with its `0x80` and zeroes up to a multiple of 32.
const fn padded_len(length: usize) -> usize {
    (length / PAD + 1) * PAD
}

const fn is_sealed_len(length: usize) -> bool {
    length >= TAG_LEN + PAD
        && length <= TAG_LEN + padded_len(MAX_SEGMENT_LEN)
        && (length - TAG_LEN).is_multiple_of(PAD)
}
