//! KV version 2: settings, metadata, listings.
use crate::lab::*;
use crate::mounted::*;
use coffer_engines::Engine;
use coffer_types::Operation;
use serde_json::json;

fn kv2() -> Mounted {
    Mounted::new(Engine::KvV2)
}

#[tokio::test]
async fn a_mounts_settings_keep_what_is_not_given() {
    let kv = kv2();
    let config = kv.json("config").await;
    assert_eq!(
        config,
        json!({"cas_required":false,"delete_version_after":"0s","max_versions":0,"metadata_cas_required":false})
    );
    good(kv.post("config", r#"{"max_versions":4,"delete_version_after":"30m"}"#).await);
    good(kv.post("config", r#"{"cas_required":"true"}"#).await);
    let config = kv.json("config").await;
    assert_eq!(
        config,
        json!({"cas_required":true,"delete_version_after":"30m0s","max_versions":4,"metadata_cas_required":false})
    );
}

#[tokio::test]
async fn old_versions_go_when_there_are_too_many() {
    let kv = kv2();
    good(
        kv.post(
            "metadata/x",
            r#"{"max_versions":2,"custom_metadata":{"owner":"me"},"delete_version_after":"1h"}"#,
        )
        .await,
    );
    for v in 1..=3 {
        good(kv.post("data/x", &format!(r#"{{"data":{{"v":{v}}}}}"#)).await);
    }
    let metadata = kv.json("metadata/x").await;
    assert_eq!((&metadata["current_version"], &metadata["oldest_version"]), (&3.into(), &2.into()));
    assert_eq!(metadata["versions"].as_object().unwrap().len(), 2);
    assert_eq!(
        (&metadata["delete_version_after"], &metadata["custom_metadata"]["owner"]),
        (&"1h0m0s".into(), &"me".into())
    );
    assert_eq!(refused(kv.get("data/x?version=1").await), (404, String::new()));
    // Metadata, and two values.
    assert_eq!(kv.records().await, 3);
}

#[tokio::test]
async fn ten_versions_are_kept_where_nobody_says_otherwise_and_the_greater_word_counts() {
    let kv = kv2();
    for (settings, kept) in [("", 10), (r#"{"max_versions":3}"#, 3)] {
        if !settings.is_empty() {
            good(kv.post("config", settings).await);
        }
        for v in 0..12 {
            good(kv.post("data/x", &format!(r#"{{"data":{{"v":{v}}}}}"#)).await);
        }
        assert_eq!(kv.json("metadata/x").await["versions"].as_object().unwrap().len(), kept);
    }
    good(kv.post("metadata/x", r#"{"max_versions":5}"#).await);
    for v in 0..12 {
        good(kv.post("data/x", &format!(r#"{{"data":{{"v":{v}}}}}"#)).await);
    }
    assert_eq!(kv.json("metadata/x").await["versions"].as_object().unwrap().len(), 5);
    // Metadata, settings, five values.
    assert_eq!(kv.records().await, 7);
}

#[tokio::test]
async fn custom_metadata_is_replaced_by_a_write_and_merged_by_a_patch() {
    let kv = kv2();
    good(kv.post("metadata/x", r#"{"custom_metadata":{"owner":"me","n":1}}"#).await);
    assert_eq!(kv.json("metadata/x").await["custom_metadata"], json!({"owner":"me","n":"1"}));
    good(kv.patch("metadata/x", r#"{"custom_metadata":{"team":"t","n":null},"max_versions":3}"#).await);
    let metadata = kv.json("metadata/x").await;
    assert_eq!(metadata["custom_metadata"], json!({"owner":"me","team":"t"}));
    assert_eq!((&metadata["max_versions"], &metadata["current_metadata_version"]), (&3.into(), &2.into()));
    good(kv.patch("metadata/x", r#"{"max_versions":null}"#).await);
    assert_eq!(kv.json("metadata/x").await["max_versions"], 0);
    good(kv.post("metadata/x", r#"{"custom_metadata":{"only":"this"}}"#).await);
    assert_eq!(kv.json("metadata/x").await["custom_metadata"], json!({"only":"this"}));
    good(kv.patch("metadata/x", r#"{"custom_metadata":null}"#).await);
    assert_eq!(kv.json("metadata/x").await["custom_metadata"], json!(null));
    assert_eq!(refused(kv.patch("metadata/none", r#"{"max_versions":3}"#).await), (404, String::new()));
}

#[tokio::test]
async fn metadata_without_a_version_is_no_value() {
    let kv = kv2();
    good(kv.post("metadata/x", "{}").await);
    assert_eq!(refused(kv.get("metadata/x").await), (404, String::new()));
    good(kv.post("metadata/x", r#"{"max_versions":3}"#).await);
    assert_eq!(kv.json("metadata/x").await["current_version"], 0);
    assert_eq!(refused(kv.get("data/x").await), (404, String::new()));
    assert_eq!(refused(kv.patch("data/x", r#"{"data":{}}"#).await).0, 404);
    good(kv.delete("data/x").await);
    assert_eq!(kv.put("data/x", r#"{"data":{},"options":{"cas":0}}"#).await["version"], 1);
}

#[tokio::test]
async fn names_are_listed_and_scanned_in_pages() {
    let kv = kv2();
    for path in ["a", "l/a", "l/b/c", "l/b"] {
        good(kv.post(&format!("data/{path}"), r#"{"data":{}}"#).await);
    }
    assert_eq!(kv.keys(Operation::List, "metadata").await, json!(["a", "l/"]));
    assert_eq!(kv.keys(Operation::List, "metadata/l/").await, json!(["a", "b", "b/"]));
    assert_eq!(kv.keys(Operation::List, "metadata/l?after=a&limit=1").await, json!(["b"]));
    assert_eq!(kv.keys(Operation::List, "metadata/l?after=a").await, json!(["b", "b/"]));
    assert_eq!(kv.keys(Operation::Scan, "metadata/").await, json!(["a", "l/a", "l/b", "l/b/c"]));
    assert_eq!(kv.keys(Operation::Scan, "metadata/l?after=a&limit=1").await, json!(["b"]));
    assert_eq!(refused(kv.ask(Operation::List, "metadata/none", "").await), (404, String::new()));
    assert_eq!(refused(kv.ask(Operation::List, "metadata/l?after=zz", "").await), (404, String::new()));
    assert_eq!(refused(kv.ask(Operation::List, "data/l", "").await).0, 405);
    let detailed = json(&good(kv.ask(Operation::List, "detailed-metadata/l", "").await));
    assert_eq!(detailed["keys"], json!(["a", "b", "b/"]));
    assert_eq!(detailed["key_info"]["b"]["current_version"], 1);
    let detailed = json(&good(kv.ask(Operation::Scan, "detailed-metadata?limit=2", "").await));
    assert_eq!(detailed["keys"], json!(["a", "l/a"]));
    assert_eq!(detailed["key_info"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn no_limit_however_odd_gives_more_than_there_is_or_breaks_anything() {
    let kv = kv2();
    for path in ["a", "b", "c"] {
        good(kv.post(&format!("data/{path}"), r#"{"data":{}}"#).await);
    }
    for (limit, wanted) in [
        ("0", 3),
        ("-1", 3),
        ("", 3),
        ("9223372036854775808", 3),
        ("340282366920938463463374607431768211455", 0),
        ("2", 2),
        ("1", 1),
    ] {
        for operation in [Operation::List, Operation::Scan] {
            let answer = kv.ask(operation, &format!("metadata?limit={limit}"), "").await;
            match wanted {
                0 => assert_eq!(refused(answer).0, 400),
                _ => assert_eq!(json(&good(answer))["keys"].as_array().unwrap().len(), wanted, "{limit}"),
            }
        }
    }
    for limit in ["NaN", "abc", "1.5", "1e3", "0x10"] {
        assert_eq!(
            refused(kv.ask(Operation::List, &format!("metadata?limit={limit}"), "").await).0,
            400,
            "{limit}"
        );
    }
}
