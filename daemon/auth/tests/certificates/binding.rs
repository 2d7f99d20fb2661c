use crate::hall::Hall;
use crate::lab::good;
use crate::pki::{ca, leaf};
use coffer_auth::cert::PeerChain;
use coffer_types::Operation;

#[tokio::test]
async fn a_token_follows_its_identity_its_key_or_its_certificate() {
    let acme = ca("acme");
    let own = leaf().cn("web").dns("a.example").serial(1);
    let renewed = own.rekeyed().serial(2);
    let same_key = own.again().serial(3);
    let other = leaf().cn("job").dns("b.example").serial(4);
    for (mode, renewed_goes_on, same_key_goes_on) in
        [("identity", true, true), ("key", false, true), ("cert", false, false)]
    {
        let hall = Hall::new().await;
        hall.role("web", &acme.pem, &format!(r#""bind":"{mode}""#)).await;
        let der = acme.sign(&own);
        let token = hall.token(&PeerChain::new(vec![der.clone()])).await;
        assert!(hall.takes_token(&token, &PeerChain::new(vec![der])).await, "{mode}");
        assert_eq!(hall.takes_token(&token, &acme.peer(&renewed)).await, renewed_goes_on, "{mode}");
        assert_eq!(hall.takes_token(&token, &acme.peer(&same_key)).await, same_key_goes_on, "{mode}");
        assert!(!hall.takes_token(&token, &acme.peer(&other)).await, "{mode}");
        assert!(!hall.takes_token(&token, &PeerChain::none()).await, "{mode}");
        assert!(!hall.takes_token(&token, &ca("acme").peer(&own)).await, "{mode}");
    }
}

#[tokio::test]
async fn the_names_that_matched_are_the_identity_and_not_the_others() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, r#""allowed_uri_sans":"spiffe://acme/*""#).await;
    let own = leaf().cn("host-1").uri("spiffe://acme/web").dns("old.example");
    let token = hall.token(&acme.peer(&own)).await;
    let moved = leaf().cn("host-2").uri("spiffe://acme/web").dns("new.example");
    assert!(hall.takes_token(&token, &acme.peer(&moved)).await);
    let neighbour = leaf().cn("host-1").uri("spiffe://acme/job").dns("old.example");
    assert!(!hall.takes_token(&token, &acme.peer(&neighbour)).await);
    let subject = |name: &str| {
        let matched = hall.who(&acme.peer(&leaf().uri(name))).ok().unwrap();
        matched.subject().to_owned()
    };
    assert_eq!(subject("spiffe://acme/web"), subject("spiffe://acme/web"));
    assert_ne!(subject("spiffe://acme/web"), subject("spiffe://acme/job"));
}

#[tokio::test]
async fn a_token_ends_with_its_role_even_where_a_new_one_takes_the_name() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    let peer = acme.peer(&leaf());
    for mode in ["identity", "key", "cert"] {
        hall.role("web", &acme.pem, &format!(r#""bind":"{mode}""#)).await;
        let token = hall.token(&peer).await;
        good(hall.ask(&peer, Operation::Delete, "certs/web", "").await);
        assert!(!hall.takes_token(&token, &peer).await, "{mode}");
        hall.role("web", &acme.pem, &format!(r#""bind":"{mode}""#)).await;
        assert!(!hall.takes_token(&token, &peer).await, "{mode}");
    }
}

#[tokio::test]
async fn a_role_that_changes_counts_from_the_next_request_of_an_open_connection() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    let peer = acme.peer(&leaf());
    hall.role("web", &acme.pem, "").await;
    let token = hall.token(&peer).await;
    hall.role("web", &acme.pem, r#""allowed_common_names":"someone-else""#).await;
    assert!(hall.who(&peer).is_err());
    assert!(!hall.takes_token(&token, &peer).await);
}

#[tokio::test]
async fn a_token_is_good_after_a_restart() {
    let (mut hall, acme) = (Hall::new().await, ca("acme"));
    let peer = acme.peer(&leaf());
    hall.role("web", &acme.pem, "").await;
    let token = hall.token(&peer).await;
    hall.reopen().await;
    assert!(hall.takes_token(&token, &peer).await);
}
