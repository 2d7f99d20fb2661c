use super::{ENVIRONMENT, bytes, leaf, refused};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use hex::encode as hex;
use keystore_format::{
    checkpoint::{Checkpoint, LogProof, origin},
    disclosure::Disclosure,
    error::FormatError,
    leaf::field_salt,
    merkle::{leaf_hash, node_hash},
    note::{Note, VerifierKey},
    openings::Openings,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&bytes::<32>(seed)).unwrap()
}

fn key(seed: u8, name: &str) -> VerifierKey {
    VerifierKey::new(name, pair(seed).public_key().as_ref().try_into().unwrap()).unwrap()
}

fn sign(seed: u8) -> impl Fn(&[u8]) -> [u8; 64] {
    move |text| pair(seed).sign(text).as_ref().try_into().unwrap()
}

fn ed25519(public: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

fn with_key(name: &str, key: &VerifierKey) -> Value {
    json!({ "name": name, "key_name": key.name(), "public_key": hex(key.public()) })
}

/// A note that somebody else published.
fn published(name: &str, vkey: &str, note: &str) -> Value {
    let key = VerifierKey::parse(vkey).unwrap();
    let parsed = Note::parse(note.as_bytes()).unwrap();
    parsed.verify(&key, ed25519).unwrap();
    let mut vector = with_key(name, &key);
    vector["verifier_key"] = json!(vkey);
    vector["note"] = json!(note);
    vector["text"] = json!(parsed.text());
    vector
}

fn log() -> String {
    origin("vault.example", ENVIRONMENT, &bytes(0x70))
}

fn checkpoint(name: &str, size: u64) -> Value {
    let key = key(1, &log());
    let made = Checkpoint { origin: log(), size, root: bytes(0x80) };
    let note = made.sign(&key, sign(1)).unwrap().to_text();
    assert_eq!(Checkpoint::open(note.as_bytes(), &key, ed25519).as_ref(), Ok(&made));
    let mut vector = with_key(name, &key);
    vector["verifier_key"] = json!(key.to_text());
    vector["seed"] = json!(hex(bytes::<32>(1)));
    vector["origin"] = json!(made.origin);
    vector["size"] = json!(size.to_string());
    vector["root"] = json!(hex(made.root));
    vector["text"] = json!(made.to_text());
    vector["note"] = json!(note);
    vector
}

fn broken_note(name: &str, key: &VerifierKey, note: &str, field: &str, offset: usize, fault: &str) -> Value {
    let verified = Note::parse(note.as_bytes()).and_then(|note| note.verify(key, ed25519));
    let mut vector = with_key(name, key);
    vector["note"] = json!(note);
    vector["error"] = refused(verified, field, offset, fault);
    vector
}

/// A text that is no checkpoint, under a right signature.
fn broken_checkpoint(name: &str, text: &str, field: &str, offset: usize, fault: &str) -> Value {
    let key = key(1, "log");
    let note = Note::sign(text, &key, sign(1)).unwrap().to_text();
    let mut vector = with_key(name, &key);
    vector["origin"] = json!("log");
    vector["error"] = refused(Checkpoint::open(note.as_bytes(), &key, ed25519), field, offset, fault);
    vector["note"] = json!(note);
    vector
}

fn disclosure() -> Disclosure {
    let mut openings = Openings::new(Zeroizing::new(bytes(0x10)));
    let mut made = leaf::full();
    made.commitments.insert("path".into(), openings.commit("path", b"db/prod"));
    let leaf = made.encode().unwrap();
    let (first, third) = (leaf_hash(b"first"), leaf_hash(b"third"));
    let root = node_hash(&node_hash(&first, &leaf_hash(&leaf)), &third);
    let note = Checkpoint { origin: log(), size: 3, root }.sign(&key(1, &log()), sign(1)).unwrap();
    let proof = LogProof { index: 1, hashes: vec![first, third], checkpoint: note.to_text() };
    let field_salt = field_salt(&openings.salt, "path");
    Disclosure { field: "path".into(), value: Zeroizing::new(b"db/prod".to_vec()), field_salt, leaf, proof }
}

fn broken_disclosure(name: &str, text: &str, field: &str, offset: usize, fault: &str) -> Value {
    let key = key(1, &log());
    let read = Disclosure::parse(text).and_then(|read| read.verify(&key, ed25519));
    let mut vector = with_key(name, &key);
    vector["disclosure"] = json!(text);
    vector["error"] = refused(read, field, offset, fault);
    vector
}

pub(crate) fn vectors() -> Vec<Value> {
    const C2SP_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const C2SP: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let c2sp = VerifierKey::parse(C2SP_KEY).unwrap();
    let note =
        |name: &str, text: &str, field, offset, fault| broken_note(name, &c2sp, text, field, offset, fault);
    let root = "gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8=";
    let text = disclosure().to_text();
    let mut disclosed = with_key("disclosure_of_a_path", &key(1, &log()));
    disclosed["verifier_key"] = json!(key(1, &log()).to_text());
    disclosed["disclosure"] = json!(text);
    (disclosed["field"], disclosed["value"], disclosed["size"]) =
        (json!("path"), json!(hex(b"db/prod")), json!(3));
    let read = Disclosure::parse(&text).unwrap_or_else(|error: FormatError| panic!("{error}"));
    read.verify(&key(1, &log()), ed25519).unwrap();
    let edit = |change: fn(&mut Disclosure)| {
        let mut edited = disclosure();
        change(&mut edited);
        edited.to_text()
    };
    let signature = log().len() + 49;
    vec![
        published("c2sp_signed_note_example", C2SP_KEY, C2SP),
        published("go_sumdb_note_example", GO_KEY, GO),
        checkpoint("checkpoint_of_an_empty_log", 0),
        checkpoint("checkpoint_of_a_thousand_leaves", 1000),
        checkpoint("checkpoint_of_2_to_the_64", u64::MAX),
        note("note_by_an_unknown_key", GO, "note signature", 100, "NotAuthentic"),
        note(
            "note_with_another_text",
            &C2SP.replace("example message", "exemple message"),
            "note signature",
            29,
            "NotAuthentic",
        ),
        note("note_with_a_control_character", "a\tb\n\n— n AAAAAUE=\n", "note", 1, "Invalid"),
        note("note_without_signatures", "text\n", "note signatures", 5, "Truncated"),
        note("note_cut_in_its_last_newline", "t\n\n— n AAAAAUE=", "note signature", 17, "Truncated"),
        note("note_with_a_hyphen_for_a_dash", "t\n\n- n AAAAAUE=\n", "note signature", 3, "Invalid"),
        note("note_with_a_plus_in_a_key_name", "t\n\n— n+x AAAAAUE=\n", "note signature", 3, "Invalid"),
        note("note_with_base64_without_padding", "t\n\n— n AAAAAUE\n", "note signature", 3, "Invalid"),
        note("note_with_base64_with_spare_bits", "t\n\n— n AAAAAUF=\n", "note signature", 3, "Invalid"),
        note("note_with_a_signature_of_no_bytes", "t\n\n— n AAAAAQ==\n", "note signature", 3, "Truncated"),
        note(
            "note_with_17_signatures",
            &format!("t\n\n{}", "— n AAAAAUE=\n".repeat(17)),
            "note signatures",
            243,
            "TooLong",
        ),
        broken_checkpoint(
            "checkpoint_of_another_log",
            &format!("other\n1\n{root}\n"),
            "checkpoint origin",
            0,
            "NotAuthentic",
        ),
        broken_checkpoint(
            "checkpoint_without_an_origin",
            &format!("\n1\n{root}\n"),
            "checkpoint origin",
            0,
            "Invalid",
        ),
        broken_checkpoint(
            "checkpoint_with_a_leading_zero",
            &format!("log\n01\n{root}\n"),
            "checkpoint size",
            4,
            "NotCanonical",
        ),
        broken_checkpoint(
            "checkpoint_with_a_sign",
            &format!("log\n+1\n{root}\n"),
            "checkpoint size",
            4,
            "Invalid",
        ),
        broken_checkpoint(
            "checkpoint_beyond_64_bits",
            &format!("log\n18446744073709551616\n{root}\n"),
            "checkpoint size",
            4,
            "TooLong",
        ),
        broken_checkpoint("checkpoint_with_a_short_root", "log\n1\nAAAA\n", "checkpoint root", 6, "Invalid"),
        broken_checkpoint("checkpoint_without_a_root", "log\n1\n", "checkpoint root", 6, "Truncated"),
        broken_checkpoint(
            "checkpoint_with_an_extension",
            &format!("log\n1\n{root}\nmore\n"),
            "checkpoint extension",
            51,
            "TrailingBytes",
        ),
        disclosed,
        broken_disclosure(
            "disclosure_of_another_value",
            &edit(|made| made.value = Zeroizing::new(b"db/dev".to_vec())),
            "disclosure value",
            0,
            "NotAuthentic",
        ),
        broken_disclosure(
            "disclosure_with_another_salt",
            &edit(|made| made.field_salt[0] ^= 1),
            "disclosure value",
            0,
            "NotAuthentic",
        ),
        broken_disclosure(
            "disclosure_of_a_field_that_is_not_there",
            &edit(|made| made.field = "agent".into()),
            "disclosure field",
            0,
            "Invalid",
        ),
        broken_disclosure(
            "disclosure_of_an_edited_leaf",
            &edit(|made| made.leaf[6] ^= 1),
            "inclusion proof",
            0,
            "NotAuthentic",
        ),
        broken_disclosure(
            "disclosure_at_another_index",
            &edit(|made| made.proof.index = 0),
            "inclusion proof",
            0,
            "NotAuthentic",
        ),
        broken_disclosure(
            "disclosure_with_an_edited_checkpoint",
            &text.replace("\n3\n", "\n4\n"),
            "note signature",
            signature,
            "NotAuthentic",
        ),
        broken_disclosure(
            "disclosure_of_an_unknown_version",
            &text.replace("disclosure v1", "disclosure v2"),
            "disclosure header",
            0,
            "UnknownVersion",
        ),
        broken_disclosure(
            "disclosure_with_a_line_missing",
            &text.replace("value ZGIvcHJvZA==\n", ""),
            "disclosure value",
            32,
            "Invalid",
        ),
        broken_disclosure(
            "disclosure_cut_in_its_first_line",
            "coffer disclosure v1",
            "disclosure header",
            0,
            "Truncated",
        ),
    ]
}
