//! The proof that something was recorded.
use keystore_format::checkpoint::LogProof;

/// A result whose leaf is in the log. Only this room makes one, and only this may be answered.
pub struct Recorded<T> {
    inner: T,
    receipt: Receipt,
}

/// Where a leaf stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The leaf's index in its tree.
    pub index: u64,
    /// The incarnation of the tree: after a power cut or a restore another one begins.
    pub incarnation: [u8; 16],
}

/// What `sys/audit/receipt/N` answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiptProof {
    /// The leaf's stored bytes: what the tree hashes.
    pub leaf: Vec<u8>,
    /// Its place, and the signed checkpoint that covers it.
    pub proof: LogProof,
}

impl<T> Recorded<T> {
    pub(crate) fn new(inner: T, receipt: Receipt) -> Self {
        Self { inner, receipt }
    }

    /// What was recorded.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Where its leaf stands.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}
