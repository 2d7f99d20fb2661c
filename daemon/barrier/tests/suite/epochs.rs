//! Rotation, re-encryption, and the end of an epoch.
use crate::support::*;
use coffer_barrier::{Barrier, BarrierError, Progress, ROTATE_AFTER_ENCRYPTIONS};
use coffer_store::Store;
use coffer_types::{Kind, Timestamp};
use keystore_format::record::Record;
use std::{collections::BTreeSet, sync::Arc};

async fn epochs_in_store(store: &Arc<dyn Store>) -> BTreeSet<u32> {
    let sealed = dump(store).await.into_iter().filter(|entry| [2, 3].contains(&entry.key[0]));
    sealed.map(|entry| Record::parse(&entry.value).unwrap().header().epoch).collect()
}

async fn finish(barrier: &Arc<Barrier>, limit: usize) -> Progress {
    for _ in 0..10_000 {
        let progress = barrier.reencrypt_step(limit).await.unwrap();
        if progress.done {
            return progress;
        }
    }
    panic!("re-encryption does not end");
}

#[tokio::test]
async fn a_rotation_keeps_old_records_readable_and_seals_new_ones_under_the_new_epoch() {
    let (lab, store, prod) = prod().await;
    put(&prod, "old", "1").await;
    lab.clock.turn(3600);
    assert_eq!(rotate(&prod).await, 2);
    put(&prod, "new", "2").await;
    let status = prod.epoch_status().unwrap();
    assert_eq!((status.number, status.created, status.retired), (2, Timestamp(1_700_003_600_000), vec![1]));
    drop((prod, store));
    let store = lab.store();
    let prod = lab.open(&store, PROD).await.unwrap();
    assert_eq!(get(&prod, "old").await.unwrap().as_deref(), Some("1"));
    assert_eq!(get(&prod, "new").await.unwrap().as_deref(), Some("2"));
    let epochs: Vec<u32> = records(&store, KIND)
        .await
        .iter()
        .map(|entry| Record::parse(&entry.value).unwrap().header().epoch)
        .collect();
    assert!(epochs.contains(&1) && epochs.contains(&2), "{epochs:?}");
}

#[tokio::test]
async fn a_rotation_moves_neither_names_nor_tokens() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "a/b", "1").await;
    let (key, index) = (records(&store, KIND).await[0].key.clone(), prod.token_index(&[3; 32]).unwrap());
    rotate(&prod).await;
    put(&prod, "a/b", "2").await;
    assert_eq!(records(&store, KIND).await[0].key, key);
    assert_eq!(prod.token_index(&[3; 32]).unwrap(), index);
}

#[tokio::test]
async fn an_epoch_counts_from_its_own_start_also_after_a_restart() {
    let (lab, store, prod) = prod().await;
    for _ in 0..50 {
        put(&prod, "a", "x").await;
    }
    let before = prod.epoch_status().unwrap().encryptions;
    assert!(before >= 100, "50 records and 50 heads: {before}");
    rotate(&prod).await;
    assert!(prod.epoch_status().unwrap().encryptions < 5);
    put(&prod, "a", "x").await;
    let after = prod.epoch_status().unwrap().encryptions;
    drop((prod, store));
    let store = lab.store();
    let prod = lab.open(&store, PROD).await.unwrap();
    assert_eq!(prod.epoch_status().unwrap().encryptions, after);
    const { assert!(ROTATE_AFTER_ENCRYPTIONS <= 1 << 32) };
}

#[tokio::test]
async fn a_refused_rotation_is_none() {
    let (_lab, store, prod) = prod().await;
    let before = dump(&store).await;
    let refused = change(&prod, |batch| batch.rotate().and(Err::<(), _>(BarrierError::TooLarge))).await;
    assert!(refused.is_err());
    assert_eq!(dump(&store).await, before);
    assert_eq!(prod.epoch_status().unwrap().number, 1);
    put(&prod, "a", "x").await;
    assert_eq!(epochs_in_store(&store).await, [1].into());
}

#[tokio::test]
async fn two_rotations_in_one_work_are_two_epochs() {
    let (lab, store, prod) = prod().await;
    put(&prod, "a", "x").await;
    change(&prod, |batch| batch.rotate().and_then(|_| batch.rotate())).await.unwrap();
    assert_eq!(prod.epoch_status().unwrap().retired, [1, 2]);
    put(&prod, "b", "x").await;
    let progress = finish(&prod, 10).await;
    assert_eq!((progress.epoch, progress.left), (3, 0));
    drop((prod, store));
    let store = lab.store();
    let prod = lab.open(&store, PROD).await.unwrap();
    assert_eq!(get(&prod, "a").await.unwrap().as_deref(), Some("x"));
    assert_eq!(epochs_in_store(&store).await, [3].into());
}

#[tokio::test]
async fn re_encryption_moves_every_record_and_then_the_old_key_is_gone() {
    let (lab, store, prod) = prod().await;
    for n in 0..100 {
        put(&prod, &format!("d{}/{n}", n % 7), &n.to_string()).await;
    }
    change(&prod, |batch| batch.put_outbox(1, b"a leaf")).await.unwrap();
    rotate(&prod).await;
    assert!(epochs_in_store(&store).await.contains(&1));
    let progress = finish(&prod, 9).await;
    assert_eq!((progress.epoch, progress.damaged, progress.left), (2, 0, 0));
    assert!(progress.moved >= 101);
    assert_eq!(epochs_in_store(&store).await, [2].into());
    assert!(prod.epoch_status().unwrap().retired.is_empty());
    assert_eq!(&**prod.outbox().await.unwrap()[0].1, b"a leaf");
    drop((prod, store));

    let store = lab.store();
    let prod = lab.open(&store, PROD).await.unwrap();
    assert!(prod.epoch_status().unwrap().retired.is_empty());
    for n in 0..100 {
        assert_eq!(get(&prod, &format!("d{}/{n}", n % 7)).await.unwrap(), Some(n.to_string()));
    }
    assert!(prod.reencrypt_step(10).await.unwrap().done);
}

#[tokio::test]
async fn re_encryption_goes_on_where_it_was_killed_after_any_step() {
    let (lab, mut store, mut prod) = prod().await;
    for n in 0..40 {
        put(&prod, &n.to_string(), &n.to_string()).await;
    }
    rotate(&prod).await;
    let mut moved = 0;
    for step in 0.. {
        drop((prod, store));
        store = lab.store();
        prod = lab.open(&store, PROD).await.unwrap();
        for n in 0..40 {
            assert_eq!(get(&prod, &n.to_string()).await.unwrap(), Some(n.to_string()), "step {step}");
        }
        let progress = prod.reencrypt_step(4).await.unwrap();
        assert!(progress.moved >= moved && progress.moved <= 41, "what was moved is not moved again");
        moved = progress.moved;
        if progress.done {
            break;
        }
        assert!(step < 100);
    }
    assert!(moved >= 40);
    assert_eq!(epochs_in_store(&store).await, [2].into());
}

#[tokio::test]
async fn what_is_written_meanwhile_is_not_overwritten_by_re_encryption() {
    let (_lab, store, prod) = prod().await;
    for n in 0..200 {
        put(&prod, &n.to_string(), "old").await;
    }
    rotate(&prod).await;
    let writing = {
        let prod = Arc::clone(&prod);
        tokio::spawn(async move {
            for n in 0..200 {
                put(&prod, &n.to_string(), "new").await;
            }
        })
    };
    finish(&prod, 3).await;
    writing.await.unwrap();
    for n in 0..200 {
        assert_eq!(get(&prod, &n.to_string()).await.unwrap().as_deref(), Some("new"));
    }
    assert_eq!(epochs_in_store(&store).await, [2].into());
}

#[tokio::test]
async fn a_record_rewritten_between_reading_and_resealing_wins() {
    let (lab, store, prod) = prod().await;
    put(&prod, "a", "old").await;
    rotate(&prod).await;
    drop(prod);
    let meddled = Meddled::over(&store);
    let prod = lab.open(&(Arc::clone(&meddled) as Arc<dyn Store>), PROD).await.unwrap();
    let writer = Arc::clone(&prod);
    let again = Arc::clone(&meddled);
    // The step reads its progress first, then the page.
    meddled.meddle(async move { again.meddle(async move { assert_ne!(put(&writer, "a", "new").await, 0) }) });
    prod.reencrypt_step(10).await.unwrap();
    assert_eq!(get(&prod, "a").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn a_reader_whose_record_loses_its_epoch_meanwhile_reads_again() {
    let (lab, store, prod) = prod().await;
    put(&prod, "a", "x").await;
    drop(prod);
    let meddled = Meddled::over(&store);
    let prod = lab.open(&(Arc::clone(&meddled) as Arc<dyn Store>), PROD).await.unwrap();
    let other = Arc::clone(&prod);
    meddled.meddle(async move {
        rotate(&other).await;
        finish(&other, 10).await;
    });
    assert_eq!(get(&prod, "a").await.unwrap().as_deref(), Some("x"));
    assert!(prod.epoch_status().unwrap().retired.is_empty());
}

#[tokio::test]
async fn a_record_that_does_not_open_keeps_its_epoch_and_the_others_move() {
    let (_lab, store, prod) = prod().await;
    for n in 0..20 {
        put(&prod, &n.to_string(), "x").await;
    }
    rotate(&prod).await;
    let sound = records(&store, KIND).await.remove(5);
    let mut altered = sound.value.clone();
    *altered.last_mut().unwrap() ^= 1;
    set(&store, &sound.key, altered).await;
    let progress = finish(&prod, 6).await;
    assert_eq!((progress.damaged, progress.left), (1, 1));
    assert_eq!(prod.epoch_status().unwrap().retired, [1]);
    // The record comes back from a backup, and the next rotation's re-encryption takes it along.
    set(&store, &sound.key, sound.value).await;
    rotate(&prod).await;
    let progress = finish(&prod, 6).await;
    assert_eq!((progress.epoch, progress.damaged, progress.left), (3, 0, 0));
    assert!(prod.epoch_status().unwrap().retired.is_empty());
    assert_eq!(epochs_in_store(&store).await, [3].into());
}

#[tokio::test]
async fn a_lost_progress_record_means_starting_over() {
    let (lab, store, prod) = prod().await;
    for n in 0..20 {
        put(&prod, &n.to_string(), "x").await;
    }
    rotate(&prod).await;
    prod.reencrypt_step(5).await.unwrap();
    let progress = records(&store, Kind::Progress).await.remove(0);
    set(&store, &progress.key, vec![0; 80]).await;
    drop(prod);
    let prod = lab.open(&store, PROD).await.unwrap();
    assert_eq!(finish(&prod, 5).await.left, 0);
    assert_eq!(epochs_in_store(&store).await, [2].into());
}

#[tokio::test]
async fn a_record_put_back_from_a_deleted_epoch_stays_closed() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "a", "x").await;
    let old = records(&store, KIND).await.remove(0);
    rotate(&prod).await;
    finish(&prod, 10).await;
    set(&store, &old.key, old.value).await;
    assert!(matches!(get(&prod, "a").await, Err(BarrierError::Damaged(Kind::KvV1))));
}
