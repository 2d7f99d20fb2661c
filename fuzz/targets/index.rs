//! Nodes of the replay index: what is read is what would be written, and a change of it is read again.
#![no_main]
use coffer_fuzz::{ENVIRONMENT, byte};
use keystore_format::error::FormatError;
use keystore_format::index::{
    Change, Child, Entry, Node, Path, Source, encode_branch, encode_leaf, node_hash, update,
};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

/// Nodes by path, all made here but the first.
#[derive(Default)]
struct Kept(BTreeMap<Vec<u8>, Vec<u8>>);

impl Source for Kept {
    type Error = FormatError;
    type Bytes = Vec<u8>;

    fn node(&mut self, path: &Path, child: &Child) -> Result<Vec<u8>, FormatError> {
        let node = self.0.get(path.nibbles()).cloned().unwrap_or_default();
        assert!(node.is_empty() || node_hash(&node) == child.hash);
        Ok(node)
    }

    fn put(&mut self, path: &Path, hash: [u8; 32], node: Vec<u8>) -> Result<(), FormatError> {
        assert_eq!(node_hash(&node), hash);
        assert!(Node::parse(path, &node).is_ok());
        self.0.insert(path.nibbles().to_vec(), node);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), FormatError> {
        self.0.remove(path.nibbles());
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok((environment, path)) = Path::parse(data) {
        assert_eq!(path.store_key(environment), data);
    }
    let mut rest = data;
    let mut path = Path::ROOT;
    for _ in 0..byte(&mut rest) % 65 {
        path = path.child(byte(&mut rest)).expect("at most 64 steps");
    }
    assert!(Path::parse(&path.store_key(ENVIRONMENT)).is_ok_and(|(_, read)| read == path));
    let Ok(node) = Node::parse(&path, rest) else { return };
    let again = match node {
        Node::Leaf(leaf) => encode_leaf(&leaf.entries().collect::<Vec<Entry>>()),
        Node::Branch(branch) => {
            let mut children = [None; 16];
            for (step, child) in branch.children() {
                children[usize::from(step)] = Some(child);
            }
            encode_branch(&children)
        }
    };
    assert_eq!(again, rest);

    if path.depth() == 0 {
        let mut kept = Kept(BTreeMap::from([(Vec::new(), rest.to_vec())]));
        let root = Child { count: node.count(), hash: node_hash(rest) };
        let changes: [Change; 3] =
            [([0x11; 32], Some((1, [1; 16]))), ([0x77; 32], None), ([0xfe; 32], Some((2, [2; 16])))];
        // Children that are not there are a fault, and no panic.
        let _ = update(&mut kept, Some(root), &changes);
    }
});
