use crate::full_leaf;
use keystore_format::error::{Fault, FormatError};
use keystore_format::frame::{Frame, MAX_OPENINGS, OVERHEAD, encode, parse};
use keystore_format::ids::EnvironmentId;
use keystore_format::leaf::MAX_LEAF;
use sha2::{Digest, Sha256};

fn framed(leaf: &[u8], openings: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&Frame { environment: EnvironmentId([7; 16]), leaf_id: 9, leaf, openings }, &mut out).unwrap();
    out
}

fn example() -> Vec<u8> {
    framed(&full_leaf().encode().unwrap(), &[0xee; 100])
}

#[test]
fn a_journal_is_read_frame_by_frame() {
    let mut journal = framed(b"one", b"");
    journal.extend(framed(b"two", b"openings"));
    let (first, consumed) = parse(&journal).unwrap();
    assert_eq!((first.leaf, first.openings, first.leaf_id), (&b"one"[..], &b""[..], 9));
    assert_eq!(consumed, OVERHEAD + 3);
    let (second, end) = parse(&journal[consumed..]).unwrap();
    assert_eq!((second.leaf, second.openings), (&b"two"[..], &b"openings"[..]));
    assert_eq!(second.environment, EnvironmentId([7; 16]));
    assert_eq!(consumed + end, journal.len());
}

#[test]
fn a_torn_tail_is_named_truncated_wherever_it_was_torn() {
    let frame = example();
    for length in 0..frame.len() {
        assert_eq!(parse(&frame[..length]).unwrap_err().fault, Fault::Truncated, "{length}");
    }
}

#[test]
fn an_altered_frame_is_never_taken_for_a_torn_one() {
    let frame = example();
    for bit in 0..frame.len() * 8 {
        let mut flipped = frame.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = parse(&flipped).unwrap_err();
        let expected = match bit / 8 {
            0..4 => FormatError::new("frame magic", 0, Fault::Invalid),
            4..39 => FormatError::new("frame header", 0, Fault::NotAuthentic),
            _ => FormatError::new("frame body", 39, Fault::NotAuthentic),
        };
        assert_eq!(error, expected, "bit {bit}");
    }
}

#[test]
fn zeroes_where_a_frame_should_be_are_not_a_frame() {
    assert_eq!(parse(&[0; 4096]), Err(FormatError::new("frame magic", 0, Fault::Invalid)));
}

/// Alters a header and makes its checksum right again, as only a bug or an attacker would.
fn with_header(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = example();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    let check = Sha256::digest(&frame[..35]);
    frame[35..39].copy_from_slice(&check[..4]);
    frame
}

#[test]
fn unknown_versions_and_huge_lengths_are_named() {
    let fault = |frame: &[u8]| parse(frame).unwrap_err();
    assert_eq!(fault(&with_header(4, &[2])), FormatError::new("frame version", 4, Fault::UnknownVersion));
    assert_eq!(fault(&with_header(29, &[0xff; 2])), FormatError::new("frame leaf", 29, Fault::TooLong));
    assert_eq!(fault(&with_header(31, &[0xff; 4])), FormatError::new("frame openings", 31, Fault::TooLong));
    // The lengths exchanged between leaf and openings: same size, other meaning.
    let frame = example();
    let openings = 100u16.to_be_bytes();
    let leaf = u32::from(u16::from_be_bytes([frame[29], frame[30]])).to_be_bytes();
    let swapped = with_header(29, &[&openings[..], &leaf].concat());
    assert_eq!(fault(&swapped), FormatError::new("frame body", 39, Fault::NotAuthentic));
}

#[test]
fn a_leaf_or_openings_beyond_the_limit_are_not_written() {
    let mut out = Vec::new();
    let (leaf, openings) = (vec![0; MAX_LEAF + 1], vec![0; MAX_OPENINGS + 1]);
    let frame = Frame { environment: EnvironmentId([7; 16]), leaf_id: 9, leaf: &leaf, openings: &[] };
    assert_eq!(encode(&frame, &mut out).unwrap_err().field, "frame leaf");
    let frame = Frame { leaf: &[], openings: &openings, ..frame };
    assert_eq!(encode(&frame, &mut out).unwrap_err().field, "frame openings");
    assert!(out.is_empty());
    framed(&leaf[1..], &openings[1..]);
}
