//! Encrypting and decrypting: what comes back, and all that must not.
use super::lab::*;
use crate::transit::key_type::KeyType;
use coffer_types::{Operation, WriteMode};
use serde_json::json as value;

#[tokio::test]
async fn every_encrypting_type_gives_back_what_it_was_given() {
    let lab = Lab::new().await;
    for kind in ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "rsa-2048"] {
        lab.post(&format!("keys/{kind}"), &format!(r#"{{"type":"{kind}"}}"#)).await;
        for text in ["", "hello", &"long ".repeat(20)] {
            let ciphertext = lab.encrypt(kind, text).await;
            assert!(ciphertext.starts_with("vault:v1:"), "{kind}");
            assert_eq!(lab.decrypt(kind, &ciphertext).await.unwrap(), text, "{kind}");
        }
    }
    let listed = lab.ask(WriteMode::Any, Operation::List, "keys", "").await;
    assert_eq!(
        json(listed)["keys"],
        value!(["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "rsa-2048"])
    );
}

#[tokio::test]
async fn a_ciphertext_is_nonce_ciphertext_tag_under_the_key_that_is_stored() {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let lab = Lab::new().await;
    let (_, mut sealed) = parts(&lab.encrypt("k", "layout").await);
    let name = coffer_types::CanonicalPath::parse("k").unwrap();
    let key = super::super::records::Key::load(&lab.room().view, &name).await.ok().unwrap().unwrap();
    let secret = UnboundKey::new(&AES_256_GCM, &key.versions[0].material.secret).unwrap();
    let (nonce, body) = sealed.split_at_mut(12);
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    assert_eq!(LessSafeKey::new(secret).open_in_place(nonce, Aad::empty(), body).unwrap(), b"layout");
}

#[tokio::test]
async fn a_ciphertext_opens_only_whole_and_only_under_its_key_and_data() {
    let lab = Lab::new().await;
    for kind in ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305"] {
        lab.post(&format!("keys/{kind}"), &format!(r#"{{"type":"{kind}"}}"#)).await;
        lab.post("keys/other", r#"{"type":"aes256-gcm96"}"#).await;
        let (version, sealed) = parts(&lab.encrypt(kind, "whole").await);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut flipped = sealed.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(
                    lab.decrypt(kind, &whole(version, &flipped)).await.unwrap_err().0,
                    400,
                    "{kind} {at} {bit}"
                );
            }
            assert_eq!(
                lab.decrypt(kind, &whole(version, &sealed[..at])).await.unwrap_err().0,
                400,
                "{kind} {at}"
            );
        }
        let longer = [&sealed[..], &[0]].concat();
        assert!(lab.decrypt(kind, &whole(version, &longer)).await.is_err());
        assert!(lab.decrypt("other", &whole(version, &sealed)).await.is_err());
        assert_eq!(lab.decrypt(kind, &whole(version, &sealed)).await.unwrap(), "whole");
    }
}

#[tokio::test]
async fn associated_data_must_be_the_same_again() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    let (data, other) = (b64("context"), b64("contexu"));
    let body = format!(r#"{{"plaintext":"{}","associated_data":"{data}"}}"#, b64("p"));
    let sealed = lab.post("encrypt/k", &body).await["ciphertext"].as_str().unwrap().to_owned();
    let with = |data: &str| format!(r#"{{"ciphertext":"{sealed}","associated_data":"{data}"}}"#);
    assert_eq!(lab.post("decrypt/k", &with(&data)).await["plaintext"], b64("p"));
    assert_eq!(lab.refuse("decrypt/k", &with(&other)).await.0, 400);
    assert_eq!(lab.refuse("decrypt/k", &with("")).await.0, 400);
    let moved = lab.post("rewrap/k", &with(&data)).await["ciphertext"].as_str().unwrap().to_owned();
    assert!(lab.decrypt("k", &moved).await.is_err());
    assert_eq!(lab.refuse("rewrap/k", &with(&other)).await.0, 400);
}

#[tokio::test]
async fn what_is_no_ciphertext_is_refused_without_being_echoed() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    const CANARY: &str = "Q0FOQVJZQ0FOQVJZ";
    for ciphertext in [
        CANARY.to_owned(),
        format!("vault:v1:{CANARY}"),
        format!("vault:v1:{CANARY}!"),
        format!("vault:v2:{CANARY}"),
        format!("vault:v0:{CANARY}"),
        format!("vault:v01:{CANARY}"),
        format!("vault:v+1:{CANARY}"),
        format!("vault:v-1:{CANARY}"),
        format!("vault:v4294967297:{CANARY}"),
        format!("vault:v99999999999999999999:{CANARY}"),
        format!("vault:v:{CANARY}"),
        format!("vault:{CANARY}"),
        format!("VAULT:v1:{CANARY}"),
        format!("vault:v1:vault:v1:{CANARY}"),
        "vault:v1:".to_owned(),
        String::new(),
    ] {
        let (status, why) = lab.decrypt("k", &ciphertext).await.unwrap_err();
        assert_eq!(status, 400, "{ciphertext}");
        assert!(!why.contains(CANARY) && !why.is_empty(), "{why}");
    }
    for body in [
        format!(r#"{{"plaintext":"{CANARY}!"}}"#),
        format!(r#"{{"plaintext":["{CANARY}"]}}"#),
        format!(r#"{{"plaintext":"AAAA","associated_data":"{CANARY}!"}}"#),
        format!(r#"{{"plaintext":"AAAA","key_version":"{CANARY}"}}"#),
        format!(r#"{{"plaintext":"AAAA","nonce":"{CANARY}"}}"#),
        format!(r#"{{"plaintext":"AAAA","context":"{CANARY}"}}"#),
        format!(r#"{{"batch_input":"{CANARY}"}}"#),
        format!(r#"{{"batch_input":["{CANARY}"]}}"#),
        format!(r#"{{"batch_input":[{{"plaintext":"AAAA"}}],"partial_failure_response_code":"{CANARY}"}}"#),
        r#"{"batch_input":[]}"#.to_owned(),
        "{}".to_owned(),
    ] {
        let (status, why) = lab.refuse("encrypt/k", &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(!why.contains(CANARY) && !why.is_empty(), "{why}");
    }
}

#[tokio::test]
async fn a_batch_gives_what_the_items_would_give_alone() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    let [a, b] = [b64("a"), b64("b")];
    let items = format!(
        r#"[{{"plaintext":"{a}","reference":"first"}},{{"plaintext":"!"}},{{"plaintext":"{b}","associated_data":"AAAA"}},
            {{"plaintext":"{b}","key_version":9}},{{"plaintext":"{b}","nonce":"AAAA"}},{{}}]"#
    );
    let run = |code: &str| {
        let body = format!(r#"{{"batch_input":{items}{code}}}"#);
        let lab = &lab;
        async move { lab.ask(WriteMode::Any, Operation::Write, "encrypt/k", &body).await.ok().unwrap() }
    };
    assert_eq!(run("").await.status, Some(400));
    let answer = run(r#","partial_failure_response_code":207"#).await;
    assert_eq!(answer.status, Some(207));
    let results = json(Ok(answer))["batch_results"].clone();
    assert_eq!(results[0]["reference"], "first");
    for (at, works) in [true, false, true, false, false, false].into_iter().enumerate() {
        assert_eq!(results[at]["ciphertext"].is_string(), works, "{results}");
        assert_eq!(results[at]["error"].is_string(), !works, "{results}");
    }
    // The errors are the sentences of single requests.
    assert_eq!(results[1]["error"], lab.refuse("encrypt/k", r#"{"plaintext":"!"}"#).await.1);
    let alone = lab.refuse("encrypt/k", &format!(r#"{{"plaintext":"{b}","key_version":9}}"#)).await;
    assert_eq!(results[3]["error"], alone.1);
    // And it decrypts, in a batch and alone.
    let sealed = [results[0]["ciphertext"].as_str().unwrap(), results[2]["ciphertext"].as_str().unwrap()];
    let body = format!(
        r#"{{"batch_input":[{{"ciphertext":"{}"}},{{"ciphertext":"{}","associated_data":"AAAA"}}]}}"#,
        sealed[0], sealed[1]
    );
    let opened = lab.post("decrypt/k", &body).await["batch_results"].clone();
    assert_eq!([&opened[0]["plaintext"], &opened[1]["plaintext"]], [&value!(a), &value!(b)]);
    assert_eq!(lab.decrypt("k", sealed[0]).await.unwrap(), "a");
    // Where all fail, the caller's status for some does not count.
    let body = r#"{"batch_input":[{"plaintext":"!"}],"partial_failure_response_code":207}"#;
    assert_eq!(
        lab.ask(WriteMode::Any, Operation::Write, "encrypt/k", body).await.ok().unwrap().status,
        Some(400)
    );
}

#[tokio::test]
async fn a_batch_of_rewraps_tells_each_failure_and_moves_the_rest() {
    let lab = Lab::new().await;
    let sealed = lab.encrypt("k", "old").await;
    lab.post("keys/k/rotate", "").await;
    let body =
        format!(r#"{{"batch_input":[{{"ciphertext":"{sealed}"}},{{"ciphertext":"vault:v1:AAAA"}},{{}}]}}"#);
    let results = lab.post("rewrap/k", &body).await["batch_results"].clone();
    let moved = results[0]["ciphertext"].as_str().unwrap();
    assert!(moved.starts_with("vault:v2:"));
    assert_eq!(lab.decrypt("k", moved).await.unwrap(), "old");
    assert!(results[1]["error"].is_string() && results[2]["error"].is_string());
}

#[tokio::test]
async fn data_keys_come_in_three_sizes_and_only_the_plaintext_form_shows_them() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    for (bits, bytes) in [("", 32), (r#"{"bits":128}"#, 16), (r#"{"bits":256}"#, 32), (r#"{"bits":512}"#, 64)]
    {
        let made = lab.post("datakey/plaintext/k", bits).await;
        let body = format!(r#"{{"ciphertext":{}}}"#, made["ciphertext"]);
        assert_eq!(lab.post("decrypt/k", &body).await["plaintext"], made["plaintext"]);
        let plain = parts(&format!("vault:v1:{}", made["plaintext"].as_str().unwrap())).1;
        assert_eq!(plain.len(), bytes);
        assert!(lab.post("datakey/wrapped/k", bits).await["plaintext"].is_null());
    }
    assert_eq!(lab.refuse("datakey/plaintext/k", r#"{"bits":100}"#).await.0, 400);
    assert_eq!(lab.refuse("datakey/other/k", "").await.0, 400);
    assert_eq!(lab.refuse("datakey/plaintext/none", "").await.0, 400);
}

#[tokio::test]
async fn a_plaintext_too_long_for_rsa_says_so() {
    let lab = Lab::new().await;
    lab.post("keys/r", r#"{"type":"rsa-2048"}"#).await;
    let fits = "x".repeat(190);
    assert_eq!(lab.decrypt("r", &lab.encrypt("r", &fits).await).await.unwrap(), fits);
    let (status, why) = lab.refuse("encrypt/r", &format!(r#"{{"plaintext":"{}"}}"#, b64(fits + "x"))).await;
    assert_eq!(status, 400);
    assert!(why.contains("too long"));
    let (_, sealed) = parts(&lab.encrypt("r", "p").await);
    for at in [0, 1, 100, 255] {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        assert_eq!(lab.decrypt("r", &whole(1, &flipped)).await.unwrap_err().0, 400);
    }
    assert_eq!(lab.decrypt("r", &whole(1, &sealed[1..])).await.unwrap_err().0, 400);
}

#[tokio::test]
async fn types_that_sign_do_not_encrypt_and_say_so() {
    let lab = Lab::new().await;
    for kind in KeyType::ALL.into_iter().filter(|kind| !kind.can_encrypt()) {
        let name = kind.name();
        lab.post(&format!("keys/{name}"), &format!(r#"{{"type":"{name}"}}"#)).await;
        for (path, body) in [
            (format!("encrypt/{name}"), r#"{"plaintext":"AAAA"}"#),
            (format!("decrypt/{name}"), r#"{"ciphertext":"vault:v1:AAAA"}"#),
            (format!("rewrap/{name}"), r#"{"ciphertext":"vault:v1:AAAA"}"#),
            (format!("datakey/plaintext/{name}"), "{}"),
        ] {
            let (status, why) = lab.refuse(&path, body).await;
            assert_eq!(status, 400, "{path}");
            assert!(why.contains(name), "{why}");
        }
    }
}
