//! What a TPM answers, one piece after the other, to everything that a seal asks of it.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_seal::tpm::fuzz(data));
