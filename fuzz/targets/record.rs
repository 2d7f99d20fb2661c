//! Records: what parses says the header that it stands under, and what was sealed opens only as it was sealed.
#![no_main]
use coffer_fuzz::{CONTEXT, KEY, piece};
use keystore_format::record::{HEADER_LEN, Header, Record, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Record::parse(data) {
        let Header { kind, epoch, rev } = record.header();
        let [k, e, r] = [&kind.to_be_bytes()[..], &epoch.to_be_bytes(), &rev.to_be_bytes()];
        assert_eq!(data[2..HEADER_LEN], [k, e, r].concat());
        // Nobody makes a valid tag by chance.
        assert!(record.open(&KEY, &CONTEXT, b"place").is_err());
    }

    let mut rest = data;
    let (Some(place), Some(plain)) = (piece(&mut rest), piece(&mut rest)) else { return };
    let header = Header { kind: plain.len() as u16, epoch: place.len() as u32, rev: rest.len() as u64 };
    let mut sealed = seal(&KEY, header, &CONTEXT, place, &[7; 24], plain).expect("far below 64 MiB");
    let opened = Record::parse(&sealed).expect("its own shape").open(&KEY, &CONTEXT, place);
    assert_eq!(*opened.expect("its own key and place"), plain);
    let at = rest.len() % sealed.len();
    sealed[at] ^= 1 << (rest.len() / sealed.len() % 8);
    let altered = Record::parse(&sealed).and_then(|record| record.open(&KEY, &CONTEXT, place).map(drop));
    assert!(altered.is_err(), "a flipped bit went unseen");
});
