//! The door: which certificates open it, which no longer do, and what is spoken there.
use coffer_tests::{
    Ask, Authority, House, Identity, Person, Reply, Setup, Tls, Usage, Wire, eventually, find,
};
use rustls::ProtocolVersion;
use rustls::client::Resumption;
use serde_json::{Value, json};

/// Whether the door opens: a request is answered at all.
fn opens(house: &House, tls: &Tls) -> bool {
    Wire::connect(house.address(), tls)
        .and_then(|mut wire| wire.ask("GET", "/v1/sys/health", &[], b""))
        .is_ok()
}

fn admits(house: &House, identity: &Identity) -> bool {
    opens(house, &house.tls(identity))
}

fn health(wire: &mut Wire) -> std::io::Result<Reply> {
    wire.ask("GET", "/v1/sys/health", &[], b"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_valid_client_certificate_of_the_right_ca_opens_the_door() {
    let house = House::start().await;
    assert!(admits(&house, &house.operator));
    let nobody = Tls { identity: None, ..house.tls(&house.operator) };
    assert!(!opens(&house, &nobody), "no certificate");
    assert!(!admits(&house, &Authority::new("Another CA").issue(&Person::named("operator"))), "another CA");
    assert!(
        !admits(&house, &Authority::new("The house's CA").issue(&Person::named("operator"))),
        "another CA of the same name"
    );
    assert!(!admits(&house, &Authority::self_signed(&Person::named("operator"))), "self-signed");
    assert!(!admits(&house, &house.issue(&Person::named("late").valid(-7200, -60))), "expired");
    assert!(!admits(&house, &house.issue(&Person::named("early").valid(3600, 7200))), "not yet valid");
    assert!(!admits(&house, &house.issue(&Person::named("server").usages(&[Usage::Server]))), "serverAuth");
    assert!(!admits(&house, &house.issue(&Person::named("signer").usages(&[Usage::Other]))), "codeSigning");
    assert!(!admits(&house, &house.authority.server()), "the server's own");
    // After all that it still opens for whom it should.
    assert!(admits(&house, &house.operator));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_1_3_is_spoken_with_a_post_quantum_key_exchange_and_1_2_only_where_allowed() {
    let mut house = House::start().await;
    let wire = house.wire();
    assert_eq!(wire.session().protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = wire.session().negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    let old = Tls { is_old: true, ..house.tls(&house.operator) };
    assert!(!opens(&house, &old), "TLS 1.2 by default");
    house.set_listener("allow_tls12 = true");
    house.restart().await;
    assert!(opens(&house, &old), "TLS 1.2 where allowed");
    assert!(admits(&house, &house.operator));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_is_resumed() {
    let mut house = House::start().await;
    for allow in ["", "allow_tls12 = true"] {
        house.set_listener(allow);
        house.restart().await;
        for is_old in [false, true].into_iter().take(if allow.is_empty() { 1 } else { 2 }) {
            let keeps = Resumption::in_memory_sessions(8);
            let tls = Tls { resumption: Some(keeps), is_old, ..house.tls(&house.operator) };
            for _ in 0..3 {
                let mut wire = Wire::connect(house.address(), &tls).unwrap();
                health(&mut wire).unwrap();
                assert_eq!(wire.session().handshake_kind(), Some(rustls::HandshakeKind::Full));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_and_http_2_are_spoken() {
    let house = House::start().await;
    for (offered, agreed) in
        [(vec![b"h2".as_slice(), b"http/1.1"], b"h2".as_slice()), (vec![b"http/1.1"], b"http/1.1")]
    {
        let tls = Tls { protocols: offered, ..house.tls(&house.operator) };
        assert_eq!(Wire::connect(house.address(), &tls).unwrap().session().alpn_protocol(), Some(agreed));
    }
    // Many requests over one HTTP/1.1 connection; HEAD has no body.
    let mut wire = house.wire();
    for _ in 0..20 {
        assert_eq!(health(&mut wire).unwrap().status, 200);
        assert_eq!(wire.ask("HEAD", "/v1/sys/health", &[], b"").unwrap().status, 200);
    }
    if find("curl").is_none() {
        return coffer_tests::skip("curl is not installed");
    }
    for version in ["--http1.1", "--http2"] {
        assert_eq!(house.curl(&house.operator, "sys/health", &[version]).0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_on_the_listeners_list_is_refused_from_the_first_handshake_after_a_restart() {
    let mut house = House::start().await;
    let (thief, other) = (house.issue(&Person::named("thief")), house.issue(&Person::named("other")));
    assert!(admits(&house, &thief) && admits(&house, &other));
    std::fs::write(house.at("crl.pem"), house.authority.revocation_list(1, &[&thief])).unwrap();
    house.set_listener("client_crls = [\"crl.pem\"]");
    house.kill9();
    house.try_start().unwrap();
    // The very first connection, on either protocol, while the daemon is still sealed.
    for protocol in [b"http/1.1".as_slice(), b"h2"] {
        let tls = Tls { protocols: vec![protocol], ..house.tls(&thief) };
        assert!(!opens(&house, &tls));
    }
    assert!(admits(&house, &other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_in_force_after_a_reload_without_a_restart() {
    let mut house = House::start().await;
    std::fs::write(house.at("crl.pem"), house.authority.revocation_list(1, &[])).unwrap();
    house.set_listener("client_crls = [\"crl.pem\"]");
    house.restart().await;
    let thief = house.issue(&Person::named("thief"));
    assert!(admits(&house, &thief));
    std::fs::write(house.at("crl.pem"), house.authority.revocation_list(2, &[&thief])).unwrap();
    house.hang_up();
    eventually("the thief refused", || async { (!admits(&house, &thief)).then_some(()) }).await;
    // A damaged list changes nothing: revoked stays revoked, and the daemon goes on.
    for damaged in ["", "nonsense", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"] {
        std::fs::write(house.at("crl.pem"), damaged).unwrap();
        let before = house.log().matches("reloaded").count();
        house.hang_up();
        eventually("the reload in the log", || async {
            (house.log().matches("reloaded").count() > before).then_some(())
        })
        .await;
        assert!(admits(&house, &house.operator));
        assert!(!admits(&house, &thief), "{damaged}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_revoked_at_the_auth_method_is_nobody_and_stays_so_over_a_kill() {
    let mut house = House::start().await;
    house
        .role(
            &house.root(),
            "app",
            json!({ "token_policies": ["default"], "allowed_uri_sans": ["spiffe://x/*"] }),
        )
        .await;
    let (app, other) = (
        house.issue(&Person::named("app").uri("spiffe://x/a")),
        house.issue(&Person::named("o").uri("spiffe://x/b")),
    );
    let token = house.client(&app).login_by_certificate("cert", None).await.unwrap();
    house.canaries.add(token.token.expose());
    let by_token = |house: &House| house.client(&app).with_token(token.token.expose().as_str()).unwrap();
    by_token(&house).ask("GET", "auth/token/lookup-self", Value::Null).await.done();

    let list = house.authority.revocation_list(1, &[&app]);
    house.root().ask("POST", "auth/cert/crls/main", json!({ "crl": list })).await.done();
    let refused = async |house: &House| {
        house.client(&app).ask("POST", "auth/cert/login", json!({})).await.refused(403);
        house.client(&app).ask("GET", "sys/internal/ui/mounts", Value::Null).await.refused(403);
        by_token(house).ask("GET", "auth/token/lookup-self", Value::Null).await.refused(403);
        house.client(&other).ask("POST", "auth/cert/login", json!({})).await.done();
    };
    refused(&house).await;
    house.kill9();
    house.start_process().await;
    house.unseal().await;
    refused(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_certificates_are_taken_without_dropping_a_connection() {
    let house = House::start().await;
    let mut open = house.wire();
    assert_eq!(health(&mut open).unwrap().status, 200);
    let authority = Authority::new("The next CA");
    let server = authority.server();
    house.canaries.add(&server.key);
    std::fs::write(house.at("server.pem"), &server.certificate).unwrap();
    std::fs::write(house.at("server-key.pem"), &server.key).unwrap();
    std::fs::write(house.at("ca.pem"), format!("{}{}", house.authority.pem(), authority.pem())).unwrap();
    house.hang_up();
    let newcomer = authority.issue(&Person::named("newcomer"));
    eventually("the new certificate", || async {
        opens(&house, &Tls::new(&authority.pem(), &newcomer)).then_some(())
    })
    .await;
    for _ in 0..5 {
        assert_eq!(health(&mut open).unwrap().status, 200, "the open connection was dropped");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_expires_during_a_connection_is_refused_within_it() {
    let house = House::start().await;
    house
        .role(
            &house.root(),
            "app",
            json!({ "token_policies": ["default"], "allowed_uri_sans": ["spiffe://x/*"] }),
        )
        .await;
    let app = house.issue(&Person::named("app").uri("spiffe://x/a").valid(-60, 4));
    // One HTTP/2 connection throughout.
    let client = house.client(&app);
    client.ask("GET", "sys/internal/ui/mounts", Value::Null).await.done();
    eventually("the refusal after expiry", || async {
        (client.ask("GET", "sys/internal/ui/mounts", Value::Null).await.status == 403).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_with_a_list_that_is_missing_does_not_open() {
    let mut house = House::empty(Setup::default()).await;
    assert!(house.stop().success());
    for (name, content) in [
        ("none.pem", None),
        ("empty.pem", Some("")),
        ("bad.pem", Some("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")),
    ] {
        if let Some(content) = content {
            std::fs::write(house.at(name), content).unwrap();
        }
        house.set_listener(&format!("client_crls = [\"{name}\"]"));
        let said = house.try_start().expect_err(name);
        assert!(said.contains(name), "{said}");
    }
}
