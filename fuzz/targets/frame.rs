//! Frames of the journal: one that parses is written back unchanged, one that was altered never parses as before.
#![no_main]
use coffer_fuzz::{ENVIRONMENT, byte, piece};
use keystore_format::frame::{Frame, encode, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((frame, length)) = parse(data) {
        let mut out = Vec::new();
        encode(&frame, &mut out).expect("was read");
        assert_eq!(out, data[..length]);
    }

    let mut rest = data;
    let (Some(leaf), Some(openings)) = (piece(&mut rest), piece(&mut rest)) else { return };
    let frame = Frame { environment: ENVIRONMENT, leaf_id: rest.len() as u64, leaf, openings };
    let mut out = Vec::new();
    if encode(&frame, &mut out).is_err() {
        assert!(out.is_empty());
        return;
    }
    let length = out.len();
    out.extend_from_slice(rest);
    assert_eq!(parse(&out), Ok((frame, length)));
    let at = usize::from(byte(&mut rest)) * length / 256;
    out[at] ^= byte(&mut rest).max(1);
    assert!(parse(&out).is_err(), "an altered byte went unseen");
});
