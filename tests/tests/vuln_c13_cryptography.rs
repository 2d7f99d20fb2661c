//! C13: cryptography and the life of keys. Shares' arithmetic, nonces under a failing generator and flipped bits of sealed
//! blobs are tested beside their code (seal, transit, keystore-format).
use coffer_sdk::{KeyType, Secret};
use coffer_tests::{Ask, House, Setup};
use serde_json::{Value, json};
use std::collections::BTreeSet;

absent!(cve_2023_25000_shamir_by_tables, "a property of the code: tested in the seal crate");
absent!(
    vault_0_11_1_random_read_error_ignored,
    "fault injection: tested with a failing generator in the crates"
);
absent!(
    cve_2023_2197_padding_oracle_of_a_seal,
    "no CBC; every sealed blob is an AEAD, tested in keystore-format"
);
absent!(rustsec_2024_0398_biased_coefficients, "tested in the seal crate");
absent!(rustsec_2023_0096_plaintext_left_after_a_bad_tag, "Wycheproof's vectors: tested in keystore-format");
absent!(cve_2022_25244_transform_key_readable, "no transform engine; transit exports nothing, see below");
absent!(
    rustsec_2026_0285_messages_across_a_key_change,
    "held by the version of rustls in Cargo.toml and cargo deny"
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2023_4680_a_caller_chooses_no_nonce_and_none_comes_twice() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.transit("transit").create("k", KeyType::Aes256Gcm96).await.unwrap();
    for body in [
        json!({ "plaintext": "aGk=", "nonce": "AAAAAAAAAAAAAAAA" }),
        json!({ "batch_input": [{ "plaintext": "aGk=", "nonce": "AAAAAAAAAAAAAAAA" }] }),
    ] {
        let answer = root.ask("POST", "transit/encrypt/k", body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    root.ask("POST", "transit/keys/c", json!({ "convergent_encryption": true, "derived": true }))
        .await
        .refused(400);
    let mut nonces = BTreeSet::new();
    let batch: Vec<_> = (0..500).map(|_| json!({ "plaintext": "aGk=" })).collect();
    for _ in 0..20 {
        let answer = root.ask("POST", "transit/encrypt/k", json!({ "batch_input": batch })).await.ok();
        for result in answer.data()["batch_results"].as_array().unwrap() {
            let text = result["ciphertext"].as_str().unwrap().strip_prefix("vault:v1:").unwrap();
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
            assert!(nonces.insert(bytes[..12].to_vec()), "a nonce came twice");
        }
    }
    assert_eq!(nonces.len(), 10_000);
}

/// The same over a kill: what was reserved and not used is left out, never used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_nonce_comes_twice_over_a_kill() {
    let mut house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    house.root().transit("transit").create("k", KeyType::Aes256Gcm96).await.unwrap();
    let mut nonces = BTreeSet::new();
    for _ in 0..4 {
        for _ in 0..20 {
            let text = house.root().transit("transit").encrypt("k", b"x", b"").await.unwrap();
            let bytes = base64::Engine::decode(
                &base64::engine::general_purpose::STANDARD,
                text.strip_prefix("vault:v1:").unwrap(),
            )
            .unwrap();
            assert!(nonces.insert(bytes[..12].to_vec()));
        }
        house.kill9();
        house.start_process().await;
        house.unseal().await;
    }
}

/// Vault 0.10.2: equal plaintexts look different.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vault_0_10_2_equal_plaintexts_have_different_ciphertexts() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let transit = root.transit("transit");
    transit.create("k", KeyType::Aes256Gcm96).await.unwrap();
    assert_ne!(
        transit.encrypt("k", b"same", b"").await.unwrap(),
        transit.encrypt("k", b"same", b"").await.unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rustsec_2020_0160_one_share_too_few_opens_nothing() {
    let mut house = House::empty(Setup { shares: Some((5, 3)), ..Setup::default() }).await;
    house.init().await;
    let sys = house.client(&house.operator).sys();
    for pair in [[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]] {
        for at in pair {
            assert!(sys.unseal(&Secret::new(house.shares[at].clone())).await.unwrap().sealed);
        }
        // The same ones again do not make a third.
        for at in pair {
            assert!(
                sys.unseal(&Secret::new(house.shares[at].clone())).await.map_or(true, |status| status.sealed)
            );
        }
        sys.unseal_reset().await.unwrap();
    }
}

/// COSMIAN-2026-015: `after_seal::no_file_of_the_store_shows_a_value_a_name_a_token_or_a_share`; and nothing gives a
/// transit key's bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosmian_2026_015_no_path_gives_a_transit_keys_bytes() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.transit("transit").create("k", KeyType::Ed25519).await.unwrap();
    for path in [
        "transit/export/encryption-key/k",
        "transit/export/signing-key/k/1",
        "transit/export/hmac-key/k",
        "transit/backup/k",
        "transit/byok-export/k/k",
    ] {
        root.ask("GET", path, Value::Null).await.refused(404);
    }
    let shown = root.ask("GET", "transit/keys/k", Value::Null).await.ok();
    assert!(!shown.body.to_string().contains("private"), "{}", shown.body);
    root.ask("POST", "transit/keys/k/config", json!({ "exportable": true })).await.refused(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosmian_2026_010_two_installations_share_nothing() {
    let (one, two) = (House::start().await, House::start().await);
    assert!(one.shares.iter().all(|share| !two.shares.contains(share)));
    assert_ne!(one.root_token, two.root_token);
    two.with_token(&one.root_token).ask("GET", "sys/mounts", Value::Null).await.refused(403);
    let status = async |house: &House| {
        house.root().ask("GET", "sys/seal-status", Value::Null).await.ok().body["cluster_id"].clone()
    };
    assert_ne!(status(&one).await, status(&two).await);
}

/// OpenBao GH-2619: neither `rotate` nor `rotate/root` touches the shares, killed anywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openbao_2619_rotations_killed_anywhere_leave_the_shares_good() {
    let mut house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    house.root().ask("POST", "secret/data/x", json!({ "data": { "k": 1 } })).await.done();
    for round in 0..8_u64 {
        let root = house.root();
        let rotating = tokio::spawn(async move {
            for path in ["sys/rotate", "sys/rotate/root"].into_iter().cycle() {
                if coffer_tests::ask(&root, "POST", path, &json!({})).await.is_err() {
                    break;
                }
            }
        });
        tokio::time::sleep(std::time::Duration::from_millis(3 + 5 * round)).await;
        house.kill9();
        rotating.await.unwrap();
        house.start_process().await;
        house.unseal().await;
        house.root().ask("GET", "secret/data/x", Value::Null).await.done();
    }
    let term = house.root().sys().key_status().await.unwrap().term;
    assert!(term > 3, "{term}");
}

/// Key rollback: a key made anew under an old name, or one whose old versions were shut, opens nothing old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minimum_version_shuts_old_ciphertexts_out() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let transit = root.transit("transit");
    transit.create("k", KeyType::Aes256Gcm96).await.unwrap();
    let old = transit.encrypt("k", b"x", b"").await.unwrap();
    transit.rotate("k").await.unwrap();
    transit.rotate("k").await.unwrap();
    root.ask("POST", "transit/keys/k/config", json!({ "min_decryption_version": 3 })).await.done();
    root.ask("POST", "transit/decrypt/k", json!({ "ciphertext": old })).await.refused(400);
    for forged in [
        old.replace("vault:v1:", "vault:v3:"),
        old.replace("vault:v1:", "vault:v0:"),
        old.replace("vault:v1:", "vault:v99:"),
        old.replace("vault:v1:", "vault:v-1:"),
        old.replace("vault:v1:", "vault:v01:"),
        old.replace("vault:v1:", "v3:"),
        format!("{old}A"),
        old.to_uppercase(),
    ] {
        root.ask("POST", "transit/decrypt/k", json!({ "ciphertext": forged })).await.refused(400);
    }
    root.ask("POST", "transit/keys/k/config", json!({ "min_decryption_version": 9 })).await.refused(400);
    root.ask("POST", "transit/keys/k/config", json!({ "min_encryption_version": 1 })).await.refused(400);
}
