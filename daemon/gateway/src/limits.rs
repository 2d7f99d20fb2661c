//! Every limit of the door, in one table.
use std::time::Duration;

/// What a connection and a request may cost. Checked before anything is parsed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From accepting the socket to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first wait for a request to the end of its header; in every protocol it ends idle connections too.
    pub header: Duration,
    /// From the end of the header to the end of the body; and for an answer that nobody reads.
    pub body: Duration,
    /// Between two pings of an idle HTTP/2 connection; unanswered for as long again, it is closed.
    pub idle_ping: Duration,
    /// Open connections; the next one waits in the kernel's queue.
    pub connections: usize,
    /// Requests at once in one HTTP/2 connection.
    pub streams: u32,
    /// Header bytes of one request.
    pub header_bytes: u32,
    /// Header lines of one request (HTTP/1.1).
    pub header_lines: usize,
    /// Body bytes of one request.
    pub body_bytes: usize,
    /// Bytes that all bodies over 64 KiB may hold in memory at once; further ones wait until their deadline.
    pub large_bodies_bytes: usize,
    /// Bytes of a snapshot that is uploaded to be restored.
    pub snapshot_bytes: u64,
    /// JSON nesting and count.
    pub json: coffer_wire::Limits,
    /// From a stop signal to closing what is still open.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(60),
            body: Duration::from_secs(30),
            idle_ping: Duration::from_secs(60),
            connections: 10_000,
            streams: 128,
            header_bytes: 32 * 1024,
            header_lines: 64,
            body_bytes: 32 * 1024 * 1024,
            large_bodies_bytes: 256 * 1024 * 1024,
            snapshot_bytes: 64 * 1024 * 1024 * 1024,
            json: coffer_wire::Limits { depth: 64, values: 100_000 },
            drain: Duration::from_secs(10),
        }
    }
}
