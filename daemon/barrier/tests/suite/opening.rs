//! Creating, opening, closing; and what is found when the store was changed in between.
use crate::support::*;
use coffer_barrier::{
    Barrier, BarrierError, erase_environment, put_store_id, read_seal_record, read_store_id,
};
use coffer_secmem::Key32;
use coffer_store::{Entry, Store};
use coffer_types::{EnvironmentId, Kind, StoreId, WrapId};
use keystore_format::{
    keyring::EscrowedKek,
    tables::{MetaItem, Slot, meta_key},
};
use std::sync::Arc;
use zeroize::Zeroizing;

fn meta(item: MetaItem, slot: Slot) -> Vec<u8> {
    meta_key(EnvironmentId([PROD; 16]), item, slot)
}

async fn flip(store: &Arc<dyn Store>, key: &[u8]) {
    let mut value = store.get(key).await.unwrap().unwrap();
    let middle = value.len() / 2;
    value[middle] ^= 1;
    set(store, key, value).await;
}

async fn put_back(store: &Arc<dyn Store>, entries: &[Entry], of: MetaItem) {
    for entry in entries.iter().filter(|entry| entry.key[0] == 1 && entry.key[17] == of as u8) {
        set(store, &entry.key, entry.value.clone()).await;
    }
}

#[tokio::test]
async fn an_environment_opens_again_with_what_it_held() {
    let (lab, store, prod) = prod().await;
    put(&prod, "a", "kept").await;
    prod.note_audit(12, [9; 32]);
    put(&prod, "b", "kept").await;
    let told = (prod.incarnation(), prod.record_count(), prod.generation(), prod.epoch_status().unwrap());
    let derived = (prod.token_index(&[1; 32]).unwrap(), prod.actor_pseudonym(5, b"someone").unwrap());
    let seeds = |barrier: &Barrier| {
        let seed = barrier.log_signing_seed(&barrier.incarnation()).unwrap();
        (*seed.expose(), *barrier.child_kek(EnvironmentId([DEV; 16])).unwrap().expose())
    };
    let secret = seeds(&prod);
    drop((prod, store));

    let store = lab.store();
    let prod = lab.open(&store, PROD).await.unwrap();
    assert_eq!(get(&prod, "a").await.unwrap().as_deref(), Some("kept"));
    assert_eq!(
        (prod.incarnation(), prod.record_count(), prod.generation(), prod.epoch_status().unwrap()),
        told
    );
    assert_eq!(prod.promised_audit(), (12, [9; 32]));
    assert_eq!((prod.token_index(&[1; 32]).unwrap(), prod.actor_pseudonym(5, b"someone").unwrap()), derived);
    assert_eq!(seeds(&prod), secret);
    let incarnation = change(&prod, |batch| batch.begin_incarnation()).await.unwrap();
    assert_eq!(prod.incarnation(), incarnation);
    assert_ne!(incarnation, told.0);
    assert_ne!(seeds(&prod).0, secret.0);
}

#[tokio::test]
async fn what_is_not_there_and_what_another_key_sealed_stay_closed() {
    let (lab, store, _prod) = prod().await;
    assert!(matches!(lab.open(&store, DEV).await, Err(BarrierError::Absent)));
    let foreign = Barrier::open(lab.place(&store, PROD), root(DEV)).await;
    assert!(matches!(foreign, Err(BarrierError::Damaged(Kind::Keyring))));
    let mut place = lab.place(&store, PROD);
    place.context.store = StoreId([8; 16]);
    assert!(Barrier::open(place, root(PROD)).await.is_err());
}

#[tokio::test]
async fn nothing_opens_after_close_though_the_barrier_is_still_held() {
    let (lab, store, prod) = prod().await;
    put(&prod, "a", "x").await;
    let view = prod.view(KV);
    let before = dump(&store).await;
    prod.close();
    assert!(!prod.is_open());
    assert!(matches!(view.get(KIND, &path("a"), None).await, Err(BarrierError::Sealed)));
    assert!(matches!(view.list(KIND, &path("")).await, Err(BarrierError::Sealed)));
    assert!(matches!(view.scan(KIND, &path(""), None, 1).await, Err(BarrierError::Sealed)));
    assert!(matches!(change(&prod, |_| Ok(())).await, Err(BarrierError::Sealed)));
    assert!(matches!(prod.token_index(&[0; 32]), Err(BarrierError::Sealed)));
    assert!(matches!(prod.epoch_status(), Err(BarrierError::Sealed)));
    assert!(matches!(prod.child_kek(EnvironmentId::default()), Err(BarrierError::Sealed)));
    assert!(matches!(prod.log_signing_seed(&[0; 16]), Err(BarrierError::Sealed)));
    assert!(matches!(prod.commitment_key(|_| ()), Err(BarrierError::Sealed)));
    assert!(matches!(prod.reencrypt_step(1).await, Err(BarrierError::Sealed)));
    assert_eq!(dump(&store).await, before);
    let again = lab.open(&store, PROD).await.unwrap();
    assert_eq!(get(&again, "a").await.unwrap().as_deref(), Some("x"));
}

#[tokio::test]
async fn a_batch_under_which_the_environment_is_closed_is_not_written() {
    let (_lab, store, prod) = prod().await;
    let before = dump(&store).await;
    let closing = Arc::clone(&prod);
    let refused = change(&prod, move |batch| {
        batch.mount(KV).put(KIND, &path("a"), None, b"x")?;
        closing.close();
        Ok(())
    })
    .await;
    assert!(matches!(refused, Err(BarrierError::Sealed)));
    assert_eq!(dump(&store).await, before);
}

#[tokio::test]
async fn one_damaged_copy_of_keyring_or_head_or_seal_record_costs_nothing() {
    for item in [MetaItem::Keyring, MetaItem::Head, MetaItem::SealRecord] {
        for slot in [Slot::A, Slot::B] {
            let (lab, store, prod) = prod().await;
            put(&prod, "a", "x").await;
            change(&prod, |batch| batch.rotate()).await.unwrap();
            let last = put(&prod, "b", "x").await;
            drop(prod);
            flip(&store, &meta(item, slot)).await;
            let prod = lab.open(&store, PROD).await.unwrap();
            assert_eq!(get(&prod, "a").await.unwrap().as_deref(), Some("x"), "{item:?} {slot:?}");
            assert_eq!(get(&prod, "b").await.unwrap().as_deref(), Some("x"), "{item:?} {slot:?}");
            assert!(put(&prod, "c", "x").await > last, "{item:?} {slot:?}");
        }
    }
}

#[tokio::test]
async fn two_damaged_copies_keep_the_environment_closed() {
    for (item, expected) in [
        (MetaItem::Keyring, "Damaged(Keyring)"),
        (MetaItem::Head, "Damaged(Head)"),
        (MetaItem::SealRecord, "BadSealRecord"),
    ] {
        let (lab, store, prod) = prod().await;
        put(&prod, "a", "x").await;
        for slot in [Slot::A, Slot::B] {
            flip(&store, &meta(item, slot)).await;
        }
        let refused = lab.open(&store, PROD).await.map(drop).unwrap_err();
        assert_eq!(format!("{refused:?}"), expected);
    }
}

#[tokio::test]
async fn a_keyring_head_or_seal_record_from_yesterday_is_recognised() {
    for (item, rotates, expected) in [
        (MetaItem::Keyring, true, "keyring"),
        (MetaItem::Head, true, "head"),
        (MetaItem::Head, false, "head"),
        (MetaItem::SealRecord, false, "seal record"),
    ] {
        let (lab, store, prod) = prod().await;
        put(&prod, "a", "x").await;
        let yesterday = dump(&store).await;
        change(&prod, move |batch| {
            if rotates { batch.rotate().map(drop) } else { batch.put_seal_record(&seal_record(PROD, 2)) }
        })
        .await
        .unwrap();
        put(&prod, "a", "y").await;
        drop(prod);
        put_back(&store, &yesterday, item).await;
        match lab.open(&store, PROD).await {
            Err(BarrierError::Stale(what)) => assert_eq!(what, expected),
            other => panic!("{item:?}: {:?}", other.map(drop)),
        }
    }
}

#[tokio::test]
async fn creating_is_all_or_nothing_and_can_be_run_again() {
    let lab = Lab::new();
    let store = lab.store();
    let parent = lab.create(&store, PROD).await;
    for refuse in [true, false] {
        let created = Barrier::create(lab.place(&store, DEV), root(DEV), Vec::new()).unwrap();
        let child = Arc::clone(&created.barrier);
        let done = change(&parent, move |batch| {
            created.write(batch.transaction(), &seal_record(DEV, 1))?;
            batch.within(&created.barrier).mount(KV).put(KIND, &path("first"), None, b"x")?;
            if refuse { Err(BarrierError::TooLarge) } else { Ok(()) }
        })
        .await;
        assert_eq!(done.is_ok(), !refuse);
        assert_eq!(lab.open(&store, DEV).await.is_ok(), !refuse);
        assert_eq!(get(&child, "first").await.unwrap().is_some(), !refuse);
    }
}

#[tokio::test]
async fn a_seal_record_must_be_this_environments_and_the_next() {
    let (lab, store, prod) = prod().await;
    let (mut foreign_root, foreign) = (seal_record(PROD, 2), seal_record(DEV, 2));
    foreign_root.root_id = [0; 32];
    for wrong in [foreign_root, foreign, seal_record(PROD, 1), seal_record(PROD, 3)] {
        let refused = change(&prod, move |batch| batch.put_seal_record(&wrong)).await;
        assert!(matches!(refused, Err(BarrierError::BadSealRecord)));
    }
    change(&prod, |batch| batch.put_seal_record(&seal_record(PROD, 2))).await.unwrap();
    assert_eq!(prod.seal_generation(), 2);
    let copies = read_seal_record(&*store, EnvironmentId([PROD; 16])).await.unwrap();
    assert_eq!(copies, [seal_record(PROD, 2).encode(root(PROD).expose()).unwrap()]);
    assert!(read_seal_record(&*store, EnvironmentId([DEV; 16])).await.unwrap().is_empty());
    assert!(lab.open(&store, PROD).await.is_ok());
}

#[tokio::test]
async fn escrow_comes_back_with_the_keyring() {
    let lab = Lab::new();
    let store = lab.store();
    let escrow = vec![EscrowedKek { wrap: WrapId([1; 16]), kek: Zeroizing::new([2; 32]) }];
    let created = Barrier::create(lab.place(&store, PROD), root(PROD), escrow).unwrap();
    raw(&store, move |transaction| created.write(transaction, &seal_record(PROD, 1)).unwrap()).await;
    let sealed = store.get(&meta(MetaItem::Keyring, Slot::B)).await.unwrap().unwrap();
    let keyring =
        keystore_format::keyring::open_keyring(root(PROD).expose(), &context(PROD), Slot::B, &sealed)
            .unwrap();
    assert_eq!(keyring.escrow.len(), 1);
    assert!(lab.open(&store, PROD).await.is_ok());
}

#[tokio::test]
async fn a_store_is_named_once() {
    let lab = Lab::new();
    let store = lab.store();
    assert!(read_store_id(&*store).await.unwrap().is_none());
    raw(&store, |transaction| put_store_id(transaction, STORE).unwrap()).await;
    raw(&store, |transaction| put_store_id(transaction, STORE).unwrap()).await;
    raw(&store, |transaction| assert!(put_store_id(transaction, StoreId([8; 16])).is_err())).await;
    assert_eq!(read_store_id(&*store).await.unwrap(), Some(STORE));
}

#[tokio::test]
async fn an_erased_environment_leaves_nothing_and_the_others_whole() {
    let (lab, store, prod) = prod().await;
    let dev = lab.create(&store, DEV).await;
    for n in 0..50 {
        put(&dev, &n.to_string(), "x").await;
    }
    put(&prod, "a", "x").await;
    change(&dev, |batch| batch.put_outbox(1, b"leaf")).await.unwrap();
    dev.close();
    let erased = Arc::new(std::sync::Mutex::new(Vec::new()));
    let of = EnvironmentId([DEV; 16]);
    while erased.lock().unwrap().last() != Some(&0) {
        let erased = Arc::clone(&erased);
        raw(&store, move |transaction| {
            erased.lock().unwrap().push(erase_environment(transaction, of, 20).unwrap())
        })
        .await;
    }
    // Two keyrings, two seal records, two heads, 50 records, one leaf, and the nodes of an index of two levels.
    let erased = erased.lock().unwrap().iter().sum::<usize>();
    assert!((57 + 2..=57 + 17).contains(&erased), "{erased}");
    assert!(dump(&store).await.iter().all(|entry| entry.key[1..17] != [DEV; 16]));
    assert!(matches!(lab.open(&store, DEV).await, Err(BarrierError::Absent)));
    assert_eq!(get(&prod, "a").await.unwrap().as_deref(), Some("x"));
}

#[tokio::test]
async fn close_frees_and_clears_a_keys_place_in_secret_memory_though_the_barrier_is_still_held() {
    // Another test's thread may be given the place first, so there are a few attempts.
    for _ in 0..50 {
        let (_lab, _store, prod) = prod().await;
        let (place, key) = prod.commitment_key(|key| (key.as_ptr() as usize, *key)).unwrap();
        assert_ne!(key, [0; 32]);
        prod.close();
        let mut found = None;
        let mut others = Vec::new();
        while found.is_none() && others.len() < 200 {
            others.push(Key32::derive(|bytes| {
                if bytes.as_ptr() as usize == place {
                    found = Some(*bytes);
                }
            }));
        }
        if let Some(found) = found {
            assert_eq!(found, [0; 32]);
            return;
        }
    }
    panic!("the key's place was never free again");
}
