//! Disks that refuse: what is kept, what is said, what goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::sync::Arc;

use coffer_store::faulty::{Call, Disk, Fault, Faulty, Survivors};
use coffer_store::{Abort, Committed, MemoryStore, RedbStore, Store, StoreError, Transaction, Work};

fn putting(key: &str, len: usize) -> Work {
    let key = key.as_bytes().to_vec();
    Box::new(move |transaction: &mut dyn Transaction| {
        transaction.put(key.clone(), vec![7; len]).map(drop).map_err(|_| Abort)
    })
}

async fn has(store: &RedbStore, key: &str) -> bool {
    store.get(key.as_bytes()).await.expect("reads go on").is_some()
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    for nth in 0..2 {
        let disk = Disk::new();
        let store = disk.open().expect("a store");
        store.commit(putting("before", 10)).await.expect("a commit");
        let syncs = disk.syncs();
        store.commit(putting("counted", 10)).await.expect("a commit");
        let per_commit = disk.syncs() - syncs;
        assert_eq!(per_commit, 2, "two-phase");

        // Lets the first phase's sync pass in the second round.
        if nth == 1 {
            let before = disk.operations();
            store.commit(putting("measured", 10)).await.expect("a commit");
            disk.fail_at(disk.operations() - before - 1, Fault::SyncFails);
        } else {
            disk.fail_at(0, Fault::SyncFails);
        }
        assert_eq!(store.commit(putting("lost", 10)).await, Err(StoreError::Failed));
        assert!(store.failed());
        let syncs = disk.syncs();
        assert_eq!(store.commit(putting("later", 10)).await, Err(StoreError::Failed));
        assert_eq!(store.commit_urgent(putting("later", 10)).await, Err(StoreError::Failed));
        assert_eq!(disk.syncs(), syncs, "no second try at the disk");

        let found = disk.after_power_cut(Survivors::Nothing);
        drop(store);
        let store = found.open().expect("a store");
        assert!(has(&store, "before").await && has(&store, "counted").await);
        assert!(!has(&store, "later").await);
    }
}

#[tokio::test]
async fn an_io_error_at_any_operation_never_acknowledges_what_is_lost() {
    for nth in 0..60 {
        let disk = Disk::new();
        let store = disk.open().expect("a store");
        disk.fail_at(nth, Fault::Io);
        let mut acknowledged = Vec::new();
        let mut failed = false;
        for n in 0..8 {
            let key = format!("key{n}");
            match store.commit(putting(&key, 3000)).await {
                Ok(_) => {
                    assert!(!failed, "an acknowledgement after a failure");
                    acknowledged.push(key);
                }
                Err(error) => {
                    assert_eq!(error, StoreError::Failed);
                    failed = true;
                }
            }
        }
        assert_eq!(store.failed(), failed);
        let found = disk.after_power_cut(Survivors::Random(nth));
        drop(store);
        let store = found.open().expect("a store");
        for key in acknowledged {
            assert!(has(&store, &key).await, "{key}, fault at {nth}");
        }
    }
}

#[tokio::test]
async fn a_moment_without_space_refuses_one_batch_and_changes_nothing() {
    let mut refused = 0;
    for nth in 0..40 {
        let disk = Disk::new();
        let store = disk.open().expect("a store");
        store.commit(putting("before", 3000)).await.expect("a commit");
        disk.fail_at(nth, Fault::Full);
        let mut acknowledged = vec!["before".to_owned()];
        for n in 0..6 {
            let key = format!("key{n}");
            let revision = store.revision();
            match store.commit(putting(&key, 3000)).await {
                Ok(_) => acknowledged.push(key),
                Err(error) => {
                    assert_eq!(error, StoreError::Full, "at {nth}");
                    assert_eq!(store.revision(), revision);
                    assert!(!has(&store, &key).await);
                    refused += 1;
                }
            }
        }
        assert!(!store.failed());
        let found = disk.after_power_cut(Survivors::Nothing);
        drop(store);
        let store = found.open().expect("a store");
        for key in acknowledged {
            assert!(has(&store, &key).await, "{key} at {nth}");
        }
    }
    assert!(refused >= 20, "{refused}");
}

#[tokio::test]
async fn on_a_full_disk_reads_and_urgent_commits_go_on_and_writes_come_back_with_the_space() {
    let disk = Disk::new();
    let store = disk.open().expect("a store");
    store.commit(putting("before", 3000)).await.expect("a commit");
    disk.leave_room(Some(256 * 1024));
    let mut kept = Vec::new();
    let full = loop {
        let key = format!("fill{:04}", kept.len());
        match store.commit(putting(&key, 20_000)).await {
            Ok(_) => kept.push(key),
            Err(error) => break error,
        }
        assert!(kept.len() < 1000, "the disk has no end");
    };
    assert_eq!(full, StoreError::Full);
    assert_eq!(store.commit(putting("refused", 100_000)).await, Err(StoreError::Full));

    assert!(has(&store, "before").await && has(&store, &kept[0]).await);
    for n in 0..20 {
        let revoke = store.commit_urgent(putting(&format!("revoked{n}"), 200)).await;
        assert!(matches!(revoke, Ok(Committed::Durable(_))), "{n}: {revoke:?}");
    }
    assert!(!store.failed());
    assert!(
        matches!(store.commit(putting("ordinary", 100_000)).await, Err(StoreError::Full)),
        "not from the reserve"
    );

    disk.leave_room(Some(8 * 1024 * 1024));
    store.commit(putting("again", 100_000)).await.expect("there is room");
    let found = disk.after_power_cut(Survivors::Nothing);
    drop(store);
    let store = found.open().expect("a store");
    for key in kept.iter().map(String::as_str).chain(["before", "revoked0", "revoked19", "again"]) {
        assert!(has(&store, key).await, "{key}");
    }
    assert!(!has(&store, "refused").await && !has(&store, "ordinary").await);
}

#[tokio::test]
async fn readers_never_see_an_error_while_the_file_is_opened_anew() {
    let disk = Disk::new();
    let store = Arc::new(disk.open().expect("a store"));
    for n in 0..50 {
        store.commit(putting(&format!("key{n}"), 30_000)).await.expect("a commit");
    }
    let reading = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let mut reads = 0u64;
            while store.get(b"stop").now_or_never_value().is_none() {
                for n in 0..50 {
                    let value = runtime.block_on(store.get(format!("key{n}").as_bytes())).expect("a read");
                    assert_eq!(value.map(|value| value.len()), Some(30_000));
                    reads += 1;
                }
            }
            reads
        })
    };
    let mut refused = 0;
    for nth in 0..40 {
        disk.fail_at(nth % 20, Fault::Full);
        refused += u64::from(store.commit(putting("other", 30_000)).await == Err(StoreError::Full));
        disk.heal();
    }
    store.commit(putting("stop", 1)).await.expect("a commit");
    assert!(reading.join().expect("the reader") > 0);
    assert!(refused > 10, "{refused}");
}

trait NowValue {
    fn now_or_never_value(self) -> Option<Vec<u8>>;
}

impl NowValue for coffer_store::StoreFuture<'_, Option<Vec<u8>>> {
    fn now_or_never_value(self) -> Option<Vec<u8>> {
        futures_util::FutureExt::now_or_never(self).and_then(Result::ok).flatten()
    }
}

#[tokio::test]
async fn the_wrapper_fails_the_calls_it_was_told_to() {
    let store = Faulty::over(MemoryStore::new().expect("memory"));
    store.fail(Call::Get, 1, 1, StoreError::Io(std::io::ErrorKind::Other));
    assert_eq!(store.get(b"a").await, Ok(None));
    assert_eq!(store.get(b"a").await, Err(StoreError::Io(std::io::ErrorKind::Other)));
    assert_eq!(store.get(b"a").await, Ok(None));

    store.fail(Call::OrdinaryCommit, 0, u64::MAX, StoreError::Full);
    assert_eq!(store.commit(putting("a", 1)).await, Err(StoreError::Full));
    assert_eq!(store.commit_urgent(putting("a", 1)).await, Ok(Committed::Durable(1)));
    store.heal();
    assert_eq!(store.commit(putting("a", 1)).await, Ok(Committed::Durable(2)));

    store.fail(Call::Commit, 0, 1, StoreError::Failed);
    assert_eq!(store.commit(putting("a", 1)).await, Err(StoreError::Failed));
    assert_eq!(store.commit(putting("a", 1)).await, Err(StoreError::Failed));
    assert!(store.failed());
}
