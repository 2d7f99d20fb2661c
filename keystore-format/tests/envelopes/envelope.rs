use crate::pattern;
use keystore_format::envelope::{Header, MAX_HEADER, MAX_NAME, MAX_WRAPPED, open, opener, seal, sealer};
use keystore_format::error::{Fault, FormatError};

const KEY: [u8; 32] = [1; 32];
const SALT: [u8; 24] = [2; 24];

fn header() -> Header {
    Header {
        environment: "acme/prod".into(),
        mount: "transit".into(),
        key: "orders".into(),
        wrapped: "vault:v1:c2VhbGVk".into(),
    }
}

fn message() -> Vec<u8> {
    seal(&header(), &KEY, &SALT, b"order 7", b"plain").unwrap()
}

#[test]
fn a_message_says_who_can_open_it_and_opens() {
    let (read, length) = Header::parse(&message()).unwrap();
    assert_eq!(read, header());
    assert_eq!(length, header().encode().unwrap().len());
    assert_eq!(open(&message(), &KEY, b"order 7").unwrap().as_slice(), b"plain");
}

#[test]
fn a_message_in_pieces_has_the_same_bytes() {
    let plain = pattern(40_000);
    let mut out = Vec::new();
    let mut pieces = sealer(&header(), &KEY, &SALT, b"a", &mut out).unwrap();
    plain.chunks(777).for_each(|piece| pieces.push(piece, &mut out).unwrap());
    pieces.finish(&mut out).unwrap();
    assert_eq!(out, seal(&header(), &KEY, &SALT, b"a", &plain).unwrap());

    let (_, length) = Header::parse(&out[..MAX_HEADER.min(out.len())]).unwrap();
    let (mut pieces, mut opened) = (opener(&out[..length], &KEY, b"a"), Vec::new());
    out[length..].chunks(999).for_each(|piece| pieces.push(piece, &mut opened).unwrap());
    pieces.finish(&mut opened).unwrap();
    assert_eq!(opened, plain);
}

#[test]
fn another_key_or_associated_data_is_refused_at_the_commitment() {
    let length = header().encode().unwrap().len();
    let refused = Err(FormatError::new("stream commitment", length + 24, Fault::NotAuthentic));
    assert_eq!(open(&message(), &[3; 32], b"order 7").map(drop), refused);
    assert_eq!(open(&message(), &KEY, b"order 8").map(drop), refused);
    assert_eq!(open(&message(), &KEY, b"").map(drop), refused);
}

#[test]
fn a_message_cut_at_any_byte_is_refused() {
    let message = message();
    let header = header().encode().unwrap().len();
    for length in 0..message.len() {
        let error = open(&message[..length], &KEY, b"order 7").unwrap_err();
        let expected = if length < header + 72 { Fault::Truncated } else { Fault::NotAuthentic };
        assert_eq!(error.fault, expected, "{length}: {error}");
        assert_eq!(Header::parse(&message[..length]).is_ok(), length >= header);
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let message = message();
    for bit in 0..message.len() * 8 {
        let mut flipped = message.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&flipped, &KEY, b"order 7").is_err(), "{bit}");
    }
}

#[test]
fn fields_exchanged_in_the_header_are_refused() {
    let mut exchanged = header();
    (exchanged.environment, exchanged.mount) = (exchanged.mount, exchanged.environment);
    let length = header().encode().unwrap().len();
    let moved = [exchanged.encode().unwrap(), message()[length..].to_vec()].concat();
    assert_eq!(open(&moved, &KEY, b"order 7").unwrap_err().field, "stream commitment");
    // Bytes moved over the border between two texts.
    let mut shifted = header();
    (shifted.mount, shifted.key) = ("transi".into(), "torders".into());
    let moved = [shifted.encode().unwrap(), message()[length..].to_vec()].concat();
    assert_eq!(open(&moved, &KEY, b"order 7").unwrap_err().field, "stream commitment");
}

#[test]
fn unknown_versions_algorithms_and_huge_lengths_are_named() {
    let fault = |at: usize, bytes: &[u8]| {
        let mut message = message();
        message[at..at + bytes.len()].copy_from_slice(bytes);
        open(&message, &KEY, b"order 7").unwrap_err()
    };
    assert_eq!(fault(0, b"x"), FormatError::new("envelope magic", 0, Fault::Invalid));
    assert_eq!(fault(4, &[2]), FormatError::new("envelope version", 4, Fault::UnknownVersion));
    assert_eq!(fault(5, &[2]), FormatError::new("envelope algorithm", 5, Fault::UnknownAlgorithm));
    assert_eq!(fault(6, &[0xff; 2]), FormatError::new("envelope environment", 6, Fault::TooLong));
    assert_eq!(fault(8, &[0xff]), FormatError::new("envelope environment", 6, Fault::Invalid));
    assert_eq!(fault(17, &[0xff; 2]), FormatError::new("envelope mount", 17, Fault::TooLong));
}

#[test]
fn a_header_beyond_its_limits_is_not_written() {
    let mut long = header();
    long.key = "k".repeat(MAX_NAME + 1);
    assert_eq!(long.encode().unwrap_err().field, "envelope key");
    let mut long = header();
    long.wrapped = "w".repeat(MAX_WRAPPED + 1);
    assert_eq!(long.encode().unwrap_err().field, "envelope wrapped key");
    let name = "n".repeat(MAX_NAME);
    let most = Header {
        environment: name.clone(),
        mount: name.clone(),
        key: name,
        wrapped: "w".repeat(MAX_WRAPPED),
    };
    assert_eq!(most.encode().unwrap().len(), MAX_HEADER);
}
