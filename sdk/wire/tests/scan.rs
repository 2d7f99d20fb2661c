//! What is JSON, what is too much of it, and how fast that is told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
use coffer_wire::{Limits, ScanError, scan};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const ROOMY: Limits = Limits { depth: 64, values: usize::MAX };

fn malformed_at(text: &[u8]) -> usize {
    match scan(text, Limits::REQUEST) {
        Err(ScanError::Malformed { offset }) => offset,
        Err(other) => panic!("{other:?}"),
        Ok(()) => panic!("taken for JSON: {}", String::from_utf8_lossy(text)),
    }
}

#[test]
fn a_hundred_thousand_brackets_are_refused_at_the_depth_limit() {
    for open in ["[", "{\"a\":"] {
        assert_eq!(scan(open.repeat(100_000).as_bytes(), ROOMY), Err(ScanError::TooDeep));
    }
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(scan(nested(64).as_bytes(), Limits::REQUEST), Ok(()));
    assert_eq!(scan(nested(65).as_bytes(), Limits::REQUEST), Err(ScanError::TooDeep));
    assert_eq!(scan(nested(129).as_bytes(), Limits { depth: 1000, values: 1000 }), Err(ScanError::TooDeep));
}

#[test]
fn names_and_values_are_counted_together() {
    let limits = Limits { depth: 4, values: 5 };
    assert_eq!(scan(br#"{"a":1,"b":2}"#, limits), Ok(()));
    assert_eq!(scan(br#"{"a":1,"b":[]}"#, limits), Ok(()));
    assert_eq!(scan(br#"{"a":1,"b":[0]}"#, limits), Err(ScanError::TooMany));
}

#[test]
fn what_the_grammar_does_not_have_is_named_by_its_place() {
    for (text, offset) in [
        ("", 0),
        (" ", 1),
        ("{", 1),
        ("{}}", 2),
        ("{} x", 3),
        ("{,}", 1),
        ("{\"a\"}", 4),
        ("{\"a\":}", 5),
        ("{\"a\":1,}", 7),
        ("{a:1}", 1),
        ("{'a':1}", 1),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("[1}", 2),
        ("[", 1),
        ("]", 0),
        ("nul", 3),
        ("True", 0),
        ("NaN", 0),
        ("01", 1),
        ("+1", 0),
        (".5", 0),
        ("1.", 2),
        ("1e", 2),
        ("1e+", 3),
        ("-", 1),
        ("0x10", 1),
        ("--1", 1),
        ("\"\n\"", 1),
        ("\"\u{0}\"", 1),
        ("\"\\x\"", 2),
        ("\"\\u12g4\"", 5),
        ("\"\\", 2),
        ("// c\n1", 0),
        ("\u{feff}{}", 0),
        ("{}\u{a0}", 2),
    ] {
        assert_eq!(malformed_at(text.as_bytes()), offset, "{text:?}");
    }
}

#[test]
fn text_that_is_no_utf8_is_named_by_its_place() {
    assert_eq!(malformed_at(b"\"ab\xff\""), 3);
    assert_eq!(malformed_at(b"\"\xed\xa0\x80\""), 1);
    assert_eq!(malformed_at(b"\"\xc0\xaf\""), 1);
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\ud800""#,
        r#""\udc00\ud800""#,
    ] {
        malformed_at(text.as_bytes());
    }
    assert_eq!(scan(br#""\ud83d\ude00 \u0000 \/""#, Limits::REQUEST), Ok(()));
}

#[test]
fn a_number_may_be_as_long_as_it_likes() {
    for text in ["-0", "0.0e-0", "1E400", "-1.5e+99999", &"9".repeat(100_000)] {
        assert_eq!(scan(text.as_bytes(), Limits::REQUEST), Ok(()));
    }
}

#[test]
fn a_text_cut_at_any_byte_is_refused_where_it_ends() {
    let text = r#"{"a\u00e9":[1.5e3,true,null,"\ud83d\ude00é"],"b":{"c":false}} "#.as_bytes();
    assert_eq!(scan(text, Limits::REQUEST), Ok(()));
    for length in 0..text.len() - 1 {
        let offset = malformed_at(&text[..length]);
        assert!(offset <= length, "{length}");
    }
}

#[test]
fn thirty_two_mebibytes_are_read_in_linear_time() {
    let size = 32 << 20;
    let long_string = format!("{{\"a\":\"{}\"}}", "x".repeat(size));
    let escapes = format!("[\"{}\"]", "\\u00e9".repeat(size / 6));
    let spaces = " ".repeat(size);
    let numbers = format!("[{}1]", "1,".repeat(size / 2));
    for (text, result) in [
        (&long_string, Ok(())),
        (&escapes, Ok(())),
        (&spaces, Err(ScanError::Malformed { offset: size })),
        (&numbers, Err(ScanError::TooMany)),
    ] {
        let start = Instant::now();
        assert_eq!(scan(text.as_bytes(), Limits::REQUEST), result);
        // Anything worse than linear would take hours; this leaves room for an unoptimised build on a busy machine.
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

proptest! {
    #[test]
    fn the_scanner_agrees_with_another_reader(text in r#"([\[\]{}:,]|"[a\\nu]{0,6}"|-?[0-9.eE]{1,4}|true|null| ){1,12}"#) {
        let mine = scan(text.as_bytes(), Limits::REQUEST).is_ok();
        prop_assert_eq!(mine, serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = scan(&bytes, Limits::REQUEST);
    }
}
