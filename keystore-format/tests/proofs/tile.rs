use crate::Tree;
use keystore_format::error::{Fault, FormatError};
use keystore_format::merkle::Hash;
use keystore_format::tile::*;

fn hashes(level: u8, index: u64, width: u16) -> Tile {
    Tile { kind: TileKind::Hashes(level), index, width }
}

#[test]
fn paths_are_those_of_the_specification() {
    let entries = |index, width| Tile { kind: TileKind::Entries, index, width };
    for (tile, path) in [
        (hashes(0, 0, 256), "tile/0/000"),
        (hashes(0, 1067, 256), "tile/0/x001/067"),
        (hashes(2, 1_234_067, 256), "tile/2/x001/x234/067"),
        (hashes(63, 999, 1), "tile/63/999.p/1"),
        (hashes(0, 273, 112), "tile/0/273.p/112"),
        (hashes(0, u64::MAX, 255), "tile/0/x018/x446/x744/x073/x709/x551/615.p/255"),
        (entries(5, 256), "tile/entries/005"),
        (entries(1000, 17), "tile/entries/x001/000.p/17"),
    ] {
        assert_eq!(tile.path(), path);
        assert_eq!(Tile::parse(path), Ok(tile));
    }
}

#[test]
fn every_other_spelling_of_a_path_is_refused() {
    for (path, fault) in [
        ("", Fault::Invalid),
        ("tile/0", Fault::Invalid),
        ("tile/64/000", Fault::Invalid),
        ("tile/00/000", Fault::NotCanonical),
        ("tile/-1/000", Fault::Invalid),
        ("tile/+1/000", Fault::Invalid),
        ("tile/0/0", Fault::Invalid),
        ("tile/0/0000", Fault::Invalid),
        ("tile/0/x000/001", Fault::NotCanonical),
        ("tile/0/001/002", Fault::NotCanonical),
        ("tile/0/x001", Fault::NotCanonical),
        ("tile/0/x001/x002", Fault::NotCanonical),
        ("tile/0/../000", Fault::Invalid),
        ("tile/0/000.p/0", Fault::Invalid),
        ("tile/0/000.p/256", Fault::Invalid),
        ("tile/0/000.p/007", Fault::NotCanonical),
        ("tile/0/000.p/1/", Fault::Invalid),
        ("tile/data/000", Fault::Invalid),
        ("tile/0/x018/x446/x744/x073/x709/x551/616", Fault::Invalid),
        ("tile/0/x999/x999/x999/x999/x999/x999/x999/999", Fault::Invalid),
    ] {
        assert_eq!(Tile::parse(path), Err(FormatError::new("tile path", 0, fault)), "{path}");
    }
}

#[test]
fn a_log_of_seventy_thousand_has_the_tiles_that_the_specification_counts() {
    let tiles = |level| (full_tiles(level, 70_000), partial_width(level, 70_000));
    assert_eq!([tiles(0), tiles(1), tiles(2), tiles(3)], [(273, 112), (1, 17), (0, 1), (0, 0)]);
    assert_eq!((full_tiles(0, 256), partial_width(0, 256)), (1, 0));
    assert_eq!((full_tiles(1, 256), partial_width(1, 256)), (0, 1));
    assert_eq!((full_tiles(63, u64::MAX), partial_width(8, u64::MAX)), (0, 0));
}

#[test]
fn every_complete_node_of_a_tree_is_found_in_its_tiles() {
    let leaves: Vec<[u8; 2]> = (0..600u16).map(u16::to_be_bytes).collect();
    let tree = Tree::of(leaves.iter().map(|leaf| &leaf[..]));
    let tile = |level: u8, index: u64| -> Vec<Hash> {
        let width = if index < full_tiles(level, 600) { WIDTH } else { partial_width(level, 600) };
        let first = index * u64::from(WIDTH);
        (first..first + u64::from(width)).map(|at| tree.node(level * HEIGHT, at)).collect()
    };
    for level in 0..10u8 {
        for index in 0..600u64 >> level {
            let place = place(level, index);
            let found = place.hash_in(&tile(place.level, place.index));
            assert_eq!(found, Some(tree.node(level, index)), "{level} {index}");
        }
    }
    assert_eq!(place(0, 599).hash_in(&[]), None);
}

#[test]
fn a_hash_tile_comes_back_and_a_cut_one_does_not() {
    let row: Vec<Hash> = (0..5).map(|n| [n; 32]).collect();
    let bytes = encode_hashes(&row);
    assert_eq!(decode_hashes(&bytes, 5), Ok(row.as_slice()));
    for length in 0..bytes.len() {
        assert_eq!(decode_hashes(&bytes[..length], 5).unwrap_err().fault, Fault::Truncated);
    }
    assert_eq!(decode_hashes(&bytes, 4), Err(FormatError::new("tile hashes", 128, Fault::TrailingBytes)));
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(decode_hashes(&longer, 5).unwrap_err().fault, Fault::TrailingBytes);
}

#[test]
fn an_entry_bundle_comes_back_and_a_cut_one_does_not() {
    let mut bundle = Vec::new();
    for entry in [&b"one"[..], b"", b"three"] {
        push_entry(&mut bundle, entry).unwrap();
    }
    assert_eq!(entries(&bundle, 3), Ok(vec![&b"one"[..], b"", b"three"]));
    for length in 0..bundle.len() {
        assert_eq!(entries(&bundle[..length], 3).unwrap_err().fault, Fault::Truncated);
    }
    assert_eq!(entries(&bundle, 2), Err(FormatError::new("tile entries", 7, Fault::TrailingBytes)));
    assert_eq!(push_entry(&mut bundle, &[0; 65_536]).unwrap_err().fault, Fault::TooLong);
    assert_eq!(entries(&[0xff, 0xff, 0], 1), Err(FormatError::new("tile entry", 0, Fault::Truncated)));
}
