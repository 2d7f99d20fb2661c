//! Records of tokens and token roles: what is read is written back unchanged.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_auth::token::fuzz(data));
