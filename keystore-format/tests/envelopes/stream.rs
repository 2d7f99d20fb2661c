use crate::pattern;
use keystore_format::error::{Fault, FormatError};
use keystore_format::stream::{CHUNK, MAX_CHUNKS, Opener, PREFIX, Sealer, TAG, open, seal, sealed_length};
use proptest::prelude::*;

const KEY: [u8; 32] = [1; 32];
const SALT: [u8; 24] = [2; 24];
const CONTEXT: &[u8] = b"context";

fn sealed(plain: &[u8]) -> Vec<u8> {
    seal(&KEY, &SALT, CONTEXT, plain).unwrap()
}

fn fault(sealed: &[u8]) -> FormatError {
    open(&KEY, CONTEXT, sealed).unwrap_err()
}

#[test]
fn messages_around_the_chunk_size_come_back_and_are_as_long_as_foretold() {
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 3 * CHUNK + 5] {
        let plain = pattern(length);
        let sealed = sealed(&plain);
        assert_eq!(Some(sealed.len() as u64), sealed_length(length as u64));
        assert_eq!(*open(&KEY, CONTEXT, &sealed).unwrap(), plain);
    }
}

#[test]
fn lengths_beyond_four_pebibytes_are_refused() {
    let most = MAX_CHUNKS * CHUNK as u64 - 1;
    assert_eq!(sealed_length(most), Some(most + PREFIX as u64 + MAX_CHUNKS * TAG as u64));
    assert_eq!(sealed_length(most + 1), None);
    assert_eq!(sealed_length(u64::MAX), None);
}

#[test]
fn another_key_context_or_salt_is_refused_before_any_chunk() {
    let sealed = sealed(b"plain");
    let refused = FormatError::new("stream commitment", 24, Fault::NotAuthentic);
    assert_eq!(open(&[9; 32], CONTEXT, &sealed).unwrap_err(), refused);
    assert_eq!(open(&KEY, b"other", &sealed).unwrap_err(), refused);
    for at in 0..PREFIX {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert_eq!(fault(&altered), refused);
    }
}

#[test]
fn a_short_message_cut_at_any_byte_is_refused() {
    let sealed = sealed(b"plain");
    for length in 0..sealed.len() {
        let expected = match length {
            0..PREFIX => FormatError::new("stream commitment", length, Fault::Truncated),
            72.. => FormatError::new("stream chunk", PREFIX, Fault::NotAuthentic),
            _ => FormatError::new("stream final chunk", PREFIX, Fault::Truncated),
        };
        assert_eq!(fault(&sealed[..length]), expected, "{length}");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let sealed = sealed(b"plain");
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(fault(&flipped).fault, Fault::NotAuthentic, "{bit}");
    }
}

#[test]
fn chunks_left_out_repeated_exchanged_or_appended_are_named() {
    let whole = sealed(&pattern(3 * CHUNK + 5));
    let (prefix, body) = whole.split_at(PREFIX);
    let chunks: Vec<&[u8]> = body.chunks(CHUNK + TAG).collect();
    let joined = |order: &[usize]| {
        let mut message = prefix.to_vec();
        order.iter().for_each(|at| message.extend_from_slice(chunks[*at]));
        message
    };
    let chunk = |number: usize| PREFIX + number * (CHUNK + TAG);
    let cases: [(&[usize], &str, usize, Fault); 8] = [
        (&[], "stream final chunk", 0, Fault::Truncated),
        (&[0, 1, 2], "stream final chunk", 3, Fault::Truncated),
        (&[0], "stream final chunk", 1, Fault::Truncated),
        (&[0, 1, 3], "stream chunk", 2, Fault::NotAuthentic),
        (&[1, 0, 2, 3], "stream chunk", 0, Fault::NotAuthentic),
        (&[0, 0, 2, 3], "stream chunk", 1, Fault::NotAuthentic),
        (&[0, 1, 2, 3, 3], "stream chunk", 3, Fault::NotAuthentic),
        (&[0, 1, 2, 3, 0], "stream chunk", 3, Fault::NotAuthentic),
    ];
    for (order, field, number, kind) in cases {
        assert_eq!(fault(&joined(order)), FormatError::new(field, chunk(number), kind), "{order:?}");
    }
    assert!(open(&KEY, CONTEXT, &joined(&[0, 1, 2, 3])).is_ok());
}

#[test]
fn an_opener_that_refused_goes_on_refusing() {
    let mut altered = sealed(&pattern(2 * CHUNK));
    altered[PREFIX] ^= 1;
    let (mut opener, mut out) = (Opener::new(&KEY, CONTEXT), Vec::new());
    let first = opener.push(&altered, &mut out).unwrap_err();
    assert_eq!(opener.push(&altered, &mut out), Err(first));
    assert_eq!(opener.finish(&mut out), Err(first));
    assert!(out.is_empty());
}

#[test]
fn two_messages_of_the_same_text_share_no_chunk() {
    let plain = pattern(100);
    let other = seal(&KEY, &[3; 24], CONTEXT, &plain).unwrap();
    assert_ne!(sealed(&plain)[PREFIX..], other[PREFIX..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn pieces_of_any_size_give_the_same_bytes(
        length in 0usize..50_000, pieces in proptest::collection::vec(1usize..40_000, 1..8),
    ) {
        let plain = pattern(length);
        let mut out = Vec::new();
        let mut sealer = Sealer::new(&KEY, &SALT, CONTEXT, &mut out);
        let mut rest = plain.as_slice();
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            sealer.push(now, &mut out).unwrap();
            rest = later;
            if rest.is_empty() { break; }
        }
        sealer.finish(&mut out).unwrap();
        prop_assert_eq!(&out, &sealed(&plain));

        let (mut opener, mut opened, mut rest) = (Opener::new(&KEY, CONTEXT), Vec::new(), out.as_slice());
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            opener.push(now, &mut opened).unwrap();
            rest = later;
            if rest.is_empty() { break; }
        }
        opener.finish(&mut opened).unwrap();
        prop_assert_eq!(opened, plain);
    }
}
