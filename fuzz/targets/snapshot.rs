//! Backups: foreign bytes never open; a body that is authentic but of any content is read or refused, never trusted.
#![no_main]
use coffer_fuzz::{CONTEXT, KEY, byte};
use keystore_format::error::FormatError;
use keystore_format::snapshot::{Decoder, Encoder, Header, Summary};
use keystore_format::stream;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((header, length)) = Header::parse(data) {
        let (own, body) = data.split_at(length);
        assert_eq!(header.encode().expect("was read"), own);
        assert!(read(own, body, |_, _| ()).is_err(), "made under no key");
    }

    let mut rest = data;
    let header = Header {
        store: CONTEXT.store,
        environment: CONTEXT.environment,
        root_id: [1; 32],
        created_ms: 2,
        generation: 3,
        incarnation: [4; 16],
        records: u64::from(byte(&mut rest)),
        nonce: [5; 32],
        seal: Vec::new(),
    };
    let bytes = header.encode().expect("short");
    // As FORMAT.md has it: the label, then the header, are the stream's context.
    let context = [b"coffer/v1/snapshot\0", bytes.as_slice()].concat();
    let body = stream::seal(&header.file_key(&KEY), &[6; 24], &context, rest).expect("short");
    let mut records = Vec::new();
    let Ok(summary) = read(&bytes, &body, |key, value| records.push((key.to_vec(), value.to_vec()))) else {
        return;
    };

    let mut again = Vec::new();
    let mut encoder = Encoder::new(&header, &KEY, &[6; 24], &mut again).expect("short");
    for (key, value) in &records {
        encoder.record(key, value, &mut again).expect("was read");
    }
    assert_eq!(encoder.finish(&mut again).expect("was read"), summary);
    assert_eq!(again, [bytes, body].concat());
});

fn read(header: &[u8], body: &[u8], mut sink: impl FnMut(&[u8], &[u8])) -> Result<Summary, FormatError> {
    let mut decoder = Decoder::new(header, &KEY)?;
    let mut sink = |key: &[u8], value: &[u8]| {
        sink(key, value);
        Ok::<_, FormatError>(())
    };
    decoder.push(body, &mut sink)?;
    decoder.finish(&mut sink)
}
