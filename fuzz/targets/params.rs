//! Request bodies and queries: the same JSON as another reader sees, and no getter panics on any of it.
#![no_main]
use coffer_fuzz::piece;
use coffer_wire::{Limits, Params, ScanError, escape, parse_seconds, scan, seconds_text};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zeroize::Zeroizing;

const NAMES: [&str; 4] = ["a", "data", "ttl", ""];

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let Some(body) = piece(&mut rest) else { return };
    let theirs = serde_json::from_slice::<Value>(body);
    match scan(body, Limits::REQUEST) {
        // A number may be out of another reader's range, and is text until somebody asks.
        Ok(()) => {
            assert!(theirs.as_ref().map_or_else(|error| error.to_string().contains("out of range"), |_| true))
        }
        Err(ScanError::Malformed { offset }) => assert!(theirs.is_err() && offset <= body.len()),
        Err(_) => {}
    }
    let Ok(mut params) = Params::parse(Zeroizing::new(body.to_vec()), Limits::REQUEST) else { return };
    if let Ok(Value::Object(object)) = &theirs {
        assert_eq!(params.names().count(), object.len());
        for name in NAMES {
            match object.get(name) {
                Some(Value::String(text)) => {
                    assert_eq!(params.string(name).ok().flatten().as_deref(), Some(text))
                }
                Some(Value::Null) | None => assert!(!params.has(name)),
                Some(_) => assert!(params.has(name)),
            }
        }
    }
    all(&params);
    if let Ok(query) = core::str::from_utf8(rest) {
        let before = params.body().to_vec();
        let _ = params.add_query(query);
        assert_eq!(params.body(), before);
        all(&params);
        if let Some(seconds) = parse_seconds(query) {
            assert_eq!(parse_seconds(&seconds_text(seconds)), Some(seconds));
        }
        let mut quoted = Zeroizing::new(Vec::new());
        escape(&mut quoted, query);
        assert_eq!(serde_json::from_slice::<String>(&quoted).expect("JSON"), query);
    }
});

fn all(params: &Params) {
    for name in NAMES {
        let _ = (params.string(name), params.required(name), params.number(name), params.boolean(name));
        let _ = (
            params.seconds(name),
            params.base64(name),
            params.list(name),
            params.numbers(name),
            params.map(name),
        );
        if let Ok(Some(inner)) = params.nested(name) {
            let _ = (inner.names().count(), inner.string("a"));
        }
        for inner in params.each(name).ok().flatten().unwrap_or_default() {
            let _ = (inner.names().count(), inner.string("a"));
        }
    }
}
