//! One fear: bytes that are not what was written. Cut at each byte, each bit flipped, fields swapped, lengths
//! and counts at their highest: always a named error inside the input, never a panic, never another plaintext.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod arbitrary;
mod fixtures;
mod limits;

use fixtures::{CTX, ENVIRONMENT, MOUNT, NAME_KEY, ROOT_KEY};
use keystore_format::{
    error::FormatError,
    head::Head,
    keyring::{Keyring, open_keyring},
    name::{SealedPath, StoreKey, open_segment},
    record::Record,
    seal_record::{Unverified, root_id, unwrap_root},
    share::Share,
    tables::Slot,
};

/// Cuts `bytes` at each byte and flips each of their bits; `open` must refuse every one of them.
fn every_damage_is_refused<T>(bytes: &[u8], open: impl Fn(&[u8]) -> Result<T, FormatError>) {
    assert!(open(bytes).is_ok(), "the undamaged bytes open");
    every_cut_is_refused(bytes, &open);
    for bit in 0..bytes.len() * 8 {
        let mut copy = bytes.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        let Err(error) = open(&copy) else { panic!("bit {bit} flipped and not noticed") };
        assert!(error.offset <= copy.len(), "bit {bit}: {error:?} points outside");
        assert!(!error.field.is_empty());
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(open(&longer).is_err(), "a byte more and not noticed");
}

fn every_cut_is_refused<T>(bytes: &[u8], open: impl Fn(&[u8]) -> Result<T, FormatError>) {
    for length in 0..bytes.len() {
        let Err(error) = open(&bytes[..length]) else { panic!("cut at {length} and not noticed") };
        assert!(error.offset <= length, "cut at {length}: {error:?} points outside");
    }
}

#[test]
fn a_record_opens_only_as_it_was_sealed() {
    let (key, place, record) = fixtures::record();
    every_damage_is_refused(&record, |bytes| Record::parse(bytes)?.open(&key, &CTX, &place));
    for bit in 0..place.len() * 8 {
        let mut elsewhere = place.clone();
        elsewhere[bit / 8] ^= 1 << (bit % 8);
        assert!(
            Record::parse(&record).unwrap().open(&key, &CTX, &elsewhere).is_err(),
            "bit {bit} of the place"
        );
    }
}

#[test]
fn a_record_with_fields_swapped_does_not_open() {
    let (key, place, record) = fixtures::record();
    // kind, epoch, rev, two halves of the nonce, ciphertext, tag
    let fields = [2..4, 4..8, 8..16, 16..28, 28..40, 40..52, record.len() - 16..record.len()];
    for (index, one) in fields.iter().enumerate() {
        for other in &fields[index + 1..] {
            let length = one.len().min(other.len());
            let mut swapped = record.clone();
            for at in 0..length {
                swapped.swap(one.start + at, other.start + at);
            }
            assert_ne!(swapped, record);
            assert!(
                Record::parse(&swapped).unwrap().open(&key, &CTX, &place).is_err(),
                "{one:?} and {other:?}"
            );
        }
    }
}

#[test]
fn a_sealed_keyring_opens_only_as_it_was_sealed() {
    let sealed = fixtures::sealed_keyring();
    every_damage_is_refused(&sealed, |bytes| open_keyring(&ROOT_KEY, &CTX, Slot::B, bytes));
    assert!(open_keyring(&ROOT_KEY, &CTX, Slot::A, &sealed).is_err(), "it is bound to its slot");
    assert!(open_keyring(&[0; 32], &CTX, Slot::B, &sealed).is_err(), "it is bound to its root key");
}

#[test]
fn a_keyring_cut_anywhere_is_refused() {
    every_cut_is_refused(&fixtures::keyring().encode().unwrap(), Keyring::decode);
}

#[test]
fn a_seal_record_is_believed_only_as_it_was_written() {
    let record = fixtures::seal_record().encode(&ROOT_KEY).unwrap();
    every_damage_is_refused(&record, |bytes| Unverified::decode(bytes)?.verify(&ROOT_KEY));
}

#[test]
fn a_wrap_opens_only_as_it_was_made() {
    let root_id = root_id(&ROOT_KEY, &CTX);
    let wrap = &fixtures::seal_record().wraps[0];
    every_damage_is_refused(&wrap.blob, |blob| unwrap_root(&fixtures::KEK, &CTX, wrap.id, &root_id, blob));
}

#[test]
fn a_head_cut_anywhere_is_refused() {
    every_cut_is_refused(&Head::default().encode().unwrap(), Head::decode);
}

#[test]
fn a_sealed_segment_opens_only_as_it_was_sealed() {
    let parent = SealedPath::of(&NAME_KEY, ENVIRONMENT, MOUNT, "a").unwrap();
    let path = parent.child(&NAME_KEY, ENVIRONMENT, MOUNT, "b").unwrap();
    let segment = &path.as_bytes()[parent.as_bytes().len() + 2..];
    every_damage_is_refused(segment, |segment| {
        open_segment(&NAME_KEY, ENVIRONMENT, MOUNT, parent.as_bytes(), segment)
    });
}

#[test]
fn a_store_key_cut_anywhere_is_refused_or_is_the_key_of_its_parent() {
    let (_, place, _) = fixtures::record();
    let whole = StoreKey::parse(&place).unwrap();
    for length in 0..place.len() {
        match StoreKey::parse(&place[..length]) {
            Ok(key) => assert!(whole.path.starts_with(key.path) && whole.path != key.path, "cut at {length}"),
            Err(error) => assert!(error.offset <= length),
        }
    }
}

#[test]
fn a_share_text_with_any_one_character_wrong_is_refused() {
    let text = fixtures::share().to_text().unwrap();
    for at in 0..text.len() {
        for c in (33..=126).map(char::from).filter(|c| !text[at..].starts_with(*c)) {
            let mut typed = String::from(&text[..at]);
            typed.push(c);
            typed.push_str(&text[at + 1..]);
            let Err(error) = Share::parse_any(&typed) else {
                panic!("character {at} as {c} and not noticed")
            };
            assert!(error.offset <= typed.len());
        }
        assert!(Share::parse_any(&text[..at]).is_err(), "cut at {at} and not noticed");
    }
}
