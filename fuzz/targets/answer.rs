//! Answers of a server, as the SDK reads them: whatever a server sends, nothing panics.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = serde_json::from_slice::<coffer_wire::Envelope<'_>>(data);
    let _ = serde_json::from_slice::<coffer_wire::Errors>(data);
});
