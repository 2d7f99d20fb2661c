use crate::Tree;
use keystore_format::error::{Fault, FormatError};
use keystore_format::merkle::*;
use proptest::prelude::*;
use std::convert::Infallible;

/// The definition of RFC 6962 §2.1, word by word.
fn naive_root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => leaf_hash(leaf),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// PATH of RFC 6962 §2.1.1.
fn naive_path(at: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if at < k {
        (naive_path(at, left), naive_root(right))
    } else {
        (naive_path(at - k, right), naive_root(left))
    };
    path.push(sibling);
    path
}

/// SUBPROOF of RFC 6962 §2.1.2.
fn naive_subproof(old: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, other) = if old <= k {
        (naive_subproof(old, left, whole), naive_root(right))
    } else {
        (naive_subproof(old - k, right, false), naive_root(left))
    };
    proof.push(other);
    proof
}

/// The largest power of two below `count`.
fn split(count: usize) -> usize {
    let mut power = 1;
    while power * 2 < count {
        power *= 2;
    }
    power
}

fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| n.to_string().into_bytes()).collect()
}

fn tree(leaves: &[Vec<u8>]) -> Tree {
    Tree::of(leaves.iter().map(Vec::as_slice))
}

fn inclusion(tree: &Tree, index: u64, size: u64) -> Vec<Hash> {
    prove_inclusion::<FormatError>(index, size, |level, at| Ok(tree.node(level, at))).unwrap()
}

fn consistency(tree: &Tree, old: u64, new: u64) -> Vec<Hash> {
    prove_consistency::<FormatError>(old, new, |level, at| Ok(tree.node(level, at))).unwrap()
}

#[test]
fn roots_and_proofs_are_those_of_the_definition_for_every_size_up_to_forty() {
    let leaves = numbered(40);
    let tree = tree(&leaves);
    let mut frontier = Frontier::new();
    for new in 0..=40 {
        let root = naive_root(&leaves[..new]);
        assert_eq!(frontier.root(), root);
        assert_eq!(root_of::<Infallible>(new as u64, |l, i| Ok(tree.node(l, i))), Ok(root));
        for (old, leaf) in leaves[..new].iter().enumerate() {
            let path = inclusion(&tree, old as u64, new as u64);
            assert_eq!(path, naive_path(old, &leaves[..new]));
            assert_eq!(verify_inclusion(old as u64, new as u64, &leaf_hash(leaf), &path, &root), Ok(()));
        }
        for old in 0..=new {
            let proof = consistency(&tree, old as u64, new as u64);
            if old > 0 {
                assert_eq!(proof, naive_subproof(old, &leaves[..new], true), "{old} {new}");
            }
            let old_root = naive_root(&leaves[..old]);
            assert_eq!(verify_consistency(old as u64, new as u64, &proof, &old_root, &root), Ok(()));
        }
        if let Some(leaf) = leaves.get(new) {
            frontier.append(leaf_hash(leaf), |_, _, _| ());
        }
    }
}

#[test]
fn a_proof_for_another_place_size_leaf_or_root_is_refused() {
    let leaves = numbered(23);
    let tree = tree(&leaves);
    let root = naive_root(&leaves);
    for index in 0..23 {
        let (leaf, path) = (leaf_hash(&leaves[index as usize]), inclusion(&tree, index, 23));
        for other in (0..30).filter(|other| *other != index) {
            assert!(verify_inclusion(other, 23, &leaf, &path, &root).is_err(), "index {other} for {index}");
        }
        assert!(verify_inclusion(index, 23, &leaf_hash(b"other"), &path, &root).is_err());
        assert!(verify_inclusion(index, 23, &leaf, &path, &[0; 32]).is_err());
        for at in 0..path.len() {
            let mut altered = path.clone();
            altered[at][at] ^= 1;
            let refused = FormatError::new("inclusion proof", 0, Fault::NotAuthentic);
            assert_eq!(verify_inclusion(index, 23, &leaf, &altered, &root), Err(refused));
        }
        let longer = [path.clone(), vec![[0; 32]]].concat();
        let fault = verify_inclusion(index, 23, &leaf, &longer, &root).unwrap_err();
        assert_eq!(fault, FormatError::new("inclusion proof", 32 * path.len(), Fault::TrailingBytes));
        let shorter = &path[..path.len() - 1];
        let fault = verify_inclusion(index, 23, &leaf, shorter, &root).unwrap_err();
        assert_eq!(fault, FormatError::new("inclusion proof", 32 * shorter.len(), Fault::Truncated));
    }
}

#[test]
fn a_log_that_was_edited_is_not_consistent() {
    let honest = numbered(30);
    for edited in 0..20 {
        let mut forged = honest.clone();
        forged[edited] = b"forged".to_vec();
        let proof = consistency(&tree(&forged), 20, 30);
        let refused =
            verify_consistency(20, 30, &proof, &naive_root(&honest[..20]), &naive_root(&forged)).unwrap_err();
        assert_eq!(refused, FormatError::new("consistency proof", 0, Fault::NotAuthentic));
    }
}

#[test]
fn a_consistency_proof_cut_lengthened_or_turned_round_is_refused() {
    let leaves = numbered(30);
    let tree = tree(&leaves);
    let root = |size: usize| naive_root(&leaves[..size]);
    for old in 1..30usize {
        let proof = consistency(&tree, old as u64, 30);
        for length in 0..proof.len() {
            let fault = verify_consistency(old as u64, 30, &proof[..length], &root(old), &root(30));
            assert_eq!(fault.unwrap_err().fault, Fault::Truncated);
        }
        let longer = [proof.clone(), vec![[0; 32]]].concat();
        let fault = verify_consistency(old as u64, 30, &longer, &root(old), &root(30)).unwrap_err();
        assert_eq!(fault.fault, Fault::TrailingBytes);
        assert!(verify_consistency(30, old as u64, &proof, &root(30), &root(old)).is_err());
    }
    assert!(verify_consistency(5, 5, &[], &root(5), &root(6)).is_err());
    assert!(verify_consistency(0, 5, &[], &root(1), &root(5)).is_err());
    assert!(verify_consistency(0, 5, &[[0; 32]], &root(0), &root(5)).is_err());
}

#[test]
fn proofs_of_what_is_not_there_are_not_made() {
    let none = |_, _| -> Result<Hash, FormatError> { panic!("nothing is to be read") };
    assert_eq!(prove_inclusion(5, 5, none).unwrap_err().fault, Fault::Invalid);
    assert_eq!(prove_consistency(6, 5, none).unwrap_err().fault, Fault::Invalid);
}

#[test]
fn huge_sizes_need_no_huge_memory() {
    let zero = |_, _| -> Result<Hash, FormatError> { Ok([0; 32]) };
    let path = prove_inclusion(u64::MAX - 1, u64::MAX, zero).unwrap();
    assert!(path.len() <= 64);
    assert!(verify_inclusion(u64::MAX - 1, u64::MAX, &[0; 32], &path, &[0; 32]).is_err());
    assert!(prove_consistency(u64::MAX - 1, u64::MAX, zero).unwrap().len() <= 64);
    assert!(verify_consistency(1, u64::MAX, &[[0; 32]; 63], &[0; 32], &[1; 32]).is_err());
}

#[test]
fn a_frontier_is_kept_and_read_again() {
    let leaves = numbered(37);
    let mut frontier = Frontier::new();
    for leaf in &leaves {
        let bytes = frontier.encode();
        assert_eq!(Frontier::decode(&bytes).as_ref(), Ok(&frontier));
        for length in 0..bytes.len() {
            assert_eq!(Frontier::decode(&bytes[..length]).unwrap_err().fault, Fault::Truncated);
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Frontier::decode(&longer).unwrap_err().fault, Fault::TrailingBytes);
        frontier.append(leaf_hash(leaf), |_, _, _| ());
    }
    assert_eq!(frontier.size(), 37);
    assert_eq!(frontier.root(), naive_root(&leaves));
    assert_eq!(Frontier::decode(&[0xff; 8]).unwrap_err().fault, Fault::Truncated);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn larger_trees_agree_with_the_definition(
        leaves in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 1..300),
        index in any::<usize>(), old in any::<usize>(),
    ) {
        let size = leaves.len();
        let (index, old) = (index % size, old % (size + 1));
        let tree = tree(&leaves);
        let root = naive_root(&leaves);
        prop_assert_eq!(tree.frontier.root(), root);
        let path = inclusion(&tree, index as u64, size as u64);
        prop_assert_eq!(&path, &naive_path(index, &leaves));
        prop_assert!(verify_inclusion(index as u64, size as u64, &leaf_hash(&leaves[index]), &path, &root).is_ok());
        let proof = consistency(&tree, old as u64, size as u64);
        let old_root = naive_root(&leaves[..old]);
        prop_assert!(verify_consistency(old as u64, size as u64, &proof, &old_root, &root).is_ok());
    }
}
