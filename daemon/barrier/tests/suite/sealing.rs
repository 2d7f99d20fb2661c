//! Seal and barrier together: an environment from its initialisation to its holders' return.
use crate::support::*;
use coffer_barrier::{Barrier, BarrierError, read_seal_record};
use coffer_seal::{Inherited, Initialised, Offered, Seal, Threshold, UnsealProgress};
use coffer_secmem::Key32;
use coffer_store::Store;
use coffer_types::EnvironmentId;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Creates an environment sealed by two of three shares; gives them as text.
async fn init(lab: &Lab, store: &Arc<dyn Store>, environment: u8) -> (Arc<Barrier>, Vec<String>) {
    let threshold = Threshold::new(3, 2).unwrap();
    let made = Initialised::new(context(environment), threshold, &*lab.entropy).unwrap();
    let shares = made.shares.iter().map(|share| share.to_text().unwrap().to_string()).collect();
    let created = Barrier::create(lab.place(store, environment), made.root_key, made.escrow).unwrap();
    let barrier = Arc::clone(&created.barrier);
    raw(store, move |transaction| created.write(transaction, &made.seal).unwrap()).await;
    (barrier, shares)
}

async fn found(store: &Arc<dyn Store>, environment: u8) -> Seal {
    let copies = read_seal_record(&**store, EnvironmentId([environment; 16])).await.unwrap();
    Seal::found(context(environment), copies).unwrap()
}

fn unseal(lab: &Lab, seal: &Seal, shares: &[&String]) -> Option<Key32> {
    let mut ceremony = UnsealProgress::default();
    shares.iter().find_map(|share| match ceremony.offer(share, seal, &*lab.entropy) {
        Ok(Offered::Complete(joined)) => Some(joined.root_key),
        Ok(Offered::Progress { .. }) | Err(_) => None,
    })
}

#[tokio::test]
async fn any_two_holders_open_what_was_sealed_and_one_or_a_stranger_does_not() {
    let lab = Lab::new();
    let store = lab.store();
    let (prod, shares) = init(&lab, &store, PROD).await;
    let (_dev, strangers) = init(&lab, &store, DEV).await;
    put(&prod, "a", "kept").await;
    rotate(&prod).await;
    prod.close();
    drop(prod);

    let seal = found(&store, PROD).await;
    for (one, two) in [(0, 1), (1, 2), (2, 0)] {
        let root_key = unseal(&lab, &seal, &[&shares[one], &strangers[0], &shares[two]]).unwrap();
        let prod = Barrier::open(lab.place(&store, PROD), root_key).await.unwrap();
        assert_eq!(get(&prod, "a").await.unwrap().as_deref(), Some("kept"));
        prod.close();
    }
    assert!(unseal(&lab, &seal, &[&shares[0], &shares[0], &strangers[0], &strangers[1]]).is_none());
}

#[tokio::test]
async fn a_child_opens_while_its_parent_is_open_and_is_made_with_it_or_not_at_all() {
    let lab = Lab::new();
    let store = lab.store();
    let (parent, shares) = init(&lab, &store, PROD).await;
    let id = EnvironmentId([DEV; 16]);
    let made = Inherited::new(context(DEV), &parent.child_kek(id).unwrap(), &*lab.entropy).unwrap();
    let created = Barrier::create(lab.place(&store, DEV), made.root_key, Vec::new()).unwrap();
    let child = Arc::clone(&created.barrier);
    change(&parent, move |batch| {
        batch.mount(KV).put(KIND, &path("children/dev"), None, b"")?;
        created.write(batch.transaction(), &made.seal)
    })
    .await
    .unwrap();
    put(&child, "a", "child's").await;
    child.close();
    parent.close();

    let root_key = unseal(&lab, &found(&store, PROD).await, &[&shares[1], &shares[2]]).unwrap();
    let parent = Barrier::open(lab.place(&store, PROD), root_key).await.unwrap();
    let seal = found(&store, DEV).await;
    let root_key = seal.open_inherited(&parent.child_kek(id).unwrap()).unwrap();
    let child = Barrier::open(lab.place(&store, DEV), root_key).await.unwrap();
    assert_eq!(get(&child, "a").await.unwrap().as_deref(), Some("child's"));
    let siblings = parent.child_kek(EnvironmentId([9; 16])).unwrap();
    assert!(seal.open_inherited(&siblings).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn closing_under_load_ends_every_reader_and_writer_with_sealed_and_tears_nothing() {
    let (lab, store, prod) = prod().await;
    put(&prod, "left", "0").await;
    put(&prod, "right", "0").await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (prod, acknowledged) = (Arc::clone(&prod), Arc::clone(&acknowledged));
        tasks.push(tokio::spawn(async move {
            loop {
                let read = get(&prod, "left").await;
                let wrote = change(&prod, |batch| {
                    let mut kv = batch.mount(KV);
                    let plain = kv.get(KIND, &path("left"), None)?;
                    let last = plain
                        .and_then(|plain| std::str::from_utf8(&plain.bytes).unwrap().parse::<u64>().ok());
                    let next = last.unwrap() + 1;
                    for at in ["left", "right"] {
                        kv.put(KIND, &path(at), None, next.to_string().as_bytes())?;
                    }
                    Ok(next)
                })
                .await;
                match (read, wrote) {
                    (Ok(_), Ok(next)) => drop(acknowledged.fetch_max(next, Ordering::SeqCst)),
                    (Err(BarrierError::Sealed) | Ok(_), Err(BarrierError::Sealed)) => return,
                    (read, wrote) => panic!("{read:?} {wrote:?}"),
                }
            }
        }));
    }
    while acknowledged.load(Ordering::SeqCst) < 20 {
        tokio::task::yield_now().await;
    }
    prod.close();
    for task in tasks {
        task.await.unwrap();
    }
    let prod = lab.open(&store, PROD).await.unwrap();
    let left = get(&prod, "left").await.unwrap().unwrap();
    assert_eq!(Some(&left), get(&prod, "right").await.unwrap().as_ref());
    assert!(left.parse::<u64>().unwrap() >= acknowledged.load(Ordering::SeqCst));
}
