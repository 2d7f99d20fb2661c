//! A replay index that is made anew of what is on the disk, where its holders want it so.
use crate::support::*;
use crate::transplants::fsck;
use coffer_barrier::{Barrier, BarrierError};
use coffer_store::Store;
use keystore_format::{index::Path, tables};
use std::sync::Arc;

async fn rebuilt(lab: &Lab, store: &Arc<dyn Store>) -> Arc<Barrier> {
    Barrier::open_rebuilding(lab.place(store, PROD), root(PROD)).await.unwrap()
}

/// Twenty records with nothing wrong.
async fn begun() -> (Lab, Arc<dyn Store>, Arc<Barrier>) {
    let (lab, store, prod) = prod().await;
    for at in 0..20 {
        put(&prod, &format!("app/{at}"), "well").await;
    }
    (lab, store, prod)
}

/// Where a record lies: the key that is there after it was written and not before.
async fn written(store: &Arc<dyn Store>, prod: &Arc<Barrier>, at: &str, value: &str) -> Vec<u8> {
    let before: Vec<_> = records(store, KIND).await.into_iter().map(|entry| entry.key).collect();
    put(prod, at, value).await;
    records(store, KIND).await.into_iter().map(|entry| entry.key).find(|key| !before.contains(key)).unwrap()
}

async fn remove(store: &Arc<dyn Store>, key: Vec<u8>) {
    raw(store, move |transaction| assert!(transaction.delete(&key).unwrap())).await;
}

#[tokio::test]
async fn a_damaged_environment_is_usable_again_with_all_that_was_written_since_any_backup() {
    let (lab, store, prod) = begun().await;
    let lost = written(&store, &prod, "app/lost", "gone").await;
    let altered = written(&store, &prod, "app/altered", "gone too").await;
    let old = written(&store, &prod, "app/old", "yesterday's").await;
    let yesterday = store.get(&old).await.unwrap().unwrap();
    put(&prod, "app/old", "today's").await;
    let back = written(&store, &prod, "app/back", "deleted").await;
    let deleted = store.get(&back).await.unwrap().unwrap();
    change(&prod, |batch| batch.mount(KV).delete(KIND, &path("app/back"), None)).await.unwrap();

    remove(&store, lost).await;
    let mut bytes = store.get(&altered).await.unwrap().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    set(&store, &altered, bytes).await;
    set(&store, &old, yesterday).await;
    set(&store, &back, deleted).await;
    assert!(fsck(&prod).1.len() >= 4);
    assert!(get(&prod, "app/lost").await.is_err());
    prod.close();

    let prod = rebuilt(&lab, &store).await;
    assert_eq!(fsck(&prod).1, []);
    let now = [("lost", None), ("altered", None), ("old", Some("yesterday's")), ("back", Some("deleted"))];
    for (at, value) in now {
        assert_eq!(get(&prod, &format!("app/{at}")).await.unwrap().as_deref(), value, "{at}");
    }
    assert_eq!(prod.view(KV).list(KIND, &path("app")).await.unwrap().len(), 22);
    assert_eq!(prod.record_count(), 22);
    put(&prod, "app/lost", "again").await;
    assert!(change(&prod, |batch| batch.mount(KV).delete(KIND, &path("app/back"), None)).await.unwrap());
    for at in 0..20 {
        assert_eq!(get(&prod, &format!("app/{at}")).await.unwrap().as_deref(), Some("well"));
    }
    prod.close();
    // From here on it is as any other.
    let prod = lab.open(&store, PROD).await.unwrap();
    assert_eq!(fsck(&prod).1, []);
    assert_eq!(get(&prod, "app/lost").await.unwrap().as_deref(), Some("again"));
}

#[tokio::test]
async fn an_index_without_its_root_opens_only_so() {
    let (lab, store, prod) = begun().await;
    prod.close();
    // As a kill in the middle of a rebuilding leaves it, too.
    remove(&store, Path::ROOT.store_key(context(PROD).environment)).await;
    assert!(matches!(lab.open(&store, PROD).await, Err(BarrierError::Index)));
    let prod = rebuilt(&lab, &store).await;
    assert_eq!(fsck(&prod).1, []);
    put(&prod, "app/more", "well").await;
    prod.close();
    assert_eq!(
        get(&lab.open(&store, PROD).await.unwrap(), "app/more").await.unwrap().as_deref(),
        Some("well")
    );
}

#[tokio::test]
async fn what_is_whole_stays_as_it_is() {
    let (lab, store, prod) = begun().await;
    let before = records(&store, KIND).await.len();
    prod.close();
    let nodes = |entries: Vec<coffer_store::Entry>| -> Vec<(Vec<u8>, Vec<u8>)> {
        let nodes = entries.into_iter().filter(|entry| entry.key.first() == Some(&tables::INDEX));
        nodes.map(|entry| (entry.key, entry.value)).collect()
    };
    let index = nodes(dump(&store).await);
    let prod = rebuilt(&lab, &store).await;
    assert_eq!(records(&store, KIND).await.len(), before);
    assert!(nodes(dump(&store).await) == index, "the same records have another index");
    assert_eq!(prod.record_count(), before as u64);
}
