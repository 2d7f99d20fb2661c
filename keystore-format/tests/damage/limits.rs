//! Values at the edge: the longest, the highest, and what a writer must not write.
use crate::fixtures::{self, CTX, ENVIRONMENT, MOUNT, NAME_KEY, ROOT_KEY};
use keystore_format::{
    error::{Fault, FormatError},
    head::Head,
    keyring::{EpochState, Keyring},
    name::{MAX_SEALED_PATH_LEN, MAX_SEGMENT_LEN, SealedPath, StoreKey, first_segment, store_key},
    reader::Reader,
    record::{Header, MAX_PLAINTEXT_LEN, OVERHEAD, Record, seal},
    seal_record::Unverified,
    share::Share,
    tail::OPTIONAL,
};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

fn fault_of<T>(result: Result<T, FormatError>) -> Fault {
    result.err().map(|error| error.fault).unwrap()
}

#[test]
fn a_length_of_any_u64_is_truncated_and_nothing_is_allocated_for_it() {
    for length in [4, 1 << 16, 1 << 32, 1 << 48, i64::MAX as u64, u64::MAX - 1, u64::MAX] {
        let mut reader = Reader::new(b"abc");
        assert_eq!(reader.take(length, "field"), Err(FormatError::new("field", 0, Fault::Truncated)));
        assert_eq!(reader.take(3, "field"), Ok(&b"abc"[..]), "a refusal takes nothing");
    }
}

#[test]
fn counts_that_the_input_does_not_back_are_refused_at_once() {
    let mut keyring = fixtures::keyring().encode().unwrap();
    keyring[9..11].fill(0xff);
    let mut seal_record = fixtures::seal_record().encode(&ROOT_KEY).unwrap();
    seal_record[73] = 0xff;
    let mut head = Head::default();
    head.tail.set(OPTIONAL, Zeroizing::new(Vec::new()));
    let mut head = head.encode().unwrap();
    let end = head.len();
    head[end - 4..].fill(0xff);

    let start = Instant::now();
    for _ in 0..1000 {
        assert!(Keyring::decode(&keyring).is_err());
        assert!(Unverified::decode(&seal_record).is_err());
        assert_eq!(fault_of(Head::decode(&head)), Fault::Truncated);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "4 GiB were touched a thousand times");
}

#[test]
fn a_plaintext_of_64_mib_is_sealed_and_one_byte_more_is_not() {
    let header = Header { kind: 1, epoch: 1, rev: 1 };
    let mut plaintext = vec![7; MAX_PLAINTEXT_LEN];
    let record = seal(&[1; 32], header, &CTX, b"place", &[2; 24], &plaintext).unwrap();
    assert_eq!(record.len(), MAX_PLAINTEXT_LEN + OVERHEAD);
    let opened = Record::parse(&record).unwrap().open(&[1; 32], &CTX, b"place").unwrap();
    assert!(*opened == plaintext);

    plaintext.push(7);
    assert_eq!(fault_of(seal(&[1; 32], header, &CTX, b"place", &[2; 24], &plaintext)), Fault::TooLong);
    let mut record = record;
    record.push(0);
    let refused = FormatError::new("ciphertext", 40, Fault::TooLong);
    assert_eq!(Record::parse(&record).err(), Some(refused));
}

#[test]
fn sealing_takes_one_allocation() {
    let record =
        seal(&[1; 32], Header { kind: 1, epoch: 1, rev: 1 }, &CTX, &[9; 100], &[2; 24], &[3; 1000]).unwrap();
    assert_eq!(
        record.capacity(),
        record.len() + 16 + 32 + 100,
        "the record and room for its associated data"
    );
}

#[test]
fn a_segment_is_1_to_1023_bytes_without_a_slash() {
    let child = |segment: &str| SealedPath::root().child(&NAME_KEY, ENVIRONMENT, MOUNT, segment);
    assert_eq!(fault_of(child("")), Fault::Invalid);
    assert_eq!(fault_of(child("a/b")), Fault::Invalid);
    assert!(child(&"a".repeat(MAX_SEGMENT_LEN)).is_ok());
    assert_eq!(fault_of(child(&"a".repeat(MAX_SEGMENT_LEN + 1))), Fault::TooLong);
    assert_eq!(fault_of(child(&"a".repeat(1 << 20))), Fault::TooLong);
}

#[test]
fn a_path_names_the_offset_of_its_wrong_segment() {
    let refused = SealedPath::of(&NAME_KEY, ENVIRONMENT, MOUNT, "app//db").err().unwrap();
    assert_eq!(refused, FormatError::new("segment", 4, Fault::Invalid));
}

#[test]
fn a_sealed_path_is_at_most_8_kib() {
    let path = |depth: usize| SealedPath::of(&NAME_KEY, ENVIRONMENT, MOUNT, &vec!["a"; depth].join("/"));
    let deepest = MAX_SEALED_PATH_LEN / 50;
    assert!(path(deepest).unwrap().as_bytes().len() <= MAX_SEALED_PATH_LEN);
    assert_eq!(fault_of(path(deepest + 1)), Fault::TooLong);
    let long = vec![0; MAX_SEALED_PATH_LEN + 1];
    assert_eq!(fault_of(SealedPath::from_bytes(&long)), Fault::TooLong);
}

#[test]
fn a_store_key_is_walked_segment_by_segment_to_its_version() {
    let path = SealedPath::of(&NAME_KEY, ENVIRONMENT, MOUNT, "app/db").unwrap();
    let (first, rest) = first_segment(path.as_bytes()).unwrap();
    let (second, rest) = first_segment(rest).unwrap();
    assert_eq!((first.len(), second.len(), rest.len()), (48, 48, 0));
    for version in [0, 1, 1 << 48 | 48 << 40, u64::MAX] {
        let key = store_key(2, ENVIRONMENT, MOUNT, 67, &path, Some(version));
        let parsed = StoreKey::parse(&key).unwrap();
        assert_eq!((parsed.path, parsed.version), (path.as_bytes(), Some(version)));
        assert_eq!((parsed.table, parsed.kind), (2, 67));
    }
    assert_eq!(SealedPath::from_bytes(path.as_bytes()), Ok(path));
}

#[test]
fn a_keyring_that_could_not_be_read_back_is_not_written() {
    let mut none = fixtures::keyring();
    none.epochs.clear();
    assert_eq!(fault_of(none.encode()), Fault::Invalid);
    let mut two_active = fixtures::keyring();
    two_active.epochs[0].state = EpochState::Active;
    assert_eq!(fault_of(two_active.encode()), Fault::Invalid);
    let mut unordered = fixtures::keyring();
    unordered.epochs[1].number = 1;
    assert_eq!(fault_of(unordered.encode()), Fault::NotCanonical);
}

#[test]
fn a_seal_record_that_could_not_be_read_back_is_not_written() {
    let mut none = fixtures::seal_record();
    none.wraps.clear();
    assert_eq!(fault_of(none.encode(&ROOT_KEY)), Fault::Invalid);
    let mut twice = fixtures::seal_record();
    twice.wraps.push(twice.wraps[0].clone());
    assert_eq!(fault_of(twice.encode(&ROOT_KEY)), Fault::NotCanonical);
    let mut long = fixtures::seal_record();
    long.wraps[0].blob = vec![0; 1 << 16];
    assert_eq!(fault_of(long.encode(&ROOT_KEY)), Fault::TooLong);
    assert_eq!(fault_of(fixtures::seal_record().encode(&[0; 32])), Fault::NotAuthentic);
}

#[test]
fn an_optional_entry_of_a_later_version_is_kept() {
    let mut keyring = fixtures::keyring();
    keyring.tail.set(OPTIONAL | 77, Zeroizing::new(b"later".to_vec()));
    let read = Keyring::decode(&keyring.encode().unwrap()).unwrap();
    assert_eq!(read.tail.get(OPTIONAL | 77), Some(&b"later"[..]));
    assert_eq!(*read.encode().unwrap(), *keyring.encode().unwrap());
}

#[test]
fn an_error_never_carries_what_was_typed() {
    let text = fixtures::share().to_text().unwrap();
    for typed in [&text[..80], &text[1..], "my secret password", &text.replacen('q', "!", 1)] {
        let shown = Share::parse_any(typed).err().unwrap().to_string();
        assert!(!typed.split(' ').any(|word| word.len() > 3 && shown.contains(word)), "{shown}");
    }
}
