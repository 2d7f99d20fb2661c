use super::refused;
use keystore_format::tile::{Tile, TileKind};
use serde_json::{Value, json};

fn path(name: &str, path: &str) -> Value {
    let tile = Tile::parse(path).unwrap();
    assert_eq!(tile.path(), path);
    let kind = match tile.kind {
        TileKind::Hashes(level) => level.to_string(),
        TileKind::Entries => "entries".into(),
    };
    json!({ "name": name, "path": path, "kind": kind, "index": tile.index.to_string(), "width": tile.width })
}

fn broken(name: &str, path: &str, fault: &str) -> Value {
    json!({ "name": name, "path": path, "error": refused(Tile::parse(path), "tile path", 0, fault) })
}

pub(crate) fn vectors() -> Vec<Value> {
    vec![
        path("first_tile", "tile/0/000"),
        path("tile_1234067_of_the_specification", "tile/0/x001/x234/067"),
        path("partial_tile", "tile/0/273.p/112"),
        path("highest_level", "tile/63/000.p/1"),
        path("last_index", "tile/1/x018/x446/x744/x073/x709/x551/615.p/255"),
        path("entry_bundle", "tile/entries/x001/067"),
        broken("path_that_is_empty", "", "Invalid"),
        broken("path_above_its_folder", "tile/0/../000", "Invalid"),
        broken("level_64", "tile/64/000", "Invalid"),
        broken("level_with_a_leading_zero", "tile/01/000", "NotCanonical"),
        broken("level_with_a_sign", "tile/+1/000", "Invalid"),
        broken("index_with_a_group_of_zeroes", "tile/0/x000/001", "NotCanonical"),
        broken("index_without_an_x", "tile/0/001/002", "NotCanonical"),
        broken("index_that_ends_in_an_x", "tile/0/x001", "NotCanonical"),
        broken("index_of_four_digits", "tile/0/0001", "Invalid"),
        broken("index_beyond_64_bits", "tile/0/x018/x446/x744/x073/x709/x551/616", "Invalid"),
        broken("width_0", "tile/0/000.p/0", "Invalid"),
        broken("width_256", "tile/0/000.p/256", "Invalid"),
        broken("width_with_a_leading_zero", "tile/0/000.p/01", "NotCanonical"),
    ]
}
