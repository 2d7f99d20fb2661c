//! Disclosure files, which an auditor gets from whoever sends one.
#![no_main]
use keystore_format::{disclosure::Disclosure, note::VerifierKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(disclosure) = Disclosure::parse(text) else { return };
    assert_eq!(disclosure.to_text(), text);
    let name = disclosure.proof.checkpoint.lines().next().unwrap_or_default();
    if let Ok(key) = VerifierKey::new(name, [5; 32]) {
        assert!(disclosure.verify(&key, |_, _, _| false).is_err(), "no signature counts");
        let _ = disclosure.verify(&key, |_, _, _| true);
    }
});
