//! Records of transit keys, and `vault:vN:` texts: what is read is written back unchanged.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_engines::transit::fuzz(data));
