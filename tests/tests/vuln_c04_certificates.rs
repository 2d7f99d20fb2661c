//! C4: certificate login, revocation, TLS to others. Listener and reload stand in certificates.rs.
use coffer_tests::{Ask, Authority, House, Person, Tls, Usage, Wire, eventually};
use serde_json::{Value, json};

absent!(cve_2024_2660_ocsp_response_not_validated, "no OCSP: a role that asks for it is refused");
absent!(cve_2021_27400_outgoing_tls_unverified, "no outgoing connections yet");
absent!(ghsa_hvhv_peer_not_verified, "no outgoing connections yet");

/// The same serial number, issuer name, subject and names, but another key: refused at the door and at the role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2024_2048_a_look_alike_with_another_key_is_nobody() {
    let house = House::start().await;
    let person = Person::named("pinned").uri("spiffe://x/pinned").serial(&[0x41, 2, 3, 4, 5, 6, 7, 8]);
    let pinned = house.issue(&person);
    house
        .role(
            &house.root(),
            "pinned",
            json!({ "certificate": pinned.certificate, "token_policies": ["default"] }),
        )
        .await;
    house.client(&pinned).ask("POST", "auth/cert/login", json!({})).await.done();
    // By the same CA, so that the door opens, and by a CA of the same name, so that it does not.
    let twin = house.issue(&person);
    house.client(&twin).ask("POST", "auth/cert/login", json!({})).await.refused(403);
    let forged = Authority::new("The house's CA").issue(&person);
    for identity in [forged, Authority::self_signed(&person)] {
        let said = Wire::connect(house.address(), &house.tls(&identity))
            .and_then(|mut wire| wire.ask("GET", "/v1/sys/health", &[], b""));
        assert!(said.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2025_6037_the_pinned_key_under_another_name_is_nobody() {
    let house = House::start().await;
    let pinned = house.issue(&Person::named("pinned"));
    house
        .role(
            &house.root(),
            "pinned",
            json!({ "certificate": pinned.certificate, "token_policies": ["default"] }),
        )
        .await;
    let other_name = house.authority.issue_for_key_of(&Person::named("admin"), &pinned);
    house.client(&other_name).ask("POST", "auth/cert/login", json!({})).await.refused(403);
    house.client(&pinned).ask("POST", "auth/cert/login", json!({})).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_39388_a_token_is_renewed_over_no_other_certificate() {
    let house = House::start().await;
    house
        .role(
            &house.root(),
            "r",
            json!({ "allowed_uri_sans": ["spiffe://x/*"], "token_policies": ["default"], "token_ttl": "1h" }),
        )
        .await;
    let (a, b) = (
        house.issue(&Person::named("a").uri("spiffe://x/a")),
        house.issue(&Person::named("b").uri("spiffe://x/b")),
    );
    let token = house.client(&a).ask("POST", "auth/cert/login", json!({})).await.ok().token();
    house.canaries.add(&token);
    let over_b = house.client(&b).with_token(token.as_str()).unwrap();
    over_b.ask("POST", "auth/token/renew-self", json!({})).await.refused(403);
    over_b.ask("GET", "auth/token/lookup-self", Value::Null).await.refused(403);
    over_b.ask("POST", "auth/token/revoke-self", json!({})).await.refused(403);
    house
        .client(&a)
        .with_token(token.as_str())
        .unwrap()
        .ask("POST", "auth/token/renew-self", json!({}))
        .await
        .done();
}

/// CVE-2022-41316 and CVE-2026-59818: the first connection after the start, and each protocol.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2022_41316_lists_are_in_force_for_the_first_connection_of_each_protocol() {
    let mut house = House::start().await;
    let thief = house.issue(&Person::named("thief"));
    std::fs::write(house.at("crl.pem"), house.authority.revocation_list(1, &[&thief])).unwrap();
    house.set_listener("client_crls = [\"crl.pem\"]\nallow_tls12 = true");
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        for is_old in [false, true] {
            house.kill9();
            house.try_start().unwrap();
            let tls = Tls { protocols: vec![protocol], is_old, ..house.tls(&thief) };
            let said = Wire::connect(house.address(), &tls)
                .and_then(|mut wire| wire.ask("GET", "/v1/sys/health", &[], b""));
            assert!(said.is_err(), "old TLS {is_old}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2018_16886_a_certificate_for_another_purpose_is_no_user() {
    let house = House::start().await;
    house
        .role(&house.root(), "r", json!({ "allowed_common_names": ["root"], "token_policies": ["default"] }))
        .await;
    for usages in [vec![Usage::Server], vec![Usage::Other], vec![Usage::Server, Usage::Other]] {
        let identity = house.issue(&Person::named("root").usages(&usages));
        let said = Wire::connect(house.address(), &house.tls(&identity))
            .and_then(|mut wire| wire.ask("POST", "/v1/auth/cert/login", &[], b"{}"));
        assert!(said.is_err_and(|_| true));
    }
    let open = house.issue(&Person::named("root").usages(&[]));
    let status = Wire::connect(house.address(), &house.tls(&open))
        .and_then(|mut wire| wire.ask("POST", "/v1/auth/cert/login", &[], b"{}"))
        .map_or(403, |reply| reply.status);
    assert_eq!(status, 403, "purposes left open");
}

/// Vault 0.7.3: `certificates::a_certificate_that_expires_during_a_connection_is_refused_within_it` goes on from here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vault_0_7_3_an_expired_leaf_gets_no_token_and_keeps_none() {
    let house = House::start().await;
    house
        .role(
            &house.root(),
            "r",
            json!({ "allowed_common_names": ["short"], "token_policies": ["default"], "token_ttl": "1h" }),
        )
        .await;
    let short = house.issue(&Person::named("short").valid(-60, 3));
    let client = house.client(&short);
    let token = client.ask("POST", "auth/cert/login", json!({})).await.ok().token();
    house.canaries.add(&token);
    let with_token = client.with_token(token.as_str()).unwrap();
    eventually("the end of the certificate", || async {
        (client.ask("POST", "auth/cert/login", json!({})).await.status == 403).then_some(())
    })
    .await;
    with_token.ask("GET", "auth/token/lookup-self", Value::Null).await.refused(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rustsec_2026_0104_damaged_lists_are_refused_and_revoked_stays_revoked() {
    let house = House::start().await;
    let root = house.root();
    house
        .role(&root, "r", json!({ "allowed_uri_sans": ["spiffe://x/*"], "token_policies": ["default"] }))
        .await;
    let thief = house.issue(&Person::named("thief").uri("spiffe://x/thief"));
    let list = house.authority.revocation_list(7, &[&thief]);
    root.ask("POST", "auth/cert/crls/main", json!({ "crl": list })).await.done();
    let encoded: String = list.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).unwrap();
    let mut seed = 1_u32;
    for _ in 0..400 {
        let mut damaged = der.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = seed as usize % damaged.len();
            damaged[at] ^= (seed >> 20) as u8 | 1;
        }
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &damaged);
        let pem = format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n");
        let status = root.ask("POST", "auth/cert/crls/main", json!({ "crl": pem })).await.status;
        assert!(matches!(status, 400 | 204 | 200), "{status}");
        assert_eq!(
            house.client(&thief).ask("POST", "auth/cert/login", json!({})).await.status,
            403,
            "a damaged list took the place of a whole one"
        );
    }
}
