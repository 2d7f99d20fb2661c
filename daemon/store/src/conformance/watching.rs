//! Watchers hear of every commit, or that they missed some.

use super::{Subject, put, work};
use crate::{Change, WatchError};

/// In commit order, within a commit in key order, only of its prefix, deletions told apart.
pub async fn a_watcher_gets_every_change_of_its_prefix(subject: &impl Subject) {
    let store = subject.open();
    put(&*store, "w/before", "x").await;
    let mut watch = store.watch(b"w/", 0);
    let mut exact = store.watch(b"w/", 3);
    let mixed = work(|transaction| {
        transaction.put(b"w/2".to_vec(), b"x".to_vec())?;
        transaction.put(b"other".to_vec(), b"x".to_vec())?;
        transaction.put(b"w/1".to_vec(), b"x".to_vec())?;
        Ok(())
    });
    store.commit(mixed).await.unwrap();
    store.commit(work(|transaction| transaction.delete(b"w/2").map(drop))).await.unwrap();
    let change =
        |revision, key: &str, deleted| Ok(Change { revision, key: key.as_bytes().to_vec(), deleted });
    assert_eq!(watch.next().await, change(2, "w/1", false));
    assert_eq!(watch.next().await, change(2, "w/2", false));
    assert_eq!(watch.next().await, change(3, "w/2", true));
    assert_eq!(exact.next().await, change(3, "w/2", true));
}

/// The channel is bounded: first what fitted, then the lag by name, then what comes after it.
pub async fn a_slow_watcher_is_told_that_it_lagged(subject: &impl Subject) {
    let store = subject.open();
    let mut watch = store.watch(b"", 0);
    for _ in 0..3 {
        let many = work(|transaction| {
            (0..1000u32).try_for_each(|n| transaction.put(n.to_be_bytes().to_vec(), vec![]).map(drop))
        });
        store.commit(many).await.unwrap();
    }
    let mut got = 0;
    let lag = loop {
        match watch.next().await {
            Ok(change) => {
                assert!(change.revision <= 2);
                got += 1;
            }
            Err(lag) => break lag,
        }
    };
    assert!((1000..2000).contains(&got), "{got}");
    assert_eq!(lag, WatchError::Lagged { resumes_at: 4 });
    put(&*store, "next", "x").await;
    assert_eq!(watch.next().await.map(|change| change.revision), Ok(4));
}

/// The embedded stores keep no history, and say so.
pub async fn a_watch_from_the_past_is_told_that_it_lagged(subject: &impl Subject) {
    let store = subject.open();
    put(&*store, "a", "1").await;
    put(&*store, "a", "2").await;
    let mut watch = store.watch(b"", 2);
    put(&*store, "a", "3").await;
    assert_eq!(watch.next().await, Err(WatchError::Lagged { resumes_at: 4 }));
    let mut next = store.watch(b"", 4);
    put(&*store, "a", "4").await;
    assert_eq!(next.next().await.map(|change| change.revision), Ok(4));
    assert_eq!(watch.next().await.map(|change| change.revision), Ok(4));
}

/// Nobody waits for a store that is gone.
pub async fn a_watch_ends_with_the_store(subject: &impl Subject) {
    let store = subject.open();
    let mut watch = store.watch(b"", 0);
    put(&*store, "a", "1").await;
    drop(store);
    assert!(watch.next().await.is_ok(), "what was told before is still there");
    assert_eq!(watch.next().await, Err(WatchError::Closed));
}
