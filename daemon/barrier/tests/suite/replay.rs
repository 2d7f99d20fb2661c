//! The replay index: what it refuses, how it comes to an old store, and that it never refuses what is right.
use crate::support::*;
use crate::transplants::{dumped, fsck};
use coffer_barrier::{Barrier, BarrierError, Finding, Wrong};
use coffer_store::{Store, faulty::Disk};
use coffer_types::{CanonicalPath, EnvironmentId, Kind};
use keystore_format::{
    head::Head,
    keyring::open_keyring,
    record::{self, Header, Record, record_key},
    tables::{self, MetaItem, Slot},
    tail::Tail,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

async fn key_of(store: &Arc<dyn Store>) -> (Vec<u8>, Vec<u8>) {
    let entry = records(store, KIND).await.remove(0);
    (entry.key, entry.value)
}

async fn remove(store: &Arc<dyn Store>, key: &[u8]) {
    let key = key.to_vec();
    raw(store, move |transaction| assert!(transaction.delete(&key).unwrap())).await;
}

/// What is wrong, directories in which something is missing or too much apart.
fn wrongs(barrier: &Barrier) -> Vec<Wrong> {
    let (_, findings) = fsck(barrier);
    findings.iter().map(|finding| finding.wrong).filter(|wrong| *wrong != Wrong::Directory).collect()
}

#[tokio::test]
async fn an_older_copy_of_a_record_is_not_served_and_not_built_upon_and_writing_it_anew_heals() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "a", "yesterday's").await;
    put(&prod, "bystander", "yesterday's").await;
    let named = records(&store, KIND).await;
    // Which of the two keys is whose, the store does not tell: both are put back, one after the other.
    for old in named {
        put(&prod, "a", "today's").await;
        put(&prod, "bystander", "today's").await;
        set(&store, &old.key, old.value.clone()).await;
        let mut refused = 0;
        for at in ["a", "bystander"] {
            match get(&prod, at).await {
                Err(BarrierError::Replayed(Kind::KvV1)) => refused += 1,
                read => assert_eq!(read.unwrap().as_deref(), Some("today's")),
            }
            let inside = move |batch: &mut coffer_barrier::Batch<'_>| {
                let mut kv = batch.mount(KV);
                let found = kv.get(KIND, &path(at), None)?;
                kv.put(KIND, &path("derived"), None, &found.unwrap().bytes)
            };
            match change(&prod, inside).await {
                Err(BarrierError::Replayed(Kind::KvV1)) => {}
                done => assert!(done.is_ok()),
            }
        }
        assert_eq!(refused, 1);
        assert_eq!(get(&prod, "derived").await.unwrap().as_deref(), Some("today's"));
        assert_eq!(wrongs(&prod), [Wrong::Replayed]);
    }
    for at in ["a", "bystander"] {
        put(&prod, at, "healed").await;
        assert_eq!(get(&prod, at).await.unwrap().as_deref(), Some("healed"));
    }
    assert!(wrongs(&prod).is_empty());
}

#[tokio::test]
async fn a_record_taken_away_is_no_absence_and_one_brought_back_no_presence() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "app/a", "x").await;
    let (key, value) = key_of(&store).await;
    remove(&store, &key).await;
    assert!(matches!(get(&prod, "app/a").await, Err(BarrierError::Removed(Kind::KvV1))));
    let inside = change(&prod, |batch| batch.mount(KV).get(KIND, &path("app/a"), None)).await;
    assert!(matches!(inside, Err(BarrierError::Removed(Kind::KvV1))));
    // Nor is a directory without it the whole directory: a rule that refuses something may be what is missing.
    for directory in ["app", ""] {
        let listed = prod.view(KV).list(KIND, &path(directory)).await;
        assert!(matches!(listed, Err(BarrierError::Removed(Kind::KvV1))), "{directory}");
        let listed = change(&prod, move |batch| batch.mount(KV).list(KIND, &path(directory))).await;
        assert!(matches!(listed, Err(BarrierError::Removed(Kind::KvV1))), "{directory}");
    }
    assert_eq!(get(&prod, "app/b").await.unwrap(), None);
    // By the index it was there: a token, say, was not used up by whoever took it away.
    let was_there = change(&prod, |batch| batch.mount(KV).delete(KIND, &path("app/a"), None)).await;
    assert!(was_there.unwrap());
    assert_eq!((get(&prod, "app/a").await.unwrap(), prod.record_count()), (None, 0));
    assert!(prod.view(KV).list(KIND, &path("app")).await.unwrap().is_empty());

    set(&store, &key, value.clone()).await;
    assert!(matches!(get(&prod, "app/a").await, Err(BarrierError::Replayed(Kind::KvV1))));
    for directory in ["app", ""] {
        let listed = prod.view(KV).list(KIND, &path(directory)).await;
        assert!(matches!(listed, Err(BarrierError::Replayed(Kind::KvV1))), "{directory}");
        let listed = change(&prod, move |batch| batch.mount(KV).list(KIND, &path(directory))).await;
        assert!(matches!(listed, Err(BarrierError::Replayed(Kind::KvV1))), "{directory}");
    }
    assert!(prod.view(KV).scan(KIND, &CanonicalPath::default(), None, 10).await.is_err());
    let (_, findings) = fsck(&prod);
    let returned = Finding {
        wrong: Wrong::Returned,
        mount: Some(KV),
        kind: Some(Kind::KvV1 as u16),
        path: Some("app/a".into()),
        version: None,
        store_key: key.clone(),
    };
    let directory = |path: &str, length: usize| Finding {
        wrong: Wrong::Directory,
        path: Some(path.into()),
        store_key: key[..length].to_vec(),
        ..returned.clone()
    };
    // 35 bytes before the path; a sealed segment of so short a name takes 50.
    assert_eq!(findings, [returned.clone(), directory("app", 85), directory("", 35)]);
    let was_there = change(&prod, |batch| batch.mount(KV).delete(KIND, &path("app/a"), None)).await;
    assert!(!was_there.unwrap(), "by the index there was none");
    assert!(wrongs(&prod).is_empty());
    assert!(prod.view(KV).list(KIND, &path("")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_version_of_a_secret_is_named_by_what_is_left_of_it() {
    let (_lab, store, prod) = prod().await;
    change(&prod, |batch| {
        let mut kv = batch.mount(KV);
        kv.put(Kind::KvV2Metadata, &path("app/db"), None, b"m")?;
        kv.put(Kind::KvV2Version, &path("app/db"), Some(1), b"1")?;
        kv.put(Kind::KvV2Version, &path("app/db"), Some(2), b"2")
    })
    .await
    .unwrap();
    for (kind, version) in [(Kind::KvV2Version, Some(1)), (Kind::KvV2Metadata, None)] {
        let gone = records(&store, kind).await.remove(0);
        remove(&store, &gone.key).await;
        let findings: Vec<Finding> =
            fsck(&prod).1.into_iter().filter(|finding| finding.wrong != Wrong::Directory).collect();
        let [Finding { wrong: Wrong::Removed, path, version: found, .. }] = &findings[..] else {
            panic!("{findings:?}")
        };
        assert_eq!((path.as_deref(), *found), (Some("app/db"), version));
        set(&store, &gone.key, gone.value).await;
    }
    // A record that nothing else speaks of is named by its hash alone.
    put(&prod, "alone", "x").await;
    let (key, _) = key_of(&store).await;
    remove(&store, &key).await;
    let (_, findings) = fsck(&prod);
    let hashes = [keystore_format::index::key_hash(&key), keystore_format::index::directory_hash(&key[..35])];
    assert_eq!(findings.len(), 2, "the record, and that its directory had something in it");
    for finding in findings {
        assert_eq!((finding.wrong, finding.path), (Wrong::Removed, None));
        assert!(hashes.iter().any(|hash| finding.store_key == hash));
    }
}

#[tokio::test]
async fn re_encryption_does_not_make_an_older_copy_the_newest() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "a", "old").await;
    let (key, old) = key_of(&store).await;
    put(&prod, "a", "new").await;
    rotate(&prod).await;
    set(&store, &key, old.clone()).await;
    let progress = loop {
        let progress = prod.reencrypt_step(10).await.unwrap();
        if progress.done {
            break progress;
        }
    };
    assert_eq!((progress.damaged, progress.left), (1, 1));
    assert_eq!(store.get(&key).await.unwrap().unwrap(), old);
    assert!(matches!(get(&prod, "a").await, Err(BarrierError::Replayed(Kind::KvV1))));
    assert_eq!(wrongs(&prod), [Wrong::Replayed]);
}

#[tokio::test]
async fn erasing_rotating_and_re_encrypting_leave_the_index_exact() {
    let (lab, store, prod) = prod().await;
    for n in 0..150 {
        put(&prod, &format!("d{}/{n}", n % 7), "x").await;
    }
    change(&prod, |batch| batch.mount(OTHER).put(KIND, &path("kept"), None, b"x").map(drop)).await.unwrap();
    for _ in 0..2 {
        rotate(&prod).await;
        while !prod.reencrypt_step(40).await.unwrap().done {
            assert!(wrongs(&prod).is_empty());
        }
    }
    while change(&prod, |batch| batch.erase_some(KV, 33)).await.unwrap() == 33 {
        assert!(wrongs(&prod).is_empty());
    }
    let (checked, findings) = fsck(&prod);
    assert!(findings.is_empty(), "{findings:?}");
    // One record in one directory, and how far re-encryption is.
    assert_eq!((checked.records, checked.indexed, checked.nodes, prod.record_count()), (2, 3, 1, 2));
    drop((prod, store));
    let store = lab.store();
    assert!(wrongs(&lab.open(&store, PROD).await.unwrap()).is_empty());
}

#[tokio::test]
async fn fsck_names_damaged_copies_of_what_is_kept_twice() {
    let (_lab, store, prod) = prod().await;
    put(&prod, "a", "x").await;
    for item in [MetaItem::Head, MetaItem::Keyring, MetaItem::SealRecord] {
        for slot in [Slot::A, Slot::B] {
            let key = tables::meta_key(EnvironmentId([PROD; 16]), item, slot);
            let right = store.get(&key).await.unwrap().unwrap();
            let mut wrong = right.clone();
            wrong[50] ^= 1;
            set(&store, &key, wrong).await;
            let (_, findings) = fsck(&prod);
            assert_eq!(findings.len(), 1, "{item:?} {slot:?}: {findings:?}");
            assert_eq!((findings[0].wrong, &findings[0].store_key), (Wrong::Copy, &key));
            set(&store, &key, right).await;
        }
    }
    // Both copies of yesterday's head.
    let yesterday = dumped(&store).await;
    put(&prod, "a", "y").await;
    for slot in [Slot::A, Slot::B] {
        let key = tables::meta_key(EnvironmentId([PROD; 16]), MetaItem::Head, slot);
        set(&store, &key, yesterday[&key].clone()).await;
    }
    assert_eq!(wrongs(&prod), [Wrong::Copy, Wrong::Copy]);
}

/// What an earlier build would have left: heads that know of no index, and no nodes.
async fn make_old(store: &Arc<dyn Store>) {
    let keyring = tables::meta_key(EnvironmentId([PROD; 16]), MetaItem::Keyring, Slot::B);
    let sealed = store.get(&keyring).await.unwrap().unwrap();
    let keyring = open_keyring(root(PROD).expose(), &context(PROD), Slot::B, &sealed).unwrap();
    let epoch = &keyring.epochs[0];
    let record_key = record_key(&epoch.data_key, &context(PROD), Kind::Head as u16, epoch.number);
    for slot in [Slot::A, Slot::B] {
        let key = tables::meta_key(EnvironmentId([PROD; 16]), MetaItem::Head, slot);
        let sealed = store.get(&key).await.unwrap().unwrap();
        let sealed = Record::parse(&sealed).unwrap();
        let mut head = Head::decode(&sealed.open(&record_key, &context(PROD), &key).unwrap()).unwrap();
        (head.index_root, head.tail) = ([0; 32], Tail::new());
        let of_here = Slot::of(head.generation) == slot;
        let header = Header { ..sealed.header() };
        let old = record::seal(&record_key, header, &context(PROD), &key, &[9; 24], &head.encode().unwrap())
            .unwrap();
        if of_here {
            set(store, &key, old).await;
        } else {
            remove(store, &key).await;
        }
    }
    for node in dump(store).await.into_iter().filter(|entry| entry.key[0] == 4) {
        remove(store, &node.key).await;
    }
}

#[tokio::test]
async fn an_old_store_gets_its_index_when_it_is_opened_and_from_then_on_keeps_it() {
    let (lab, store, prod) = prod().await;
    for n in 0..100 {
        put(&prod, &n.to_string(), "before").await;
    }
    prod.close();
    drop(prod);
    make_old(&store).await;
    // What a build that was cut off has left means nothing.
    let root = keystore_format::index::Path::ROOT;
    for left in [root, root.child(3).and_then(|path| path.child(9)).and_then(|path| path.child(1)).unwrap()] {
        set(&store, &left.store_key(EnvironmentId([PROD; 16])), vec![1, 0, 1]).await;
    }
    let old_heads = dumped(&store).await;
    let before = records(&store, KIND).await.remove(0);
    let prod = lab.open(&store, PROD).await.unwrap();
    assert_eq!(fsck(&prod).1, []);
    assert_eq!((fsck(&prod).0.indexed, prod.record_count()), (101, 100));
    for n in 0..100 {
        put(&prod, &n.to_string(), "after").await;
    }
    set(&store, &before.key, before.value).await;
    assert_eq!(wrongs(&prod), [Wrong::Replayed]);
    drop(prod);
    let prod = lab.open(&store, PROD).await.unwrap();
    assert_eq!(wrongs(&prod), [Wrong::Replayed], "it is not taken for right a second time");
    prod.close();
    drop(prod);

    // Heads from before there was an index make nobody build it again.
    for slot in [Slot::A, Slot::B] {
        let key = tables::meta_key(EnvironmentId([PROD; 16]), MetaItem::Head, slot);
        match old_heads.get(&key) {
            Some(old) => set(&store, &key, old.clone()).await,
            None => remove(&store, &key).await,
        }
    }
    assert!(matches!(lab.open(&store, PROD).await.map(drop), Err(BarrierError::Stale("head"))));
}

#[test]
fn a_power_cut_while_an_old_store_gets_its_index_costs_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (lab, disk) = (Lab::new(), Disk::new());
    runtime.block_on(async {
        let store: Arc<dyn Store> = Arc::new(disk.open().unwrap());
        let prod = lab.create(&store, PROD).await;
        for n in 0..60 {
            put(&prod, &n.to_string(), "x").await;
        }
        prod.close();
        make_old(&store).await;
        disk.record();
        lab.open(&store, PROD).await.unwrap();
    });
    let found = disk.trace().for_each_cut(3, 2, |disk, _, survivors| {
        runtime.block_on(async {
            let store: Arc<dyn Store> = Arc::new(disk.open().unwrap());
            let prod = lab.open(&store, PROD).await.unwrap();
            let (checked, findings) = fsck(&prod);
            assert_eq!((checked.indexed, findings.len()), (61, 0), "{survivors:?}: {findings:?}");
        });
    });
    assert!(found > 20, "{found}");
}

#[tokio::test]
async fn a_reader_between_a_commit_and_the_steps_after_it_reads_what_was_committed() {
    let (_lab, _store, prod) = prod().await;
    put(&prod, "a", "before").await;
    for (at, value) in [("a", Some("after")), ("new", Some("after")), ("a", None)] {
        let (reader, read) = (Arc::clone(&prod), Arc::new(std::sync::Mutex::new(None)));
        let reading = Arc::clone(&read);
        change(&prod, move |batch| {
            let (reader, reading) = (Arc::clone(&reader), Arc::clone(&reading));
            // On the committer's thread, before the barrier's own step: the store has the new state, the barrier the old head.
            batch.after(Box::new(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                *reading.lock().unwrap() =
                    Some(runtime.block_on(get(&reader, at)).map_err(|error| error.to_string()));
            }));
            match value {
                Some(value) => batch.mount(KV).put(KIND, &path(at), None, value.as_bytes()).map(drop),
                None => batch.mount(KV).delete(KIND, &path(at), None).map(drop),
            }
        })
        .await
        .unwrap();
        assert_eq!(read.lock().unwrap().take().unwrap(), Ok(value.map(str::to_owned)), "{at}");
    }
}

/// Between a commit and the steps after it readers see either state, and their nodes may be gone already.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_right_is_never_refused_however_much_is_written_meanwhile() {
    let (lab, mut store, mut prod) = prod().await;
    for n in 0..200 {
        put(&prod, &format!("d{}/{n}", n % 5), "x").await;
    }
    for _ in 0..6 {
        drop(prod);
        drop(store);
        store = lab.store();
        // Opened anew: no node is remembered.
        prod = lab.open(&store, PROD).await.unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let mut readers = Vec::new();
        for reader in 0..4_u64 {
            let (prod, ends) = (Arc::clone(&prod), Arc::clone(&ends));
            readers.push(tokio::spawn(async move {
                let mut reads = 0_u64;
                while !ends.load(Ordering::SeqCst) {
                    let n = (reads * 7 + reader) % 260;
                    // Those from 200 on come and go.
                    let found = get(&prod, &format!("d{}/{n}", n % 5)).await.unwrap();
                    assert!(n >= 200 || found.is_some(), "{n}");
                    if reads.is_multiple_of(40) {
                        let listed = prod.view(KV).list(KIND, &path("d1")).await.unwrap();
                        assert!(listed.len() >= 40);
                    }
                    reads += 1;
                    tokio::task::yield_now().await;
                }
                reads
            }));
        }
        for round in 0..150_u64 {
            let n = 200 + round % 60;
            let at = format!("d{}/{n}", n % 5);
            if round % 3 == 0 {
                put(&prod, &at, "y").await;
            } else {
                let gone = path(&at);
                change(&prod, move |batch| batch.mount(KV).delete(KIND, &gone, None)).await.unwrap();
            }
            put(&prod, &format!("d{}/{}", round % 5, round % 200 / 5 * 5 + round % 5), "x").await;
        }
        rotate(&prod).await;
        while !prod.reencrypt_step(20).await.unwrap().done {}
        ends.store(true, Ordering::SeqCst);
        for reader in readers {
            assert!(reader.await.unwrap() > 0);
        }
        assert!(wrongs(&prod).is_empty());
    }
}
