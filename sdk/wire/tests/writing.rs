//! Writing JSON, merging it, and reading answers.
#![allow(clippy::unwrap_used, clippy::panic)]
use coffer_wire::{Array, Envelope, Errors, Limits, Object, ScanError, escape, merge_patch, scan};
use zeroize::Zeroizing;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn merged(target: &str, patch: &str) -> String {
    text(&merge_patch(target.as_bytes(), patch.as_bytes()).unwrap()).to_owned()
}

#[test]
fn members_are_written_in_the_order_given() {
    let written = Object::new()
        .string("s", "a\"\\\n\u{1}é")
        .number("n", u64::MAX)
        .boolean("b", false)
        .null("z")
        .raw("r", b"[1.0]")
        .strings("l", ["x", "y"])
        .object("o", Object::new())
        .array(
            "a",
            Array::new()
                .string("q")
                .number(1)
                .raw(b"null")
                .object(Object::new().boolean("t", true))
                .array(Array::new()),
        )
        .finish();
    let expected = r#"{"s":"a\"\\\n\u0001é","n":18446744073709551615,"b":false,"z":null,"r":[1.0],"l":["x","y"],"o":{},"a":["q",1,null,{"t":true},[]]}"#;
    assert_eq!(text(&written), expected);
    assert_eq!(scan(&written, Limits::REQUEST), Ok(()));
    assert_eq!((text(&Object::new().finish()), text(&Array::new().finish())), ("{}", "[]"));
}

#[test]
fn every_control_character_is_escaped() {
    let all: String = (0..0x20u8).map(char::from).chain("\"\\\u{7f}\u{2028}".chars()).collect();
    let mut out = Zeroizing::new(Vec::new());
    escape(&mut out, &all);
    assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), all);
}

#[test]
fn the_examples_of_rfc_7396_come_out_as_printed() {
    for (target, patch, result) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, "null", "null"),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        assert_eq!(merged(target, patch), result, "{target} + {patch}");
    }
}

#[test]
fn what_a_patch_does_not_name_keeps_its_bytes() {
    assert_eq!(
        merged(r#"{ "z": 1.50e+3, "y": {"k": 00.5e0, "j": [ 1 ]}, "x": 9007199254740993 }"#.replace("00.5", "0.50").as_str(), r#"{"y":{"j":12345678901234567890.10}}"#),
        r#"{"z":1.50e+3,"y":{"k":0.50e0,"j":12345678901234567890.10},"x":9007199254740993}"#
    );
    assert_eq!(merged(r#"{"\u0061":1,"b":2}"#, r#"{"a":3}"#), r#"{"\u0061":3,"b":2}"#);
}

#[test]
fn a_patch_that_is_no_json_or_would_grow_the_target_beyond_the_limits_is_refused() {
    assert_eq!(merge_patch(b"{}", b"{").err(), Some(ScanError::Malformed { offset: 1 }));
    assert_eq!(merge_patch(b"{}", br#"{"a":1,"a":2}"#).err(), Some(ScanError::DuplicateName));
    assert_eq!(merge_patch(b"{}", "[".repeat(100_000).as_bytes()).err(), Some(ScanError::TooDeep));
    let many = |prefix: &str| {
        let members: Vec<String> = (0..30_000).map(|at| format!("\"{prefix}{at}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(merge_patch(many("a").as_bytes(), many("b").as_bytes()).err(), Some(ScanError::TooMany));
    assert!(merge_patch(many("a").as_bytes(), many("a").as_bytes()).is_ok());
}

#[test]
fn an_answer_is_read_with_its_data_still_as_text() {
    let answer = r#"{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":{"n": 1.0},"wrap_info":null,
        "warnings":["w"],"auth":{"client_token":"t","accessor":"a","policies":["p"],"identity_policies":null,"lease_duration":60,"renewable":true},"other":1}"#;
    let envelope: Envelope<'_> = serde_json::from_str(answer).unwrap();
    assert_eq!(envelope.data.unwrap().get(), r#"{"n": 1.0}"#);
    let auth = envelope.auth.unwrap();
    assert_eq!((auth.client_token.as_str(), auth.lease_duration), ("t", 60));
    assert_eq!(envelope.warnings.unwrap(), ["w"]);
    let empty: Envelope<'_> = serde_json::from_str(r#"{"data":null}"#).unwrap();
    assert!(empty.data.is_none() && empty.auth.is_none());
    let refusal: Errors = serde_json::from_str(r#"{"errors":["permission denied"]}"#).unwrap();
    assert_eq!(refusal.errors, ["permission denied"]);
}
