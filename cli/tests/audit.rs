//! `coffer audit` offline: on the files alone.
#![allow(clippy::unwrap_used, reason = "a test")]
mod support;

use keystore_format::checkpoint::LogProof;
use keystore_format::disclosure::Disclosure;
use keystore_format::leaf::{self, field_salt};
use keystore_format::merkle::subtree_root;
use serde_json::Value;
use support::{ENVIRONMENT, Log, SALT, coffer, outcome};
use tempfile::TempDir;
use zeroize::Zeroizing;

fn log() -> (TempDir, Log) {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::write(folder.path(), 4);
    (folder, log)
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    outcome(coffer(arguments).output().unwrap())
}

#[test]
fn a_whole_log_is_whole_under_the_key_that_the_auditor_knows() {
    let (_folder, log) = log();
    let (code, out, err) = run(&["audit", "verify", log.path(), "--key", &log.key.to_text()]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("Whole: 5 leaves of 1 log,") && out.contains("keys that you gave"), "{out}");
}

#[test]
fn the_first_altered_leaf_is_named_with_file_offset_and_index() {
    let (_folder, log) = log();
    let mut journal = std::fs::read(log.journal()).unwrap();
    let places: Vec<_> = (0..journal.len()).filter(|at| journal[*at..].starts_with(b"CoJf")).collect();
    // The third frame's leaf is exchanged for the fourth's, checksums and all.
    let (third, fourth, fifth) = (places[2], places[3], places[4]);
    let other = journal[fourth..fifth].to_vec();
    journal[third..fourth].copy_from_slice(&other);
    std::fs::write(log.journal(), journal).unwrap();

    let (code, out, _) = run(&["audit", "verify", log.path(), "--format", "json"]);
    assert_eq!(code, 4);
    let report: Value = serde_json::from_str(&out).unwrap();
    let first = &report["findings"][0];
    assert_eq!(report["whole"], false);
    assert_eq!(first["file"], "journal/00000000000000000000.log");
    assert_eq!(first["offset"], third as u64);
    assert_eq!(first["index"], 2);

    let (code, out, _) = run(&["audit", "verify", log.path()]);
    assert_eq!(code, 4);
    assert!(
        out.starts_with(&format!("ALTERED: journal/00000000000000000000.log at byte {third}, leaf 2")),
        "{out}"
    );
}

#[test]
fn a_log_written_anew_under_another_key_or_host_is_not_the_one_that_is_known() {
    let known = log().1.key.to_text();
    for (seed, host) in [([8; 32], "coffer.example.com"), ([8; 32], "evil.example.com")] {
        let folder = tempfile::tempdir().unwrap();
        let forged = Log::signed(folder.path(), 4, seed, host);
        assert_eq!(run(&["audit", "verify", forged.path()]).0, 0, "whole in itself");
        let (code, out, _) = run(&["audit", "verify", forged.path(), "--key", &known]);
        assert_eq!(code, 4, "{out}");
        assert!(out.contains("not the one that is known"), "{out}");
    }
}

#[test]
fn a_known_log_that_is_gone_is_missed() {
    let (_folder, log) = log();
    let elsewhere = log.key.to_text().replace(&logcheck_incarnation(), &"b2".repeat(16));
    let key =
        keystore_format::note::VerifierKey::new(elsewhere.split('+').next().unwrap(), *log.key.public())
            .unwrap();
    let (code, out, _) = run(&["audit", "verify", log.path(), "--key", &key.to_text()]);
    assert_eq!(code, 4, "{out}");
}

fn logcheck_incarnation() -> String {
    keystore_format::logcheck::hex(&support::INCARNATION)
}

#[test]
fn leaves_are_shown_as_json_lines_of_one_environment_after_an_index() {
    let (_folder, log) = log();
    let lines = |arguments: &[&str]| {
        let (code, out, err) = run(&[&["audit", "show", log.path()], arguments].concat());
        assert_eq!((code, err.as_str()), (0, ""));
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&[]).len(), 5);
    let shown = lines(&["--environment", "3c3c", "--after", "1", "--limit", "2"]);
    assert_eq!(shown.iter().map(|leaf| leaf["index"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(shown[0]["environment"], ENVIRONMENT.to_string());
    assert_eq!(run(&["audit", "show", log.path(), "--environment", "77"]).0, 1);
}

#[test]
fn a_log_that_breaks_off_is_shown_up_to_there_and_says_so() {
    let (_folder, log) = log();
    let journal = std::fs::read(log.journal()).unwrap();
    std::fs::write(log.journal(), &journal[..journal.len() - 1]).unwrap();
    let (code, out, err) = run(&["audit", "show", log.path()]);
    assert_eq!((code, out.lines().count()), (4, 4));
    assert!(err.contains("cut off"), "{err}");
}

#[test]
fn a_disclosure_is_checked_offline_and_an_altered_one_is_refused() {
    let (folder, log) = log();
    let hashes: Vec<_> = log.leaves.iter().map(|leaf| leaf::hash(leaf)).collect();
    // Leaf 4 of five stands alone at the right: its proof is the root of the four before it.
    let proof =
        LogProof { index: 4, hashes: vec![subtree_root(&hashes[..4])], checkpoint: log.checkpoint.clone() };
    let disclosure = |value: &[u8]| Disclosure {
        field: "path".into(),
        value: Zeroizing::new(value.to_vec()),
        field_salt: field_salt(&SALT, "path"),
        leaf: log.leaves[4].clone(),
        proof: proof.clone(),
    };
    let path = folder.path().with_extension("disclosure");
    let check = |text: &str, more: &[&str]| {
        std::fs::write(&path, text).unwrap();
        run(&[&["audit", "check-disclosure", path.to_str().unwrap()], more].concat())
    };
    let key = log.key.to_text();

    let (code, out, err) = check(&disclosure(b"app/db").to_text(), &["--key", &key]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("Holds: leaf 4") && out.contains("app/db"), "{out}");
    assert_eq!(check(&disclosure(b"app/db").to_text(), &["--log", log.path()]).0, 0);

    let (code, _, err) = check(&disclosure(b"app/other").to_text(), &["--key", &key]);
    assert_eq!(code, 4);
    assert!(err.contains("not authentic") && !err.contains("app/other"), "{err}");
    assert_eq!(check("a holiday letter\n", &["--key", &key]).0, 1);
    assert_eq!(check(&disclosure(b"app/db").to_text(), &[]).0, 1);
}

#[test]
fn a_folder_without_a_log_is_the_callers_mistake() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("holiday.jpg"), b"JFIF").unwrap();
    let (code, _, err) = run(&["audit", "verify", folder.path().to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(err.contains("there is no audit log in"), "{err}");
}
