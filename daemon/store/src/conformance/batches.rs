//! Works see an exact state, share commits, and leave all or nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;

use super::{Subject, all, get, in_one_batch, put, putting, work};
use crate::{
    Abort, CommitError, Committed, MAX_KEY_BYTES, MAX_WORK_BYTES, Store, StoreError, Transaction, Work,
    commit, commit_urgent,
};

const COUNTER: &[u8] = b"counter";

fn increment(transaction: &mut dyn Transaction) -> Result<u64, StoreError> {
    let before = transaction.get(COUNTER)?.map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()));
    transaction.put(COUNTER.to_vec(), (before + 1).to_be_bytes().to_vec())?;
    Ok(before + 1)
}

/// No increment is lost and no number is given twice.
pub async fn a_counter_under_64_writers_is_exact(subject: &impl Subject) {
    let store = subject.open();
    let writers = (0..64).map(|_| async {
        let mut given = Vec::new();
        for _ in 0..20 {
            given.push(commit::<u64, ()>(&*store, |transaction| Ok(increment(transaction)?)).await.unwrap());
        }
        given
    });
    let mut given: Vec<u64> = join_all(writers).await.concat();
    given.sort_unstable();
    assert_eq!(given, (1..=64 * 20).collect::<Vec<_>>());
    assert!(store.revision() < 64 * 20, "{} commits: they did not share", store.revision());
}

/// Reads inside a work see what earlier works of the batch wrote, and what it wrote itself.
pub async fn a_work_sees_its_own_and_earlier_writes(subject: &impl Subject) {
    let store = subject.open();
    put(&*store, "old", "0").await;
    let first = work(|transaction| {
        assert!(!transaction.put(b"new".to_vec(), b"1".to_vec())?);
        assert!(transaction.put(b"new".to_vec(), b"2".to_vec())?);
        assert!(transaction.delete(b"old")?);
        assert!(!transaction.delete(b"old")?);
        assert_eq!(transaction.get(b"old")?, None);
        Ok(())
    });
    let second = work(|transaction| {
        assert_eq!(transaction.get(b"new")?.as_deref(), Some(b"2".as_slice()));
        assert_eq!(transaction.get(b"old")?, None);
        assert!(!transaction.put(b"old".to_vec(), b"3".to_vec())?);
        Ok(())
    });
    let answers = in_one_batch(&*store, vec![first, second]).await;
    assert_eq!(answers, [Ok(Committed::Durable(2)), Ok(Committed::Durable(2))]);
    assert_eq!(get(&*store, "old").await.as_deref(), Some("3"));
    assert_eq!(get(&*store, "new").await.as_deref(), Some("2"));
}

fn meddling(reached: Arc<AtomicUsize>, end: impl Fn() -> Result<(), Abort> + Send + 'static) -> Work {
    Box::new(move |transaction: &mut dyn Transaction| {
        let meddle = |transaction: &mut dyn Transaction| -> Result<(), StoreError> {
            transaction.put(b"kept".to_vec(), b"overwritten".to_vec())?;
            transaction.put(b"kept".to_vec(), b"twice".to_vec())?;
            transaction.put(b"neighbour".to_vec(), b"overwritten".to_vec())?;
            transaction.put(b"extra".to_vec(), b"should not be".to_vec())?;
            transaction.delete(b"deleted")?;
            Ok(())
        };
        meddle(transaction).map_err(|_| Abort)?;
        let (at_end, after) = (Arc::clone(&reached), Arc::clone(&reached));
        transaction.at_end(
            [1; 16],
            Box::new(move |_| {
                at_end.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }),
        );
        transaction.at_end(
            [2; 16],
            Box::new(|transaction| transaction.put(b"end".to_vec(), b"wrong".to_vec()).map(drop)),
        );
        transaction.after(Box::new(move || {
            after.fetch_add(1, Ordering::SeqCst);
        }));
        end()
    })
}

async fn nothing_is_left_of(
    store: &dyn Store,
    meddler: Work,
    expected: Result<Committed, StoreError>,
    reached: &AtomicUsize,
) {
    put(store, "kept", "before").await;
    put(store, "deleted", "not at all").await;
    let ending = work(|transaction| {
        transaction.put(b"neighbour".to_vec(), b"same batch".to_vec())?;
        transaction.at_end(
            [2; 16],
            Box::new(|transaction| transaction.put(b"end".to_vec(), b"right".to_vec()).map(drop)),
        );
        Ok(())
    });
    let last = putting("last", "same batch too");
    let answers = in_one_batch(store, vec![ending, meddler, last]).await;
    assert_eq!(answers[1], expected);
    assert!(
        matches!(answers[0], Ok(Committed::Durable(_))) && matches!(answers[2], Ok(Committed::Durable(_)))
    );
    assert_eq!(reached.load(Ordering::SeqCst), 0, "neither its end nor its step ran");
    let left: Vec<_> = all(store).await.into_iter().map(|entry| (entry.key, entry.value)).collect();
    let expected = [
        ("deleted", "not at all"),
        ("end", "right"),
        ("kept", "before"),
        ("last", "same batch too"),
        ("neighbour", "same batch"),
    ];
    assert_eq!(left, expected.map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())));
}

/// Its writes, removals, ends and steps are gone, and what they had replaced in the batch stands again.
pub async fn an_aborted_work_leaves_nothing(subject: &impl Subject) {
    let store = subject.open();
    let reached = Arc::new(AtomicUsize::new(0));
    let aborting = meddling(Arc::clone(&reached), || Err(Abort));
    nothing_is_left_of(&*store, aborting, Ok(Committed::Aborted), &reached).await;
}

/// As an abort; the committer lives on.
pub async fn a_panicking_work_leaves_nothing_and_the_next_goes_on(subject: &impl Subject) {
    let store = subject.open();
    let reached = Arc::new(AtomicUsize::new(0));
    let panicking = meddling(Arc::clone(&reached), || panic!("this panic is part of the test"));
    nothing_is_left_of(&*store, panicking, Err(StoreError::Panicked), &reached).await;
    put(&*store, "afterwards", "fine").await;
    assert!(!store.failed());
}

/// 100 works that wait together cost one revision.
pub async fn waiting_works_share_one_durable_commit(subject: &impl Subject) {
    let store = subject.open();
    let works = (0..100).map(|index| putting(&format!("{index:03}"), "x")).collect();
    let answers = in_one_batch(&*store, works).await;
    assert_eq!(answers, vec![Ok(Committed::Durable(1)); 100]);
    assert_eq!(store.revision(), 1);
    assert_eq!(all(&*store).await.len(), 100);
}

/// As heads are written: once, from the last word, seeing all works of the batch, in the order of the ids' first coming.
pub async fn an_end_runs_once_per_batch_and_the_last_one_stands(subject: &impl Subject) {
    let store = subject.open();
    let order = Arc::new(Mutex::new(Vec::new()));
    let works = (0..10u8)
        .map(|index| {
            let order = Arc::clone(&order);
            work(move |transaction| {
                increment(transaction)?;
                for id in [7, 3] {
                    let order = Arc::clone(&order);
                    transaction.at_end(
                        [id; 16],
                        Box::new(move |transaction| {
                            order.lock().unwrap().push((id, index));
                            let seen = transaction.get(COUNTER)?.unwrap();
                            transaction.put(vec![b'h', id], seen).map(drop)
                        }),
                    );
                }
                Ok(())
            })
        })
        .collect();
    in_one_batch(&*store, works).await;
    assert_eq!(*order.lock().unwrap(), [(7, 9), (3, 9)]);
    assert_eq!(store.get(&[b'h', 3]).await.unwrap().unwrap(), 10u64.to_be_bytes());
    assert_eq!(store.revision(), 1, "the ends' writes are in the batch's own commit");
}

/// One caller's bad end doesn't take the others of its batch down.
pub async fn an_end_that_errs_refuses_only_its_own_work(subject: &impl Subject) {
    let store = subject.open();
    let bad = work(|transaction| {
        transaction.put(b"bad".to_vec(), b"x".to_vec())?;
        transaction.at_end([9; 16], Box::new(|_| Err(StoreError::TooLarge)));
        Ok(())
    });
    let answers = in_one_batch(&*store, vec![putting("a", "1"), bad, putting("b", "2")]).await;
    assert!(matches!(answers[0], Ok(Committed::Durable(_))), "{answers:?}");
    assert_eq!(answers[1], Err(StoreError::TooLarge));
    assert!(matches!(answers[2], Ok(Committed::Durable(_))), "{answers:?}");
    assert_eq!(get(&*store, "bad").await, None);
    assert_eq!(get(&*store, "b").await.as_deref(), Some("2"));
}

/// In commit order, with the commit visible, and before any of the batch's callers goes on.
pub async fn steps_after_the_commit_run_in_order_before_the_answers(subject: &impl Subject) {
    let store = subject.open();
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls = (0..100usize).map(|index| {
        let (store, steps, order) = (Arc::clone(&store), Arc::clone(&order), Arc::clone(&order));
        async move {
            let seen = Arc::downgrade(&store);
            let run = work(move |transaction| {
                transaction.put(format!("{index:03}").into_bytes(), b"x".to_vec())?;
                let (steps, seen) = (Arc::clone(&steps), seen.clone());
                let expected = seen.upgrade().map_or(0, |store| store.revision()) + 1;
                transaction.after(Box::new(move || {
                    assert!(seen.upgrade().is_none_or(|store| store.revision() == expected));
                    steps.lock().unwrap().push(index);
                }));
                Ok(())
            });
            store.commit(run).await.unwrap();
            assert!(order.lock().unwrap().contains(&index), "answered before its step ran");
        }
    });
    join_all(calls).await;
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

/// Who is refused because of another's write in the same batch hears so only when that write is durable.
pub async fn an_aborted_answer_waits_for_what_it_saw(subject: &impl Subject) {
    let store = subject.open();
    let only_if_absent = work(|transaction| match transaction.get(b"name")? {
        Some(_) => Err(StoreError::Closed),
        None => transaction.put(b"name".to_vec(), b"second".to_vec()).map(drop),
    });
    // The first taker's batch is refused by its end, so that the second finds the name free after all.
    let refused = work(|transaction| {
        transaction.put(b"name".to_vec(), b"first".to_vec())?;
        transaction.at_end([5; 16], Box::new(|_| Err(StoreError::TooLarge)));
        Ok(())
    });
    let answers = in_one_batch(&*store, vec![refused, only_if_absent]).await;
    assert_eq!(answers[0], Err(StoreError::TooLarge));
    assert!(matches!(answers[1], Ok(Committed::Durable(_))), "{answers:?}");
    assert_eq!(get(&*store, "name").await.as_deref(), Some("second"));
}

/// The helper answers the last run's value, and a refusal's reason.
pub async fn typed_commits_carry_values_and_reasons(subject: &impl Subject) {
    let store = subject.open();
    let value: Result<u64, CommitError<&str>> =
        commit(&*store, |transaction| Ok(increment(transaction)?)).await;
    assert_eq!(value, Ok(1));
    let reason: Result<(), _> = commit(&*store, |transaction| {
        increment(transaction)?;
        Err(CommitError::Refused("not today"))
    })
    .await;
    assert_eq!(reason, Err(CommitError::Refused("not today")));
    let value: Result<u64, CommitError<&str>> =
        commit_urgent(&*store, |transaction| Ok(increment(transaction)?)).await;
    assert_eq!(value, Ok(2), "the refused one left nothing");
    let reason: Result<(), CommitError<&str>> =
        commit(&*store, |transaction| Ok(transaction.put(Vec::new(), Vec::new()).map(drop)?)).await;
    assert_eq!(reason, Err(CommitError::Store(StoreError::TooLarge)));
}

/// Bounds are told to the work, which decides.
pub async fn keys_and_changes_out_of_bounds_are_refused(subject: &impl Subject) {
    let store = subject.open();
    let refused = work(|transaction| {
        assert_eq!(transaction.put(Vec::new(), Vec::new()), Err(StoreError::TooLarge));
        assert_eq!(transaction.put(vec![1; MAX_KEY_BYTES + 1], Vec::new()), Err(StoreError::TooLarge));
        assert_eq!(transaction.put(vec![1], vec![0; MAX_WORK_BYTES]), Err(StoreError::TooLarge));
        Err(StoreError::TooLarge)
    });
    assert_eq!(store.commit(refused).await, Ok(Committed::Aborted));
    let longest = work(|transaction| transaction.put(vec![1; MAX_KEY_BYTES], b"fits".to_vec()).map(drop));
    assert_eq!(store.commit(longest).await, Ok(Committed::Durable(1)));
    assert_eq!(store.get(&[1; MAX_KEY_BYTES]).await.unwrap().unwrap(), b"fits");
}

/// Reading on the committer is allowed and free.
pub async fn a_work_without_changes_costs_no_revision(subject: &impl Subject) {
    let store = subject.open();
    put(&*store, "a", "1").await;
    let reading = work(|transaction| transaction.get(b"a").map(drop));
    assert_eq!(store.commit(reading).await, Ok(Committed::Durable(1)));
    assert_eq!(store.revision(), 1);
}
