//! KV version 2: what is wrong is refused, changes nothing, and is not repeated.
use crate::lab::*;
use crate::mounted::*;
use coffer_engines::Engine;
use coffer_engines::kv2::{ROUTES, route};
use coffer_types::{CanonicalPath, Operation};

#[tokio::test]
async fn wrong_parameters_are_refused_and_nothing_changes() {
    let kv = Mounted::new(Engine::KvV2);
    good(kv.post("data/x", r#"{"data":{"v":1}}"#).await);
    let before = kv.json("metadata/x").await;
    let many = format!(
        r#"{{"custom_metadata":{{{}}}}}"#,
        (0..65).map(|n| format!(r#""k{n}":"v""#)).collect::<Vec<_>>().join(",")
    );
    let long_name = format!(r#"{{"custom_metadata":{{"{}":"v"}}}}"#, "s3cret".repeat(30));
    let long_value = format!(r#"{{"custom_metadata":{{"k":"{}"}}}}"#, "s3cret".repeat(100));
    for (target, body) in [
        ("data/x", r#"{"x":"s3cret"}"#),
        ("data/x", r#"{"data":"s3cret"}"#),
        ("data/x", r#"{"data":["s3cret"]}"#),
        ("data/x", r#"{"data":5}"#),
        ("data/x", r#"{"data":{},"options":"s3cret"}"#),
        ("data/x", ""),
        ("delete/x", r#"{"versions":["s3cret"]}"#),
        ("delete/x", r#"{"versions":[-1]}"#),
        ("undelete/x", r#"{"versions":{"s3cret":1}}"#),
        ("destroy/x", r#"{"versions":[]}"#),
        ("destroy/x", r#"{"versions":[1.5]}"#),
        ("metadata/x", r#"{"max_versions":-1}"#),
        ("metadata/x", r#"{"max_versions":10001}"#),
        ("metadata/x", r#"{"max_versions":"s3cret"}"#),
        ("metadata/x", r#"{"cas_required":"s3cret"}"#),
        ("metadata/x", r#"{"delete_version_after":"-1s"}"#),
        ("metadata/x", r#"{"delete_version_after":"s3cret"}"#),
        ("metadata/x", r#"{"metadata_cas_required":true}"#),
        ("metadata/x", r#"{"custom_metadata":"s3cret"}"#),
        ("metadata/x", r#"{"custom_metadata":{"k":{"s3cret":1}}}"#),
        ("metadata/x", r#"{"custom_metadata":{"k":"s3cret\u0007"}}"#),
        ("metadata/x", r#"{"custom_metadata":{"":"s3cret"}}"#),
        ("metadata/x", &many),
        ("metadata/x", &long_name),
        ("metadata/x", &long_value),
        ("config", r#"{"max_versions":18446744073709551615}"#),
        ("config", r#"{"delete_version_after":"s3cret"}"#),
    ] {
        let (status, sentence) = refused(kv.post(target, body).await);
        assert_eq!(status, 400, "{target} {body:.40}");
        assert!(!sentence.is_empty() && !sentence.contains("s3cret"), "{sentence}");
    }
    for body in [
        r#"{"custom_metadata":"s3cret"}"#,
        r#"{"custom_metadata":{"k":["s3cret"]}}"#,
        r#"{"max_versions":"s3cret"}"#,
        &many,
    ] {
        let (status, sentence) = refused(kv.patch("metadata/x", body).await);
        assert!(status == 400 && !sentence.contains("s3cret"), "{body:.40}");
    }
    assert_eq!(kv.json("metadata/x").await, before);
    assert_eq!(kv.json("data/x").await["data"]["v"], 1);
    assert_eq!(kv.records().await, 2);
}

#[tokio::test]
async fn a_value_that_is_too_large_is_refused() {
    let kv = Mounted::new(Engine::KvV2);
    let huge = format!(r#"{{"data":{{"v":"{}"}}}}"#, "x".repeat(80 << 20));
    assert_eq!(refused(kv.post("data/x", &huge).await).0, 413);
    assert_eq!(refused(kv.get("data/x").await).0, 404);
}

#[tokio::test]
async fn patches_cannot_make_a_value_deeper_than_a_request_may_be() {
    let kv = Mounted::new(Engine::KvV2);
    let nested =
        |depth: usize, inner: &str| format!("{}{inner}{}", r#"{"k":"#.repeat(depth), "}".repeat(depth));
    good(kv.post("data/x", &format!(r#"{{"data":{}}}"#, nested(50, "1"))).await);
    good(kv.patch("data/x", &format!(r#"{{"data":{}}}"#, nested(50, r#"{"n":1}"#))).await);
    let read = kv.json("data/x").await;
    assert_eq!(read["metadata"]["version"], 2);
    let many =
        |from: usize| (from..from + 40_000).map(|n| format!(r#""{n}":1"#)).collect::<Vec<_>>().join(",");
    good(kv.post("data/y", &format!(r#"{{"data":{{{}}}}}"#, many(0))).await);
    let patched = refused(kv.patch("data/y", &format!(r#"{{"data":{{{}}}}}"#, many(40_000))).await);
    assert_eq!(patched.0, 400);
    assert_eq!(kv.json("metadata/y").await["current_version"], 1);
}

#[tokio::test]
async fn paths_and_operations_without_a_route_are_refused() {
    let kv = Mounted::new(Engine::KvV2);
    for target in ["", "foo/x", "x", "dataa/x", "Data/x", "config/x"] {
        for operation in [Operation::Read, Operation::Write, Operation::Delete] {
            assert_eq!(refused(kv.ask(operation, target, r#"{"data":{}}"#).await).0, 404, "{target}");
        }
    }
    for target in ["data", "metadata", "delete", "undelete", "destroy", "subkeys"] {
        let (status, sentence) = refused(kv.ask(Operation::Read, target, "").await);
        assert_eq!(status, 404, "{target}");
        assert!(sentence.contains("not supported"));
    }
    for (operation, target) in [
        (Operation::Patch, "config"),
        (Operation::Delete, "config"),
        (Operation::Read, "delete/x"),
        (Operation::Patch, "destroy/x"),
        (Operation::Write, "subkeys/x"),
        (Operation::Read, "detailed-metadata/x"),
        (Operation::List, "subkeys"),
        (Operation::Scan, "data"),
    ] {
        assert_eq!(refused(kv.ask(operation, target, r#"{"data":{}}"#).await).0, 405, "{target}");
    }
    assert!(ROUTES.is_sorted());
    assert_eq!(route(&CanonicalPath::parse("data/a/b").unwrap()), Some("kv2/data"));
    assert_eq!(route(&CanonicalPath::parse("datax").unwrap()), None);
}

#[tokio::test]
async fn a_secret_of_another_mount_or_environment_is_not_there() {
    let mut kv = Mounted::new(Engine::KvV2);
    good(kv.post("data/x", r#"{"data":{"v":1}}"#).await);
    let other = Mounted { lab: kv.lab.neighbour(), engine: kv.engine, mount: kv.mount };
    assert_eq!(refused(other.get("data/x").await).0, 404);
    assert_eq!(refused(other.ask(Operation::List, "metadata", "").await).0, 404);
    good(other.delete("metadata/x").await);
    kv.mount = 6;
    assert_eq!(refused(kv.get("metadata/x").await).0, 404);
    kv.mount = 5;
    assert_eq!(kv.json("data/x").await["data"]["v"], 1);
}
