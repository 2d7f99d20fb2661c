//! Tiles, bundles, frontiers and proofs: each path names one tile, and a proof of nothing proves nothing.
#![no_main]
use keystore_format::merkle::{Frontier, verify_consistency, verify_inclusion};
use keystore_format::tile::{Tile, decode_hashes, encode_hashes, entries, push_entry};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(tile) = Tile::parse(text)
    {
        assert_eq!(tile.path(), text);
    }
    if let Ok(mut frontier) = Frontier::decode(data) {
        assert_eq!(frontier.encode(), data);
        let _ = frontier.root();
        if frontier.size() < u64::MAX {
            let size = frontier.size();
            assert_eq!(frontier.append([1; 32], |_, _, _| ()), size);
            assert_eq!(frontier.size(), size + 1);
        }
    }

    let Some((head, body)) = data.split_first_chunk::<17>() else { return };
    let [width, index @ ..] = head;
    let (old, new) = index.split_at(8);
    let [old, new] = [old, new].map(|bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes")));
    if let Ok(hashes) = decode_hashes(body, u16::from(*width)) {
        assert_eq!(encode_hashes(hashes), body);
        let _ = verify_inclusion(old, new, &[0; 32], hashes, &[0; 32]);
        let _ = verify_consistency(old, new, hashes, &[0; 32], &[1; 32]);
    }
    if let Ok(found) = entries(body, u16::from(*width)) {
        let mut bundle = Vec::new();
        for entry in found {
            push_entry(&mut bundle, entry).expect("was read");
        }
        assert_eq!(bundle, body);
    }
});
