//! Ranges are in key order, whatever is written meanwhile.

use std::collections::BTreeMap;
use std::ops::Bound;

use futures_util::future::join;

use super::{Subject, put, work};
use crate::{Committed, Entry, Store, Transaction};

/// Random puts, deletes and ranges inside works agree with a plain map, batch after batch.
pub async fn a_transaction_reads_like_a_map(subject: &impl Subject) {
    let store = subject.open();
    let mut dice = 7u64;
    let mut roll = move |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for _ in 0..60 {
        let steps: Vec<_> =
            (0..40).map(|_| (roll(3), key(roll(60)), roll(1000), roll(12) as usize)).collect();
        let (before, plan) = (model.clone(), steps.clone());
        let run = work(move |transaction| {
            let mut model = before.clone();
            for (what, key, number, limit) in &plan {
                match what {
                    0 => {
                        let value = number.to_string().into_bytes();
                        assert_eq!(
                            transaction.put(key.clone(), value.clone())?,
                            model.insert(key.clone(), value).is_some()
                        );
                    }
                    1 => assert_eq!(transaction.delete(key)?, model.remove(key).is_some()),
                    _ => {
                        let prefix = &key[..(*number as usize % (key.len() + 1))];
                        let after = (number % 2 == 0).then_some(key.as_slice());
                        assert_eq!(
                            transaction.range(prefix, after, *limit)?,
                            expected(&model, prefix, after, *limit)
                        );
                        assert_eq!(transaction.get(key)?, model.get(key).cloned());
                    }
                }
            }
            Ok(())
        });
        assert!(matches!(store.commit(run).await, Ok(Committed::Durable(_))));
        for (what, key, number, _) in steps {
            match what {
                0 => drop(model.insert(key, number.to_string().into_bytes())),
                1 => drop(model.remove(&key)),
                _ => {}
            }
        }
        assert_eq!(
            store.range(b"", None, usize::MAX).await.unwrap(),
            expected(&model, b"", None, usize::MAX)
        );
        assert_eq!(
            store.range(b"k/1", Some(b"k/12"), 5).await.unwrap(),
            expected(&model, b"k/1", Some(b"k/12"), 5)
        );
    }
}

fn key(number: u64) -> Vec<u8> {
    format!("k/{}/{}", number % 3, number).into_bytes()
}

fn expected(
    model: &BTreeMap<Vec<u8>, Vec<u8>>,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Vec<Entry> {
    let lower = after.map_or(Bound::Unbounded, Bound::Excluded);
    let entries =
        model.range::<[u8], _>((lower, Bound::Unbounded)).filter(|(key, _)| key.starts_with(prefix));
    entries.take(limit).map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect()
}

/// A reader pages through 500 keys that stay, while a writer adds and removes keys between them.
pub async fn pages_come_in_order_while_writes_go_on(subject: &impl Subject) {
    let store = subject.open();
    let seed = work(|transaction| (0..500).try_for_each(|n| put_at(transaction, n, "stays")));
    store.commit(seed).await.unwrap();
    let writer = async {
        for round in 0..60u32 {
            let run = work(move |transaction| {
                for n in 0..100 {
                    let key = format!("page/{:04}+", (n * 37 + round * 11) % 500).into_bytes();
                    if n % 2 == 0 {
                        transaction.put(key, b"comes".to_vec())?
                    } else {
                        transaction.delete(&key)?
                    };
                }
                Ok(())
            });
            store.commit(run).await.unwrap();
        }
    };
    let reader = async {
        let mut walks = 0;
        while store.revision() < 50 || walks < 3 {
            let seen = walk(&*store).await;
            assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
            assert_eq!(
                seen.iter().filter(|key| !key.ends_with(b"+")).count(),
                500,
                "what stays is always seen"
            );
            walks += 1;
            tokio::task::yield_now().await;
        }
        walks
    };
    let ((), walks) = join(writer, reader).await;
    assert!(walks >= 3);
}

fn put_at(transaction: &mut dyn Transaction, n: u32, value: &str) -> Result<(), crate::StoreError> {
    transaction.put(format!("page/{n:04}").into_bytes(), value.as_bytes().to_vec()).map(drop)
}

async fn walk(store: &dyn Store) -> Vec<Vec<u8>> {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    loop {
        let page = store.range(b"page/", seen.last().map(Vec::as_slice), 37).await.unwrap();
        let is_last = page.len() < 37;
        seen.extend(page.into_iter().map(|entry| entry.key));
        if is_last {
            return seen;
        }
        // Lets the writer in between two pages.
        tokio::task::yield_now().await;
    }
}

/// Neighbours of a prefix, and bounds outside it.
pub async fn prefixes_end_where_they_should(subject: &impl Subject) {
    let store = subject.open();
    for key in ["a", "a/", "a/1", "a/2", "a0", "b"] {
        put(&*store, key, key).await;
    }
    store.commit(work(|transaction| transaction.put(vec![0xff; 3], vec![]).map(drop))).await.unwrap();
    for (prefix, after, limit, expected) in [
        ("a/", None, 9, vec!["a/", "a/1", "a/2"]),
        ("a/", None, 2, vec!["a/", "a/1"]),
        ("a/", None, 0, vec![]),
        ("a/", Some("a/1"), 9, vec!["a/2"]),
        ("a/", Some("a/2"), 9, vec![]),
        ("a/", Some("a"), 9, vec!["a/", "a/1", "a/2"]),
        ("a/", Some("b"), 9, vec![]),
        ("c", None, 9, vec![]),
        ("b", None, 9, vec!["b"]),
    ] {
        let found = store.range(prefix.as_bytes(), after.map(str::as_bytes), limit).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|entry| String::from_utf8(entry.key).unwrap()).collect();
        assert_eq!(found, expected, "{prefix:?} after {after:?}");
    }
    assert_eq!(store.range(&[0xff], None, 9).await.unwrap().len(), 1);
}

/// What is written after a snapshot was taken is not in it, and what is deleted still is.
pub async fn a_snapshot_stays_as_it_was_taken(subject: &impl Subject) {
    let store = subject.open();
    put(&*store, "a", "1").await;
    put(&*store, "b", "1").await;
    let taken = store.snapshot().unwrap();
    put(&*store, "a", "2").await;
    put(&*store, "c", "1").await;
    let gone = work(|transaction| transaction.delete(b"b").map(drop));
    assert!(matches!(store.commit(gone).await, Ok(Committed::Durable(_))));
    let entry = |key: &str| Entry { key: key.into(), value: b"1".to_vec() };
    assert_eq!(taken.range(b"", None, 1).unwrap(), [entry("a")]);
    assert_eq!(taken.range(b"", Some(b"a"), 9).unwrap(), [entry("b")]);
}
