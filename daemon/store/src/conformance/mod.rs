//! What every store must do, as functions over any store. [`store_conformance`](crate::store_conformance) mounts them as
//! tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod batches;
pub mod durability;
pub mod ranges;
pub mod watching;

use std::sync::Arc;
use std::sync::mpsc;

use futures_util::future::join_all;

use crate::{Abort, Committed, Entry, Store, StoreError, Transaction, Work};

/// A kind of store under test.
pub trait Subject {
    /// Opens what the last store left, which was dropped before; the first time, an empty store. A subject that can lose
    /// power does so in between.
    fn open(&self) -> Arc<dyn Store>;
}

/// Mounts the suite: `store_conformance!(name, || make_a_subject());` gives a module `name` of tests.
#[macro_export]
macro_rules! store_conformance {
    ($name:ident, $make:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::store_conformance!(@tests $make;
                durability: acknowledged_is_there_after_reopening;
                durability: the_revision_survives_and_never_goes_back;
                durability: a_deleted_key_stays_deleted;
                batches: a_counter_under_64_writers_is_exact;
                batches: a_work_sees_its_own_and_earlier_writes;
                batches: an_aborted_work_leaves_nothing;
                batches: a_panicking_work_leaves_nothing_and_the_next_goes_on;
                batches: waiting_works_share_one_durable_commit;
                batches: an_end_runs_once_per_batch_and_the_last_one_stands;
                batches: an_end_that_errs_refuses_only_its_own_work;
                batches: steps_after_the_commit_run_in_order_before_the_answers;
                batches: an_aborted_answer_waits_for_what_it_saw;
                batches: typed_commits_carry_values_and_reasons;
                batches: keys_and_changes_out_of_bounds_are_refused;
                batches: a_work_without_changes_costs_no_revision;
                ranges: a_transaction_reads_like_a_map;
                ranges: pages_come_in_order_while_writes_go_on;
                ranges: prefixes_end_where_they_should;
                ranges: a_snapshot_stays_as_it_was_taken;
                watching: a_watcher_gets_every_change_of_its_prefix;
                watching: a_slow_watcher_is_told_that_it_lagged;
                watching: a_watch_from_the_past_is_told_that_it_lagged;
                watching: a_watch_ends_with_the_store;
            );
        }
    };
    (@tests $make:expr; $($part:ident: $test:ident;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                let subject = ($make)();
                $crate::conformance::$part::$test(&subject).await;
            }
        )*
    };
}

/// Boxes a closure that may use `?` on store errors as a work; any error aborts it.
fn work(mut run: impl FnMut(&mut dyn Transaction) -> Result<(), StoreError> + Send + 'static) -> Work {
    Box::new(move |transaction: &mut dyn Transaction| run(transaction).map_err(|_| Abort))
}

fn putting(key: &str, value: &str) -> Work {
    let (key, value) = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    work(move |transaction| transaction.put(key.clone(), value.clone()).map(drop))
}

async fn put(store: &dyn Store, key: &str, value: &str) -> u64 {
    match store.commit(putting(key, value)).await {
        Ok(Committed::Durable(revision)) => revision,
        other => panic!("{other:?}"),
    }
}

async fn get(store: &dyn Store, key: &str) -> Option<String> {
    let value = store.get(key.as_bytes()).await.expect("a read");
    value.map(|value| String::from_utf8(value).expect("text"))
}

async fn all(store: &dyn Store) -> Vec<Entry> {
    store.range(b"", None, usize::MAX).await.expect("a read")
}

/// Commits `works` as one batch: a first work holds the committer until all of them wait.
async fn in_one_batch(store: &dyn Store, works: Vec<Work>) -> Vec<Result<Committed, StoreError>> {
    let (open, gate) = mpsc::channel::<()>();
    let mut held = false;
    let holding: Work = Box::new(move |_: &mut dyn Transaction| {
        if !std::mem::replace(&mut held, true) {
            // Ends with an error when the sender is dropped, which opens the gate as well.
            let _ = gate.recv();
        }
        Ok(())
    });
    let mut calls = vec![store.commit(holding)];
    calls.extend(works.into_iter().map(|work| store.commit(work)));
    // Futures are polled in order, so that the gate opens when every work is in the queue.
    calls.push(Box::pin(async move {
        drop(open);
        Ok(Committed::Aborted)
    }));
    let mut answers = join_all(calls).await;
    answers.pop();
    answers.remove(0).expect("the holding work");
    answers
}
