//! No nonce twice: over requests, restarts, a store put back and a store copied; and the two limits.
use super::lab::*;
use crate::transit::{
    nonces::{BLOCK, REFUSE_AFTER, ROTATE_AFTER},
    records::{Key, get_spent, put_spent},
};
use coffer_room::Fault;
use coffer_types::CanonicalPath;
use std::collections::HashSet;
use std::sync::{Arc, atomic::Ordering};

fn name() -> CanonicalPath {
    CanonicalPath::parse("k").unwrap()
}

/// Says that so many nonces of a version are spent.
async fn spend(lab: &Lab, version: u32, spent: u64) {
    let set = move |batch: &mut coffer_barrier::Batch<'_>| {
        let mut tx = batch.mount(MOUNT);
        let key = Key::get(&mut tx, &name())?.unwrap();
        put_spent(&mut tx, &name(), key.id, version, spent)
    };
    lab.barrier.commit::<_, Fault>(set).await.ok().unwrap();
}

async fn spent(lab: &Lab, version: u32) -> u64 {
    let get = move |batch: &mut coffer_barrier::Batch<'_>| {
        let mut tx = batch.mount(MOUNT);
        let key = Key::get(&mut tx, &name())?.unwrap();
        get_spent(&mut tx, &name(), key.id, version)
    };
    lab.barrier.commit::<_, Fault>(get).await.ok().unwrap()
}

/// Encrypts `count` times in one batch and takes up the nonces; fails on one that was seen.
async fn encrypt(lab: &Lab, count: usize, seen: &mut HashSet<[u8; 12]>) {
    let body = format!(r#"{{"batch_input":[{}]}}"#, vec![r#"{"plaintext":"AAAA"}"#; count].join(","));
    let answer = lab.post("encrypt/k", &body).await;
    let results = answer["batch_results"].as_array().unwrap();
    assert_eq!(results.len(), count);
    for result in results {
        let (_, sealed) = parts(result["ciphertext"].as_str().unwrap());
        assert!(seen.insert(sealed[..12].try_into().unwrap()), "a nonce came twice");
    }
}

#[tokio::test]
async fn a_hundred_thousand_nonces_are_unique_over_restarts() {
    let mut lab = Lab::new().await;
    lab.post("keys/k", "").await;
    let mut seen = HashSet::new();
    for round in 0..50 {
        encrypt(&lab, 2000, &mut seen).await;
        if round % 7 == 6 {
            lab = lab.restarted().await;
        }
    }
    assert_eq!(seen.len(), 100_000);
    // The counters themselves never repeat while there is one history, whatever the random part is.
    let counters: HashSet<_> = seen.iter().map(|nonce| &nonce[8..]).collect();
    assert_eq!(counters.len(), 100_000);
}

#[tokio::test]
async fn a_store_put_back_or_copied_shares_no_nonce_with_what_came_after() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    let mut seen = HashSet::new();
    encrypt(&lab, 100, &mut seen).await;
    let copies = [lab.copied().await, lab.copied().await, lab.copied().await];
    encrypt(&lab, 1000, &mut seen).await;
    for copy in &copies {
        encrypt(copy, 1000, &mut seen).await;
    }
    let lab = lab.restarted().await;
    encrypt(&lab, 1000, &mut seen).await;
    assert_eq!(seen.len(), 5100);
    // They do share counters: the random part is what keeps them apart.
    let counters: HashSet<_> = seen.iter().map(|nonce| &nonce[8..]).collect();
    assert!(counters.len() < 5100);
}

#[tokio::test]
async fn encrypting_costs_one_commit_in_a_block() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    let before = lab.commits.load(Ordering::SeqCst);
    for _ in 0..500 {
        lab.encrypt("k", "p").await;
    }
    assert_eq!(lab.commits.load(Ordering::SeqCst) - before, 1);
    assert_eq!(spent(&lab, 1).await, BLOCK);
}

#[tokio::test]
async fn what_a_crash_leaves_of_a_block_is_skipped() {
    let lab = Lab::new().await;
    lab.encrypt("k", "p").await;
    let lab = lab.restarted().await;
    let (_, sealed) = parts(&lab.encrypt("k", "p").await);
    assert_eq!(sealed[8..12], u32::try_from(BLOCK).unwrap().to_be_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_get_different_nonces() {
    let lab = Arc::new(Lab::new().await);
    lab.post("keys/k", "").await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let lab = Arc::clone(&lab);
            tokio::spawn(async move {
                let mut nonces = Vec::new();
                for _ in 0..50 {
                    nonces.push(parts(&lab.encrypt("k", "p").await).1[..12].to_vec());
                }
                nonces
            })
        })
        .collect();
    let mut seen = HashSet::new();
    for task in tasks {
        for nonce in task.await.unwrap() {
            assert!(seen.insert(nonce));
        }
    }
    assert_eq!(seen.len(), 1600);
}

#[tokio::test]
async fn a_key_rotates_by_itself_when_its_newest_version_has_encrypted_enough() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    spend(&lab, 1, ROTATE_AFTER - 2).await;
    // The block ends at the limit, so that the limit is seen.
    for _ in 0..2 {
        assert!(lab.encrypt("k", "p").await.starts_with("vault:v1:"));
    }
    assert_eq!(spent(&lab, 1).await, ROTATE_AFTER);
    let sealed = lab.encrypt("k", "p").await;
    assert!(sealed.starts_with("vault:v2:"));
    assert_eq!(lab.get("keys/k").await["latest_version"], 2);
    assert_eq!(lab.decrypt("k", &sealed).await.unwrap(), "p");
    let lab = lab.restarted().await;
    assert!(lab.encrypt("k", "p").await.starts_with("vault:v2:"));
}

#[tokio::test]
async fn a_batch_that_would_pass_the_limit_goes_to_the_next_version_whole() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    spend(&lab, 1, ROTATE_AFTER - 3).await;
    let body = format!(r#"{{"batch_input":[{}]}}"#, [r#"{"plaintext":"AAAA"}"#; 4].join(","));
    for result in lab.post("encrypt/k", &body).await["batch_results"].as_array().unwrap() {
        assert_eq!(result["key_version"], 2);
    }
}

#[tokio::test]
async fn an_old_version_named_by_the_caller_refuses_when_its_counter_is_at_its_end() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    lab.post("keys/k/rotate", "").await;
    spend(&lab, 1, REFUSE_AFTER - 2).await;
    let old = r#"{"plaintext":"AAAA","key_version":1}"#;
    for _ in 0..2 {
        let (_, sealed) = parts(lab.post("encrypt/k", old).await["ciphertext"].as_str().unwrap());
        assert_eq!(sealed[8..11], [0xff; 3]);
    }
    let (status, why) = lab.refuse("encrypt/k", old).await;
    assert_eq!(status, 400);
    assert!(why.contains("rotate"), "{why}");
    let lab = lab.restarted().await;
    assert_eq!(lab.refuse("encrypt/k", old).await.0, 400);
    assert!(lab.encrypt("k", "p").await.starts_with("vault:v2:"));
}

#[tokio::test]
async fn a_closed_environment_encrypts_nothing_though_nonces_are_left() {
    let lab = Lab::new().await;
    lab.encrypt("k", "p").await;
    lab.barrier.close();
    assert_eq!(lab.refuse("encrypt/k", r#"{"plaintext":"AAAA"}"#).await.0, 599);
}
