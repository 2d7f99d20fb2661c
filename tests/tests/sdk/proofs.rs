//! Receipts, checked with the key that lies beside the log: an auditor hands it on, the daemon does not.
use coffer_sdk::{Client, Error, Method};
use coffer_tests::House;
use serde_json::json;

/// The verifier key of the log that a checkpoint's origin names.
async fn key_of(house: &House, client: &Client) -> String {
    let checkpoint = crate::audit_log::checkpoint(client).await;
    let mut place = checkpoint.lines().next().unwrap().rsplit('/');
    let (incarnation, environment) = (place.next().unwrap(), place.next().unwrap());
    std::fs::read_to_string(house.audit().join(environment).join(incarnation).join("vkey")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_is_of_one_request_and_each_checkpoint_continues_the_last() {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let key = key_of(&house, &prod).await;
    let receipts = prod.receipts(&key).unwrap();
    assert!(receipts.newest().await.is_none());
    let body = serde_json::to_vec(&json!({ "data": { "k": house.canaries.plant("value") } })).unwrap();
    let (answer, first) =
        receipts.send(prod.call(Method::POST, "secret/data/app/ü b?").json(body.into())).await.unwrap();
    answer.accepted().unwrap();
    let old = receipts.check(&first).await.unwrap();
    let noted = receipts.newest().await.unwrap();
    let (answer, second) =
        receipts.send(prod.call(Method::GET, "secret/data/app/ü b?").query("version", "1")).await.unwrap();
    answer.accepted().unwrap();
    assert!(second.index > first.index);
    let new = receipts.check(&second).await.unwrap();
    assert!(new.size > old.size && new.root != old.root);

    // The leaf of another request proves nothing about this one.
    let mut exchanged = first.clone();
    exchanged.index = second.index;
    assert!(matches!(
        receipts.check(&exchanged).await,
        Err(Error::Receipt("the leaf is of another request"))
    ));
    let mut elsewhere = first.clone();
    elsewhere.incarnation = "0".repeat(32);
    assert!(matches!(receipts.check(&elsewhere).await, Err(Error::Receipt(_))));

    // Another process goes on from the old checkpoint: what it sees next must continue it.
    let later = prod.receipts(&key).unwrap().continuing(&noted).unwrap();
    assert_eq!(later.check(&second).await.unwrap().size, new.size);
    // An older proof is fine as long as it is of the same log; the newest checkpoint stays.
    later.check(&first).await.unwrap();
    assert!(later.newest().await.unwrap() != noted);
    let altered = noted.replacen(&format!("\n{}\n", old.size), &format!("\n{}\n", old.size + 1), 1);
    assert!(
        altered != noted && prod.receipts(&key).unwrap().continuing(&altered).is_err(),
        "a checkpoint that nobody signed"
    );

    // Another environment's log has another key.
    let dev = house.environment("dev").await;
    let dev_key = key_of(&house, &dev).await;
    assert!(matches!(dev.receipts(&dev_key).unwrap().check(&first).await, Err(Error::Receipt(_))));
    let (_, of_dev) =
        dev.receipts(&dev_key).unwrap().send(dev.call(Method::GET, "sys/mounts")).await.unwrap();
    let mixed = prod.receipts(&dev_key).unwrap().check(&of_dev).await;
    assert!(mixed.is_err(), "prod's log was taken for dev's");
    assert!(prod.receipts("no key").is_err());
    // What the node answers about itself has no leaf.
    assert!(matches!(
        receipts.send(prod.with_namespace("").unwrap().call(Method::GET, "sys/health")).await,
        Err(Error::Receipt(_))
    ));
}
