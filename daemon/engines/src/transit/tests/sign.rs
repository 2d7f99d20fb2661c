//! Signatures and MACs: valid where they were made, and nowhere else; checked by another implementation's rules too.
use super::lab::*;
use crate::transit::{key_type::KeyType, signature::Hash};
use aws_lc_rs::{digest, hmac, signature};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

const SIGNING: [KeyType; 5] =
    [KeyType::Ed25519, KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::Rsa2048];

async fn verified(lab: &Lab, key: &str, input: &str, signature: &str, more: &str) -> bool {
    let body = format!(r#"{{"input":"{}","signature":"{signature}"{more}}}"#, b64(input));
    lab.post(&format!("verify/{key}"), &body).await["valid"].as_bool().unwrap()
}

async fn signed(lab: &Lab, key: &str, input: &str, more: &str) -> String {
    let body = format!(r#"{{"input":"{}"{more}}}"#, b64(input));
    lab.post(&format!("sign/{key}"), &body).await["signature"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_signing_type_knows_its_own_signature_and_no_other() {
    let lab = Lab::new().await;
    for kind in SIGNING {
        let name = kind.name();
        lab.post(&format!("keys/{name}"), &format!(r#"{{"type":"{name}"}}"#)).await;
        lab.post("keys/other", r#"{"type":"ecdsa-p256"}"#).await;
        for more in ["", r#","marshaling_algorithm":"jws""#, r#","hash_algorithm":"sha2-512""#] {
            let made = signed(&lab, name, "message", more).await;
            assert!(verified(&lab, name, "message", &made, more).await, "{name} {more}");
            assert!(!verified(&lab, name, "messagf", &made, more).await, "{name} {more}");
        }
        let made = signed(&lab, name, "message", "").await;
        let (version, bytes) = parts(&made);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(!verified(&lab, name, "message", &whole(version, &flipped), "").await, "{name} {at}");
        }
        assert!(!verified(&lab, name, "message", &whole(version, &bytes[1..]), "").await);
        assert!(!verified(&lab, "other", "message", &made, "").await);
        lab.post(&format!("keys/{name}/rotate"), "").await;
        assert!(verified(&lab, name, "message", &made, "").await);
        assert!(!verified(&lab, name, "message", &whole(2, &bytes), "").await);
        assert!(signed(&lab, name, "message", "").await.starts_with("vault:v2:"));
        lab.post(&format!("keys/{name}/config"), r#"{"min_decryption_version":2}"#).await;
        let body = format!(r#"{{"input":"AAAA","signature":"{made}"}}"#);
        assert_eq!(lab.refuse(&format!("verify/{name}"), &body).await.0, 400);
    }
}

#[tokio::test]
async fn the_public_key_that_is_shown_checks_what_is_signed() {
    let lab = Lab::new().await;
    let public = async |kind: &str| {
        lab.post(&format!("keys/{kind}"), &format!(r#"{{"type":"{kind}"}}"#)).await;
        let shown =
            lab.get(&format!("keys/{kind}")).await["keys"]["1"]["public_key"].as_str().unwrap().to_owned();
        let base64: String = shown.lines().filter(|line| !line.starts_with('-')).collect();
        parts(&format!("vault:v1:{base64}")).1
    };
    let check = |algorithm: &'static dyn signature::VerificationAlgorithm, public: &[u8], made: &str| {
        signature::UnparsedPublicKey::new(algorithm, public).verify(b"message", &parts(made).1).unwrap();
    };
    check(&signature::ED25519, &public("ed25519").await, &signed(&lab, "ed25519", "message", "").await);
    let p256 = public("ecdsa-p256").await;
    check(&signature::ECDSA_P256_SHA256_ASN1, &p256, &signed(&lab, "ecdsa-p256", "message", "").await);
    // A digest longer than the curve is cut to it, as the standard says.
    let long = signed(&lab, "ecdsa-p256", "message", r#","hash_algorithm":"sha2-512""#).await;
    check(&signature::ECDSA_P256_SHA512_ASN1, &p256, &long);
    let p384 = public("ecdsa-p384").await;
    let short = signed(&lab, "ecdsa-p384", "message", r#","hash_algorithm":"sha2-256""#).await;
    check(&signature::ECDSA_P384_SHA256_ASN1, &p384, &short);
    let p521 = public("ecdsa-p521").await;
    let short = signed(&lab, "ecdsa-p521", "message", r#","hash_algorithm":"sha2-224""#).await;
    check(&signature::ECDSA_P521_SHA224_ASN1, &p521, &short);
    let rsa = public("rsa-2048").await;
    check(&signature::RSA_PSS_2048_8192_SHA256, &rsa, &signed(&lab, "rsa-2048", "message", "").await);
    let pkcs1 = r#","signature_algorithm":"pkcs1v15","hash_algorithm":"sha2-384""#;
    check(&signature::RSA_PKCS1_2048_8192_SHA384, &rsa, &signed(&lab, "rsa-2048", "message", pkcs1).await);
}

#[tokio::test]
async fn a_prehashed_input_signs_as_its_message_does() {
    let lab = Lab::new().await;
    for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::Rsa2048] {
        let name = kind.name();
        lab.post(&format!("keys/{name}"), &format!(r#"{{"type":"{name}"}}"#)).await;
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let more = format!(r#","hash_algorithm":"{}""#, hash.name());
            let sum = b64(digest::digest(hash.algorithm(), b"message"));
            let body = format!(r#"{{"input":"{sum}","prehashed":true{more}}}"#);
            let made =
                lab.post(&format!("sign/{name}"), &body).await["signature"].as_str().unwrap().to_owned();
            assert!(verified(&lab, name, "message", &made, &more).await, "{name} {more}");
            let short = format!(r#"{{"input":"{}","prehashed":true{more}}}"#, b64("short"));
            assert_eq!(lab.refuse(&format!("sign/{name}"), &short).await.0, 400);
        }
    }
    lab.post("keys/ed", r#"{"type":"ed25519"}"#).await;
    assert_eq!(lab.refuse("sign/ed", r#"{"input":"AAAA","prehashed":true}"#).await.0, 400);
}

#[tokio::test]
async fn jws_is_r_and_s_in_base64url() {
    let lab = Lab::new().await;
    lab.post("keys/k", r#"{"type":"ecdsa-p256"}"#).await;
    let made = signed(&lab, "k", "message", r#","marshaling_algorithm":"jws""#).await;
    assert_eq!(URL_SAFE_NO_PAD.decode(made.strip_prefix("vault:v1:").unwrap()).unwrap().len(), 64);
}

#[tokio::test]
async fn schemes_do_not_stand_in_for_each_other() {
    let lab = Lab::new().await;
    lab.post("keys/r", r#"{"type":"rsa-2048"}"#).await;
    let pkcs1 = r#","signature_algorithm":"pkcs1v15""#;
    let made = signed(&lab, "r", "m", pkcs1).await;
    assert!(verified(&lab, "r", "m", &made, pkcs1).await);
    assert!(!verified(&lab, "r", "m", &made, "").await);
    let other = format!(r#"{pkcs1},"hash_algorithm":"sha2-384""#);
    assert!(!verified(&lab, "r", "m", &made, &other).await);
    // The hash may stand in the path, too.
    let body = format!(r#"{{"input":"{}"{pkcs1}}}"#, b64("m"));
    let made = lab.post("sign/r/sha2-512", &body).await["signature"].as_str().unwrap().to_owned();
    assert!(verified(&lab, "r", "m", &made, &format!(r#"{pkcs1},"hash_algorithm":"sha2-512""#)).await);
}

#[tokio::test]
async fn batches_of_signatures_tell_each_failure() {
    let lab = Lab::new().await;
    lab.post("keys/k", r#"{"type":"ed25519"}"#).await;
    let body =
        format!(r#"{{"batch_input":[{{"input":"{}","reference":"q"}},{{"input":"!"}},{{}}]}}"#, b64("m"));
    let results = lab.post("sign/k", &body).await["batch_results"].clone();
    assert_eq!(results[0]["reference"], "q");
    assert!(results[1]["error"].is_string() && results[2]["error"].is_string());
    let made = results[0]["signature"].as_str().unwrap();
    assert_eq!(made, signed(&lab, "k", "m", "").await);
    let body = format!(
        r#"{{"batch_input":[{{"input":"{}","signature":"{made}"}},{{"input":"AAAA","signature":"{made}"}},{{"input":"AAAA","signature":"x"}}]}}"#,
        b64("m")
    );
    let results = lab.post("verify/k", &body).await["batch_results"].clone();
    assert_eq!((&results[0]["valid"], &results[1]["valid"]), (&true.into(), &false.into()));
    assert!(results[2]["error"].is_string());
}

#[tokio::test]
async fn a_mac_is_made_under_a_key_of_its_own_and_checked() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    let body = format!(r#"{{"input":"{}"}}"#, b64("m"));
    let mac = lab.post("hmac/k", &body).await["hmac"].as_str().unwrap().to_owned();
    assert_eq!(lab.post("hmac/k", &body).await["hmac"], mac);
    let name = coffer_types::CanonicalPath::parse("k").unwrap();
    let key = super::super::records::Key::load(&lab.room().view, &name).await.ok().unwrap().unwrap();
    let own = hmac::Key::new(hmac::HMAC_SHA256, &key.versions[0].mac_key);
    assert_eq!(hmac::sign(&own, b"m").as_ref(), parts(&mac).1);
    assert_ne!(*key.versions[0].mac_key, key.versions[0].material.secret[..]);
    let check = |input: &str, mac: &str| format!(r#"{{"input":"{}","hmac":"{mac}"}}"#, b64(input));
    assert_eq!(lab.post("verify/k", &check("m", &mac)).await["valid"], true);
    assert_eq!(lab.post("verify/k", &check("n", &mac)).await["valid"], false);
    assert_eq!(lab.post("verify/k", &check("m", "vault:v1:AAAA")).await["valid"], false);
    assert_eq!(lab.refuse("verify/k", &check("m", "AAAA")).await.0, 400);
    let long = lab.post("hmac/k/sha2-512", &body).await["hmac"].as_str().unwrap().to_owned();
    assert_eq!(parts(&long).1.len(), 64);
    assert_eq!(lab.post("verify/k/sha2-512", &check("m", &long)).await["valid"], true);
}
