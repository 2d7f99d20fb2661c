use crate::hall::Hall;
use crate::lab::{good, json, refused};
use crate::pki::{ca, ca_until, leaf};
use coffer_auth::cert::{CertRefusal, PeerChain};
use coffer_types::{EnvironmentId, EnvironmentPath};
use rcgen::ExtendedKeyUsagePurpose::{self, ClientAuth, ServerAuth};

#[tokio::test]
async fn a_certificate_of_the_roles_ca_logs_in() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, r#""token_policies":"pweb","display_name":"web","token_ttl":"1h""#).await;
    let peer = acme.peer(&leaf());
    let auth = json(&good(hall.login(&peer, r#"{"name":"WEB"}"#).await));
    assert_eq!(auth["policies"], serde_json::json!(["default", "pweb"]));
    assert_eq!(auth["lease_duration"], 3600);
    assert_eq!(auth["metadata"]["cert_name"], "web");
    assert_eq!(auth["metadata"]["common_name"], "web");
    assert_eq!(auth["metadata"]["serial_number"], "1000");
    assert!(hall.takes_token(auth["client_token"].as_str().unwrap(), &peer).await);
}

#[tokio::test]
async fn a_certificate_is_somebody_without_any_login() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, r#""token_policies":["b","a"],"token_no_default_policy":true"#).await;
    let matched = hall.who(&acme.peer(&leaf())).ok().unwrap();
    let caller = matched.caller(EnvironmentId([1; 16]), EnvironmentPath::root());
    assert_eq!(caller.policies().to_vec(), ["a", "b"]);
    assert!(caller.subject().starts_with("cert:crt/web/"));
    assert_eq!(caller.display_name(), "crt-web");
    assert!(caller.token().is_none() && caller.binding().is_some());
}

#[tokio::test]
async fn a_ca_with_the_same_name_and_key_identifier_but_another_key_is_another_ca() {
    let (hall, acme, twin) = (Hall::new().await, ca("acme"), ca("acme"));
    hall.role("web", &acme.pem, "").await;
    assert_eq!(hall.why_not(&twin.peer(&leaf())), Some(CertRefusal::NoRole));
    assert_eq!(hall.why_not(&ca("other").peer(&leaf())), Some(CertRefusal::NoRole));
    assert_eq!(refused(hall.login(&twin.peer(&leaf()), r#"{"name":"web"}"#).await), (403, String::new()));
    let smuggled = PeerChain::new(vec![twin.sign(&leaf()), acme.der.clone()]);
    assert_eq!(hall.why_not(&smuggled), Some(CertRefusal::NoRole));
}

#[tokio::test]
async fn a_leaf_with_everything_the_same_but_its_key_is_not_the_pinned_one() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    let pinned = leaf().cn("admin");
    let (der, pem) = pinned.self_signed();
    hall.role("admin", &pem, "").await;
    assert_eq!(hall.why_not(&PeerChain::new(vec![der])), None);
    let twin = pinned.rekeyed();
    assert_eq!(hall.why_not(&PeerChain::new(vec![twin.self_signed().0])), Some(CertRefusal::NoRole));
    assert_eq!(hall.why_not(&acme.peer(&twin)), Some(CertRefusal::NoRole));
}

#[tokio::test]
async fn a_leaf_over_the_pinned_key_with_another_name_is_not_the_pinned_one() {
    let hall = Hall::new().await;
    let pinned = leaf().cn("web");
    hall.role("web", &pinned.self_signed().1, "").await;
    let other = pinned.again().cn("admin");
    assert_eq!(hall.why_not(&PeerChain::new(vec![other.self_signed().0])), Some(CertRefusal::NoRole));
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_now_is_refused_on_an_old_connection_too() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    let (later, past) = (acme.peer(&leaf().valid(2024, 2026)), acme.peer(&leaf().valid(2020, 2023)));
    let now = acme.peer(&leaf());
    let token = hall.token(&now).await;
    assert_eq!(hall.why_not(&later), Some(CertRefusal::NotValidNow));
    assert_eq!(hall.why_not(&past), Some(CertRefusal::NotValidNow));
    assert_eq!(hall.why_not(&now), None);
    hall.turn_to(2024);
    assert_eq!(hall.why_not(&later), None);
    let renewed = acme.peer(&leaf().valid(2024, 2026));
    let fresh = hall.token(&renewed).await;
    hall.turn_to(2025);
    assert_eq!(hall.why_not(&now), None, "the last second is included");
    hall.lab.clock.turn(1000);
    assert_eq!(hall.why_not(&now), Some(CertRefusal::NotValidNow));
    assert!(!hall.takes_token(&token, &now).await);
    assert!(!hall.takes_token(&fresh, &now).await);
}

#[tokio::test]
async fn a_ca_that_has_expired_vouches_for_nobody() {
    let (hall, acme) = (Hall::new().await, ca_until("acme", 2024));
    hall.role("web", &acme.pem, "").await;
    let peer = acme.peer(&leaf());
    assert_eq!(hall.why_not(&peer), None);
    hall.turn_to(2024);
    hall.lab.clock.turn(1000);
    assert_eq!(hall.why_not(&peer), Some(CertRefusal::NoRole));
}

#[tokio::test]
async fn a_certificate_for_another_purpose_is_refused() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    let cases: [(Vec<ExtendedKeyUsagePurpose>, bool); 5] = [
        (vec![ServerAuth], false),
        (vec![ExtendedKeyUsagePurpose::CodeSigning], false),
        (Vec::new(), false),
        (vec![ClientAuth], true),
        (vec![ServerAuth, ClientAuth], true),
    ];
    for (usages, is_taken) in cases {
        assert_eq!(hall.who(&acme.peer(&leaf().usages(usages.clone()))).is_ok(), is_taken, "{usages:?}");
    }
    for (usages, is_taken) in [(vec![ServerAuth], false), (Vec::new(), true), (vec![ClientAuth], true)] {
        let (der, pem) = leaf().cn("pinned").usages(usages.clone()).self_signed();
        hall.role("web", &pem, "").await;
        assert_eq!(hall.who(&PeerChain::new(vec![der])).is_ok(), is_taken, "pinned {usages:?}");
    }
}

#[tokio::test]
async fn a_chain_through_an_intermediate_holds_and_without_it_does_not() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    let between = acme.below("acme issuing", 2);
    hall.role("web", &acme.pem, "").await;
    let der = between.sign(&leaf());
    assert_eq!(hall.why_not(&PeerChain::new(vec![der.clone(), between.der.clone()])), None);
    assert_eq!(hall.why_not(&PeerChain::new(vec![der])), Some(CertRefusal::NoRole));
    hall.role("web", &between.pem, "").await;
    assert_eq!(hall.why_not(&PeerChain::new(vec![between.sign(&leaf())])), None);
}

#[tokio::test]
async fn a_ca_that_is_no_ca_signs_nothing() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    let middle = leaf().cn("web");
    let der = acme.sign(&middle);
    let issuer = rcgen::Issuer::new(middle.params.clone(), middle.key);
    let end = leaf().cn("admin");
    let forged = end.params.signed_by(&end.key, &issuer).unwrap();
    assert_eq!(hall.why_not(&PeerChain::new(vec![forged.der().clone(), der])), Some(CertRefusal::NoRole));
}

#[tokio::test]
async fn no_certificate_and_garbage_are_nobody() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    assert_eq!(hall.why_not(&PeerChain::none()), Some(CertRefusal::NoCertificate));
    assert_eq!(hall.why_not(&PeerChain::new(vec![vec![1, 2, 3].into()])), Some(CertRefusal::Malformed));
    let long = vec![acme.sign(&leaf()); 11];
    assert_eq!(hall.why_not(&PeerChain::new(long)), Some(CertRefusal::Malformed));
    assert_eq!(refused(hall.login(&PeerChain::none(), "").await), (403, String::new()));
}

#[tokio::test]
async fn ten_thousand_damaged_certificates_are_nobody_and_panic_nowhere() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    let whole =
        acme.sign(&leaf().dns("a.example").uri("spiffe://a/b").email("a@b.example").text(1, "x")).to_vec();
    let mut seed = 1u64;
    for round in 0..10_000 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % bytes.len();
            bytes[at] ^= 1 << (seed >> 20 & 7);
        }
        if round % 7 == 0 {
            bytes.truncate((seed >> 33) as usize % bytes.len());
        }
        if bytes != whole {
            assert!(hall.who(&PeerChain::new(vec![bytes.into()])).is_err());
        }
    }
}
