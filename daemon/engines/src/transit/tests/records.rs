//! The engine's own bytes: what is written is read, and nothing else is.
use crate::transit::{
    key_type::{KeyType, Material},
    records::{Key, Version},
};
use coffer_types::Timestamp;
use zeroize::Zeroizing;

/// Where the count of versions stands.
const COUNT: usize = 43;

fn key() -> Key {
    let version = |byte: u8| Version {
        created: Timestamp(1_700_000_000_000 + u64::from(byte)),
        mac_key: Zeroizing::new(vec![byte; 32]),
        material: Material { secret: Zeroizing::new(vec![byte; 32]), public: vec![byte ^ 0xff; 3] },
    };
    let mut key = Key::new(KeyType::Aes256Gcm, [9; 16], 4, version(1));
    assert!(key.push(version(2)).is_ok());
    key.deletion_allowed = true;
    key.min_encryption = 5;
    key.auto_rotate_seconds = 3600;
    key
}

#[test]
fn a_key_is_read_as_it_was_written() {
    let bytes = key().encode().ok().unwrap();
    let read = Key::decode(&bytes).ok().unwrap();
    assert_eq!(*read.encode().ok().unwrap(), *bytes);
    assert_eq!((read.latest(), read.min_decryption, read.min_encryption), (5, 4, 5));
    assert_eq!(*read.version(5).unwrap().material.secret, [2; 32]);
    assert!(read.version(3).is_none() && read.version(6).is_none());
}

#[test]
fn the_bytes_are_those_that_the_drawing_says() {
    let bytes = key().encode().ok().unwrap();
    let version = |byte: u8| {
        let created = (1_700_000_000_000 + u64::from(byte)).to_be_bytes();
        [&created[..], &[byte; 32], &[0, 32], &[byte; 32], &[0, 3], &[byte ^ 0xff; 3]].concat()
    };
    let head = [&[1, 2, 1][..], &[9; 16], &[0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 0]].concat();
    let tail = [&3600_u64.to_be_bytes()[..], &2_u32.to_be_bytes(), &version(1), &version(2)].concat();
    assert_eq!(*bytes, [head, tail].concat());
}

#[test]
fn nothing_that_is_cut_or_longer_or_newer_is_a_key() {
    let bytes = key().encode().ok().unwrap();
    for length in 0..bytes.len() {
        assert!(Key::decode(&bytes[..length]).is_err(), "{length}");
    }
    assert!(Key::decode(&[&bytes[..], &[0]].concat()).is_err());
    // A newer format, an unknown type, an unknown flag, more versions than follow.
    for (at, value) in [(0, 2), (1, 99), (2, 2), (COUNT, 0xff)] {
        let mut other = bytes.to_vec();
        other[at] = value;
        assert!(Key::decode(&other).is_err(), "{at}");
    }
    // No version, version 0, and more versions than numbers.
    let mut none = bytes[..COUNT + 4].to_vec();
    none[COUNT..].copy_from_slice(&[0; 4]);
    assert!(Key::decode(&none).is_err());
    let mut zero = bytes.to_vec();
    zero[19..23].copy_from_slice(&[0; 4]);
    assert!(Key::decode(&zero).is_err());
    zero[19..23].copy_from_slice(&[0xff; 4]);
    assert!(Key::decode(&zero).is_err());
}
