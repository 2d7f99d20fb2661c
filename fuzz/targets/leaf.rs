//! Audit leaves and openings, deterministic CBOR: whatever is read has exactly one encoding, the one it was read from.
#![no_main]
use coffer_fuzz::{ENVIRONMENT, KEY};
use keystore_format::logcheck::json_line;
use keystore_format::{leaf::Leaf, openings, openings::Openings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(leaf) = Leaf::decode(data) {
        assert_eq!(leaf.encode().expect("was read"), data);
        let line = json_line((ENVIRONMENT, [0; 16]), 7, &leaf);
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
        assert!(!line.contains('\n'));
    }
    let _ = openings::key_id(data);
    assert!(Openings::open(data, &KEY, ENVIRONMENT, 7).is_err(), "made under no key");
    if let Ok(openings) = Openings::decode(data) {
        assert_eq!(*openings.encode().expect("was read"), data);
        let sealed = openings.seal(&KEY, &[1; 16], &[2; 24], ENVIRONMENT, 7).expect("was read");
        let opened = Openings::open(&sealed, &KEY, ENVIRONMENT, 7).expect("sealed here");
        assert_eq!(*opened.encode().expect("was read"), data);
    }
});
