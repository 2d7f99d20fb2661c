//! Records of both versions of KV: what is read is written back unchanged.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    coffer_engines::kv1::fuzz(data);
    coffer_engines::kv2::fuzz(data);
});
