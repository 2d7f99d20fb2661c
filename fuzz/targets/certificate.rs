//! Client certificates, revocation lists and certificate roles; and the PEM files of a listener and of a client.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    coffer_auth::cert::fuzz(data);
    coffer_gateway::fuzz_files(coffer_fuzz::texts(data));
    coffer_sdk::fuzz_files(coffer_fuzz::texts(data));
});
