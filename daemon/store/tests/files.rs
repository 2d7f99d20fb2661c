//! The store's folder and files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use coffer_store::{Abort, Options, RedbStore, Store, StoreError, Transaction, Work};

fn place() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("a folder");
    let file = root.path().join("store/records.redb");
    (root, file)
}

fn open(file: &Path) -> Result<RedbStore, StoreError> {
    RedbStore::open(file, Options { reserve_bytes: 256 * 1024, ..Options::default() })
}

fn refusal(file: &Path) -> Option<StoreError> {
    open(file).err()
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

fn putting(key: &'static [u8], value: Vec<u8>) -> Work {
    Box::new(move |transaction: &mut dyn Transaction| {
        transaction.put(key.to_vec(), value.clone()).map(drop).map_err(|_| Abort)
    })
}

#[test]
fn a_new_store_is_private_to_its_owner() {
    let (_root, file) = place();
    let _store = open(&file).expect("a store");
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(file.parent().expect("folder")), 0o700);
    for path in [file.clone(), beside(&file, ".lock"), beside(&file, ".reserve")] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_folder_or_file_that_others_can_read_is_refused() {
    let (_root, file) = place();
    drop(open(&file).expect("a store"));
    let folder = file.parent().expect("folder");
    for mode in [0o750, 0o701, 0o720] {
        fs::set_permissions(folder, Permissions::from_mode(mode)).expect("chmod");
        assert_eq!(refusal(&file), Some(StoreError::BroadPermissions), "{mode:o}");
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).expect("chmod");
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("chmod");
        assert_eq!(refusal(&file), Some(StoreError::BroadPermissions), "{mode:o}");
    }
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("chmod");
    assert_eq!(refusal(&file), None);
}

#[test]
fn a_link_in_the_place_of_the_file_is_not_followed() {
    let (root, file) = place();
    drop(open(&file).expect("a store"));
    let elsewhere = root.path().join("elsewhere");
    fs::rename(&file, &elsewhere).expect("rename");
    symlink(&elsewhere, &file).expect("link");
    assert!(matches!(refusal(&file), Some(StoreError::Io(_))));
}

#[test]
fn a_second_handle_is_told_that_the_store_is_locked() {
    let (_root, file) = place();
    let store = open(&file).expect("a store");
    assert_eq!(refusal(&file), Some(StoreError::Locked));
    drop(store);
    assert_eq!(refusal(&file), None);
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_was() {
    let (_root, file) = place();
    drop(open(&file).expect("a store"));
    for content in [b"not a store".to_vec(), vec![0; 10_000], vec![0xff; 100_000]] {
        fs::write(&file, &content).expect("write");
        let refused = refusal(&file);
        assert_eq!(refused, Some(StoreError::Corrupted), "{} bytes", content.len());
        assert_eq!(fs::read(&file).expect("read"), content);
    }
}

#[tokio::test]
async fn a_cut_file_is_refused() {
    let (_root, file) = place();
    let store = open(&file).expect("a store");
    store.commit(putting(b"key", vec![1; 100_000])).await.expect("a commit");
    drop(store);
    let whole = fs::metadata(&file).expect("metadata").len();
    for len in [whole / 2, 4096, 100] {
        let content = fs::read(&file).expect("read");
        OpenOptions::new().write(true).open(&file).expect("open").set_len(len).expect("cut");
        assert_eq!(refusal(&file), Some(StoreError::Corrupted), "{len} of {whole}");
        fs::write(&file, content).expect("write");
    }
    assert_eq!(refusal(&file), None);
}

#[test]
fn the_reserve_takes_real_space() {
    let (_root, file) = place();
    let _store = open(&file).expect("a store");
    let reserve = fs::metadata(beside(&file, ".reserve")).expect("metadata");
    assert!(reserve.blocks() * 512 >= 256 * 1024, "{} blocks", reserve.blocks());
}

#[test]
fn a_reserve_of_another_size_is_fitted_and_an_old_one_is_kept() {
    let (_root, file) = place();
    let reserve = |bytes: u64| {
        drop(
            RedbStore::open(&file, Options { reserve_bytes: bytes, ..Options::default() }).expect("a store"),
        );
        let found = fs::metadata(beside(&file, ".reserve")).expect("metadata");
        assert_eq!(found.len(), bytes);
        found.ino()
    };
    let first = reserve(256 * 1024);
    assert_eq!(reserve(256 * 1024), first, "never given back on the way");
    assert_eq!(reserve(128 * 1024), first);
    assert_eq!(reserve(512 * 1024), first);
}

#[tokio::test]
async fn compaction_leaves_no_removed_value_in_the_file_and_loses_nothing() {
    let (_root, file) = place();
    let store = open(&file).expect("a store");
    let removed = b"this sealed value was destroyed".repeat(40);
    store.commit(putting(b"stays", vec![3; 5000])).await.expect("a commit");
    store.commit(putting(b"gone", removed.clone())).await.expect("a commit");
    let delete: Work = Box::new(|transaction: &mut dyn Transaction| {
        transaction.delete(b"gone").map(drop).map_err(|_| Abort)
    });
    store.commit(delete).await.expect("a commit");
    let found = |file: &Path| {
        let content = fs::read(file).expect("read");
        content.windows(31).filter(|window| *window == &removed[..31]).count()
    };
    assert!(found(&file) > 0, "or there is nothing to compact away");
    let inode = fs::metadata(&file).expect("metadata").ino();

    store.compact().await.expect("compacted");

    assert_eq!(found(&file), 0);
    assert_ne!(fs::metadata(&file).expect("metadata").ino(), inode);
    assert!(!beside(&file, ".compact").exists());
    assert_eq!(store.get(b"stays").await, Ok(Some(vec![3; 5000])));
    assert_eq!(store.revision(), 3);
    store.commit(putting(b"after", vec![4])).await.expect("commits go on");
    drop(store);
    let store = open(&file).expect("a store");
    assert_eq!(store.get(b"stays").await, Ok(Some(vec![3; 5000])));
    assert_eq!(store.get(b"after").await, Ok(Some(vec![4])));
    assert_eq!(store.get(b"gone").await, Ok(None));
    assert_eq!(store.revision(), 4);
}

#[tokio::test]
async fn the_rest_of_a_compaction_that_was_cut_off_is_removed() {
    let (_root, file) = place();
    drop(open(&file).expect("a store"));
    fs::write(beside(&file, ".compact"), b"half").expect("write");
    let _store = open(&file).expect("a store");
    assert!(!beside(&file, ".compact").exists());
}
