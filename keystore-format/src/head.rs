//! The head: what the store promises about itself, written with every commit, in two copies.
//!
//! This is its content; the barrier seals it as a record. A store put back from yesterday shows itself by
//! a head that knows less than the journal or the TPM.
use crate::{
    error::{Fault, FormatError},
    index::{Child, EMPTY_ROOT},
    reader::Reader,
    tail::Tail,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The only version.
pub const VERSION: u8 = 1;
/// Bytes before the tail.
pub const FIXED_LEN: usize = 1 + 8 + 8 + 32 + 8 + 8 + 8 + 8 + 32 + 16 + 8;

/// The mandatory tag that says that there is an index: a build that does not keep one must not write.
const INDEX_TAG: u16 = 1;
/// The only version of the index.
const INDEX_VERSION: u8 = 1;

/// State of an environment's store after a commit.
#[derive(Default)]
pub struct Head {
    /// Counts commits.
    pub generation: u64,
    /// No record has a revision above it.
    pub rev_high_water: u64,
    /// Root of the replay index; all zeroes where there is none yet. Set it by [`Head::promise_index`].
    pub index_root: [u8; 32],
    /// Records in table 2.
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

/// Version and number of entries: 9 bytes.
fn index_of(value: &[u8]) -> Option<(u8, u64)> {
    let (version, entries) = value.split_first()?;
    Some((*version, u64::from_be_bytes(entries.try_into().ok()?)))
}

impl Head {
    /// The root of the index, `Some(None)` where it is empty; `None` where there is no index yet.
    #[must_use]
    pub fn index(&self) -> Option<Option<Child>> {
        let (_, entries) = index_of(self.tail.get(INDEX_TAG)?)?;
        let root = Child { count: entries, hash: self.index_root };
        Some((self.index_root != EMPTY_ROOT).then_some(root))
    }

    /// Promises the index below `root`, which is `None` where it is empty. From then on there is one.
    pub fn promise_index(&mut self, root: Option<Child>) {
        self.index_root = root.map_or(EMPTY_ROOT, |root| root.hash);
        let mut value = Vec::from([INDEX_VERSION]);
        value.extend_from_slice(&root.map_or(0, |root| root.count).to_be_bytes());
        self.tail.set(INDEX_TAG, Zeroizing::new(value));
    }

    /// The bytes that are sealed as a record.
    ///
    /// # Errors
    /// [`Fault::TooLong`] where a value of the tail is.
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
    /// [`Fault::UnknownVersion`], [`Fault::Truncated`], or as the tail says; "index version" [`Fault::UnknownVersion`] and,
    /// for a value of another length, [`Fault::Invalid`];
    /// "index root" [`Fault::Invalid`] where it is zeroes though there is an index.
    pub fn decode(input: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let head = Self {
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
            tail: Tail::decode(reader, &[INDEX_TAG])?,
        };
        if let Some(value) = head.tail.get(INDEX_TAG) {
            // The first entry of the tail: no tag is lower.
            let fault = |field, fault| FormatError::new(field, FIXED_LEN + 6, fault);
            match index_of(value) {
                Some((INDEX_VERSION, _)) => {}
                Some(_) => return Err(fault("index version", Fault::UnknownVersion)),
                None => return Err(fault("index version", Fault::Invalid)),
            }
            if head.index_root == [0; 32] {
                return Err(FormatError::new("index root", 17, Fault::Invalid));
            }
        }
        Ok(head)
    }
}
