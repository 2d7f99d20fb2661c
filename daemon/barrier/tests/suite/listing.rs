//! Listing and scanning in the order of names, over a store that knows only ciphertext.
use crate::support::*;
use coffer_barrier::{Barrier, BarrierError, Listed};
use coffer_store::Store;
use coffer_types::Kind;
use std::sync::{Arc, atomic::Ordering};

/// `name` for a record, `name/` for a directory, `name +` for both.
fn shown(listed: &[Listed]) -> Vec<String> {
    let show = |one: &Listed| match (one.is_record, one.is_directory) {
        (true, true) => format!("{} +", one.name),
        (true, false) => one.name.clone(),
        (false, true) => format!("{}/", one.name),
        (false, false) => panic!("neither record nor directory"),
    };
    listed.iter().map(show).collect()
}

async fn fill(barrier: &Arc<Barrier>, paths: &[&str]) {
    let paths: Vec<_> = paths.iter().map(|at| path(at)).collect();
    change(barrier, move |batch| {
        paths.iter().try_for_each(|at| batch.mount(KV).put(KIND, at, None, b"x").map(drop))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn names_are_listed_in_the_order_of_their_bytes_with_what_they_are() {
    let (_lab, _store, prod) = prod().await;
    fill(&prod, &["zebra", "a", "a/b", "a-b", "dir/x/y", "dir/z", "Ä"]).await;
    let view = prod.view(KV);
    assert_eq!(shown(&view.list(KIND, &path("")).await.unwrap()), ["a +", "a-b", "dir/", "zebra", "Ä"]);
    assert_eq!(shown(&view.list(KIND, &path("dir")).await.unwrap()), ["x/", "z"]);
    assert_eq!(shown(&view.list(KIND, &path("dir/z")).await.unwrap()), [""; 0]);
    assert_eq!(shown(&view.list(KIND, &path("no")).await.unwrap()), [""; 0]);
    assert_eq!(shown(&view.list(Kind::Policy, &path("")).await.unwrap()), [""; 0]);
    assert_eq!(shown(&prod.view(OTHER).list(KIND, &path("")).await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn a_record_with_versions_and_names_below_it_is_both() {
    let (_lab, _store, prod) = prod().await;
    change(&prod, |batch| {
        let mut kv = batch.mount(KV);
        for version in 1..=100 {
            kv.put(Kind::KvV2Version, &path("a"), Some(version), b"x")?;
            kv.put(Kind::KvV2Version, &path("b"), Some((1 << 48) - version), b"x")?;
        }
        kv.put(Kind::KvV2Version, &path("a/below"), Some(1), b"x")?;
        kv.put(Kind::KvV2Version, &path("b/below"), Some(1), b"x")
    })
    .await
    .unwrap();
    let view = prod.view(KV);
    assert_eq!(shown(&view.list(Kind::KvV2Version, &path("")).await.unwrap()), ["a +", "b +"]);
    let scanned = view.scan(Kind::KvV2Version, &path(""), None, 9).await.unwrap();
    assert_eq!(scanned, ["a", "a/below", "b", "b/below"]);
}

#[tokio::test]
async fn thousands_of_names_over_many_pages_are_each_listed_once() {
    let (lab, store, prod) = prod().await;
    drop(prod);
    let counted = Meddled::over(&store);
    let prod = lab.open(&(Arc::clone(&counted) as Arc<dyn Store>), PROD).await.unwrap();
    let flat: Vec<String> = (0..1500).map(|n| format!("flat/{n:05}")).collect();
    let deep: Vec<String> = (0..900).map(|n| format!("deep/{}/{n:05}", n % 3)).collect();
    let all: Vec<&str> = flat.iter().chain(&deep).map(String::as_str).collect();
    fill(&prod, &all).await;
    let view = prod.view(KV);
    let names: Vec<_> = (0..1500).map(|n| format!("{n:05}")).collect();
    assert_eq!(shown(&view.list(KIND, &path("flat")).await.unwrap()), names);
    assert_eq!(shown(&view.list(KIND, &path("deep")).await.unwrap()), ["0/", "1/", "2/"]);
    let before = counted.ranges.load(Ordering::SeqCst);
    assert_eq!(shown(&view.list(KIND, &path("")).await.unwrap()), ["deep/", "flat/"]);
    let pages = counted.ranges.load(Ordering::SeqCst) - before;
    assert!(pages <= 3, "2,400 records below two names were not skipped: {pages} pages");
}

#[tokio::test]
async fn large_values_do_not_change_a_listing() {
    let (_lab, _store, prod) = prod().await;
    change(&prod, |batch| {
        (0..100).try_for_each(|n| {
            batch.mount(KV).put(KIND, &path(&format!("{n:02}")), None, &vec![1; 20_000]).map(drop)
        })
    })
    .await
    .unwrap();
    let names: Vec<_> = (0..100).map(|n| format!("{n:02}")).collect();
    assert_eq!(shown(&prod.view(KV).list(KIND, &path("")).await.unwrap()), names);
}

#[tokio::test]
async fn any_page_size_gives_the_same_scan() {
    let (_lab, _store, prod) = prod().await;
    let mut paths =
        vec!["a", "a/b", "a/b/c", "a-b", "a.b/c", "a0", "b/a", "b/a/a", "b/aa", "c", "ä/ö", "z/z/z/z"];
    fill(&prod, &paths).await;
    paths.sort_unstable();
    let view = prod.view(KV);
    assert_eq!(view.scan(KIND, &path(""), None, usize::MAX).await.unwrap(), paths);
    for limit in 1..=paths.len() {
        let mut found: Vec<String> = Vec::new();
        loop {
            let page = view.scan(KIND, &path(""), found.last().map(String::as_str), limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, paths, "limit {limit}");
    }
    assert_eq!(view.scan(KIND, &path("b"), None, 9).await.unwrap(), ["a", "a/a", "aa"]);
    assert_eq!(view.scan(KIND, &path(""), Some("b/a/"), 2).await.unwrap(), ["b/a/a", "b/aa"]);
    assert_eq!(view.scan(KIND, &path(""), Some("b/azz"), 2).await.unwrap(), ["c", "z/z/z/z"]);
    assert!(view.scan(KIND, &path(""), None, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_transaction_lists_what_it_has_written_and_not_what_it_deleted() {
    let (_lab, _store, prod) = prod().await;
    fill(&prod, &["old", "gone", "dir/gone"]).await;
    let listed = change(&prod, |batch| {
        let mut kv = batch.mount(KV);
        kv.put(KIND, &path("new"), None, b"x")?;
        kv.delete(KIND, &path("gone"), None)?;
        kv.delete(KIND, &path("dir/gone"), None)?;
        kv.list(KIND, &path(""))
    })
    .await
    .unwrap();
    assert_eq!(shown(&listed), ["new", "old"]);
}

#[tokio::test]
async fn an_altered_name_is_named_and_other_directories_stay_listable() {
    let (_lab, store, prod) = prod().await;
    fill(&prod, &["a/x", "b/y"]).await;
    let entry = records(&store, KIND).await.remove(0);
    let mut altered = entry.key.clone();
    *altered.last_mut().unwrap() ^= 1;
    set(&store, &altered, entry.value).await;
    let view = prod.view(KV);
    let (a, b) = (view.list(KIND, &path("a")).await, view.list(KIND, &path("b")).await);
    assert!(a.is_ok() != b.is_ok());
    assert!(matches!(a.and(b), Err(BarrierError::Damaged(Kind::KvV1))));
    assert_eq!(shown(&view.list(KIND, &path("")).await.unwrap()), ["a/", "b/"]);
}

#[tokio::test]
async fn erasing_a_mount_leaves_the_others() {
    let (_lab, store, prod) = prod().await;
    let names: Vec<String> = (0..100).map(|n| format!("d/{n}")).collect();
    fill(&prod, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let count = prod.record_count();
    change(&prod, |batch| batch.mount(OTHER).put(KIND, &path("stays"), None, b"x")).await.unwrap();
    assert_eq!(prod.record_count(), count + 1);
    assert_eq!(change(&prod, |batch| batch.erase_some(KV, 30)).await.unwrap(), 30);
    assert_eq!(change(&prod, |batch| batch.erase_mount(KV)).await.unwrap(), 70);
    assert_eq!(change(&prod, |batch| batch.erase_mount(KV)).await.unwrap(), 0);
    assert_eq!(records(&store, KIND).await.len(), 1);
    assert_eq!(prod.record_count(), count - 100 + 1);
    assert_eq!(text(&prod.view(OTHER), "stays").await.unwrap().as_deref(), Some("x"));
}
