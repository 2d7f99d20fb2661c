//! Policies, HCL and JSON, and what they decide about paths.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_policy::fuzz(data));
