//! KV version 1.
use crate::lab::*;
use crate::mounted::*;
use coffer_engines::Engine;
use coffer_types::{Operation, WriteMode};
use serde_json::json;

#[tokio::test]
async fn what_is_written_is_read_byte_for_byte() {
    let kv = Mounted::new(Engine::KvV1);
    let body = r#"{"n":1.50,"big":12345678901234567890123,"e":1E+2,"s":"é\u0041","o":{"z":1,"a":[]}}"#;
    good(kv.post("a/b", &format!("  {body}\n")).await);
    assert_eq!(text(&good(kv.get("a/b").await)), body);
    good(kv.post("a/b", r#"{"new":true}"#).await);
    assert_eq!(text(&good(kv.get("a/b").await)), r#"{"new":true}"#);
    good(kv.delete("a/b").await);
    good(kv.delete("a/b").await);
    assert_eq!(refused(kv.get("a/b").await), (404, String::new()));
}

#[tokio::test]
async fn a_value_says_for_how_long_it_may_be_kept() {
    let kv = Mounted::new(Engine::KvV1);
    for (body, seconds) in [
        (r#"{"ttl":"30s"}"#, 30),
        (r#"{"lease":"1h"}"#, 3600),
        (r#"{"ttl":45,"lease":"1h"}"#, 45),
        (r#"{"ttl":"nonsense"}"#, 2_764_800),
        (r#"{"v":1}"#, 2_764_800),
    ] {
        good(kv.post("t", body).await);
        let answer = good(kv.get("t").await);
        assert_eq!((answer.lease_seconds, text(&answer).as_str()), (seconds, body));
    }
}

#[tokio::test]
async fn names_are_listed_scanned_and_paged() {
    let kv = Mounted::new(Engine::KvV1);
    for path in ["a", "b/c", "b/d/e", "b", "b-x"] {
        good(kv.post(path, r#"{"v":1}"#).await);
    }
    assert_eq!(kv.keys(Operation::List, "").await, json!(["a", "b", "b-x", "b/"]));
    assert_eq!(kv.keys(Operation::List, "b/").await, json!(["c", "d/"]));
    assert_eq!(kv.keys(Operation::Scan, "").await, json!(["a", "b", "b-x", "b/c", "b/d/e"]));
    assert_eq!(kv.keys(Operation::List, "?after=b&limit=1").await, json!(["b-x"]));
    assert_eq!(kv.keys(Operation::Scan, "b?limit=1").await, json!(["c"]));
    assert_eq!(refused(kv.ask(Operation::List, "none", "").await), (404, String::new()));
    assert_eq!(refused(kv.ask(Operation::List, "?after=zz", "").await), (404, String::new()));
}

#[tokio::test]
async fn a_grant_to_create_does_not_overwrite_and_one_to_update_does_not_create() {
    let kv = Mounted::new(Engine::KvV1);
    assert_eq!(refused(kv.ask_as(WriteMode::UpdateOnly, Operation::Write, "a", r#"{"v":1}"#).await).0, 403);
    assert_eq!(refused(kv.get("a").await).0, 404);
    good(kv.ask_as(WriteMode::CreateOnly, Operation::Write, "a", r#"{"v":1}"#).await);
    assert_eq!(refused(kv.ask_as(WriteMode::CreateOnly, Operation::Write, "a", r#"{"v":2}"#).await).0, 403);
    assert_eq!(text(&good(kv.get("a").await)), r#"{"v":1}"#);
    good(kv.ask_as(WriteMode::UpdateOnly, Operation::Write, "a", r#"{"v":2}"#).await);
}

#[tokio::test]
async fn what_is_no_value_is_refused_and_changes_nothing() {
    let kv = Mounted::new(Engine::KvV1);
    good(kv.post("a", r#"{"v":1}"#).await);
    for body in ["", "{}", " { } ", "null"] {
        assert_eq!(refused(kv.post("a", body).await), (400, "missing data fields".to_owned()), "{body:?}");
    }
    assert_eq!(refused(kv.post("", r#"{"v":1}"#).await), (400, "missing path".to_owned()));
    assert_eq!(refused(kv.get("").await).0, 404);
    assert_eq!(refused(kv.patch("a", r#"{"v":1}"#).await).0, 405);
    assert_eq!(refused(kv.ask(Operation::List, "?limit=NaN", "").await).0, 400);
    let huge = format!(r#"{{"v":"{}"}}"#, "x".repeat(80 << 20));
    assert_eq!(refused(kv.post("a", &huge).await).0, 413);
    assert_eq!(text(&good(kv.get("a").await)), r#"{"v":1}"#);
}

#[tokio::test]
async fn another_mount_has_other_values() {
    let mut kv = Mounted::new(Engine::KvV1);
    good(kv.post("a", r#"{"v":1}"#).await);
    kv.mount = 6;
    assert_eq!(refused(kv.get("a").await).0, 404);
}
