use crate::hall::Hall;
use crate::lab::refused;
use crate::pki::{ca, leaf};
use coffer_auth::cert::CertRefusal;

#[tokio::test]
async fn a_role_takes_the_names_that_its_patterns_describe() {
    let acme = ca("acme");
    let full = || {
        leaf()
            .cn("web-1")
            .unit("ops")
            .dns("a.prod.example")
            .uri("spiffe://acme/prod/web")
            .email("web@acme.example")
            .text(1, "blue")
            .text(2, "green")
    };
    for (constraint, is_taken) in [
        (r#""allowed_common_names":"web-*""#, true),
        (r#""allowed_common_names":"web""#, false),
        (r#""allowed_common_names":["x","*-1"]"#, true),
        (r#""allowed_dns_sans":"*.prod.example""#, true),
        (r#""allowed_dns_sans":"web-1""#, false),
        (r#""allowed_dns_sans":"web@acme.example""#, false),
        (r#""allowed_email_sans":"*@acme.example""#, true),
        (r#""allowed_email_sans":"*@example""#, false),
        (r#""allowed_uri_sans":"spiffe://acme/*/web""#, true),
        (r#""allowed_uri_sans":"spiffe://acme/dev/*""#, false),
        (r#""allowed_names":"a.prod.example""#, true),
        (r#""allowed_names":"web-1""#, true),
        (r#""allowed_names":"web@*""#, true),
        (r#""allowed_names":"spiffe:*""#, false),
        (r#""allowed_organizational_units":"o*""#, true),
        (r#""allowed_organizational_units":"dev""#, false),
        (r#""required_extensions":"1.2.3.4.1:bl*,1.2.3.4.2:green""#, true),
        (r#""required_extensions":"1.2.3.4.1:blue,1.2.3.4.2:blue""#, false),
        (r#""required_extensions":"1.2.3.4.3:*""#, false),
        (r#""allowed_common_names":"web-1","allowed_dns_sans":"*.dev.example""#, false),
    ] {
        let hall = Hall::new().await;
        hall.role("web", &acme.pem, constraint).await;
        assert_eq!(hall.who(&acme.peer(&full())).is_ok(), is_taken, "{constraint}");
    }
}

#[tokio::test]
async fn a_certificate_with_two_common_names_has_none() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("admin", &acme.pem, r#""allowed_common_names":"admin""#).await;
    let mut twice = leaf().cn("admin");
    twice.params.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 3]), "web");
    assert_eq!(hall.why_not(&acme.peer(&twice)), Some(CertRefusal::NoRole));
    assert_eq!(hall.why_not(&acme.peer(&leaf().cn("admin"))), None);
}

#[tokio::test]
async fn a_name_with_a_control_character_is_no_name() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("admin", &acme.pem, r#""allowed_common_names":"admin*""#).await;
    for name in ["admin\0.evil", "admin\n", "admin\u{7f}"] {
        assert_eq!(hall.why_not(&acme.peer(&leaf().cn(name))), Some(CertRefusal::Malformed));
    }
}

#[tokio::test]
async fn of_two_roles_that_take_a_certificate_one_must_be_named() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("one", &acme.pem, "").await;
    hall.role("two", &acme.pem, "").await;
    let peer = acme.peer(&leaf());
    assert_eq!(hall.why_not(&peer), Some(CertRefusal::Ambiguous));
    assert_eq!(refused(hall.login(&peer, "").await).0, 400);
    assert!(hall.login(&peer, r#"{"name":"two"}"#).await.is_ok());
    assert_eq!(refused(hall.login(&peer, r#"{"name":"three"}"#).await), (403, String::new()));
    hall.role("two", &acme.pem, r#""login_required":true"#).await;
    assert_eq!(hall.who(&peer).ok().unwrap().role(), "one");
}

#[tokio::test]
async fn a_role_can_ask_for_a_login() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, r#""login_required":true"#).await;
    let peer = acme.peer(&leaf());
    assert_eq!(hall.why_not(&peer), Some(CertRefusal::LoginRequired));
    assert!(hall.takes_token(&hall.token(&peer).await, &peer).await);
}
