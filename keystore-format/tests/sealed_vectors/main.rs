//! The named vectors of chapters 2 to 9 and 22 of `FORMAT.md`. Each is made here from fixed inputs, must equal the
//! one that is kept in `vectors/`, and is opened and made again by `reference/check.py`.
//!
//! `cargo test -p keystore-format --test sealed_vectors -- --ignored regenerate` writes the files anew: only
//! before a format is released, or to add vectors.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod age;
mod bech32m;
mod device_wraps;
mod head;
mod index;
mod kdf;
mod keyring;
mod name;
mod record;
mod seal_record;
mod share;
mod tokens;
mod tpm_wrap;
mod transit_wrap;
mod wrap_names;

use keystore_format::{
    error::FormatError,
    ids::{EnvironmentId, MountId, StoreId, WrapId},
    kdf::Context,
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

type Make = fn() -> Vec<Value>;

/// A file's stem and what makes its vectors.
const FILES: [(&str, Make); 15] = [
    ("age", age::vectors),
    ("kdf", kdf::vectors),
    ("name", name::vectors),
    ("record", record::vectors),
    ("keyring", keyring::vectors),
    ("seal_record", seal_record::vectors),
    ("device_wraps", device_wraps::vectors),
    ("share", share::vectors),
    ("bech32m", bech32m::vectors),
    ("head", head::vectors),
    ("index", index::vectors),
    ("tokens", tokens::vectors),
    ("tpm_wrap", tpm_wrap::vectors),
    ("transit_wrap", transit_wrap::vectors),
    ("wrap_names", wrap_names::vectors),
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

const STORE: StoreId = StoreId(*b"store id of 16 b");
const ENVIRONMENT: EnvironmentId = EnvironmentId(*b"environment id 1");
const OTHER_ENVIRONMENT: EnvironmentId = EnvironmentId(*b"environment id 2");
const MOUNT: MountId = MountId(*b"mount id, 16 b 1");
const WRAP: WrapId = WrapId(*b"wrap id, 16 b. 1");
const CTX: Context = Context { store: STORE, environment: ENVIRONMENT };

/// An error as vectors carry it.
fn error<T>(result: Result<T, FormatError>) -> Value {
    let Err(FormatError { field, offset, fault }) = result else {
        panic!("a vector that should be refused was not");
    };
    json!({ "field": field, "offset": offset, "fault": format!("{fault:?}") })
}

/// What a refusal should be; compared with what it was before it is kept.
fn refused<T>(result: Result<T, FormatError>, field: &str, offset: usize, fault: &str) -> Value {
    let found = error(result);
    assert_eq!(found, json!({ "field": field, "offset": offset, "fault": fault }));
    found
}

/// `bytes` with `change` made to a copy.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    change(&mut copy);
    copy
}
