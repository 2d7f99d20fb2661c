//! KV version 2 when many ask at once.
use crate::lab::*;
use crate::mounted::*;
use coffer_engines::Engine;
use coffer_types::Operation;
use std::collections::BTreeSet;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_that_expect_the_same_version_one_wins() {
    let kv = Arc::new(Mounted::new(Engine::KvV2));
    for round in 0..20 {
        let writers: Vec<_> = (0..16)
            .map(|_| {
                let kv = Arc::clone(&kv);
                let body = format!(r#"{{"data":{{"v":1}},"options":{{"cas":{round}}}}}"#);
                tokio::spawn(async move { kv.post("data/hot", &body).await.is_ok() })
            })
            .collect();
        let mut won = 0;
        for writer in writers {
            won += usize::from(writer.await.unwrap());
        }
        assert_eq!(won, 1, "round {round}");
    }
    assert_eq!(kv.json("metadata/hot").await["current_version"], 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_write_is_lost_and_no_version_is_given_twice() {
    let kv = Arc::new(Mounted::new(Engine::KvV2));
    good(kv.post("config", r#"{"max_versions":1000}"#).await);
    let writers: Vec<_> = (0..200)
        .map(|n| {
            let kv = Arc::clone(&kv);
            tokio::spawn(async move {
                let answer = good(kv.post("data/hot", &format!(r#"{{"data":{{"n":{n}}}}}"#)).await);
                (json(&answer)["version"].as_u64().unwrap(), n)
            })
        })
        .collect();
    let mut versions = BTreeSet::new();
    for writer in writers {
        let (version, n) = writer.await.unwrap();
        assert!(versions.insert(version));
        assert_eq!(kv.json(&format!("data/hot?version={version}")).await["data"]["n"], n);
    }
    assert_eq!((versions.first(), versions.last()), (Some(&1), Some(&200)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn patches_of_many_are_all_there_in_the_end() {
    let kv = Arc::new(Mounted::new(Engine::KvV2));
    good(kv.post("data/hot", r#"{"data":{}}"#).await);
    let writers: Vec<_> = (0..100)
        .map(|n| {
            let kv = Arc::clone(&kv);
            tokio::spawn(
                async move { kv.patch("data/hot", &format!(r#"{{"data":{{"k{n}":1}}}}"#)).await.is_ok() },
            )
        })
        .collect();
    for writer in writers {
        assert!(writer.await.unwrap());
    }
    assert_eq!(kv.json("data/hot").await["data"].as_object().unwrap().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_beside_writers_sees_some_whole_version_or_none() {
    let kv = Arc::new(Mounted::new(Engine::KvV2));
    good(kv.post("config", r#"{"max_versions":1}"#).await);
    let writer = {
        let kv = Arc::clone(&kv);
        tokio::spawn(async move {
            for n in 0..400 {
                good(kv.post("data/hot", &format!(r#"{{"data":{{"a":{n},"b":{n}}}}}"#)).await);
                if n % 50 == 49 {
                    good(kv.ask(Operation::Delete, "metadata/hot", "").await);
                }
            }
        })
    };
    let mut seen = 0;
    while !writer.is_finished() {
        match kv.get("data/hot").await {
            Ok(answer) => {
                let data = json(&answer);
                assert_eq!(data["data"]["a"], data["data"]["b"]);
                seen += 1;
            }
            Err(fault) => assert_eq!(refusal(&fault), (404, String::new())),
        }
    }
    writer.await.unwrap();
    assert!(seen > 0);
}
