use crate::full_leaf;
use ciborium::Value;
use keystore_format::error::{Fault, FormatError};
use keystore_format::leaf::{
    self, Leaf, LeafKind, MAX_FIELD, MAX_LEAF, Plain, actor_pseudonym, commitment, field_salt, month_of,
    request_digest,
};
use keystore_format::merkle::leaf_hash;
use proptest::prelude::*;

#[test]
fn a_leaf_with_every_field_comes_back() {
    let leaf = full_leaf();
    let bytes = leaf.encode().unwrap();
    assert_eq!(Leaf::decode(&bytes), Ok(leaf));
    assert_eq!(leaf::hash(&bytes), leaf_hash(&bytes));
}

#[test]
fn a_leaf_without_optional_fields_comes_back() {
    for (number, kind) in [
        (1, LeafKind::Request),
        (2, LeafKind::Intent),
        (3, LeafKind::Result),
        (4, LeafKind::State),
        (5, LeafKind::Fork),
        (6, LeafKind::CheckpointRef),
        (7, LeafKind::NodeEvent),
    ] {
        let leaf = Leaf::new(kind, 0, u64::MAX, "", "", 0);
        let bytes = leaf.encode().unwrap();
        assert_eq!(bytes[4], number);
        assert_eq!(Leaf::decode(&bytes), Ok(leaf));
    }
}

#[test]
fn a_leaf_is_deterministic_cbor_to_another_implementation() {
    let bytes = full_leaf().encode().unwrap();
    let value: Value = ciborium::from_reader(bytes.as_slice()).unwrap();
    let pairs = value.as_map().unwrap();
    let keys: Vec<u64> = pairs.iter().map(|(key, _)| key.as_integer().unwrap().try_into().unwrap()).collect();
    assert_eq!(keys, (0..=14).collect::<Vec<_>>());
    let names: Vec<_> = pairs[11].1.as_map().unwrap().iter().map(|(key, _)| key.as_text().unwrap()).collect();
    assert_eq!(names, ["ip", "path", "role"]);
    let mut again = Vec::new();
    ciborium::into_writer(&value, &mut again).unwrap();
    assert_eq!(again, bytes);
}

#[test]
fn a_leaf_cut_at_any_byte_is_named_truncated() {
    let bytes = full_leaf().encode().unwrap();
    for length in 0..bytes.len() {
        let error = Leaf::decode(&bytes[..length]).unwrap_err();
        assert_eq!(error.fault, Fault::Truncated, "{length}: {error}");
        assert!(error.offset <= length);
    }
}

#[test]
fn a_leaf_with_a_byte_too_many_is_refused() {
    let mut bytes = full_leaf().encode().unwrap();
    let end = bytes.len();
    bytes.push(0);
    assert_eq!(Leaf::decode(&bytes), Err(FormatError::new("leaf", end, Fault::TrailingBytes)));
}

/// A leaf has no checksum of its own: its hash is in the tree. So a flipped bit may decode, but only as the leaf
/// that has exactly these bytes, and never with the old hash.
#[test]
fn a_flipped_bit_never_leaves_the_same_leaf() {
    let leaf = full_leaf();
    let bytes = leaf.encode().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(leaf::hash(&flipped), leaf::hash(&bytes));
        if let Ok(other) = Leaf::decode(&flipped) {
            assert_ne!(other, leaf);
            assert_eq!(other.encode().unwrap(), flipped);
        }
    }
}

#[test]
fn unknown_versions_types_and_fields_are_refused_by_name() {
    let bytes = Leaf::new(LeafKind::Request, 1, 2, "r", "o", 3).encode().unwrap();
    // a7 | 00 01 | 01 01 | 02 01 | 03 02 | 04 61 72 | 05 61 6f | 06 03
    let altered = |at: usize, to: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = to;
        Leaf::decode(&bytes).unwrap_err()
    };
    assert_eq!(altered(2, 2), FormatError::new("leaf version", 2, Fault::UnknownVersion));
    assert_eq!(altered(4, 0), FormatError::new("leaf type", 4, Fault::UnknownAlgorithm));
    assert_eq!(altered(4, 8), FormatError::new("leaf type", 4, Fault::UnknownAlgorithm));
    assert_eq!(altered(3, 2), FormatError::new("leaf type", 3, Fault::Invalid));
    assert_eq!(altered(0, 0xa6), FormatError::new("leaf status", 15, Fault::Invalid));
    let mut unknown = bytes.clone();
    unknown[0] = 0xa8;
    unknown.extend([15, 0]);
    assert_eq!(Leaf::decode(&unknown), Err(FormatError::new("leaf key", 17, Fault::Invalid)));
    let mut empty_map = bytes.clone();
    empty_map[0] = 0xa8;
    empty_map.extend([14, 0xa0]);
    assert_eq!(Leaf::decode(&empty_map), Err(FormatError::new("leaf plain", 18, Fault::NotCanonical)));
}

#[test]
fn swapped_fields_are_refused() {
    let bytes = Leaf::new(LeafKind::Request, 1, 2, "r", "o", 3).encode().unwrap();
    let mut swapped = bytes.clone();
    swapped[5..9].copy_from_slice(&[3, 2, 2, 1]);
    assert_eq!(Leaf::decode(&swapped), Err(FormatError::new("leaf id", 5, Fault::Invalid)));
    let leaf = full_leaf();
    let mut bytes = leaf.encode().unwrap();
    let actor = bytes.windows(18).position(|window| window[..2] == [8, 0x50]).unwrap();
    bytes[actor] = 9;
    bytes[actor + 18] = 8;
    assert_eq!(Leaf::decode(&bytes), Err(FormatError::new("leaf key", actor + 18, Fault::NotCanonical)));
}

#[test]
fn a_leaf_beyond_its_limits_is_neither_written_nor_read() {
    let mut leaf = full_leaf();
    for i in 0..4 {
        leaf.plain.insert(format!("text{i}"), Plain::Text("x".repeat(2048)));
    }
    assert_eq!(leaf.encode(), Err(FormatError::new("leaf", 0, Fault::TooLong)));
    assert_eq!(Leaf::decode(&vec![0xa7; MAX_LEAF + 1]), Err(FormatError::new("leaf", 0, Fault::TooLong)));
    let mut leaf = full_leaf();
    leaf.route = "r".repeat(129);
    assert_eq!(leaf.encode(), Err(FormatError::new("leaf route", 0, Fault::TooLong)));
    for (name, fault) in [
        (String::new(), Fault::Invalid),
        ("a\nb".into(), Fault::Invalid),
        ("n".repeat(MAX_FIELD + 1), Fault::TooLong),
    ] {
        let mut leaf = full_leaf();
        leaf.commitments.insert(name, [0; 32]);
        assert_eq!(leaf.encode(), Err(FormatError::new("leaf commitments", 0, fault)));
    }
}

#[test]
fn a_commitment_depends_on_salt_field_and_value() {
    let salt = [9; 32];
    let (path, ip) = (field_salt(&salt, "path"), field_salt(&salt, "ip"));
    assert_ne!(path, ip);
    let made = commitment(&path, "path", b"db/prod");
    assert_ne!(made, commitment(&ip, "path", b"db/prod"));
    assert_ne!(made, commitment(&path, "path", b"db/dev"));
    // The length of the name keeps a name and a value from passing for another pair.
    assert_ne!(commitment(&path, "path", b"db"), commitment(&path, "pathd", b"b"));
}

#[test]
fn a_pseudonym_is_stable_within_a_month_and_changes_after_it() {
    let key = [1; 32];
    let july = month_of(1_785_000_000_000);
    assert_eq!(july, 202607);
    assert_eq!(actor_pseudonym(&key, july, b"alice"), actor_pseudonym(&key, 202607, b"alice"));
    assert_ne!(actor_pseudonym(&key, july, b"alice"), actor_pseudonym(&key, 202608, b"alice"));
    assert_ne!(actor_pseudonym(&key, july, b"alice"), actor_pseudonym(&key, july, b"bob"));
    assert_ne!(actor_pseudonym(&key, july, b"alice"), actor_pseudonym(&[2; 32], july, b"alice"));
}

#[test]
fn months_begin_and_end_where_the_calendar_says() {
    for (time_ms, month) in [
        (0, 197001),
        (2_678_399_999, 197001),
        (2_678_400_000, 197002),
        (951_782_399_999, 200002),
        (951_868_799_999, 200002),
        (951_868_800_000, 200003),
        (1_709_164_800_000, 202402),
        (1_709_251_200_000, 202403),
        (1_798_761_599_999, 202612),
        (1_798_761_600_000, 202701),
        (4_107_542_400_000, 210003),
        (4_107_542_399_999, 210002),
        (u64::MAX, u32::MAX),
    ] {
        assert_eq!(month_of(time_ms), month, "{time_ms}");
    }
}

#[test]
fn a_request_digest_tells_every_part_from_its_neighbours() {
    let digest = |method: &str, path: &str| request_digest(&[5; 32], method, path, &[6; 32]);
    assert_ne!(digest("GET", "/v1/a"), digest("GET/", "v1/a"));
    assert_ne!(digest("GET", "/v1/a"), digest("GET", "/v1/b"));
    assert_ne!(digest("GET", "/"), request_digest(&[5; 32], "GET", "/", &[7; 32]));
    assert_ne!(digest("GET", "/"), request_digest(&[4; 32], "GET", "/", &[6; 32]));
}

proptest! {
    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes(at in 0usize..300, to in any::<u8>(), cut in 0usize..300) {
        let mut bytes = full_leaf().encode().unwrap();
        let (at, cut) = (at % bytes.len(), cut % bytes.len());
        bytes[at] = to;
        bytes.remove(cut);
        if let Ok(leaf) = Leaf::decode(&bytes) {
            prop_assert_eq!(leaf.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        if let Ok(leaf) = Leaf::decode(&bytes) {
            prop_assert_eq!(leaf.encode().unwrap(), bytes);
        }
    }
}
