use super::{ENVIRONMENT, MOUNT, bytes, changed, refused};
use hex::encode as hex;
use keystore_format::{
    error::FormatError,
    index::{
        Change, Child, EMPTY_ROOT, Entry, Node, Path, Source, directory_hash, encode_branch, encode_leaf,
        key_hash, update,
    },
    name::{SealedPath, store_key},
    tables,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) fn vectors() -> Vec<Value> {
    let records = |count: u8| (0..count).map(|n| key_hash(&[2, n])).collect();
    // The same first half bytes, so that the way down to them is long.
    let neighbours = (0..40_u8).map(|n| core::array::from_fn(|at| if at == 31 { n } else { 0xab })).collect();
    let mut vectors = vec![
        index("index_of_nothing", Vec::new()),
        index("index_of_one_record", records(1)),
        index("index_of_32_records_is_one_leaf", records(32)),
        index("index_of_33_records_is_a_branch", records(33)),
        index("index_whose_keys_differ_in_their_last_byte", neighbours),
    ];
    let path = SealedPath::of(&bytes(0), ENVIRONMENT, MOUNT, "app/db").unwrap();
    let record = store_key(tables::RECORDS, ENVIRONMENT, MOUNT, 66, &path, None);
    let directory = &record[..record.len() - path.as_bytes().len() / 2];
    vectors.push(json!({
        "name": "where_the_entries_of_a_record_and_of_its_directory_are", "record": hex(&record),
        "record_hash": hex(key_hash(&record)), "directory": hex(directory),
        "directory_hash": hex(directory_hash(directory)),
    }));
    vectors.extend(refused_nodes());
    vectors.extend(refused_store_keys());
    vectors
}

/// Nodes by path.
#[derive(Default)]
struct Kept(BTreeMap<Vec<u8>, (Path, Vec<u8>)>);

impl Source for Kept {
    type Error = FormatError;
    type Bytes = Vec<u8>;

    fn node(&mut self, path: &Path, _: &Child) -> Result<Vec<u8>, FormatError> {
        Ok(self.0[path.nibbles()].1.clone())
    }

    fn put(&mut self, path: &Path, _: [u8; 32], node: Vec<u8>) -> Result<(), FormatError> {
        self.0.insert(path.nibbles().to_vec(), (*path, node));
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), FormatError> {
        self.0.remove(path.nibbles());
        Ok(())
    }
}

fn index(name: &str, mut keys: Vec<[u8; 32]>) -> Value {
    keys.sort();
    let state = |at: usize| (at as u64 + 1, [at as u8; 16]);
    let changes: Vec<Change> = keys.iter().enumerate().map(|(at, key)| (*key, Some(state(at)))).collect();
    let mut kept = Kept::default();
    // Half of them first: how it came to be is not to be seen.
    let (early, late) = changes.split_at(changes.len() / 2);
    let root = update(&mut kept, None, late).unwrap();
    let root = update(&mut kept, root, early).unwrap();
    let entries: Vec<Value> = changes
        .iter()
        .map(|(key, state)| {
            let (rev, tag) = state.unwrap();
            json!({ "key": hex(key), "rev": rev, "tag": hex(tag) })
        })
        .collect();
    let nodes: Vec<Value> = kept
        .0
        .values()
        .map(|(path, node)| {
            assert!(Node::parse(path, node).is_ok());
            json!({ "path": steps(path), "store_key": hex(path.store_key(ENVIRONMENT)), "node": hex(node) })
        })
        .collect();
    json!({
        "name": name, "environment": hex(ENVIRONMENT.0), "entries": entries, "nodes": nodes,
        "root": hex(root.map_or(EMPTY_ROOT, |root| root.hash)), "count": root.map_or(0, |root| root.count),
    })
}

fn steps(path: &Path) -> String {
    path.nibbles().iter().map(|step| format!("{step:x}")).collect()
}

fn at(text: &str) -> Path {
    let digits = text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap());
    digits.fold(Path::ROOT, |path, step| path.child(step).unwrap())
}

fn refused_nodes() -> Vec<Value> {
    let entry = |first: u8| Entry { key: [first; 32], rev: 1, tag: [2; 16] };
    let leaf = encode_leaf(&[entry(0x10), entry(0x11)]);
    let child = |count| Some(Child { count, hash: [3; 32] });
    let mut children = [None; 16];
    (children[1], children[9]) = (child(30), child(3));
    let branch = encode_branch(&children);
    let case = |name: &str, path: &str, node: Vec<u8>, field, offset, fault| {
        let error = refused(Node::parse(&at(path), &node), field, offset, fault);
        json!({ "name": name, "path": path, "bytes": hex(node), "error": error })
    };
    let many = encode_leaf(&(0..33).map(entry).collect::<Vec<_>>());
    let end = "0".repeat(64);
    vec![
        case("node_that_is_empty", "", vec![], "version", 0, "Truncated"),
        case("node_of_an_unknown_version", "", changed(&leaf, |n| n[0] = 2), "version", 0, "UnknownVersion"),
        case("node_of_an_unknown_type", "", changed(&leaf, |n| n[1] = 2), "node type", 1, "UnknownAlgorithm"),
        case("leaf_of_none", "", encode_leaf(&[]), "entry count", 2, "Invalid"),
        case("leaf_of_33_entries", "", many, "entry count", 2, "TooLong"),
        case("leaf_cut_in_an_entry", "", changed(&leaf, |n| n.truncate(80)), "entry", 59, "Truncated"),
        case(
            "leaf_with_one_key_twice",
            "",
            encode_leaf(&[entry(0x10), entry(0x10)]),
            "entry key",
            59,
            "NotCanonical",
        ),
        case("leaf_in_another_place", "2", leaf.clone(), "entry key", 3, "Invalid"),
        case("leaf_with_a_byte_more", "1", changed(&leaf, |n| n.push(0)), "node", 115, "TrailingBytes"),
        case("branch_of_none", "", vec![1, 1, 0, 0], "children", 2, "Invalid"),
        case("branch_at_the_end_of_a_hash", &end, branch.clone(), "children", 2, "Invalid"),
        case("branch_cut_in_a_child", "", changed(&branch, |n| n.truncate(60)), "child", 44, "Truncated"),
        case(
            "branch_with_a_child_of_none",
            "",
            changed(&branch, |n| n[51] = 0),
            "child count",
            44,
            "Invalid",
        ),
        case(
            "branch_that_counts_too_much",
            "",
            changed(&branch, |n| n[44..52].fill(0xff)),
            "child count",
            44,
            "TooLong",
        ),
        case(
            "branch_where_a_leaf_would_do",
            "",
            changed(&branch, |n| n[51] = 2),
            "children",
            2,
            "NotCanonical",
        ),
        case("branch_with_a_byte_more", "", changed(&branch, |n| n.push(0)), "node", 84, "TrailingBytes"),
    ]
}

fn refused_store_keys() -> Vec<Value> {
    let key = at("abc").store_key(ENVIRONMENT);
    let case = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        let key = changed(&key, change);
        json!({ "name": name, "store_key": hex(&key), "error": refused(Path::parse(&key).map(drop), field, offset, fault) })
    };
    vec![
        case("index_key_of_another_table", &|k| k[0] = 2, "table", 0, "Invalid"),
        case("index_key_without_a_depth", &|k| k.truncate(17), "half depth", 17, "Truncated"),
        case("index_key_of_another_depth", &|k| k[17] = 2, "half depth", 17, "Invalid"),
        case("index_key_with_a_step_above_15", &|k| k[19] = 16, "path", 19, "Invalid"),
        case("index_key_beyond_a_hash", &|k| k.resize(18 + 65, 0), "path", 82, "TooLong"),
    ]
}
