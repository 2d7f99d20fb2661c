//! Records of an environment: mounts, children, backups, and how far re-encryption is.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    coffer_environments::fuzz(data);
    coffer_barrier::fuzz(data);
});
