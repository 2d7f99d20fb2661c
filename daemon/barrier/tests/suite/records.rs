//! What an attacker with the disk can and can't do to a record.
use crate::support::*;
use coffer_barrier::BarrierError;
use coffer_types::Kind;

#[tokio::test]
async fn a_record_is_read_back_with_its_revision() {
    let (_lab, _store, prod) = prod().await;
    let revision = put(&prod, "app/db", "s3cret").await;
    let plain = prod.view(KV).get(KIND, &path("app/db"), None).await.unwrap().unwrap();
    assert_eq!((&**plain.bytes, plain.revision), (&b"s3cret"[..], revision));
    assert!(put(&prod, "app/db", "new").await > revision);
    assert_eq!(get(&prod, "app/db").await.unwrap().as_deref(), Some("new"));
    assert_eq!(get(&prod, "app/nothing").await.unwrap(), None);
}

#[tokio::test]
async fn the_store_sees_neither_names_nor_values() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "payroll/salaries", "one million").await;
    for entry in dump(&store).await {
        for secret in ["payroll", "salaries", "million"] {
            let found = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found(&entry.key) && !found(&entry.value), "{secret}");
        }
    }
}

#[tokio::test]
async fn equal_names_in_different_directories_look_different() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "one/password", "x").await;
    put(&prod, "two/password", "x").await;
    let keys: Vec<_> = records(&store, KIND).await.into_iter().map(|entry| entry.key).collect();
    // The last segment: 16 bytes of tag and 32 of padded name.
    let last = |key: &[u8]| key[key.len() - 48..].to_vec();
    assert_eq!(keys.len(), 2);
    assert_ne!(last(&keys[0]), last(&keys[1]));
}

#[tokio::test]
async fn one_value_sealed_twice_looks_different() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "a", "same").await;
    let before = records(&store, KIND).await;
    put(&prod, "a", "same").await;
    let after = records(&store, KIND).await;
    assert_eq!(before[0].key, after[0].key);
    assert_ne!(before[0].value[16..], after[0].value[16..]);
}

#[tokio::test]
async fn a_record_moved_to_another_name_does_not_open_and_the_others_do() {
    let (_lab, store, prod) = prod().await;
    for (at, value) in [("low", "guest"), ("high", "admin"), ("bystander", "well")] {
        put(&prod, at, value).await;
    }
    let all = records(&store, KIND).await;
    for target in &all {
        for source in all.iter().filter(|source| source.key != target.key) {
            set(&store, &target.key, source.value.clone()).await;
            let mut damaged = 0;
            for at in ["low", "high", "bystander"] {
                match get(&prod, at).await {
                    Err(BarrierError::Damaged(Kind::KvV1)) => damaged += 1,
                    read => assert!(read.is_ok_and(|value| value.is_some())),
                }
            }
            assert_eq!(damaged, 1);
        }
        set(&store, &target.key, target.value.clone()).await;
    }
}

#[tokio::test]
async fn a_record_of_another_mount_or_environment_does_not_open() {
    let (lab, store, prod) = prod().await;
    let dev = lab.create(&store, DEV).await;
    put(&prod, "key", "prod's").await;
    let theirs = records(&store, KIND).await.remove(0);
    put(&dev, "key", "dev's").await;
    let mine = records(&store, KIND).await.into_iter().find(|entry| entry.key != theirs.key).unwrap();
    set(&store, &mine.key, theirs.value.clone()).await;
    assert!(matches!(get(&dev, "key").await, Err(BarrierError::Damaged(Kind::KvV1))));
    assert_eq!(get(&prod, "key").await.unwrap().as_deref(), Some("prod's"));

    // The same bytes below another mount's prefix.
    let mut moved = theirs.key.clone();
    moved[17..33].copy_from_slice(OTHER.as_bytes());
    set(&store, &moved, theirs.value).await;
    assert!(text(&prod.view(OTHER), "key").await.unwrap().is_none(), "its name is sealed for its mount");
    assert!(prod.view(OTHER).list(KIND, &path("")).await.is_err());
}

#[tokio::test]
async fn every_flipped_bit_and_every_cut_is_found() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "a", "value").await;
    let entry = records(&store, KIND).await.remove(0);
    for bit in 0..entry.value.len() * 8 {
        let mut flipped = entry.value.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        set(&store, &entry.key, flipped).await;
        assert!(matches!(get(&prod, "a").await, Err(BarrierError::Damaged(Kind::KvV1))), "bit {bit}");
    }
    for length in 0..entry.value.len() {
        set(&store, &entry.key, entry.value[..length].to_vec()).await;
        assert!(matches!(get(&prod, "a").await, Err(BarrierError::Damaged(Kind::KvV1))), "length {length}");
    }
    set(&store, &entry.key, entry.value).await;
    assert_eq!(get(&prod, "a").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test]
async fn an_older_version_of_the_same_record_under_another_version_number_does_not_open() {
    let (_lab, store, prod) = prod().await;
    change(&prod, |batch| {
        let mut kv = batch.mount(KV);
        kv.put(Kind::KvV2Version, &path("a"), Some(1), b"old")?;
        kv.put(Kind::KvV2Version, &path("a"), Some(2), b"new")
    })
    .await
    .unwrap();
    let versions = records(&store, Kind::KvV2Version).await;
    set(&store, &versions[1].key, versions[0].value.clone()).await;
    let view = prod.view(KV);
    assert!(view.get(Kind::KvV2Version, &path("a"), Some(2)).await.is_err());
    assert_eq!(&**view.get(Kind::KvV2Version, &path("a"), Some(1)).await.unwrap().unwrap().bytes, b"old");
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_nothing_is_written() {
    let (_lab, store, prod) = prod().await;
    let before = dump(&store).await;
    let deep = path(&vec!["x"; 400].join("/"));
    let refused = change(&prod, move |batch| batch.mount(KV).put(KIND, &deep, None, b"")).await;
    assert!(matches!(refused, Err(BarrierError::Path(_))));
    let refused =
        change(&prod, move |batch| batch.mount(KV).put(KIND, &path("a"), None, &vec![0; (64 << 20) + 1]))
            .await;
    assert!(matches!(refused, Err(BarrierError::TooLarge)));
    let refused = change(&prod, |batch| batch.mount(KV).put(KIND, &path("a"), Some(1 << 48), b"")).await;
    assert!(matches!(refused, Err(BarrierError::TooLarge)));
    assert_eq!(dump(&store).await, before);
    assert!(prod.view(KV).get(KIND, &path("a"), Some(u64::MAX)).await.unwrap().is_none());
}

#[tokio::test]
async fn without_randomness_nothing_is_sealed() {
    let (lab, store, prod) = prod().await;
    let before = dump(&store).await;
    lab.entropy.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = change(&prod, |batch| batch.mount(KV).put(KIND, &path("a"), None, b"x")).await;
    assert!(matches!(refused, Err(BarrierError::Entropy)));
    assert_eq!(dump(&store).await, before);
}
