use crate::{LogKey, ed25519};
use keystore_format::checkpoint::{Checkpoint, LogProof, origin};
use keystore_format::error::{Fault, FormatError};
use keystore_format::ids::EnvironmentId;
use keystore_format::note::{MAX_SIGNATURES, Note, VerifierKey};

/// The example of C2SP signed-note.
const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE: &str = "This is an example message.\n\n\
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
/// The example of golang.org/x/mod/sumdb/note.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
/// The checkpoint of C2SP tlog-checkpoint, whose key is not published.
const CHECKPOINT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

#[test]
fn the_published_examples_verify_and_come_back() {
    for (key, text) in [(EXAMPLE_KEY, EXAMPLE), (GO_KEY, GO)] {
        let parsed = VerifierKey::parse(key).unwrap();
        assert_eq!(parsed.to_text(), key);
        let note = Note::parse(text.as_bytes()).unwrap();
        assert_eq!(note.verify(&parsed, ed25519), Ok(()));
        assert_eq!(note.to_text(), text);
    }
}

#[test]
fn the_published_checkpoint_is_read() {
    let note = Note::parse(CHECKPOINT.as_bytes()).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_text(), note.text());
}

#[test]
fn a_note_by_another_key_or_with_another_text_is_not_believed() {
    let refused = |note: &str, key: &str| {
        let note = Note::parse(note.as_bytes()).unwrap();
        note.verify(&VerifierKey::parse(key).unwrap(), ed25519).unwrap_err().fault
    };
    assert_eq!(refused(EXAMPLE, GO_KEY), Fault::NotAuthentic);
    assert_eq!(
        refused(&EXAMPLE.replace("example message", "exemple message"), EXAMPLE_KEY),
        Fault::NotAuthentic
    );
    let renamed = VerifierKey::new("example.com/bar", *VerifierKey::parse(EXAMPLE_KEY).unwrap().public());
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    assert!(note.verify(&renamed.unwrap(), ed25519).is_err());
}

#[test]
fn a_known_key_that_does_not_verify_spoils_a_note_where_it_verifies_once() {
    let line = EXAMPLE.lines().last().unwrap();
    let (head, _) = line.split_at(line.len() - 10);
    let twice = format!("{EXAMPLE}{head}AAAAAAAAA=\n");
    let note = Note::parse(twice.as_bytes()).unwrap();
    assert_eq!(note.signatures().len(), 2);
    assert!(note.verify(&VerifierKey::parse(EXAMPLE_KEY).unwrap(), ed25519).is_err());
}

#[test]
fn signatures_of_unknown_keys_and_kinds_are_carried_along() {
    let (ours, witness) = (LogKey::new(1), LogKey::new(2));
    let key = ours.named("log.example/a");
    let mut note = Note::sign("text\n\nwith an empty line\n", &key, |text| ours.sign(text)).unwrap();
    note.add_signature(&witness.named("witness.example"), |text| witness.sign(text)).unwrap();
    let text = note.to_text() + "— pq.example AAAAAUNvc2lnbmF0dXJl\n";
    let read = Note::parse(text.as_bytes()).unwrap();
    assert_eq!(read.to_text(), text);
    assert_eq!(read.signatures().len(), 3);
    assert_eq!(read.verify(&key, ed25519), Ok(()));
    assert_eq!(read.verify(&witness.named("witness.example"), ed25519), Ok(()));
    assert!(read.verify(&LogKey::new(3).named("pq.example"), ed25519).is_err());
}

#[test]
fn a_flipped_bit_anywhere_in_a_note_is_refused() {
    let key = VerifierKey::parse(EXAMPLE_KEY).unwrap();
    for bit in 0..EXAMPLE.len() * 8 {
        let mut flipped = EXAMPLE.as_bytes().to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let verified = Note::parse(&flipped).and_then(|note| note.verify(&key, ed25519));
        assert!(verified.is_err(), "bit {bit}");
    }
}

#[test]
fn a_note_cut_at_any_byte_is_refused() {
    for length in 0..EXAMPLE.len() {
        assert!(Note::parse(&EXAMPLE.as_bytes()[..length]).is_err(), "{length}");
    }
}

#[test]
fn malformed_notes_are_named_by_line() {
    let fault = |note: &str| Note::parse(note.as_bytes()).unwrap_err();
    assert_eq!(fault("text\n"), FormatError::new("note signatures", 5, Fault::Truncated));
    assert_eq!(fault("a\tb\n\n"), FormatError::new("note", 1, Fault::Invalid));
    assert_eq!(fault("t\n\nno mark AAAAAUE=\n"), FormatError::new("note signature", 3, Fault::Invalid));
    assert_eq!(fault("t\n\n— n+x AAAAAUE=\n"), FormatError::new("note signature", 3, Fault::Invalid));
    assert_eq!(fault("t\n\n— n AAAAAUE\n"), FormatError::new("note signature", 3, Fault::Invalid));
    assert_eq!(fault("t\n\n— n AAAAAUF=\n"), FormatError::new("note signature", 3, Fault::Invalid));
    assert_eq!(fault("t\n\n— n AAAAAQ==\n"), FormatError::new("note signature", 3, Fault::Truncated));
    assert_eq!(fault("t\n\n— n AAAAAUE="), FormatError::new("note signature", 17, Fault::Truncated));
    let many = format!("t\n\n{}", "— n AAAAAUE=\n".repeat(MAX_SIGNATURES + 1));
    assert_eq!(fault(&many), FormatError::new("note signatures", 3 + 16 * 15, Fault::TooLong));
    assert_eq!(fault(&"x".repeat(200_000)), FormatError::new("note", 0, Fault::TooLong));
    assert!(Note::parse(b"\xff\n\n").is_err());
}

/// As golang.org/x/mod/sumdb/note tests its own.
#[test]
fn no_part_and_no_neighbour_of_a_verifier_key_is_a_key() {
    for start in 0..=GO_KEY.len() {
        for end in start..=GO_KEY.len() {
            if (start, end) != (0, GO_KEY.len()) {
                assert!(VerifierKey::parse(&GO_KEY[start..end]).is_err(), "{start}..{end}");
            }
        }
    }
    for at in 0..GO_KEY.len() {
        let mut altered = GO_KEY.as_bytes().to_vec();
        altered[at] += 1;
        assert!(VerifierKey::parse(std::str::from_utf8(&altered).unwrap()).is_err(), "{at}");
    }
    let fault = |text: &str| VerifierKey::parse(text).unwrap_err().fault;
    let long = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==";
    assert_eq!(fault(long), Fault::Invalid);
    let other = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(fault(other), Fault::UnknownAlgorithm);
    assert_eq!(VerifierKey::new("a b", [0; 32]).unwrap_err().fault, Fault::Invalid);
    assert_eq!(VerifierKey::new("", [0; 32]).unwrap_err().fault, Fault::Invalid);
    assert_eq!(VerifierKey::new(&"n".repeat(513), [0; 32]).unwrap_err().fault, Fault::TooLong);
}

fn checkpoint() -> Checkpoint {
    let origin = origin("vault.example", EnvironmentId([0xab; 16]), &[0xcd; 16]);
    Checkpoint { origin, size: 3, root: [7; 32] }
}

#[test]
fn a_signed_checkpoint_opens_for_its_own_log_only() {
    let log = LogKey::new(1);
    let key = log.named(&checkpoint().origin);
    let note = checkpoint().sign(&key, |text| log.sign(text)).unwrap().to_text();
    assert!(note.starts_with(&format!("vault.example/{}/{}\n3\n", "ab".repeat(16), "cd".repeat(16))));
    assert_eq!(Checkpoint::open(note.as_bytes(), &key, ed25519), Ok(checkpoint()));
    let other = log.named("vault.example/other");
    assert!(checkpoint().sign(&other, |text| log.sign(text)).is_err());
    // The right key under the right name, but over another log's checkpoint.
    let crossed = Note::sign(&checkpoint().to_text(), &other, |text| log.sign(text)).unwrap().to_text();
    let fault = Checkpoint::open(crossed.as_bytes(), &other, ed25519).unwrap_err();
    assert_eq!(fault, FormatError::new("checkpoint origin", 0, Fault::NotAuthentic));
}

#[test]
fn malformed_checkpoints_are_named_by_line() {
    let fault = |text: &str| Checkpoint::parse(text).unwrap_err();
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    assert_eq!(fault(""), FormatError::new("checkpoint origin", 0, Fault::Truncated));
    assert_eq!(fault(&format!("\n1\n{root}\n")), FormatError::new("checkpoint origin", 0, Fault::Invalid));
    for (size, kind) in [
        ("", Fault::Invalid),
        ("01", Fault::NotCanonical),
        ("+1", Fault::Invalid),
        ("-1", Fault::Invalid),
        ("1 ", Fault::Invalid),
        ("18446744073709551616", Fault::TooLong),
    ] {
        let text = format!("o\n{size}\n{root}\n");
        assert_eq!(fault(&text), FormatError::new("checkpoint size", 2, kind), "{size}");
    }
    assert_eq!(fault("o\n1\nAAAA\n"), FormatError::new("checkpoint root", 4, Fault::Invalid));
    assert_eq!(fault("o\n1\n????\n"), FormatError::new("checkpoint root", 4, Fault::Invalid));
    assert_eq!(fault(&format!("o\n1\n{root}")), FormatError::new("checkpoint root", 4, Fault::Truncated));
    let extended = format!("o\n1\n{root}\nextension\n");
    assert_eq!(fault(&extended), FormatError::new("checkpoint extension", 49, Fault::TrailingBytes));
}

#[test]
fn a_proof_file_comes_back_and_a_malformed_one_is_named_by_line() {
    let proof = LogProof { index: 12, hashes: vec![[1; 32], [2; 32]], checkpoint: CHECKPOINT.into() };
    let text = proof.to_text();
    assert_eq!(LogProof::parse(&text, 0), Ok(proof));
    let fault = |text: &str| LogProof::parse(text, 100).unwrap_err();
    assert_eq!(
        fault("c2sp.org/tlog-proof@v2\n"),
        FormatError::new("proof header", 100, Fault::UnknownVersion)
    );
    assert_eq!(fault(&text.replace("index 12", "extra AAAA")).field, "proof index");
    assert_eq!(fault(&text.replace("index 12", "index 012")).fault, Fault::NotCanonical);
    assert_eq!(fault(&text.replace("AQEB", "AQE")), FormatError::new("proof hash", 132, Fault::Invalid));
    let hashes = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n".repeat(64);
    let long = format!("c2sp.org/tlog-proof@v1\nindex 1\n{hashes}\n");
    assert_eq!(fault(&long).fault, Fault::TooLong);
}
