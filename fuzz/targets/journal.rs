//! What the audit journal keeps of itself between starts, past its checksum.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_audit::fuzz(data));
