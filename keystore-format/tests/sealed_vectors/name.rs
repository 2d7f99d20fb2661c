use super::{ENVIRONMENT, MOUNT, OTHER_ENVIRONMENT, bytes, changed, refused};
use aes_siv::{KeyInit, siv::Aes256Siv};
use hex::encode as hex;
use keystore_format::{
    name::{SealedPath, StoreKey, open_segment, store_key},
    tables,
};
use serde_json::{Value, json};

pub(crate) fn vectors() -> Vec<Value> {
    let mut vectors: Vec<Value> = paths().into_iter().map(|(name, path)| sealed(name, &path)).collect();
    vectors.extend(refused_segments());
    vectors.extend(refused_store_keys());
    vectors
}

fn paths() -> Vec<(&'static str, String)> {
    vec![
        ("the_root_is_empty", String::new()),
        ("one_segment", "db".into()),
        ("equal_names_in_one_directory_tree_look_different", "db/db/db".into()),
        ("a_segment_of_31_bytes_fills_one_block", "a".repeat(31)),
        ("a_segment_of_32_bytes_takes_two_blocks", "a".repeat(32)),
        ("the_longest_segment", "z".repeat(1023)),
        ("a_segment_beyond_ascii", "zürich/データベース".into()),
    ]
}

fn sealed(name: &str, path: &str) -> Value {
    let name_key = bytes(0);
    let sealed = SealedPath::of(&name_key, ENVIRONMENT, MOUNT, path).unwrap();
    let key = store_key(tables::RECORDS, ENVIRONMENT, MOUNT, 67, &sealed, Some(7));
    let parsed = StoreKey::parse(&key).unwrap();
    assert_eq!((parsed.path, parsed.version), (sealed.as_bytes(), Some(7)));
    json!({
        "name": name, "name_key": hex(name_key), "environment": hex(ENVIRONMENT.0), "mount": hex(MOUNT.0),
        "path": path, "sealed_path": hex(sealed.as_bytes()),
        "table": 2, "kind": 67, "version": 7, "store_key": hex(key),
    })
}

fn refused_segments() -> Vec<Value> {
    let name_key = bytes(0);
    let directory = SealedPath::of(&name_key, ENVIRONMENT, MOUNT, "db").unwrap();
    let other = SealedPath::of(&name_key, ENVIRONMENT, MOUNT, "cache").unwrap();
    let path = directory.child(&name_key, ENVIRONMENT, MOUNT, "password").unwrap();
    let parent = directory.as_bytes();
    let segment = &path.as_bytes()[parent.len() + 2..];

    // What only a holder of the name key could make.
    let forged_raw = |padded: &[u8]| {
        let headers = [&b"coffer/v1/name"[..], &[ENVIRONMENT.0, MOUNT.0].concat(), parent];
        Aes256Siv::new(&name_key.into()).encrypt(headers, padded).unwrap()
    };
    let forged = |segment: &str, padding: usize| {
        let mut padded = [segment.as_bytes(), &[0x80]].concat();
        padded.resize(segment.len() + padding, 0);
        forged_raw(&padded)
    };
    let not_utf8 = [&[0xff, 0x80][..], &[0; 30]].concat();

    let case = |name: &str, environment, parent: &[u8], segment: &[u8], fault: &str| {
        let result = open_segment(&name_key, environment, MOUNT, parent, segment);
        json!({
            "name": name, "name_key": hex(name_key), "environment": hex(environment.0), "mount": hex(MOUNT.0),
            "parent": hex(parent), "segment": hex(segment),
            "error": refused(result, "sealed segment", 0, fault),
        })
    };
    vec![
        case("segment_moved_to_another_directory", ENVIRONMENT, other.as_bytes(), segment, "NotAuthentic"),
        case("segment_moved_to_the_root", ENVIRONMENT, b"", segment, "NotAuthentic"),
        case("segment_moved_to_another_environment", OTHER_ENVIRONMENT, parent, segment, "NotAuthentic"),
        case(
            "segment_with_a_bit_flipped_in_the_siv",
            ENVIRONMENT,
            parent,
            &changed(segment, |bytes| bytes[0] ^= 1),
            "NotAuthentic",
        ),
        case(
            "segment_with_a_bit_flipped_in_the_text",
            ENVIRONMENT,
            parent,
            &changed(segment, |bytes| bytes[16] ^= 1),
            "NotAuthentic",
        ),
        case("segment_cut_inside_the_siv", ENVIRONMENT, parent, &segment[..15], "Truncated"),
        case("segment_without_text", ENVIRONMENT, parent, &segment[..16], "Invalid"),
        case("segment_cut_by_one_byte", ENVIRONMENT, parent, &segment[..47], "Invalid"),
        case("segment_padded_with_a_block_too_many", ENVIRONMENT, parent, &forged("a", 63), "NotCanonical"),
        case("segment_padded_with_no_marker", ENVIRONMENT, parent, &forged_raw(&[0; 32]), "NotCanonical"),
        case(
            "segment_padded_with_another_marker",
            ENVIRONMENT,
            parent,
            &forged_raw(&[1; 32]),
            "NotCanonical",
        ),
        case("segment_of_no_text", ENVIRONMENT, parent, &forged("", 32), "Invalid"),
        case("segment_with_a_slash", ENVIRONMENT, parent, &forged("a/b", 29), "Invalid"),
        case("segment_that_is_not_utf8", ENVIRONMENT, parent, &forged_raw(&not_utf8), "Invalid"),
        case("segment_of_33_blocks", ENVIRONMENT, parent, &[0; 16 + 33 * 32], "Invalid"),
    ]
}

fn refused_store_keys() -> Vec<Value> {
    let path = SealedPath::of(&bytes(0), ENVIRONMENT, MOUNT, "db").unwrap();
    let key = store_key(tables::RECORDS, ENVIRONMENT, MOUNT, 66, &path, None);
    let case = |name: &str, key: &[u8], field: &str, offset: usize, fault: &str| json!({ "name": name, "broken_store_key": hex(key), "error": refused(StoreKey::parse(key), field, offset, fault) });
    vec![
        case("empty_store_key", b"", "table", 0, "Truncated"),
        case("store_key_cut_in_the_environment", &key[..16], "environment", 1, "Truncated"),
        case("store_key_cut_in_the_mount", &key[..32], "mount", 17, "Truncated"),
        case("store_key_cut_in_the_kind", &key[..34], "kind", 33, "Truncated"),
        case("store_key_cut_in_a_segment_length", &key[..36], "segment length", 35, "Truncated"),
        case("store_key_cut_in_a_segment", &key[..key.len() - 1], "sealed segment", 37, "Truncated"),
        case(
            "store_key_with_a_segment_length_of_65535",
            &changed(&key, |key| key[35..37].fill(0xff)),
            "segment length",
            35,
            "Invalid",
        ),
        case(
            "store_key_with_seven_bytes_of_version",
            &changed(&key, |key| key.extend([0; 7])),
            "segment length",
            85,
            "Invalid",
        ),
    ]
}
