use crate::hall::Hall;
use crate::lab::{good, json, refused, text};
use crate::pki::{ca, leaf};
use base64::Engine as _;
use coffer_auth::cert::{CertRefusal, PeerChain};
use coffer_types::Operation;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;

#[tokio::test]
async fn a_serial_is_revoked_for_its_issuer_only() {
    let (hall, acme, other) = (Hall::new().await, ca("acme"), ca("other"));
    hall.role("web", &format!("{}{}", acme.pem, other.pem), "").await;
    let (mine, theirs) = (acme.peer(&leaf().serial(77)), other.peer(&leaf().serial(77)));
    let token = hall.token(&mine).await;
    good(hall.crl("acme", &acme.crl(&[5, 77], 2030)).await);
    assert_eq!(hall.why_not(&mine), Some(CertRefusal::Revoked));
    assert!(!hall.takes_token(&token, &mine).await, "on the connection that was open");
    assert_eq!(refused(hall.login(&mine, r#"{"name":"web"}"#).await), (403, String::new()));
    assert_eq!(hall.why_not(&theirs), None);
    assert_eq!(hall.why_not(&acme.peer(&leaf().serial(78))), None);
    good(hall.ask(&mine, Operation::Delete, "crls/acme", "").await);
    assert_eq!(hall.why_not(&mine), None);
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_from_the_first_request_after_a_restart() {
    let (mut hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    good(hall.crl("acme", &acme.crl(&[77], 2030)).await);
    hall.reopen().await;
    assert_eq!(hall.why_not(&acme.peer(&leaf().serial(77))), Some(CertRefusal::Revoked));
}

#[tokio::test]
async fn two_lists_of_one_issuer_count_together() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    good(hall.crl("one", &acme.crl(&[1001], 2030)).await);
    good(hall.crl("two", &acme.crl(&[1002], 2030)).await);
    for serial in [1001, 1002] {
        assert_eq!(hall.why_not(&acme.peer(&leaf().serial(serial))), Some(CertRefusal::Revoked));
    }
}

#[tokio::test]
async fn a_list_past_its_next_update_is_noted_and_still_counts() {
    let (mut hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    let answer = good(hall.crl("acme", &acme.crl(&[77], 2023)).await);
    assert!(answer.warnings[0].contains("next update"));
    hall.reopen().await;
    assert_eq!(hall.why_not(&acme.peer(&leaf().serial(77))), Some(CertRefusal::Revoked));
}

#[tokio::test]
async fn a_revoked_intermediate_takes_its_leaves_with_it() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    let between = acme.below("issuing", 55);
    let peer = PeerChain::new(vec![between.sign(&leaf()), between.der.clone()]);
    assert_eq!(hall.why_not(&peer), None);
    good(hall.crl("acme", &acme.crl(&[55], 2030)).await);
    assert_eq!(hall.why_not(&peer), Some(CertRefusal::Revoked));
}

#[tokio::test]
async fn a_pinned_certificate_can_be_revoked() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    let der = acme.sign(&leaf().serial(77));
    let body = base64::engine::general_purpose::STANDARD.encode(&der);
    hall.role("web", &format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"), "").await;
    let peer = PeerChain::new(vec![der]);
    assert_eq!(hall.why_not(&peer), None);
    let answer = good(hall.crl("acme", &acme.crl(&[77], 2030)).await);
    assert!(answer.warnings[0].contains("signature could not be checked"));
    assert_eq!(hall.why_not(&peer), Some(CertRefusal::Revoked));
}

#[tokio::test]
async fn a_bad_list_is_refused_and_changes_nothing() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    good(hall.crl("acme", &acme.crl(&[77], 2030)).await);
    let forged = ca("acme").crl(&[], 2030);
    let pem = acme.crl(&[5], 2030);
    let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap();
    let encode = |der: &[u8]| base64::engine::general_purpose::STANDARD.encode(der);
    let longer = encode(&[der.as_ref(), &[0]].concat());
    let shorter = encode(&der[..der.len() - 1]);
    let mut altered = der.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    for bad in [
        "",
        "x",
        "AAAA",
        &forged,
        &longer,
        &shorter,
        &encode(&altered),
        &acme.pem,
        "-----BEGIN X509 CRL-----\n",
    ] {
        assert_eq!(refused(hall.crl("acme", bad).await).0, 400, "{bad}");
    }
    let (status, sentence) = refused(hall.crl("acme", &ca("other").crl(&[77], 2030)).await);
    assert!(status == 400 && sentence.contains("another issuer"), "{sentence}");
    assert_eq!(refused(hall.write("crls/acme", r#"{"url":"http://crl.example/a"}"#).await).0, 400);
    assert_eq!(hall.why_not(&acme.peer(&leaf().serial(77))), Some(CertRefusal::Revoked));
    good(hall.crl("acme", &encode(&der)).await);
    assert_eq!(hall.why_not(&acme.peer(&leaf().serial(77))), None);
}

#[tokio::test]
async fn a_list_that_revokes_its_own_ca_ends_everybody_below_it() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    good(hall.crl("acme", &acme.crl(&[1], 2030)).await);
    assert_eq!(hall.why_not(&acme.peer(&leaf())), Some(CertRefusal::Revoked));
}

#[tokio::test]
async fn lists_are_shown_by_name_and_serial() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    assert_eq!(refused(hall.ask(&PeerChain::none(), Operation::List, "crls", "").await).0, 404);
    assert_eq!(refused(hall.read("crls/acme").await).0, 404);
    good(hall.crl("AcMe", &acme.crl(&[255, 70_000], 2030)).await);
    let listed = good(hall.ask(&PeerChain::none(), Operation::List, "crls", "").await);
    assert_eq!(text(&listed), r#"{"keys":["acme"]}"#);
    let shown = json(&good(hall.read("crls/ACME").await));
    assert!(shown["serials"]["255"].is_object() && shown["serials"]["70000"].is_object());
}

#[tokio::test]
async fn ten_thousand_damaged_lists_panic_nowhere_and_free_nobody() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    good(hall.crl("acme", &acme.crl(&[77], 2030)).await);
    let revoked = acme.peer(&leaf().serial(77));
    let pem = acme.crl(&[77, 200, 70_000], 2030);
    let whole = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
    let mut seed = 9u64;
    let mut refused = 0;
    for round in 0..10_000usize {
        let mut bytes = whole.clone();
        for _ in 0..=round % 4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % bytes.len();
            match seed >> 20 & 3 {
                0 => bytes[at] = (seed >> 24) as u8,
                1 => bytes[at] ^= 1 << (seed >> 22 & 7),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, (seed >> 24) as u8),
            }
        }
        if round % 11 == 0 {
            bytes.truncate((seed >> 33) as usize % bytes.len());
        }
        let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
        refused += usize::from(hall.crl("acme", &text).await.is_err());
        if round % 100 == 0 {
            assert_eq!(hall.why_not(&revoked), Some(CertRefusal::Revoked), "round {round}");
        }
    }
    assert!(refused > 9_000, "{refused}");
}
