//! `FORMAT.md` is the specification: a second implementation that was written from it agrees with this one on
//! every vector, and its register of kinds is the one in the code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_reference_in_python_opens_and_makes_the_same_vectors() {
    let run = Command::new("python3")
        .arg("-B")
        .arg(folder().join("reference/check.py"))
        .arg(folder().join("vectors"))
        .output()
        .unwrap_or_else(|error| panic!("python3 is needed for this test and could not be started: {error}"));
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    match run.status.code() {
        Some(0) => {}
        Some(2) => panic!("this test needs Python's package cryptography: pip install cryptography\n{said}"),
        _ => panic!("the reference disagrees:\n{said}"),
    }
}

#[test]
fn every_kind_in_the_code_stands_in_the_document_and_no_other() {
    let code = fs::read_to_string(folder().join("../daemon/types/src/kind.rs")).unwrap();
    let (_, body) = code.split_once("pub enum Kind {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let in_code: BTreeSet<u16> = body
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = ")?.1.parse().ok())
        .collect();

    let document = fs::read_to_string(folder().join("FORMAT.md")).unwrap();
    let (_, section) = document.split_once("### 3.6 Kinds").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let in_document: BTreeSet<u16> = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('|'))
        .filter_map(|cell| cell.trim().parse().ok())
        .collect();
    let differ: Vec<_> = in_code.symmetric_difference(&in_document).collect();
    assert!(differ.is_empty(), "add these kinds to FORMAT.md 3.6 or to kind.rs: {differ:?}");
}
