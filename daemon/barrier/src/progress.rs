//! Where re-encryption has got to: one sealed record per environment, so that a killed daemon goes on from there.
//!
//! `version u8 ‖ phase u8 ‖ target epoch u32 ‖ epoch start rev u64 ‖ moved u64 ‖ damaged u64 ‖ left u64 ‖ table u8 ‖ after…`,
//! where `after` is the store key that was looked at last, or nothing.
use crate::{Barrier, BarrierError, Batch};
use coffer_types::{CanonicalPath, Kind, MountId};
use keystore_format::{error::FormatError, reader::Reader, tables};

const VERSION: u8 = 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Records are sealed anew under the target epoch.
    Moving = 1,
    /// All headers are read once more: is anything left of an older epoch?
    Checking = 2,
    /// Nothing more to do: old epochs are gone, or kept for what is left.
    Done = 3,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) phase: Phase,
    pub(crate) target: u32,
    pub(crate) epoch_start: u64,
    pub(crate) moved: u64,
    pub(crate) damaged: u64,
    pub(crate) left: u64,
    pub(crate) table: u8,
    pub(crate) after: Vec<u8>,
}

impl Record {
    /// The beginning of a new epoch.
    pub(crate) fn starting(target: u32, epoch_start: u64) -> Self {
        let (table, after) = (tables::RECORDS, Vec::new());
        Self { phase: Phase::Moving, target, epoch_start, moved: 0, damaged: 0, left: 0, table, after }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, self.phase as u8];
        out.extend_from_slice(&self.target.to_be_bytes());
        for number in [self.epoch_start, self.moved, self.damaged, self.left] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.push(self.table);
        out.extend_from_slice(&self.after);
        out
    }

    /// `None` for a phase that this build does not know.
    pub(crate) fn decode(input: &[u8]) -> Result<Option<Self>, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let phase = match reader.u8("phase")? {
            1 => Phase::Moving,
            2 => Phase::Checking,
            3 => Phase::Done,
            _ => return Ok(None),
        };
        Ok(Some(Self {
            phase,
            target: reader.u32("target epoch")?,
            epoch_start: reader.u64("epoch start")?,
            moved: reader.u64("moved")?,
            damaged: reader.u64("damaged")?,
            left: reader.u64("left")?,
            table: reader.u8("table")?,
            after: reader.rest().to_vec(),
        }))
    }
}

pub(crate) async fn read(barrier: &Barrier) -> Result<Option<Record>, BarrierError> {
    let place = CanonicalPath::default();
    let key = barrier.with_keys(|keys| keys.store_key(MountId::default(), Kind::Progress, &place, None))?;
    let Some(plain) = barrier.read(Kind::Progress, &key).await? else { return Ok(None) };
    Record::decode(&plain.bytes).map_err(|_| BarrierError::Damaged(Kind::Progress))
}

impl Batch<'_> {
    pub(crate) fn put_progress(&mut self, record: &Record) -> Result<(), BarrierError> {
        let place = CanonicalPath::default();
        self.mount(MountId::default()).put(Kind::Progress, &place, None, &record.encode()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let record =
            Record { phase: Phase::Checking, after: vec![2, 9, 9], moved: 7, ..Record::starting(3, 41) };
        assert_eq!(Record::decode(&record.encode()).unwrap(), Some(record));
    }

    #[test]
    fn a_cut_record_is_refused() {
        let encoded = Record::starting(3, 41).encode();
        for length in 0..encoded.len() {
            assert!(Record::decode(&encoded[..length]).is_err(), "{length}");
        }
    }
}
