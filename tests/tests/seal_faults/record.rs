//! What lies on disk, altered behind the daemon's back: the key file; and the seal record in the store, one copy and both.
use super::Sealed;
use crate::stored;
use coffer_store::Entry;
use coffer_tests::{Ask, Setup};
use keystore_format::seal_record::{Unverified, WrapType};
use keystore_format::tables::{self, MetaItem};
use serde_json::json;
use std::path::Path;

const BY_WRAP: &str = "the wrap was altered, or is of another place or another key file: configure the file that it was made with";
const BY_SHARES: &str = "the seal record does not match its key: it was altered on disk, or put back from elsewhere, and a backup brings the right one back";

async fn sealed(disk: &Path) -> Sealed {
    let sections = format!("[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = {disk:?}\n");
    let sealed = Sealed::by(Setup { sections, ..Setup::default() }, json!({ "add": "disk" }), &[]).await;
    sealed.house.canaries.add(std::fs::read(disk).unwrap());
    sealed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_file_that_is_another_is_told_and_the_right_one_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let mut sealed = sealed(&disk).await;
    let right = std::fs::read(&disk).unwrap();
    // Every byte is tried in `seals`, while it serves.
    let wrong = |at: usize| right.iter().enumerate().map(|(own, byte)| byte ^ u8::from(own == at)).collect();
    let length =
        "the key file has another length than 32 bytes: it must be one that was made for Coffer, unaltered";
    for (content, sentence) in
        [(wrong(0), BY_WRAP), (wrong(31), BY_WRAP), (right[..31].to_vec(), length), (Vec::new(), length)]
    {
        std::fs::write(&disk, content).unwrap();
        sealed.is_opened_by_shares(sentence).await;
    }
    std::fs::write(&disk, &right).unwrap();
    let mode =
        |bits| std::fs::set_permissions(&disk, std::os::unix::fs::PermissionsExt::from_mode(bits)).unwrap();
    mode(0o640);
    let open = "the key file is open to its group or to others: its mode must be 0600 or 0400";
    sealed.is_opened_by_shares(open).await;
    mode(0o600);
    sealed.opens_after_a_start().await;
}

/// Both copies of the root environment's seal record.
fn copies(data: &Path) -> Vec<Entry> {
    let is_of_root = |entry: &Entry| {
        let context = Unverified::decode(&entry.value).unwrap().claimed().ctx;
        context.store.0 == context.environment.0
    };
    let entries = stored::entries(data).into_iter();
    let all =
        entries.filter(|entry| entry.key[0] == tables::META && entry.key[17] == MetaItem::SealRecord as u8);
    let copies: Vec<_> = all.filter(is_of_root).collect();
    assert!(copies.len() == 2 && copies[0].value == copies[1].value);
    copies
}

fn altered(copy: &Entry, at: usize) -> Entry {
    let mut copy = copy.clone();
    copy.value[at] ^= 1 << (at % 8);
    copy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_copy_altered_anywhere_it_opens_by_the_other_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut sealed = sealed(&folder.path().join("disk")).await;
    sealed.stop();
    let sound = copies(sealed.house.data());
    let length = sound[0].value.len();
    // Of each part one byte: with the library alone every bit is tried (`coffer-seal`'s tests).
    for (round, at) in (0..length).step_by(length / 9).chain([length - 1]).enumerate() {
        let wrong = altered(&sound[round % 2], at);
        stored::overwrite(sealed.house.data(), vec![wrong]).await;
        let from = sealed.house.log().len();
        sealed.house.start_process().await;
        sealed.opens_at_once().await;
        let log = sealed.house.log();
        assert!(log[from..].contains("a copy of the seal record is damaged"), "byte {at}: {}", &log[from..]);
        let checked = sealed.coffer(&["operator", "fsck"], "");
        assert!(
            checked.code == 4 && checked.stdout.contains("the other copy serves"),
            "byte {at}: {checked:?}"
        );
        sealed.stop();
        stored::overwrite(sealed.house.data(), sound.clone()).await;
    }
    sealed.house.start_process().await;
    sealed.opens_at_once().await;
    assert_eq!(sealed.coffer(&["operator", "fsck"], "").code, 0);
}

/// Shares and devices alike give a key that the record does not match: nothing but the right bytes opens it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_both_copies_altered_nothing_opens_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut sealed = sealed(&folder.path().join("disk")).await;
    sealed.stop();
    let sound = copies(sealed.house.data());
    let value = &sound[0].value;
    let record = Unverified::decode(value).unwrap();
    let blob = |wanted| {
        let wrap = record.claimed().wraps.iter().find(|wrap| wrap.wrap_type == wanted).unwrap();
        value.windows(wrap.blob.len()).position(|window| window == wrap.blob).unwrap() + 40
    };
    let by_device = "the wrap does not hold the store's root key: the seal record was altered, or is of another store, and a backup brings the right one back";
    for (at, sentence) in
        [(value.len() - 1, by_device), (blob(WrapType::Shamir), by_device), (blob(WrapType::File), BY_WRAP)]
    {
        stored::overwrite(sealed.house.data(), sound.iter().map(|copy| altered(copy, at)).collect()).await;
        sealed.starts_sealed(sentence).await;
        let client = sealed.house.client(&sealed.house.operator);
        client.ask("POST", "sys/unseal", json!({ "key": sealed.house.shares[0] })).await.done();
        let last = json!({ "key": sealed.house.shares[1] });
        assert_eq!(client.ask("POST", "sys/unseal", last).await.refused(400), BY_SHARES);
        assert_eq!(sealed.coffer(&["operator", "status"], "").code, 2);
        sealed.stop();
    }
    // Its first byte says which version it is: no other is guessed at.
    stored::overwrite(sealed.house.data(), sound.iter().map(|copy| altered(copy, 0)).collect()).await;
    let said = sealed.house.try_start().err().unwrap();
    assert!(said.contains("the store can't be read: the seal record was altered on disk, and a backup brings the right one back"), "{said}");
    stored::overwrite(sealed.house.data(), sound).await;
    sealed.house.start_process().await;
    sealed.opens_at_once().await;
}
