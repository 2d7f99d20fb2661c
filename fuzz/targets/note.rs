//! Signed notes, verifier keys, checkpoints and log proofs: texts that have one spelling.
#![no_main]
use keystore_format::checkpoint::{Checkpoint, LogProof};
use keystore_format::note::{Note, VerifierKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let key = VerifierKey::new("log", [5; 32]).expect("a name");
    let _ = Checkpoint::open(data, &key, |_, _, _| true);
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.to_text().as_bytes(), data);
        assert!(!note.signatures().is_empty());
        assert!(note.verify(&key, |_, _, _| false).is_err());
    }
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(VerifierKey::parse(&key.to_text()), Ok(key));
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_text(), text);
        if let Ok(key) = VerifierKey::new(&checkpoint.origin, [5; 32]) {
            let note = checkpoint.sign(&key, |_| [6; 64]).expect("the key's own log").to_text();
            assert_eq!(Checkpoint::open(note.as_bytes(), &key, |_, _, _| true), Ok(checkpoint));
        }
    }
    if let Ok(proof) = LogProof::parse(text, 0) {
        assert_eq!(proof.to_text(), text);
        let _ = proof.verify(&[0; 32], &key, |_, _, _| true);
    }
});
