//! Sealed names and store keys: what was sealed opens to the same segments, what parses is written back unchanged.
#![no_main]
use coffer_fuzz::{ENVIRONMENT, MOUNT, NAME_KEY};
use keystore_format::name::{SealedPath, StoreKey, first_segment, open_segment, store_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = open_segment(&NAME_KEY, ENVIRONMENT, MOUNT, b"", data);
    if let Ok(path) = SealedPath::from_bytes(data) {
        assert_eq!(path.as_bytes(), data);
    }
    if let Ok(key) = StoreKey::parse(data) {
        let path = SealedPath::from_bytes(key.path);
        if let Ok(path) = path {
            assert_eq!(store_key(key.table, key.environment, key.mount, key.kind, &path, key.version), data);
        }
    }

    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(sealed) = SealedPath::of(&NAME_KEY, ENVIRONMENT, MOUNT, text) else { return };
    let mut rest = sealed.as_bytes();
    let mut opened = Vec::new();
    while !rest.is_empty() {
        let parent = &sealed.as_bytes()[..sealed.as_bytes().len() - rest.len()];
        let (first, after) = first_segment(rest).expect("a segment that was sealed");
        opened.push(
            open_segment(&NAME_KEY, ENVIRONMENT, MOUNT, parent, first).expect("sealed here").to_string(),
        );
        rest = after;
    }
    assert_eq!(opened.join("/"), text);
});
