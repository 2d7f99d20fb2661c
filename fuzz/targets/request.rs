//! What a client sends over a connection: request lines, headers and bodies, up to where the house is asked.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_gateway::fuzz(data));
