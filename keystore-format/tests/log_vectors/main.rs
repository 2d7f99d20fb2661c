//! The named vectors of chapters 10 to 21 of `FORMAT.md`. Each is made here from fixed inputs, must equal the
//! one that is kept in `vectors/`, and is opened and made again by `reference/check.py`.
//!
//! `cargo test -p keystore-format --test log_vectors -- --ignored regenerate` writes the files anew: only
//! before a format is released, or to add vectors.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod checkpoint;
mod envelope;
mod frame;
mod leaf;
mod merkle;
mod openings;
mod snapshot;
mod stream;
mod tile;

use keystore_format::{error::FormatError, ids::EnvironmentId};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

type Make = fn() -> Vec<Value>;

/// A file's stem and what makes its vectors.
const FILES: [(&str, Make); 9] = [
    ("leaf", leaf::vectors),
    ("openings", openings::vectors),
    ("frame", frame::vectors),
    ("merkle", merkle::vectors),
    ("tile", tile::vectors),
    ("checkpoint", checkpoint::vectors),
    ("stream", stream::vectors),
    ("envelope", envelope::vectors),
    ("snapshot", snapshot::vectors),
];

#[test]
fn this_build_makes_the_kept_vectors_byte_by_byte() {
    for (stem, vectors) in FILES {
        let kept: Value = serde_json::from_str(&fs::read_to_string(path(stem)).unwrap()).unwrap();
        let kept = kept["vectors"].as_array().unwrap();
        let made = vectors();
        for (kept, made) in kept.iter().zip(&made) {
            assert_eq!(kept, made, "{stem}: {}", made["name"]);
        }
        assert_eq!(kept.len(), made.len(), "{stem}");
    }
}

#[test]
fn no_two_vectors_of_a_file_have_one_name() {
    for (stem, vectors) in FILES {
        let mut names: Vec<_> = vectors().iter().map(|vector| vector["name"].to_string()).collect();
        names.sort();
        names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "{stem}"));
    }
}

#[test]
#[ignore = "writes the vectors anew"]
fn regenerate() {
    for (stem, vectors) in FILES {
        let text = serde_json::to_string_pretty(&json!({ "vectors": vectors() })).unwrap();
        fs::write(path(stem), text + "\n").unwrap();
    }
}

fn path(stem: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(stem).with_extension("json")
}

/// `N` bytes that count up from `first`: every field of a vector looks like itself.
fn bytes<const N: usize>(first: u8) -> [u8; N] {
    core::array::from_fn(|at| first.wrapping_add(at as u8))
}

/// `length` bytes that differ from their neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

const ENVIRONMENT: EnvironmentId = EnvironmentId(*b"environment id 1");

/// What a refusal should be; compared with what it was before it is kept.
fn refused<T>(result: Result<T, FormatError>, field: &str, offset: usize, fault: &str) -> Value {
    let Err(found) = result else { panic!("a vector that should be refused was not: {field} {fault}") };
    let found =
        json!({ "field": found.field, "offset": found.offset, "fault": format!("{:?}", found.fault) });
    assert_eq!(found, json!({ "field": field, "offset": offset, "fault": fault }));
    found
}

/// `bytes` with `change` made to a copy.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    change(&mut copy);
    copy
}
