//! Building commands: integers big-endian, byte strings with their length as u16 in front. What is built may hold secrets
//! and is cleared.
use zeroize::Zeroizing;

/// Room for the longest command, so that no copy is left by growing.
const ROOM: usize = 4096;

/// A command, or a part of one, as it grows.
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(ROOM)))
    }

    pub(super) fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    pub(super) fn u16(self, value: u16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A TPM2B. What is longer than its length can say is nothing that a TPM takes, and it refuses it.
    pub(super) fn sized(self, bytes: &[u8]) -> Self {
        self.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX)).raw(bytes)
    }

    pub(super) fn done(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}
