//! JSON merge patch against a plain reading of RFC 7396 over another JSON reader.
#![no_main]
use coffer_fuzz::piece;
use coffer_wire::{Limits, merge_patch, scan};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|data: &[u8]| {
    let mut patch = data;
    let Some(target) = piece(&mut patch) else { return };
    let Ok(merged) = merge_patch(target, patch) else { return };
    assert!(scan(&merged, Limits::REQUEST).is_ok());
    // Numbers beyond the other reader's range are kept as text by ours.
    let (Ok(target), Ok(patch)) = (serde_json::from_slice(target), serde_json::from_slice(patch)) else {
        return;
    };
    assert_eq!(serde_json::from_slice::<Value>(&merged).expect("JSON"), merge(target, patch));
});

fn merge(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut merged = if let Value::Object(object) = target { object } else { Map::new() };
    for (name, value) in patch {
        match value {
            Value::Null => drop(merged.remove(&name)),
            value => {
                let before = merged.remove(&name).unwrap_or_default();
                merged.insert(name, merge(before, value));
            }
        }
    }
    Value::Object(merged)
}
