//! Every type of key with every option of every call: an answer or one clear sentence, never a panic (CVE-2026-55776).
use super::lab::*;
use crate::transit::key_type::KeyType;
use coffer_types::{Operation, WriteMode};

/// Asks; gives back whether it worked. A refusal must be the caller's to understand.
async fn tried(lab: &Lab, path: &str, body: &str) -> bool {
    match lab.ask(WriteMode::Any, Operation::Write, path, body).await {
        Ok(_) => true,
        Err(fault) => {
            let (status, why) = refusal(Err(fault));
            assert!(status == 400 && why.len() > 10, "{path} {body}: {status} {why}");
            false
        }
    }
}

#[tokio::test]
async fn every_type_is_made_or_refused_with_every_option() {
    let lab = Lab::new().await;
    let options = [
        ("", true),
        (r#","derived":true"#, false),
        (r#","convergent_encryption":true"#, false),
        (r#","derived":true,"convergent_encryption":true"#, false),
        (r#","derived":false,"convergent_encryption":false"#, true),
        (r#","exportable":true"#, false),
        (r#","allow_plaintext_backup":true"#, false),
        (r#","auto_rotate_period":"1h""#, true),
        (r#","auto_rotate_period":"1s""#, false),
        (r#","auto_rotate_period":"x""#, false),
        (r#","key_size":32"#, false),
        (r#","key_size":0"#, true),
        (r#","derived":"x""#, false),
        (r#","context":"AAAA""#, true),
    ];
    for kind in KeyType::ALL.into_iter().filter(|kind| !matches!(kind, KeyType::Rsa3072 | KeyType::Rsa4096)) {
        for (at, (option, works)) in options.into_iter().enumerate() {
            let body = format!(r#"{{"type":"{}"{option}}}"#, kind.name());
            assert_eq!(tried(&lab, &format!("keys/{}-{at}", kind.name()), &body).await, works, "{body}");
        }
    }
    for unknown in
        ["managed_key", "hmac", "xchacha20-poly1305", "AES256-GCM96", "rsa-1024", "ml-dsa", " ", "foo"]
    {
        let (status, why) = lab.refuse("keys/unknown", &format!(r#"{{"type":"{unknown}"}}"#)).await;
        assert_eq!(status, 400);
        assert!(why.contains("aes256-gcm96") && !why.contains("foo"), "{why}");
    }
}

#[tokio::test]
async fn every_type_answers_every_call_with_every_option() {
    let lab = Lab::new().await;
    let kinds = KeyType::ALL.into_iter().filter(|kind| !matches!(kind, KeyType::Rsa3072 | KeyType::Rsa4096));
    let calls = [
        "encrypt/K",
        "decrypt/K",
        "rewrap/K",
        "datakey/plaintext/K",
        "datakey/wrapped/K",
        "sign/K",
        "verify/K",
        "hmac/K",
    ];
    let inputs = [
        r#""plaintext":"AAAA","ciphertext":"vault:v1:AAAA","input":"AAAA","signature":"vault:v1:AAAA""#,
        r#""plaintext":"","ciphertext":"","input":"","hmac":"""#,
        r#""plaintext":"AAAA","ciphertext":"vault:v1:AAAA","input":"AAAA","hmac":"vault:v1:AAAA""#,
    ];
    let options = [
        "",
        r#","context":"AAAA""#,
        r#","nonce":"AAAAAAAAAAAAAAAA""#,
        r#","associated_data":"AAAA""#,
        r#","key_version":1"#,
        r#","key_version":2"#,
        r#","key_version":4294967296"#,
        r#","prehashed":true"#,
        r#","prehashed":true,"hash_algorithm":"none","signature_algorithm":"pkcs1v15""#,
        r#","hash_algorithm":"sha1""#,
        r#","hash_algorithm":"sha2-224""#,
        r#","hash_algorithm":"sha2-512""#,
        r#","algorithm":"sha3-512""#,
        r#","marshaling_algorithm":"jws""#,
        r#","marshaling_algorithm":"x""#,
        r#","signature_algorithm":"pkcs1v15""#,
        r#","signature_algorithm":"x""#,
        r#","salt_length":"hash""#,
        r#","salt_length":0"#,
        r#","bits":512"#,
        r#","bits":0"#,
    ];
    for kind in kinds {
        let name = kind.name();
        lab.post(&format!("keys/{name}"), &format!(r#"{{"type":"{name}"}}"#)).await;
        for call in calls {
            let path = call.replace('K', name);
            let mut works = 0;
            for input in inputs {
                for option in options {
                    works += usize::from(tried(&lab, &path, &format!("{{{input}{option}}}")).await);
                    let batch = format!(r#"{{"batch_input":[{{{input}{option}}},{{}}]{option}}}"#);
                    tried(&lab, &path, &batch).await;
                }
            }
            let expected = match call.split('/').next().unwrap() {
                "encrypt" | "datakey" => kind.can_encrypt(),
                "sign" => kind.can_sign(),
                "hmac" | "verify" => true,
                _ => false,
            };
            assert_eq!(works > 0, expected, "{path}");
        }
    }
}

#[tokio::test]
async fn a_nonce_of_the_callers_is_refused_wherever_it_could_be_given() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    let nonce = r#""nonce":"AAAAAAAAAAAAAAAA""#;
    for (path, field) in [
        ("encrypt/k", r#""plaintext":"AAAA""#),
        ("decrypt/k", r#""ciphertext":"vault:v1:AAAA""#),
        ("rewrap/k", r#""ciphertext":"vault:v1:AAAA""#),
        ("datakey/plaintext/k", r#""bits":256"#),
    ] {
        let (status, why) = lab.refuse(path, &format!("{{{field},{nonce}}}")).await;
        assert_eq!(status, 400);
        assert!(why.contains("'nonce'"), "{why}");
    }
    let body = format!(r#"{{"batch_input":[{{"plaintext":"AAAA",{nonce}}}]}}"#);
    let answer = lab.ask(WriteMode::Any, Operation::Write, "encrypt/k", &body).await;
    assert!(json(answer)["batch_results"][0]["error"].as_str().unwrap().contains("'nonce'"));
}

#[tokio::test]
async fn random_and_hash_need_no_key() {
    let lab = Lab::new().await;
    for (path, body, bytes) in [
        ("random", "", 32),
        ("random", r#"{"bytes":16}"#, 16),
        ("random/8", "", 8),
        ("random/platform/5", "", 5),
    ] {
        let random = lab.post(path, body).await["random_bytes"].as_str().unwrap().to_owned();
        assert_eq!(parts(&format!("vault:v1:{random}")).1.len(), bytes, "{path}");
    }
    let hex = lab.post("random/4", r#"{"format":"hex"}"#).await["random_bytes"].as_str().unwrap().to_owned();
    assert!(hex.len() == 8 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
    for (path, body) in [
        ("random", r#"{"bytes":0}"#),
        ("random/999999999", ""),
        ("random/x", ""),
        ("random", r#"{"format":"x"}"#),
    ] {
        assert!(!tried(&lab, path, body).await, "{path} {body}");
    }
    let abc = format!(r#"{{"input":"{}"}}"#, b64("abc"));
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(lab.post("hash", &abc).await["sum"], sum);
    assert_eq!(lab.post("hash/sha2-256", &abc).await["sum"], sum);
    let sha3 = "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532";
    assert_eq!(lab.post("hash/sha3-256", &abc).await["sum"], sha3);
    for (path, body) in [("hash/md5", &*abc), ("hash", "{}"), ("hash", r#"{"input":"!"}"#)] {
        assert!(!tried(&lab, path, body).await, "{path} {body}");
    }
}
