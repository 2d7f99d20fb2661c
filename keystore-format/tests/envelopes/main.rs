//! Chunked streams, envelope messages and backup files: what is sealed in pieces of any size.
mod envelope;
mod snapshot;
mod stream;

mod wycheproof_chunked;

/// `length` bytes that differ from their neighbours.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}
