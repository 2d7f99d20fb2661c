//! The head: what the store promises about itself, written with every commit, in two copies.
//!
//! This is its content; the barrier seals it as a record. A store put back from yesterday shows itself by
//! a head that knows less than the journal or the TPM.
use crate::{error::FormatError, reader::Reader, tail::Tail};
use alloc::vec::Vec;

/// The only version.
pub const VERSION: u8 = 1;
/// Bytes before the tail.
pub const FIXED_LEN: usize = 1 + 8 + 8 + 32 + 8 + 8 + 8 + 8 + 32 + 16 + 8;

/// State of an environment's store after a commit.
#[derive(Default)]
pub struct Head {
    /// Counts commits.
    pub generation: u64,
    /// No record has a revision above it.
    pub rev_high_water: u64,
    /// Root of the replay index; all zeroes where there is none yet.
    pub index_root: [u8; 32],
    /// Records in the index.
    pub record_count: u64,
    /// Generation of the keyring.
    pub keyring_generation: u64,
    /// Generation of the seal record.
    pub seal_generation: u64,
    /// Leaves of the audit tree.
    pub audit_size: u64,
    /// Root of the audit tree at that size.
    pub audit_root: [u8; 32],
    /// The log's incarnation; a restore begins a new one.
    pub incarnation: [u8; 16],
    /// The TPM's counter; 0 where there is none.
    pub tpm_counter: u64,
    /// What later versions add.
    pub tail: Tail,
}

impl Head {
    /// The bytes that are sealed as a record.
    ///
    /// # Errors
    /// [`crate::error::Fault::TooLong`] where a value of the tail is.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = Vec::with_capacity(FIXED_LEN + self.tail.encoded_len());
        out.push(VERSION);
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.rev_high_water.to_be_bytes());
        out.extend_from_slice(&self.index_root);
        out.extend_from_slice(&self.record_count.to_be_bytes());
        out.extend_from_slice(&self.keyring_generation.to_be_bytes());
        out.extend_from_slice(&self.seal_generation.to_be_bytes());
        out.extend_from_slice(&self.audit_size.to_be_bytes());
        out.extend_from_slice(&self.audit_root);
        out.extend_from_slice(&self.incarnation);
        out.extend_from_slice(&self.tpm_counter.to_be_bytes());
        self.tail.encode(&mut out)?;
        Ok(out)
    }

    /// Reads what [`Head::encode`] wrote.
    ///
    /// # Errors
    /// [`crate::error::Fault::UnknownVersion`], [`crate::error::Fault::Truncated`], or as the tail says.
    pub fn decode(input: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        Ok(Self {
            generation: reader.u64("generation")?,
            rev_high_water: reader.u64("rev high-water")?,
            index_root: *reader.array("index root")?,
            record_count: reader.u64("record count")?,
            keyring_generation: reader.u64("keyring generation")?,
            seal_generation: reader.u64("seal generation")?,
            audit_size: reader.u64("audit size")?,
            audit_root: *reader.array("audit root")?,
            incarnation: *reader.array("incarnation")?,
            tpm_counter: reader.u64("TPM counter")?,
            tail: Tail::decode(reader, &[])?,
        })
    }
}
