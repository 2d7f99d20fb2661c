//! Client envelopes and chunked streams: headers have one spelling, and a stream opens the same in any pieces.
#![no_main]
use coffer_fuzz::{KEY, byte, piece};
use keystore_format::envelope::{self, Header};
use keystore_format::{error::FormatError, stream};
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

fuzz_target!(|data: &[u8]| {
    if let Ok((header, length)) = Header::parse(data) {
        assert_eq!(header.encode().expect("was read"), data[..length]);
    }
    assert!(envelope::open(data, &KEY, b"").is_err(), "made under no key");
    assert!(stream::open(&KEY, b"", data).is_err(), "made under no key");

    let mut rest = data;
    let (step, repeat) = (usize::from(byte(&mut rest)) + 1, usize::from(byte(&mut rest)));
    let Some(plain) = piece(&mut rest) else { return };
    // Past a chunk's end, which the fuzzer's inputs are too short for.
    let plain = plain.repeat(repeat.min(40_000 / plain.len().max(1)));
    let mut sealed = stream::seal(&KEY, &[9; 24], b"context", &plain).expect("short");
    assert_eq!(stream::sealed_length(plain.len() as u64), Some(sealed.len() as u64));
    assert_eq!(*in_pieces(&sealed, step).expect("sealed here"), plain);

    let Some((place, bits)) = rest.split_first_chunk() else { return };
    let at = usize::from(u16::from_be_bytes(*place)) % sealed.len();
    match bits {
        [] => sealed.truncate(at),
        [bits, ..] => sealed[at] ^= (*bits).max(1),
    }
    let whole = stream::open(&KEY, b"context", &sealed);
    assert!(whole.is_err(), "an altered stream opened");
    assert_eq!(whole.err(), in_pieces(&sealed, step).err());
});

fn in_pieces(sealed: &[u8], step: usize) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let mut out = Zeroizing::new(Vec::new());
    let mut opener = stream::Opener::new(&KEY, b"context");
    for piece in sealed.chunks(step) {
        opener.push(piece, &mut out)?;
    }
    opener.finish(&mut out)?;
    Ok(out)
}
