//! Acknowledged means durable.

use futures_util::future::join_all;

use super::{Subject, all, get, put, putting, work};
use crate::Committed;

/// What was acknowledged, alone or in crowds, is there when the store is opened again.
pub async fn acknowledged_is_there_after_reopening(subject: &impl Subject) {
    let mut expected = Vec::new();
    for round in 0..5 {
        let store = subject.open();
        put(&*store, &format!("single/{round}"), "alone").await;
        let keys: Vec<_> = (0..50).map(|index| format!("crowd/{round}/{index:02}")).collect();
        let answers = join_all(keys.iter().map(|key| store.commit(putting(key, key)))).await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Committed::Durable(_)))), "{answers:?}");
        expected.push(format!("single/{round}"));
        expected.extend(keys);
        drop(store);

        let store = subject.open();
        expected.sort();
        let found: Vec<_> =
            all(&*store).await.into_iter().map(|entry| String::from_utf8(entry.key).unwrap()).collect();
        assert_eq!(found, expected);
    }
}

/// Revisions grow by one per batch, over reopening too.
pub async fn the_revision_survives_and_never_goes_back(subject: &impl Subject) {
    let store = subject.open();
    assert_eq!(store.revision(), 0);
    assert_eq!(put(&*store, "a", "1").await, 1);
    assert_eq!(put(&*store, "a", "2").await, 2);
    assert_eq!(store.revision(), 2);
    drop(store);
    let store = subject.open();
    assert_eq!(store.revision(), 2);
    assert_eq!(put(&*store, "a", "3").await, 3);
}

/// A removal is as durable as a write.
pub async fn a_deleted_key_stays_deleted(subject: &impl Subject) {
    let store = subject.open();
    put(&*store, "gone", "soon").await;
    put(&*store, "stays", "here").await;
    store.commit(work(|transaction| transaction.delete(b"gone").map(|there| assert!(there)))).await.unwrap();
    assert_eq!(get(&*store, "gone").await, None);
    drop(store);
    let store = subject.open();
    assert_eq!(get(&*store, "gone").await, None);
    assert_eq!(get(&*store, "stays").await.as_deref(), Some("here"));
}
