//! Client certificates, revocation lists and certificate roles.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_auth::cert::fuzz(data));
