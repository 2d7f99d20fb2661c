use crate::{LogKey, Tree, ed25519, full_leaf};
use keystore_format::checkpoint::{Checkpoint, LogProof};
use keystore_format::disclosure::Disclosure;
use keystore_format::error::{Fault, FormatError};
use keystore_format::leaf::field_salt;
use keystore_format::merkle::prove_inclusion;
use keystore_format::note::VerifierKey;
use keystore_format::openings::Openings;
use zeroize::Zeroizing;

const ORIGIN: &str = "vault.example/e/i";

pub(crate) fn disclosure() -> (Disclosure, VerifierKey) {
    let log = LogKey::new(1);
    let key = log.named(ORIGIN);
    let mut openings = Openings::new(Zeroizing::new([4; 32]));
    let mut leaf = full_leaf();
    leaf.commitments.insert("path".into(), openings.commit("path", b"db/prod"));
    leaf.commitments.insert("ip".into(), openings.commit("ip", b"192.0.2.7"));
    let leaf = leaf.encode().unwrap();
    let leaves = [b"zero".as_slice(), b"one", &leaf, b"three", b"four"];
    let tree = Tree::of(leaves);
    let size = leaves.len() as u64;
    let root = tree.frontier.root();
    let note = Checkpoint { origin: ORIGIN.into(), size, root }.sign(&key, |text| log.sign(text)).unwrap();
    let hashes = prove_inclusion::<FormatError>(2, size, |level, at| Ok(tree.node(level, at))).unwrap();
    let proof = LogProof { index: 2, hashes, checkpoint: note.to_text() };
    let field_salt = field_salt(&openings.salt, "path");
    let disclosure = Disclosure {
        field: "path".into(),
        value: Zeroizing::new(b"db/prod".to_vec()),
        field_salt,
        leaf,
        proof,
    };
    (disclosure, key)
}

#[test]
fn an_auditor_reads_one_field_and_believes_it() {
    let (made, key) = disclosure();
    let text = made.to_text();
    let read = Disclosure::parse(&text).ok().expect("reads");
    assert_eq!(read.to_text(), text);
    let (leaf, checkpoint) = read.verify(&key, ed25519).unwrap();
    assert_eq!((leaf.route.as_str(), checkpoint.size), ("kv2/data", 5));
    assert_eq!((read.field.as_str(), read.value.as_slice()), ("path", &b"db/prod"[..]));
    assert!(!text.contains("MTkyLjAuMi43"), "the other field stays closed");
}

#[test]
fn a_disclosure_of_something_else_is_not_believed() {
    let check = |alter: fn(&mut Disclosure)| {
        let (mut made, key) = disclosure();
        alter(&mut made);
        made.verify(&key, ed25519).unwrap_err()
    };
    let other_value = check(|made| made.value = Zeroizing::new(b"db/dev".to_vec()));
    assert_eq!(other_value, FormatError::new("disclosure value", 0, Fault::NotAuthentic));
    assert_eq!(check(|made| made.field_salt[0] ^= 1).field, "disclosure value");
    assert_eq!(check(|made| made.field = "ip".into()).field, "disclosure value");
    assert_eq!(check(|made| made.field = "agent".into()).field, "disclosure field");
    assert_eq!(check(|made| made.leaf[10] ^= 1).field, "inclusion proof");
    assert_eq!(check(|made| made.proof.index = 3).field, "inclusion proof");
    assert_eq!(check(|made| made.proof.hashes[0][0] ^= 1).field, "inclusion proof");
    let forged = check(|made| made.proof.checkpoint = made.proof.checkpoint.replace("\n5\n", "\n6\n"));
    assert_eq!(forged.field, "note signature");
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let (made, key) = disclosure();
    let text = made.to_text();
    for length in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        let read = Disclosure::parse(&text[..length]).and_then(|read| read.verify(&key, ed25519));
        assert!(read.is_err(), "{length}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_file_is_refused() {
    let (made, key) = disclosure();
    let text = made.to_text().into_bytes();
    for bit in 0..text.len() * 8 {
        let mut flipped = text.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(flipped) = String::from_utf8(flipped) else { continue };
        let read = Disclosure::parse(&flipped).and_then(|read| read.verify(&key, ed25519));
        assert!(read.is_err(), "bit {bit}");
    }
}

#[test]
fn malformed_files_are_named_by_line() {
    let (made, _) = disclosure();
    let text = made.to_text();
    let fault = |text: String| Disclosure::parse(&text).err().expect("refused");
    let unknown = FormatError::new("disclosure header", 0, Fault::UnknownVersion);
    assert_eq!(fault(text.replace("disclosure v1", "disclosure v2")), unknown);
    assert_eq!(fault(text.replace("field path", "value path")).field, "disclosure field");
    assert_eq!(
        fault(text.replace("value ", "value !")),
        FormatError::new("disclosure value", 38, Fault::Invalid)
    );
    let short_salt = text.lines().find(|line| line.starts_with("salt")).unwrap();
    assert_eq!(fault(text.replace(short_salt, "salt AAAA")).field, "disclosure salt");
    assert_eq!(fault(text.replacen("\n\n", "\nmore\n", 1)).field, "disclosure proof");
    assert_eq!(fault("x".repeat(300_000)).fault, Fault::TooLong);
}
