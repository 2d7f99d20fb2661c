//! Answers of a server, as the SDK reads them: the envelope, and every type that a call expects; and the short texts that
//! stand beside them, in the first line of the input: the receipt's header, how long to wait, the server's address.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = serde_json::from_slice::<coffer_wire::Envelope<'_>>(data);
    let _ = serde_json::from_slice::<coffer_wire::Errors>(data);
    coffer_sdk::fuzz(data);
});
