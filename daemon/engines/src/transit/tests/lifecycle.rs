//! A key's life: made, rotated, limited, trimmed, deleted, made again.
use super::lab::*;
use coffer_types::{Operation, WriteMode};

#[tokio::test]
async fn a_rotated_key_opens_the_old_and_rewraps_to_the_new() {
    let lab = Lab::new().await;
    let old = lab.encrypt("k", "a").await;
    assert_eq!(lab.post("keys/k/rotate", "").await["latest_version"], 2);
    let new = lab.post("rewrap/k", &format!(r#"{{"ciphertext":"{old}"}}"#)).await;
    assert_eq!(new["key_version"], 2);
    assert_eq!(lab.decrypt("k", new["ciphertext"].as_str().unwrap()).await.unwrap(), "a");
    assert_eq!(lab.decrypt("k", &old).await.unwrap(), "a");
    let lab = lab.restarted().await;
    assert_eq!(lab.decrypt("k", &old).await.unwrap(), "a");
}

#[tokio::test]
async fn minimum_versions_hold_for_opening_and_for_making() {
    let lab = Lab::new().await;
    let old = lab.encrypt("k", "a").await;
    lab.post("keys/k/rotate", "").await;
    lab.post("keys/k/rotate", "").await;
    lab.post("keys/k/config", r#"{"min_encryption_version":2}"#).await;
    assert_eq!(lab.refuse("encrypt/k", r#"{"plaintext":"AAAA","key_version":1}"#).await.0, 400);
    assert_eq!(lab.post("encrypt/k", r#"{"plaintext":"AAAA","key_version":2}"#).await["key_version"], 2);
    assert_eq!(lab.decrypt("k", &old).await.unwrap(), "a");
    let shown = lab.post("keys/k/config", r#"{"min_decryption_version":2}"#).await;
    assert!(shown["keys"]["1"].is_null() && shown["keys"]["2"].is_number());
    let (status, why) = lab.decrypt("k", &old).await.unwrap_err();
    assert_eq!(status, 400);
    assert!(why.contains("minimum"), "{why}");
    assert_eq!(lab.refuse("rewrap/k", &format!(r#"{{"ciphertext":"{old}"}}"#)).await.0, 400);
    // It can be let in again as long as it was not trimmed.
    lab.post("keys/k/config", r#"{"min_decryption_version":1}"#).await;
    assert_eq!(lab.decrypt("k", &old).await.unwrap(), "a");
    for wrong in [
        r#"{"min_decryption_version":4}"#,
        r#"{"min_encryption_version":4}"#,
        r#"{"min_decryption_version":3}"#,
        r#"{"min_decryption_version":99999999999}"#,
        r#"{"min_decryption_version":-1}"#,
        r#"{"auto_rotate_period":"5m"}"#,
        r#"{"deletion_allowed":"perhaps"}"#,
        r#"{"exportable":true}"#,
        r#"{"allow_plaintext_backup":true}"#,
    ] {
        assert_eq!(lab.refuse("keys/k/config", wrong).await.0, 400, "{wrong}");
    }
    let shown = lab.post("keys/k/config", r#"{"auto_rotate_period":"5h","exportable":false}"#).await;
    assert_eq!(shown["auto_rotate_period"], 18_000);
    assert_eq!((&shown["min_encryption_version"], &shown["exportable"]), (&2.into(), &false.into()));
}

#[tokio::test]
async fn what_was_trimmed_is_gone() {
    let lab = Lab::new().await;
    let old = lab.encrypt("k", "a").await;
    for _ in 0..3 {
        lab.post("keys/k/rotate", "").await;
    }
    let new = lab.encrypt("k", "b").await;
    for wrong in ["{}", r#"{"min_available_version":0}"#, r#"{"min_available_version":3}"#] {
        assert_eq!(lab.refuse("keys/k/trim", wrong).await.0, 400, "{wrong}");
    }
    lab.post("keys/k/config", r#"{"min_decryption_version":3,"min_encryption_version":3}"#).await;
    assert_eq!(lab.refuse("keys/k/trim", r#"{"min_available_version":4}"#).await.0, 400);
    let records = lab.barrier.record_count();
    assert_eq!(lab.post("keys/k/trim", r#"{"min_available_version":3}"#).await["min_available_version"], 3);
    assert_eq!(
        lab.barrier.record_count(),
        records - 1,
        "the counter of the version that encrypted is gone too"
    );
    assert_eq!(lab.refuse("keys/k/trim", r#"{"min_available_version":2}"#).await.0, 400);
    let body = r#"{"min_decryption_version":2}"#;
    assert_eq!(lab.refuse("keys/k/config", body).await.0, 400, "it can't be let in again");
    assert!(lab.decrypt("k", &old).await.is_err());
    let lab = lab.restarted().await;
    assert!(lab.decrypt("k", &old).await.is_err());
    assert_eq!(lab.decrypt("k", &new).await.unwrap(), "b");
    assert_eq!(lab.post("encrypt/k", r#"{"plaintext":"AAAA","key_version":3}"#).await["key_version"], 3);
}

#[tokio::test]
async fn a_key_made_anew_shares_neither_versions_nor_ciphertexts_with_the_old() {
    let lab = Lab::new().await;
    let old = lab.encrypt("k", "a").await;
    lab.post("keys/k/rotate", "").await;
    let newer = lab.encrypt("k", "b").await;
    assert_eq!(refusal(lab.delete("keys/k").await).0, 400, "deletion is not allowed");
    assert_eq!(lab.decrypt("k", &old).await.unwrap(), "a");
    lab.post("keys/k/config", r#"{"deletion_allowed":true}"#).await;
    assert!(lab.delete("keys/k").await.is_ok());
    assert_eq!(refusal(lab.delete("keys/k").await).0, 400);
    assert_eq!(refusal(lab.ask(WriteMode::Any, Operation::Read, "keys/k", "").await).0, 404);
    assert_eq!(refusal(lab.ask(WriteMode::Any, Operation::List, "keys", "").await).0, 404);
    assert_eq!(lab.decrypt("k", &old).await.unwrap_err().0, 400);

    let lab = lab.restarted().await;
    let made = lab.encrypt("k", "c").await;
    assert!(made.starts_with("vault:v3:"), "{made}");
    for gone in [&old, &newer] {
        assert!(lab.decrypt("k", gone).await.is_err());
        let (_, bytes) = parts(gone);
        assert!(lab.decrypt("k", &whole(3, &bytes)).await.is_err());
    }
    let shown = lab.get("keys/k").await;
    assert_eq!((&shown["latest_version"], &shown["min_decryption_version"]), (&3.into(), &3.into()));
    assert_eq!(shown["deletion_allowed"], false);
    assert_eq!(lab.decrypt("k", &made).await.unwrap(), "c");
}

#[tokio::test]
async fn an_encryption_makes_the_key_only_where_it_may() {
    let lab = Lab::new().await;
    let encrypt = async |mode, key: &str| {
        let path = format!("encrypt/{key}");
        lab.ask(mode, Operation::Write, &path, r#"{"plaintext":"AAAA"}"#).await
    };
    assert_eq!(refusal(encrypt(WriteMode::UpdateOnly, "k").await).0, 403);
    assert_eq!(refusal(lab.ask(WriteMode::Any, Operation::Read, "keys/k", "").await).0, 404);
    assert!(encrypt(WriteMode::CreateOnly, "k").await.is_ok());
    assert_eq!(refusal(encrypt(WriteMode::CreateOnly, "k").await).0, 403);
    assert!(encrypt(WriteMode::UpdateOnly, "k").await.is_ok());
    for path in
        ["decrypt/k", "rewrap/k", "datakey/plaintext/k", "sign/k", "hmac/k", "keys/k/rotate", "keys/k/config"]
    {
        let body = r#"{"ciphertext":"vault:v1:AAAA","input":"AAAA"}"#;
        let answer = lab.ask(WriteMode::CreateOnly, Operation::Write, path, body).await;
        assert_eq!(refusal(answer).0, 403, "{path}");
    }
    for path in [
        "decrypt/none",
        "rewrap/none",
        "datakey/plaintext/none",
        "sign/none",
        "hmac/none",
        "keys/none/rotate",
    ] {
        let body = r#"{"ciphertext":"vault:v1:AAAA","input":"AAAA"}"#;
        assert_eq!(lab.refuse(path, body).await.0, 400, "{path}");
    }
    assert_eq!(refusal(lab.ask(WriteMode::Any, Operation::Read, "keys/none", "").await).0, 404);
}

#[tokio::test]
async fn a_key_that_is_there_is_shown_and_left_as_it_is() {
    let lab = Lab::new().await;
    lab.post("keys/k", r#"{"type":"chacha20-poly1305"}"#).await;
    let sealed = lab.encrypt("k", "a").await;
    assert_eq!(lab.post("keys/k", "").await["type"], "chacha20-poly1305");
    assert_eq!(lab.refuse("keys/k", r#"{"type":"aes256-gcm96"}"#).await.0, 400);
    assert_eq!(lab.decrypt("k", &sealed).await.unwrap(), "a");
}

#[tokio::test]
async fn paths_and_operations_that_are_not_there_are_told_apart() {
    let lab = Lab::new().await;
    for path in [
        "",
        "foo",
        "keys/k/foo",
        "keys/k/config/x",
        "encrypt",
        "datakey/plaintext",
        "export/encryption-key/k",
    ] {
        assert_eq!(refusal(lab.ask(WriteMode::Any, Operation::Read, path, "").await).0, 404, "{path}");
    }
    for path in ["encrypt/k", "keys/k/rotate", "keys", "sign/k/sha2-256", "random/16"] {
        assert_eq!(refusal(lab.ask(WriteMode::Any, Operation::Read, path, "").await).0, 405, "{path}");
    }
}
