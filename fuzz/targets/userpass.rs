//! Records of users with a password: whatever is decoded, nothing panics.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_auth::userpass::fuzz(data));
