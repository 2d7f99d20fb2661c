//! Shares, as people type them: hex, base64 or Bech32m, and whatever reads as one is written back as the same.
#![no_main]
use keystore_format::{bech32m, share::Share};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Share::from_payload(data);
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(bytes) = bech32m::decode("coffer", text) {
        assert_eq!(*bech32m::encode("coffer", &bytes).expect("was read"), text.to_ascii_lowercase());
    }
    let Ok(share) = Share::parse_any(text) else { return };
    assert!(share.x != 0 && share.k != 0);
    let texts = [share.to_text().expect("of this length"), share.to_hex(), share.to_base64()];
    assert!(texts.iter().any(|own| own.eq_ignore_ascii_case(text.trim_ascii())));
    for own in texts {
        assert_eq!(Share::parse_any(&own).expect("written here").payload(), share.payload());
    }
});
