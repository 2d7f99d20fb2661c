//! One fear: an index whose shape depends on how it came to be, or that says of a record what nobody told it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
use keystore_format::{
    error::FormatError,
    ids::EnvironmentId,
    index::{
        Change, Child, EMPTY_ROOT, Entry, MAX_LEAF_ENTRIES, Node, Path, Source, encode_branch, encode_leaf,
        key_hash, node_hash, update,
    },
};
use proptest::{collection::vec, prelude::*};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes by their path.
#[derive(Default)]
struct Kept {
    nodes: BTreeMap<Vec<u8>, Vec<u8>>,
    root: Option<Child>,
    read: usize,
    written: usize,
}

impl Source for &mut Kept {
    type Error = FormatError;
    type Bytes = Vec<u8>;

    fn node(&mut self, path: &Path, child: &Child) -> Result<Vec<u8>, FormatError> {
        self.read += 1;
        let node = self.nodes[path.nibbles()].clone();
        assert_eq!(node_hash(&node), child.hash);
        assert_eq!(Node::parse(path, &node)?.count(), child.count);
        Ok(node)
    }

    fn put(&mut self, path: &Path, hash: [u8; 32], node: Vec<u8>) -> Result<(), FormatError> {
        assert_eq!(node_hash(&node), hash);
        self.written += 1;
        self.nodes.insert(path.nibbles().to_vec(), node);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), FormatError> {
        assert!(self.nodes.remove(path.nibbles()).is_some(), "nothing is removed that is not there");
        Ok(())
    }
}

impl Kept {
    fn change(&mut self, changes: &BTreeMap<[u8; 32], Option<(u64, [u8; 16])>>) {
        let changes: Vec<Change> = changes.iter().map(|(key, state)| (*key, *state)).collect();
        let root = self.root;
        self.root = update(&mut &mut *self, root, &changes).unwrap();
    }

    fn find(&self, key: &[u8; 32]) -> Option<Entry> {
        let (mut path, mut child) = (Path::ROOT, self.root?);
        loop {
            let bytes = &self.nodes[path.nibbles()];
            assert_eq!(node_hash(bytes), child.hash);
            match Node::parse(&path, bytes).unwrap() {
                Node::Leaf(leaf) => return leaf.find(key),
                Node::Branch(branch) => {
                    let step = path.step(key).unwrap();
                    child = branch.child(step)?;
                    path = path.child(step).unwrap();
                }
            }
        }
    }
}

/// Keys that share many half bytes, so that a few of them make a deep trie.
fn key(number: u16) -> [u8; 32] {
    let mut key = [0; 32];
    for (at, bit) in (0..10).enumerate() {
        key[at / 2] |= (u8::from(number >> bit & 1 == 1) * 0xf) << (4 * (at % 2));
    }
    key
}

/// The canonical nodes of these entries, by the definition and nothing else.
fn canonical(entries: &BTreeMap<[u8; 32], (u64, [u8; 16])>) -> (Option<Child>, BTreeMap<Vec<u8>, Vec<u8>>) {
    fn node(path: Path, below: &[Entry], nodes: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Option<Child> {
        let bytes = match below.len() {
            0 => return None,
            1..=MAX_LEAF_ENTRIES => encode_leaf(below),
            _ => {
                let mut children = [None; 16];
                for (nibble, child) in (0..16_u8).zip(&mut children) {
                    let mine: Vec<Entry> =
                        below.iter().filter(|entry| path.step(&entry.key) == Some(nibble)).copied().collect();
                    *child = node(path.child(nibble).unwrap(), &mine, nodes);
                }
                encode_branch(&children)
            }
        };
        let child = Child { count: below.len() as u64, hash: node_hash(&bytes) };
        nodes.insert(path.nibbles().to_vec(), bytes);
        Some(child)
    }
    let all: Vec<Entry> =
        entries.iter().map(|(key, (rev, tag))| Entry { key: *key, rev: *rev, tag: *tag }).collect();
    let mut nodes = BTreeMap::new();
    (node(Path::ROOT, &all, &mut nodes), nodes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn its_shape_follows_from_what_it_holds_and_from_nothing_else(
        rounds in vec(vec((0_u16..1024, any::<bool>(), any::<u64>()), 0..200), 1..8)
    ) {
        let mut kept = Kept::default();
        let mut model = BTreeMap::new();
        for (number, round) in rounds.iter().enumerate() {
            let mut changes = BTreeMap::new();
            for (name, stays, rev) in round {
                // Every other round takes away more than it brings.
                let stays = *stays && (number % 2 == 0 || *rev % 4 == 0);
                let state = stays.then_some((*rev, [*rev as u8; 16]));
                changes.insert(key(*name), state);
                match state {
                    Some(state) => drop(model.insert(key(*name), state)),
                    None => drop(model.remove(&key(*name))),
                }
            }
            kept.change(&changes);
            let (root, nodes) = canonical(&model);
            prop_assert_eq!(kept.root, root);
            prop_assert!(kept.nodes == nodes, "other nodes than the canonical ones are kept");
        }
        for number in 0..1024 {
            let found = kept.find(&key(number)).map(|entry| (entry.rev, entry.tag));
            prop_assert_eq!(found, model.get(&key(number)).copied());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic_and_what_is_read_is_what_would_be_written(
        mut bytes in vec(any::<u8>(), 0..1900), kind in 0_u8..3, depth in 0..=64_usize
    ) {
        for (byte, value) in bytes.iter_mut().zip([1, kind]) {
            *byte = value;
        }
        let mut path = Path::ROOT;
        for _ in 0..depth {
            path = path.child(0).unwrap();
        }
        check_read(&path, &bytes);
    }
}

fn check_read(path: &Path, bytes: &[u8]) -> bool {
    let written = match Node::parse(path, bytes) {
        Err(error) => {
            assert!(error.offset <= bytes.len(), "{error:?}");
            return false;
        }
        Ok(Node::Leaf(leaf)) => {
            let entries: Vec<Entry> = leaf.entries().collect();
            entries.iter().for_each(|entry| assert_eq!(leaf.find(&entry.key), Some(*entry)));
            encode_leaf(&entries)
        }
        Ok(Node::Branch(branch)) => {
            let mut children = [None; 16];
            for (nibble, child) in branch.children() {
                assert_eq!(branch.child(nibble), Some(child));
                children[usize::from(nibble)] = Some(child);
            }
            encode_branch(&children)
        }
    };
    assert_eq!(written, bytes);
    true
}

#[test]
fn every_altered_byte_of_a_node_changes_its_hash_or_is_refused() {
    let entries: BTreeMap<_, _> =
        (0..200_u64).map(|n| (key_hash(&n.to_be_bytes()), (n, [n as u8; 16]))).collect();
    let (_, nodes) = canonical(&entries);
    let mut read = 0;
    for (steps, node) in nodes.iter().take(6) {
        let path = steps.iter().fold(Path::ROOT, |path, step| path.child(*step).unwrap());
        assert!(check_read(&path, node));
        for length in 0..node.len() {
            assert!(Node::parse(&path, &node[..length]).is_err(), "cut at {length}");
        }
        assert!(Node::parse(&path, &[&node[..], &[0]].concat()).is_err(), "a byte more");
        for bit in 0..node.len() * 8 {
            let mut altered = node.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(node_hash(&altered), node_hash(node));
            read += usize::from(check_read(&path, &altered));
        }
    }
    assert!(read > 1000, "most alterations have the right shape: {read}");
}

#[test]
fn a_change_touches_only_the_way_to_it() {
    let mut kept = Kept::default();
    kept.change(&(0..5000_u64).map(|n| (key_hash(&n.to_be_bytes()), Some((n, [0; 16])))).collect());
    let depth = kept.nodes.keys().map(Vec::len).max().unwrap();
    for n in [0, 17, 4999_u64] {
        (kept.read, kept.written) = (0, 0);
        kept.change(&[(key_hash(&n.to_be_bytes()), Some((n + 10_000, [1; 16])))].into());
        assert!(kept.read <= depth + 1 && kept.written <= depth + 1, "{} {}", kept.read, kept.written);
    }
}

#[test]
fn the_root_of_nothing_is_known_and_no_node_is_kept_for_it() {
    assert_eq!(EMPTY_ROOT, node_hash(&encode_leaf(&[])));
    assert_ne!(EMPTY_ROOT, [0; 32], "zeroes mean that there is no index");
    let mut kept = Kept::default();
    let one = |state| [([7; 32], state)].into();
    kept.change(&one(Some((1, [1; 16]))));
    assert!(kept.root.is_some());
    kept.change(&one(None));
    assert!(kept.root.is_none() && kept.nodes.is_empty());
}

#[test]
fn a_path_is_read_from_its_store_key_and_no_two_have_one() {
    let environment = EnvironmentId([9; 16]);
    let mut path = Path::ROOT;
    let mut seen = BTreeSet::new();
    loop {
        let at = path.store_key(environment);
        let (of, read) = Path::parse(&at).unwrap();
        assert!(of == environment && read == path);
        assert!(seen.insert(at));
        match path.child(15) {
            Some(deeper) => path = deeper,
            None => break,
        }
    }
    assert_eq!(seen.len(), 65);
    let last = seen.into_iter().next_back().unwrap();
    let wrong = [
        [&last[..], &[0]].concat(),
        last[..17].to_vec(),
        [&last[..18], &[16]].concat(),
        [&last[..17], &[0, 1, 1]].concat(),
        vec![2; 18],
    ];
    for wrong in wrong {
        assert!(Path::parse(&wrong).is_err());
    }
}
