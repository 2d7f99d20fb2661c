use crate::pattern;
use keystore_format::error::{Fault, FormatError};
use keystore_format::ids::{EnvironmentId, StoreId};
use keystore_format::snapshot::{Decoder, Encoder, Header, MAX_SEAL, MAX_VALUE, Summary};
use keystore_format::stream::Sealer;
use proptest::prelude::*;

const ROOT: [u8; 32] = [1; 32];
const SALT: [u8; 24] = [2; 24];
const FIXED: usize = 150;

pub(crate) fn header(records: u64) -> Header {
    Header {
        store: StoreId([3; 16]),
        environment: EnvironmentId([4; 16]),
        root_id: [5; 32],
        created_ms: 1_785_000_000_000,
        generation: 42,
        incarnation: [6; 16],
        records,
        nonce: [7; 32],
        seal: b"seal record".to_vec(),
    }
}

type Records = Vec<(Vec<u8>, Vec<u8>)>;

fn records() -> Records {
    vec![(b"key a".to_vec(), b"value".to_vec()), (b"key b".to_vec(), vec![]), (b"".to_vec(), pattern(20_000))]
}

fn saved(records: &Records) -> (Vec<u8>, Summary) {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&header(records.len() as u64), &ROOT, &SALT, &mut out).unwrap();
    records.iter().for_each(|(key, value)| encoder.record(key, value, &mut out).unwrap());
    let summary = encoder.finish(&mut out).unwrap();
    (out, summary)
}

fn restored(file: &[u8], root: &[u8; 32], piece: usize) -> Result<(Records, Summary), FormatError> {
    let (_, length) = Header::parse(file)?;
    let mut decoder = Decoder::new(&file[..length], root)?;
    let mut found = Records::new();
    let mut keep = |key: &[u8], value: &[u8]| -> Result<(), FormatError> {
        found.push((key.to_vec(), value.to_vec()));
        Ok(())
    };
    for piece in file[length..].chunks(piece) {
        decoder.push(piece, &mut keep)?;
    }
    let summary = decoder.finish(&mut keep)?;
    Ok((found, summary))
}

#[test]
fn a_backup_comes_back_record_by_record() {
    let (file, written) = saved(&records());
    assert_eq!(Header::parse(&file).unwrap().0, header(3));
    assert_eq!(restored(&file, &ROOT, 1000), Ok((records(), written)));
    assert_eq!(written.records, 3);
}

#[test]
fn an_empty_store_has_a_backup_too() {
    let (file, written) = saved(&vec![]);
    assert_eq!(restored(&file, &ROOT, 1), Ok((vec![], written)));
}

#[test]
fn another_root_key_is_refused_before_any_record() {
    let (file, _) = saved(&records());
    let at = FIXED + 11 + 24;
    let refused = FormatError::new("stream commitment", at, Fault::NotAuthentic);
    assert_eq!(restored(&file, &[9; 32], 1000), Err(refused));
}

#[test]
fn a_backup_cut_at_any_byte_is_refused() {
    let (file, _) = saved(&vec![(b"key".to_vec(), b"value".to_vec())]);
    let header = FIXED + 11;
    for length in 0..file.len() {
        let error = restored(&file[..length], &ROOT, 64).unwrap_err();
        // Inside the last chunk, cut and altered look the same.
        let expected = if length < header + 72 { Fault::Truncated } else { Fault::NotAuthentic };
        assert_eq!(error.fault, expected, "{length}: {error}");
    }
    let (long, _) = saved(&records());
    let chunk = header + 56 + 16_400;
    let cut = FormatError::new("stream final chunk", chunk, Fault::Truncated);
    assert_eq!(restored(&long[..chunk], &ROOT, 64), Err(cut));
}

#[test]
fn every_flipped_bit_is_refused() {
    let (file, _) = saved(&vec![(b"key".to_vec(), b"value".to_vec())]);
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(restored(&flipped, &ROOT, 64).is_err(), "{bit}");
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let (mut file, _) = saved(&records());
    file.push(0);
    assert_eq!(restored(&file, &ROOT, 1000).unwrap_err().fault, Fault::NotAuthentic);
}

#[test]
fn unknown_versions_and_huge_lengths_are_named() {
    let fault = |at: usize, bytes: &[u8]| {
        let (mut file, _) = saved(&vec![]);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        Header::parse(&file).unwrap_err()
    };
    assert_eq!(fault(0, b"x"), FormatError::new("snapshot magic", 0, Fault::Invalid));
    assert_eq!(fault(8, &[2]), FormatError::new("snapshot version", 8, Fault::UnknownVersion));
    assert_eq!(fault(9, &[2]), FormatError::new("snapshot algorithm", 9, Fault::UnknownAlgorithm));
    assert_eq!(fault(146, &[0xff; 4]), FormatError::new("snapshot seal", 146, Fault::TooLong));
    let mut long = header(0);
    long.seal = vec![0; MAX_SEAL + 1];
    assert_eq!(long.encode().unwrap_err().field, "snapshot seal");
    let longer = [header(0).encode().unwrap(), vec![0]].concat();
    assert_eq!(Decoder::new(&longer, &ROOT).err().unwrap().fault, Fault::TrailingBytes);
}

#[test]
fn another_number_of_records_than_announced_is_refused() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&header(2), &ROOT, &SALT, &mut out).unwrap();
    encoder.record(b"k", b"v", &mut out).unwrap();
    let refused = FormatError::new("snapshot records", 0, Fault::Invalid);
    assert_eq!(encoder.finish(&mut out), Err(refused));
}

/// A file whose body is authentic and still wrong, as only a faulty writer makes it.
fn with_body(body: &[u8]) -> FormatError {
    let bytes = header(1).encode().unwrap();
    let mut file = bytes.clone();
    let context = [b"coffer/v1/snapshot\0", &bytes[..]].concat();
    let mut sealer = Sealer::new(&header(1).file_key(&ROOT), &SALT, &context, &mut file);
    sealer.push(body, &mut file).unwrap();
    sealer.finish(&mut file).unwrap();
    restored(&file, &ROOT, 1000).unwrap_err()
}

#[test]
fn a_body_that_is_authentic_and_wrong_is_named() {
    let record = [1, 0, 1, 0, 0, 0, 1, b'k', b'v'];
    assert_eq!(with_body(&[]), FormatError::new("snapshot body", 0, Fault::Truncated));
    assert_eq!(with_body(&record), FormatError::new("snapshot body", 9, Fault::Truncated));
    assert_eq!(with_body(&[2]), FormatError::new("snapshot record", 0, Fault::Invalid));
    let huge = [1, 0, 1, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(with_body(&huge), FormatError::new("snapshot record value", 0, Fault::TooLong));
    let end = |count: u64| [&[0][..], &count.to_be_bytes(), &[0; 32]].concat();
    let miscounted = [&record[..], &end(2)].concat();
    assert_eq!(with_body(&miscounted), FormatError::new("snapshot records", 9, Fault::Invalid));
    assert_eq!(with_body(&end(0)), FormatError::new("snapshot records", 0, Fault::Invalid));
    let undigested = [&record[..], &end(1)].concat();
    assert_eq!(with_body(&undigested), FormatError::new("snapshot digest", 9, Fault::NotAuthentic));
}

#[test]
fn a_key_or_value_beyond_its_limit_is_not_written() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&header(1), &ROOT, &SALT, &mut out).unwrap();
    let long = vec![0; 65_536];
    assert_eq!(encoder.record(&long, b"", &mut out).unwrap_err().field, "snapshot record key");
    let long = vec![0; MAX_VALUE + 1];
    assert_eq!(encoder.record(b"", &long, &mut out).unwrap_err().field, "snapshot record value");
    encoder.record(b"", b"", &mut out).unwrap();
    assert!(encoder.finish(&mut out).is_ok());
}

#[test]
fn a_sink_that_fails_stops_the_restore() {
    let (file, _) = saved(&records());
    let (_, length) = Header::parse(&file).unwrap();
    let mut decoder = Decoder::new(&file[..length], &ROOT).unwrap();
    let full = FormatError::new("disk", 0, Fault::TooLong);
    assert_eq!(decoder.push(&file[length..], |_, _| Err(full)), Err(full));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_records_in_pieces_of_any_size_come_back(
        records in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..40), proptest::collection::vec(any::<u8>(), 0..9_000)), 0..12),
        piece in 1usize..40_000,
    ) {
        let (file, written) = saved(&records);
        prop_assert_eq!(restored(&file, &ROOT, piece), Ok((records, written)));
    }
}
