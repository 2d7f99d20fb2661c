//! KV version 2: values and their versions.
use crate::lab::*;
use crate::mounted::*;
use coffer_engines::Engine;
use coffer_store::{Abort, Transaction};
use coffer_types::{Kind, Operation, WriteMode};
use serde_json::json;

fn kv2() -> Mounted {
    Mounted::new(Engine::KvV2)
}

/// Three versions of `x`, with v = 1, 2, 3.
async fn three() -> Mounted {
    let kv = kv2();
    for v in 1..=3 {
        good(kv.post("data/x", &format!(r#"{{"data":{{"v":{v}}}}}"#)).await);
    }
    kv
}

#[tokio::test]
async fn a_value_is_read_as_it_was_written() {
    let kv = kv2();
    let value = r#"{"n":1.50,"big":12345678901234567890123,"s":"\u0041é","o":{"z":[1,{"b":null}]}}"#;
    let written = kv.put("data/app/db", &format!(r#"{{"data": {value} ,"options":{{}}}}"#)).await;
    let meta = r#""created_time":"2023-11-14T22:13:20.000Z","custom_metadata":null,"deletion_time":"","destroyed":false,"version":1"#;
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(&format!("{{{meta}}}")).unwrap());
    assert_eq!(
        text(&good(kv.get("data/app/db").await)),
        format!(r#"{{"data":{value},"metadata":{{{meta}}}}}"#)
    );
    assert_eq!(refused(kv.get("data/app").await), (404, String::new()));
}

#[tokio::test]
async fn every_version_is_read_by_its_number() {
    let kv = three().await;
    for v in 1..=3 {
        let read = kv.json(&format!("data/x?version={v}")).await;
        assert_eq!((&read["data"]["v"], &read["metadata"]["version"]), (&v.into(), &v.into()));
    }
    assert_eq!(kv.json("data/x?version=0").await["data"]["v"], 3);
    assert_eq!(refused(kv.get("data/x?version=4").await), (404, String::new()));
    assert_eq!(refused(kv.get("data/x?version=abc").await).0, 400);
}

#[tokio::test]
async fn check_and_set_lets_only_the_expected_version_be_followed() {
    let kv = kv2();
    let put = |cas: &str| format!(r#"{{"data":{{"v":1}},"options":{{"cas":{cas}}}}}"#);
    good(kv.post("data/x", &put("0")).await);
    for cas in ["0", "2", "18446744073709551615"] {
        let (status, sentence) = refused(kv.post("data/x", &put(cas)).await);
        assert_eq!(
            (status, sentence.as_str()),
            (400, "check-and-set parameter did not match the current version")
        );
    }
    for cas in ["\"abc\"", "-1", "2.0", "[]", "18446744073709551616"] {
        assert_eq!(
            refused(kv.post("data/x", &put(cas)).await),
            (400, "error parsing check-and-set parameter".to_owned())
        );
    }
    assert_eq!(kv.put("data/x", &put("1")).await["version"], 2);
    assert_eq!(kv.put("data/x", &put("\"2\"")).await["version"], 3);
    good(kv.post("config", r#"{"cas_required":true}"#).await);
    let without = refused(kv.post("data/x", r#"{"data":{}}"#).await);
    assert_eq!(without, (400, "check-and-set parameter required for this call".to_owned()));
    assert_eq!(refused(kv.patch("data/x", r#"{"data":{}}"#).await).0, 400);
    assert_eq!(kv.put("data/x", &put("3")).await["version"], 4);
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_leaves_the_rest_as_it_was() {
    let kv = kv2();
    good(kv.post("data/x", r#"{"data":{"a":1.50,"b":{"c":1,"d":2},"e":"x"}}"#).await);
    let patched = json(&good(kv.patch("data/x", r#"{"data":{"b":{"c":null,"n":3},"e":null,"f":[]}}"#).await));
    assert_eq!(patched["version"], 2);
    let read = text(&good(kv.get("data/x").await));
    assert!(read.starts_with(r#"{"data":{"a":1.50,"b":{"d":2,"n":3},"f":[]},"#), "{read}");
    assert_eq!(refused(kv.patch("data/none", r#"{"data":{"a":1}}"#).await), (404, String::new()));
    assert_eq!(refused(kv.patch("data/x", r#"{"data":{},"options":{"cas":1}}"#).await).0, 400);
    assert_eq!(refused(kv.patch("data/x", r#"{"a":1}"#).await), (400, "no data provided".to_owned()));
    good(kv.delete("data/x").await);
    let (status, data) = refused(kv.patch("data/x", r#"{"data":{"a":1}}"#).await);
    assert_eq!(
        (status, serde_json::from_str::<serde_json::Value>(&data).unwrap()["version"].clone()),
        (404, 2.into())
    );
    assert_eq!(kv.json("metadata/x").await["current_version"], 2);
}

#[tokio::test]
async fn a_deleted_version_is_a_404_with_its_metadata_until_it_is_undeleted() {
    let kv = three().await;
    kv.lab.clock.turn(1000);
    good(kv.delete("data/x").await);
    let (status, data) = refused(kv.get("data/x").await);
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(
        (status, &data["data"], &data["metadata"]["deletion_time"]),
        (404, &json!(null), &"2023-11-14T22:13:21.000Z".into())
    );
    assert_eq!(kv.json("data/x?version=2").await["data"]["v"], 2);
    kv.lab.clock.turn(1000);
    good(kv.delete("data/x").await);
    assert_eq!(kv.json("metadata/x").await["versions"]["3"]["deletion_time"], "2023-11-14T22:13:21.000Z");

    good(kv.post("delete/x", r#"{"versions":[1,2,77]}"#).await);
    assert_eq!(refused(kv.get("data/x?version=1").await).0, 404);
    good(kv.post("undelete/x", r#"{"versions":"1,3"}"#).await);
    assert_eq!(kv.json("data/x").await["data"]["v"], 3);
    assert_eq!(kv.json("data/x?version=1").await["data"]["v"], 1);
    assert_eq!(refused(kv.get("data/x?version=2").await).0, 404);
}

#[tokio::test]
async fn a_destroyed_version_never_comes_back() {
    let kv = three().await;
    let before = kv.records().await;
    good(kv.post("delete/x", r#"{"versions":[1]}"#).await);
    good(kv.post("destroy/x", r#"{"versions":[1,2]}"#).await);
    good(kv.post("destroy/x", r#"{"versions":[1]}"#).await);
    assert_eq!(kv.records().await, before - 2);
    good(kv.post("undelete/x", r#"{"versions":[1,2]}"#).await);
    for version in [1, 2] {
        let (status, data) = refused(kv.get(&format!("data/x?version={version}")).await);
        assert_eq!(status, 404);
        assert!(data.contains(r#""destroyed":true"#) && data.contains(r#""data":null"#));
    }
    assert_eq!(kv.json("data/x").await["data"]["v"], 3);
    let first = kv.json("metadata/x").await["versions"]["1"].clone();
    assert_eq!(
        (&first["destroyed"], &first["deletion_time"]),
        (&true.into(), &"2023-11-14T22:13:20.000Z".into())
    );
}

#[tokio::test]
async fn actions_on_what_is_not_there_do_nothing() {
    let kv = kv2();
    for action in ["delete", "undelete", "destroy"] {
        good(kv.post(&format!("{action}/none"), r#"{"versions":[1]}"#).await);
        let none = refused(kv.post(&format!("{action}/none"), "{}").await);
        assert_eq!(none, (400, "No version number provided".to_owned()));
    }
    good(kv.delete("data/none").await);
    good(kv.delete("metadata/none").await);
    assert_eq!(kv.records().await, 0);
}

#[tokio::test]
async fn a_grant_to_create_does_not_overwrite_and_one_to_update_does_not_create() {
    let kv = kv2();
    let (create, update) = (WriteMode::CreateOnly, WriteMode::UpdateOnly);
    let body = r#"{"data":{"v":1}}"#;
    assert_eq!(refused(kv.ask_as(update, Operation::Write, "data/x", body).await).0, 403);
    good(kv.ask_as(create, Operation::Write, "data/x", body).await);
    assert_eq!(refused(kv.ask_as(create, Operation::Write, "data/x", body).await).0, 403);
    good(kv.ask_as(update, Operation::Write, "data/x", body).await);
    good(kv.delete("data/x").await);
    assert_eq!(refused(kv.ask_as(create, Operation::Write, "data/x", body).await).0, 403);
    for action in ["delete/x", "undelete/x", "destroy/x"] {
        assert_eq!(refused(kv.ask_as(create, Operation::Write, action, r#"{"versions":[1]}"#).await).0, 403);
    }
    assert_eq!(refused(kv.ask_as(create, Operation::Write, "config", "{}").await).0, 403);
    assert_eq!(
        refused(kv.ask_as(create, Operation::Write, "metadata/x", r#"{"max_versions":3}"#).await).0,
        403
    );
    assert_eq!(
        refused(kv.ask_as(update, Operation::Write, "metadata/y", r#"{"max_versions":3}"#).await).0,
        403
    );
    assert_eq!(kv.json("metadata/x").await["current_version"], 2);
}

#[tokio::test]
async fn a_version_deletes_itself_when_its_time_has_come() {
    let kv = kv2();
    good(kv.post("config", r#"{"delete_version_after":"10s"}"#).await);
    good(kv.post("data/x", r#"{"data":{"v":1}}"#).await);
    good(kv.post("metadata/x", r#"{"delete_version_after":"5s"}"#).await);
    let second = kv.put("data/x", r#"{"data":{"v":2}}"#).await;
    assert_eq!(second["deletion_time"], "2023-11-14T22:13:25.000Z");
    kv.lab.clock.turn(4_999);
    assert_eq!(kv.json("data/x").await["data"]["v"], 2);
    kv.lab.clock.turn(1);
    assert_eq!(refused(kv.get("data/x").await).0, 404);
    assert_eq!(kv.json("data/x?version=1").await["data"]["v"], 1);
    kv.lab.clock.turn(5_000);
    assert_eq!(refused(kv.get("data/x?version=1").await).0, 404);
    good(kv.post("undelete/x", r#"{"versions":[2]}"#).await);
    assert_eq!(kv.json("data/x").await["data"]["v"], 2);
}

#[tokio::test]
async fn null_is_a_value() {
    let kv = kv2();
    good(kv.post("data/x", r#"{"data":null}"#).await);
    assert_eq!(kv.json("data/x").await["data"], json!(null));
    good(kv.patch("data/x", r#"{"data":{"a":1}}"#).await);
    assert_eq!(kv.json("data/x").await["data"], json!({"a": 1}));
}

#[tokio::test]
async fn subkeys_tell_names_and_no_values() {
    let kv = kv2();
    good(
        kv.post(
            "data/x",
            r#"{"data":{"a":{"b":{"c":"s3cret"}},"n":[1,{"z":"s3cret"}],"e":{},"q\"\u00e9":"s3cret"}}"#,
        )
        .await,
    );
    let of = async |target: &str| kv.json(target).await["subkeys"].clone();
    assert_eq!(of("subkeys/x").await, json!({"a":{"b":{"c":null}},"n":null,"e":null,"q\"é":null}));
    assert_eq!(of("subkeys/x?depth=1").await, json!({"a":null,"n":null,"e":null,"q\"é":null}));
    assert_eq!(of("subkeys/x?depth=2").await["a"], json!({"b":null}));
    assert_eq!(refused(kv.get("subkeys/none").await), (404, String::new()));
    assert_eq!(refused(kv.get("subkeys/x?depth=-2").await).0, 400);
    good(kv.delete("data/x").await);
    let (status, data) = refused(kv.get("subkeys/x").await);
    assert!(status == 404 && data.contains(r#""subkeys":null"#));
}

#[tokio::test]
async fn a_secret_that_was_deleted_and_made_anew_begins_at_version_one() {
    let kv = three().await;
    good(kv.delete("metadata/x").await);
    assert_eq!(kv.records().await, 0);
    assert_eq!(refused(kv.get("data/x").await), (404, String::new()));
    assert_eq!(kv.put("data/x", r#"{"data":{"v":9}}"#).await["version"], 1);
    assert_eq!(refused(kv.get("data/x?version=2").await).0, 404);
}

/// Whoever can write the store puts a value back that was authentic once, under the same name.
#[tokio::test]
async fn a_value_of_an_earlier_life_that_is_put_back_is_not_read() {
    const KIND_AT: std::ops::Range<usize> = 33..35;
    let kv = kv2();
    let values = async || {
        let entries = kv.lab.store.range(&[], None, usize::MAX).await.unwrap();
        let is_value = |key: &[u8]| key.get(KIND_AT) == Some(&(Kind::KvV2Version as u16).to_be_bytes()[..]);
        entries.into_iter().filter(|entry| is_value(&entry.key)).collect::<Vec<_>>()
    };
    good(kv.post("data/x", r#"{"data":{"password":"old"}}"#).await);
    let old = values().await.pop().unwrap();
    good(kv.delete("metadata/x").await);
    good(kv.post("data/x", r#"{"data":{"password":"new"}}"#).await);
    assert_eq!(values().await.pop().unwrap().key, old.key);
    let put_back = Box::new(move |transaction: &mut dyn Transaction| {
        transaction.put(old.key.clone(), old.value.clone()).map(drop).map_err(|_| Abort)
    });
    kv.lab.store.commit(put_back).await.unwrap();
    assert_eq!(refused(kv.get("data/x").await).0, 500);
    assert_eq!(refused(kv.patch("data/x", r#"{"data":{"a":1}}"#).await).0, 500);
    assert_eq!(refused(kv.get("subkeys/x").await).0, 500);
}
