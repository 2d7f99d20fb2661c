//! Works that share a batch, a transaction or a fate.
use crate::support::*;
use crate::transplants::fsck;
use coffer_barrier::{Barrier, BarrierError};
use coffer_store::{
    MemoryStore, Store, StoreError,
    faulty::{Call, Faulty},
};
use coffer_types::{Kind, Timestamp};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, mpsc},
};

#[derive(Debug)]
enum Refused {
    OnPurpose,
    Barrier(#[allow(dead_code, reason = "shown where a test fails")] BarrierError),
}

impl From<BarrierError> for Refused {
    fn from(error: BarrierError) -> Self {
        Self::Barrier(error)
    }
}

/// Holds the committer until it is let go, so that what is asked for meanwhile shares one batch.
fn hold(barrier: &Arc<Barrier>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (let_go, held) = mpsc::channel();
    let (running, runs) = mpsc::channel();
    let held = Mutex::new(held);
    let barrier = Arc::clone(barrier);
    let task = tokio::spawn(async move {
        let work = move |_: &mut coffer_barrier::Batch<'_>| {
            running.send(()).unwrap();
            held.lock().unwrap().recv().unwrap();
            Ok::<_, BarrierError>(())
        };
        barrier.commit(work).await.unwrap();
    });
    tokio::task::block_in_place(|| runs.recv().unwrap());
    (let_go, task)
}

#[tokio::test]
async fn a_refused_work_leaves_no_trace_and_gives_its_own_reason() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "a", "before").await;
    let (before, count) = (dump(&store).await, prod.record_count());
    let refused = prod
        .commit(|batch| {
            batch.mount(KV).put(KIND, &path("a"), None, b"after")?;
            batch.mount(KV).put(KIND, &path("b"), None, b"new")?;
            Err::<(), _>(Refused::OnPurpose)
        })
        .await;
    assert!(matches!(refused, Err(Refused::OnPurpose)));
    assert_eq!(dump(&store).await, before);
    put(&prod, "c", "x").await;
    assert_eq!(prod.record_count(), count + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn works_of_one_batch_see_each_other_and_write_one_head_without_the_aborted_ones() {
    let (lab, store, prod) = prod().await;
    let generation = prod.generation();
    let (let_go, holding) = hold(&prod);
    let mut tasks = Vec::new();
    for n in 0..50_u64 {
        let prod = Arc::clone(&prod);
        tasks.push(tokio::spawn(async move {
            prod.commit(move |batch| {
                let mut kv = batch.mount(KV);
                let counted = match kv.get(KIND, &path("counter"), None)? {
                    Some(plain) => u64::from_be_bytes(plain.bytes.as_slice().try_into().unwrap()),
                    None => 0,
                };
                kv.put(KIND, &path(&format!("record-{n}")), None, b"x")?;
                kv.put(KIND, &path("counter"), None, &(counted + 1).to_be_bytes())?;
                if n % 5 == 0 { Err(Refused::OnPurpose) } else { Ok(()) }
            })
            .await
            .is_ok()
        }));
    }
    let_go.send(()).unwrap();
    let mut done = 0;
    for task in tasks {
        done += u64::from(task.await.unwrap());
    }
    holding.await.unwrap();
    assert_eq!(done, 40);
    let counter = prod.view(KV).get(KIND, &path("counter"), None).await.unwrap().unwrap();
    assert_eq!(counter.bytes.as_slice(), 40_u64.to_be_bytes());
    assert_eq!(prod.record_count(), 41);
    assert!(prod.generation() < generation + 40, "no batch was shared");
    let revisions: BTreeSet<u64> = records(&store, KIND).await.iter().map(revision).collect();
    assert_eq!(revisions.len(), 41);

    prod.close();
    drop((prod, store));
    let store = lab.store();
    let prod = lab.open(&store, PROD).await.unwrap();
    assert_eq!(prod.record_count(), 41);
    assert!(put(&prod, "later", "x").await > *revisions.last().unwrap());
}

fn revision(entry: &coffer_store::Entry) -> u64 {
    keystore_format::record::Record::parse(&entry.value).unwrap().header().rev
}

#[tokio::test]
async fn no_revision_is_given_twice_over_restarts_and_refusals() {
    let (lab, mut store, mut prod) = prod().await;
    let mut seen = BTreeSet::new();
    for round in 0..5 {
        for n in 0..5 {
            assert!(seen.insert(put(&prod, &format!("{n}"), "x").await), "round {round}");
            let leaf = change(&prod, |batch| Ok(batch.next_revision())).await.unwrap();
            assert!(seen.insert(leaf), "round {round}");
            let _ = prod
                .commit(|batch| {
                    batch.mount(KV).put(KIND, &path("refused"), None, b"x")?;
                    Err::<(), _>(Refused::OnPurpose)
                })
                .await;
        }
        drop((prod, store));
        store = lab.store();
        prod = lab.open(&store, PROD).await.unwrap();
    }
}

#[tokio::test]
async fn two_environments_change_in_one_transaction_or_not_at_all() {
    let (lab, store, prod) = prod().await;
    let dev = lab.create(&store, DEV).await;
    for refuse in [true, false] {
        let other = Arc::clone(&dev);
        let done = prod
            .commit(move |batch| {
                batch.mount(KV).put(KIND, &path("both"), None, b"prod's")?;
                batch.within(&other).mount(KV).put(KIND, &path("both"), None, b"dev's")?;
                batch.within(&other).mount(KV).put(KIND, &path("more"), None, b"dev's")?;
                batch.mount(KV).put(KIND, &path("more"), None, b"prod's")?;
                if refuse { Err(Refused::OnPurpose) } else { Ok(()) }
            })
            .await;
        assert_eq!(done.is_ok(), !refuse);
        for barrier in [&prod, &dev] {
            assert_eq!(get(barrier, "both").await.unwrap().is_some(), !refuse);
        }
    }
    assert_eq!((prod.record_count(), dev.record_count()), (2, 2));
    drop((prod, dev, store));
    let store = lab.store();
    for environment in [PROD, DEV] {
        let barrier = lab.open(&store, environment).await.unwrap();
        assert_eq!(barrier.record_count(), 2);
        assert!(fsck(&barrier).1.is_empty());
    }
}

#[tokio::test]
async fn an_environment_met_again_inside_another_keeps_every_promise() {
    let (lab, store, prod) = prod().await;
    let dev = lab.create(&store, DEV).await;
    let (inner, again) = (Arc::clone(&dev), Arc::clone(&prod));
    change(&prod, move |batch| {
        batch.mount(KV).put(KIND, &path("1"), None, b"")?;
        batch.within(&inner).within(&again).mount(KV).put(KIND, &path("2"), None, b"")?;
        batch.mount(KV).put(KIND, &path("3"), None, b"").map(drop)
    })
    .await
    .unwrap();
    assert_eq!(prod.record_count(), 3);
    assert_eq!((prod.generation(), dev.generation()), (2, 1), "dev was only passed through");
}

#[tokio::test]
async fn a_record_written_at_the_batchs_end_is_counted_with_it() {
    let (_lab, _store, prod) = prod().await;
    let generation = prod.generation();
    let late = Arc::clone(&prod);
    change(&prod, move |batch| {
        let late = Arc::clone(&late);
        batch.mount(KV).put(KIND, &path("now"), None, b"")?;
        batch.transaction().at_end(
            *b"comes after head",
            Box::new(move |transaction| {
                late.batch(transaction).mount(KV).put(KIND, &path("late"), None, b"").unwrap();
                Ok(())
            }),
        );
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!((prod.record_count(), prod.generation()), (2, generation + 1));
    put(&prod, "next", "").await;
    assert_eq!((prod.record_count(), prod.generation()), (3, generation + 2));
    assert!(fsck(&prod).1.is_empty());
}

#[tokio::test]
async fn what_follows_a_commit_runs_when_it_is_durable_and_only_then() {
    let (_lab, _store, prod) = prod().await;
    let ran = Arc::new(Mutex::new(Vec::new()));
    for (name, refuse) in [("one", false), ("refused", true), ("two", false)] {
        let ran = Arc::clone(&ran);
        let _ = prod
            .commit(move |batch| {
                let ran = Arc::clone(&ran);
                batch.mount(KV).after(Box::new(move || ran.lock().unwrap().push(name)));
                if refuse { Err(Refused::OnPurpose) } else { Ok(()) }
            })
            .await;
    }
    assert_eq!(*ran.lock().unwrap(), ["one", "two"]);
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_the_next_commit_goes_on() {
    let lab = Lab::new();
    let faulty = Arc::new(Faulty::over(MemoryStore::new().unwrap()));
    let store = Arc::clone(&faulty) as Arc<dyn Store>;
    let prod = lab.create(&store, PROD).await;
    put(&prod, "a", "1").await;
    let generation = prod.generation();
    faulty.fail(Call::OrdinaryCommit, 0, 1, StoreError::Full);
    let full = change(&prod, |batch| batch.mount(KV).put(KIND, &path("b"), None, b"")).await;
    assert!(matches!(full, Err(BarrierError::Store(StoreError::Full))));
    faulty.fail(Call::OrdinaryCommit, 0, 1, StoreError::Full);
    let urgent = prod.commit_urgent(|batch| batch.mount(KV).delete(KIND, &path("a"), None)).await;
    assert!(urgent.is_ok_and(|was_there: bool| was_there));
    faulty.heal();
    assert_eq!((prod.generation(), prod.record_count()), (generation + 1, 0));
    put(&prod, "b", "2").await;
    assert_eq!((prod.generation(), prod.record_count()), (generation + 2, 1));
    assert!(fsck(&prod).1.is_empty());
}

#[tokio::test]
async fn the_outbox_keeps_leaves_until_they_are_cleared() {
    let (lab, store, prod) = prod().await;
    let mut ids = Vec::new();
    for n in 0..70_u8 {
        let put_leaf = move |batch: &mut coffer_barrier::Batch<'_>| {
            let id = batch.next_revision();
            batch.put_outbox(id, &[n; 40])?;
            Ok(id)
        };
        ids.push(change(&prod, put_leaf).await.unwrap());
    }
    drop((prod, store));
    let store = lab.store();
    let prod = lab.open(&store, PROD).await.unwrap();
    let leaves = prod.outbox().await.unwrap();
    assert_eq!(leaves.iter().map(|leaf| leaf.0).collect::<Vec<_>>(), ids);
    assert!(leaves.iter().zip(0_u8..).all(|((_, leaf), n)| **leaf == [n; 40]));
    let done = ids[..69].to_vec();
    change(&prod, move |batch| batch.clear_outbox(&done)).await.unwrap();
    assert_eq!(prod.outbox().await.unwrap().len(), 1);
    assert_eq!(prod.record_count(), 0);

    let leaf = dump(&store).await.into_iter().find(|entry| entry.key[0] == 3).unwrap();
    let mut altered = leaf.value.clone();
    altered[45] ^= 1;
    set(&store, &leaf.key, altered).await;
    assert!(matches!(prod.outbox().await, Err(BarrierError::Damaged(Kind::Outbox))));
}

#[tokio::test]
async fn a_work_has_one_time() {
    let (lab, _store, prod) = prod().await;
    lab.clock.turn(60);
    let clock = Arc::clone(&lab.clock);
    let times = change(&prod, move |batch| {
        let first = batch.now();
        clock.turn(1);
        Ok((first, batch.mount(KV).now()))
    })
    .await
    .unwrap();
    assert_eq!(times, (Timestamp(1_700_000_060_000), Timestamp(1_700_000_060_000)));
}
