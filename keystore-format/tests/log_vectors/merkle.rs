//! The tree of the eight leaves that Certificate Transparency's own tests use, with their known roots.
use super::refused;
use hex::{decode, encode as hex};
use keystore_format::{
    error::FormatError,
    merkle::{
        Frontier, Hash, leaf_hash, node_hash, prove_consistency, prove_inclusion, verify_consistency,
        verify_inclusion,
    },
};
use serde_json::{Value, json};

const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn leaf(at: usize) -> Vec<u8> {
    decode(LEAVES[at]).unwrap()
}

/// A complete node, by definition.
fn node(level: u8, index: u64) -> Result<Hash, FormatError> {
    if level == 0 {
        return Ok(leaf_hash(&leaf(index as usize)));
    }
    Ok(node_hash(&node(level - 1, 2 * index)?, &node(level - 1, 2 * index + 1)?))
}

fn frontier(size: usize) -> Frontier {
    let mut frontier = Frontier::new();
    for at in 0..size {
        frontier.append(leaf_hash(&leaf(at)), |_, _, _| ());
    }
    frontier
}

fn root(size: usize) -> Hash {
    frontier(size).root()
}

fn proof(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(hex).collect()
}

fn inclusion(index: u64, size: u64) -> Vec<Hash> {
    prove_inclusion(index, size, node).unwrap()
}

fn consistency(old: u64, new: u64) -> Vec<Hash> {
    prove_consistency(old, new, node).unwrap()
}

fn broken_inclusion(name: &str, index: u64, size: u64, hashes: &[Hash], offset: usize, fault: &str) -> Value {
    let (leaf, root) = (leaf_hash(&leaf(2)), root(7));
    let verified = verify_inclusion(index, size, &leaf, hashes, &root);
    json!({
        "name": name, "index": index.to_string(), "size": size.to_string(), "leaf_hash": hex(leaf), "proof": proof(hashes),
        "root": hex(root), "error": refused(verified, "inclusion proof", offset, fault),
    })
}

fn broken_consistency(name: &str, old: u64, new: u64, hashes: &[Hash], offset: usize, fault: &str) -> Value {
    let (old_root, new_root) = (root(3), root(7));
    let verified = verify_consistency(old, new, hashes, &old_root, &new_root);
    json!({
        "name": name, "old_size": old.to_string(), "new_size": new.to_string(), "proof": proof(hashes),
        "old_root": hex(old_root), "new_root": hex(new_root),
        "error": refused(verified, "consistency proof", offset, fault),
    })
}

fn broken_frontier(name: &str, bytes: &[u8], field: &str, offset: usize, fault: &str) -> Value {
    json!({ "name": name, "frontier": hex(bytes), "error": refused(Frontier::decode(bytes), field, offset, fault) })
}

pub(crate) fn vectors() -> Vec<Value> {
    let mut vectors = Vec::new();
    for (size, known) in ROOTS.iter().enumerate() {
        assert_eq!(hex(root(size)), *known, "the known root of {size} leaves");
        vectors.push(json!({
            "name": format!("tree_of_{size}"), "leaves": LEAVES[..size], "root": known,
            "frontier": hex(frontier(size).encode()),
        }));
        for index in 0..size as u64 {
            vectors.push(json!({
                "name": format!("leaf_{index}_in_tree_of_{size}"), "leaves": LEAVES[..size],
                "index": index.to_string(), "size": size.to_string(), "leaf_hash": hex(node(0, index).unwrap()),
                "proof": proof(&inclusion(index, size as u64)), "root": known,
            }));
        }
        for (old, old_root) in ROOTS[..=size].iter().enumerate() {
            vectors.push(json!({
                "name": format!("tree_of_{old}_in_tree_of_{size}"), "leaves": LEAVES[..size],
                "old_size": old.to_string(), "new_size": size.to_string(), "old_root": old_root, "new_root": known,
                "proof": proof(&consistency(old as u64, size as u64)),
            }));
        }
    }
    let (path, grown) = (inclusion(2, 7), consistency(3, 7));
    let longer = |hashes: &[Hash]| [hashes, &[[0; 32]]].concat();
    let swapped = |hashes: &[Hash]| [&[hashes[1], hashes[0]], &hashes[2..]].concat();
    vectors.extend([
        broken_inclusion("inclusion_outside_the_tree", 7, 7, &path, 0, "Invalid"),
        broken_inclusion("inclusion_in_an_empty_tree", 0, 0, &[], 0, "Invalid"),
        broken_inclusion("inclusion_at_another_index", 3, 7, &path, 0, "NotAuthentic"),
        broken_inclusion("inclusion_in_a_larger_tree", 2, 9, &path, 96, "Truncated"),
        broken_inclusion("inclusion_with_two_hashes_swapped", 2, 7, &swapped(&path), 0, "NotAuthentic"),
        broken_inclusion("inclusion_with_a_hash_missing", 2, 7, &path[..2], 64, "Truncated"),
        broken_inclusion("inclusion_with_a_hash_too_many", 2, 7, &longer(&path), 96, "TrailingBytes"),
        broken_inclusion("inclusion_in_a_tree_of_2_to_the_64", 2, u64::MAX, &path, 96, "Truncated"),
        broken_consistency("consistency_backwards", 7, 3, &grown, 0, "Invalid"),
        broken_consistency("consistency_from_another_size", 5, 7, &grown, 0, "NotAuthentic"),
        broken_consistency("consistency_with_two_hashes_swapped", 3, 7, &swapped(&grown), 0, "NotAuthentic"),
        broken_consistency("consistency_with_a_hash_missing", 3, 7, &grown[..2], 64, "Truncated"),
        broken_consistency("consistency_with_a_hash_too_many", 3, 7, &longer(&grown), 128, "TrailingBytes"),
        broken_consistency("consistency_of_one_size_with_two_roots", 7, 7, &[], 0, "NotAuthentic"),
        broken_consistency("consistency_from_nothing_with_a_root", 0, 7, &[], 0, "NotAuthentic"),
        broken_frontier("frontier_without_a_size", &[0; 7], "frontier size", 0, "Truncated"),
        broken_frontier(
            "frontier_with_a_hash_missing",
            &frontier(3).encode()[..40],
            "frontier hashes",
            8,
            "Truncated",
        ),
        broken_frontier(
            "frontier_with_a_byte_too_many",
            &[&frontier(3).encode()[..], &[0]].concat(),
            "frontier hashes",
            72,
            "TrailingBytes",
        ),
        broken_frontier("frontier_of_2_to_the_64_leaves", &[0xff; 8], "frontier hashes", 8, "Truncated"),
    ]);
    vectors
}
