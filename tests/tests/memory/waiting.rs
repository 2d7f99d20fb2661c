//! A seal under a TPM that counts and does not answer: the keys do not wait for it.
use super::keys::Keys;
use super::world::without_secret_memory;
use crate::rollback::counted_with;
use crate::stored;
use coffer_tests::{Ask, Frozen, House, Search, Setup, Tpm, Wanted, eventually, is_root, memory, skip};
use keystore_format::share::Share;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_gone_while_a_seal_still_waits_for_the_tpm_to_count() {
    if !is_root() {
        return skip("only root can look into the memory of a process that is not dumpable");
    }
    let tpm = Tpm::new();
    // With pages that can be looked into: whether keys are gone is seen nowhere else.
    let setup = Setup { before: without_secret_memory(), ..Setup::default() };
    let mut house = counted_with(&tpm, setup).await;
    let root = house.root();
    let search = search(&house);
    let found = Frozen::now(house.pid()).memory(&search).hits;
    assert!(!found.is_empty(), "no key is found while all are there");

    let hanging = tpm.hang();
    let (asked, mut found) = (Instant::now(), BTreeMap::new());
    let sealing = tokio::spawn(async move { root.sys().seal().await });
    loop {
        let still = Frozen::now(house.pid());
        let after = asked.elapsed();
        assert!(
            !sealing.is_finished(),
            "sealed {after:?} after the request, and until then there was {found:?}"
        );
        found = still.memory(&search).hits;
        if found.is_empty() {
            break;
        }
        drop(still);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sealing.await.unwrap().unwrap();
    assert!(house.log().contains("it takes its time"), "the TPM that did not answer is not told of");
    // The head is one ahead, as after a crash, and the store opens.
    house.kill9();
    drop(hanging);
    house.start_process().await;
    house.unseal().await;
    let prod = house.root().with_namespace("prod").unwrap();
    prod.ask("GET", "sys/mounts", Value::Null).await.done();
    house.restart().await;
}

/// For all keys but what the counter itself is asked with.
fn search(house: &House) -> Search {
    let (mut keys, mut search) = (Keys::default(), Search::new());
    let still = Frozen::now(house.pid());
    keys.learn(house, &still, &[stored::joined(&house.shares)]);
    keys.without(&["counter's authorisation", "the node's own key"]);
    keys.add_to(&mut search);
    search
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_new_share_is_in_memory_while_a_ceremony_waits_for_it_to_be_shown() {
    if !is_root() {
        return skip("only root can look into the memory of a process that is not dumpable");
    }
    let house = House::start().await;
    let rekey = json!({ "secret_shares": 3, "secret_threshold": 2, "require_verification": true });
    let made = {
        // A client of its own: what its connection has sent goes with it.
        let root = house.root();
        let nonce = root.ask("POST", "sys/rekey/init", rekey).await.ok().text("nonce");
        let give = |share: &String| json!({ "key": share, "nonce": nonce });
        root.ask("POST", "sys/rekey/update", give(&house.shares[0])).await.done();
        root.ask("POST", "sys/rekey/update", give(&house.shares[1])).await.ok().body
    };
    let mut search = Search::new();
    for text in made["shares"].as_array().unwrap() {
        let text = text.as_str().unwrap();
        house.canaries.add(text);
        let share = Share::parse_any(text).unwrap();
        let wanted =
            |bytes: &[u8]| Wanted { kind: "share", name: share.x.to_string(), bytes: bytes.to_vec() };
        search.add_raw(wanted(text.as_bytes()));
        search.add(wanted(&*share.y));
    }
    assert!(!memory(std::process::id(), &search).hits.is_empty(), "the search finds nothing where they are");
    eventually("no share is in memory", || async {
        Frozen::now(house.pid()).memory(&search).hits.is_empty().then_some(())
    })
    .await;
    let waiting = house.root().ask("GET", "sys/rekey/verify", Value::Null).await.ok();
    assert_eq!((&waiting.body["started"], &waiting.body["progress"]), (&json!(true), &json!(0)));
}
