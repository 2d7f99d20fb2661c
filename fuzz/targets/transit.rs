//! Records of transit, `vault:vN:` texts, and how a signature is wanted: what is read is written back unchanged.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_engines::transit::fuzz(data));
