//! The three ways in (a token, a login by certificate, no login at all), and whom a token belongs to.
use coffer_sdk::Client;
use coffer_tests::{Ask, House, Identity, Person, policy};
use serde_json::{Value, json};

const SPIFFE: &str = "spiffe://x/app";

/// A role `app` in the root environment, bound as `bind` says, and someone who has it.
async fn role(house: &House, bind: &str) -> Identity {
    let root = house.root();
    coffer_tests::furnish(&root).await;
    root.sys()
        .put_policy("app", &policy(&[("secret/data/app", &["read", "create", "update"])]))
        .await
        .unwrap();
    let body = json!({ "allowed_uri_sans": ["spiffe://x/*"], "token_policies": ["app"], "bind": bind });
    house.role(&root, "app", body).await;
    root.ask("POST", "secret/data/app", json!({ "data": { "k": house.canaries.plant("value") } }))
        .await
        .done();
    house.issue(&Person::named("app").uri(SPIFFE))
}

async fn login(house: &House, identity: &Identity) -> String {
    let token = house.client(identity).login_by_certificate("cert", None).await.unwrap();
    let text = token.token.expose().clone();
    house.canaries.add(&text);
    text
}

async fn status(client: &Client) -> u16 {
    client.ask("GET", "secret/data/app", Value::Null).await.status
}

async fn shown(house: &House, identity: &Identity, token: &str) -> u16 {
    status(&house.client(identity).with_token(token).unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_three_ways_in_lead_to_the_same_secret() {
    let house = House::start().await;
    let app = role(&house, "identity").await;
    let token = house.token(&house.root(), json!({ "policies": ["app"] })).await;
    assert_eq!(shown(&house, &house.operator, &token).await, 200, "a token");
    let token = login(&house, &app).await;
    assert_eq!(shown(&house, &app, &token).await, 200, "a login");
    assert_eq!(status(&house.client(&app)).await, 200, "no login");
    // And none of them leads to what the role may not.
    for client in [house.client(&app), house.client(&app).with_token(token.as_str()).unwrap()] {
        client.ask("GET", "secret/data/other", Value::Null).await.refused(403);
    }
    // Who matches no role is nobody.
    assert_eq!(status(&house.client(&house.operator)).await, 403);
    // A certificate that matches a role does not help a wrong token.
    assert_eq!(shown(&house, &app, "hvs.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await, 403);
    assert_eq!(shown(&house, &app, "nonsense").await, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_login_writes_no_token() {
    let house = House::start().await;
    let app = role(&house, "identity").await;
    let tokens = async || {
        house.root().ask("LIST", "auth/token/accessors", Value::Null).await.ok().data()["keys"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = tokens().await;
    for _ in 0..5 {
        assert_eq!(status(&house.client(&app)).await, 200);
    }
    assert_eq!(tokens().await, before);
    login(&house, &app).await;
    assert_eq!(tokens().await, before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_bound_to_an_identity_works_over_the_renewed_certificate_and_over_no_other() {
    let house = House::start().await;
    let app = role(&house, "identity").await;
    let token = login(&house, &app).await;
    let renewed = house.issue(&Person::named("app").uri(SPIFFE));
    assert_eq!(shown(&house, &renewed, &token).await, 200, "renewed");
    // The same role, another of its people.
    let other = house.issue(&Person::named("app").uri("spiffe://x/other"));
    assert_eq!(status(&house.client(&other)).await, 200, "has the role itself");
    assert_eq!(shown(&house, &other, &token).await, 403, "another's");
    assert_eq!(shown(&house, &house.operator, &token).await, 403, "nobody's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_bound_to_a_key_works_over_every_certificate_of_that_key() {
    let house = House::start().await;
    let app = role(&house, "key").await;
    let token = login(&house, &app).await;
    let same_key = house.authority.issue_for_key_of(&Person::named("app").uri(SPIFFE), &app);
    assert_eq!(shown(&house, &same_key, &token).await, 200, "same key");
    let new_key = house.issue(&Person::named("app").uri(SPIFFE));
    assert_eq!(shown(&house, &new_key, &token).await, 403, "new key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_bound_to_a_certificate_works_over_that_one_alone() {
    let house = House::start().await;
    let app = role(&house, "cert").await;
    let token = login(&house, &app).await;
    assert_eq!(shown(&house, &app, &token).await, 200);
    let same_key = house.authority.issue_for_key_of(&Person::named("app").uri(SPIFFE), &app);
    assert_eq!(shown(&house, &same_key, &token).await, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_of_a_bound_token_is_bound_too() {
    let house = House::start().await;
    let app = role(&house, "identity").await;
    house
        .root()
        .sys()
        .put_policy("app", &policy(&[("secret/data/app", &["read"]), ("auth/token/create", &["update"])]))
        .await
        .unwrap();
    let token = login(&house, &app).await;
    let parent = house.client(&app).with_token(token.as_str()).unwrap();
    let child = house.token(&parent, json!({})).await;
    assert_eq!(shown(&house, &app, &child).await, 200);
    assert_eq!(shown(&house, &house.operator, &child).await, 403);
    house.root().ask("POST", "auth/token/revoke", json!({ "token": token })).await.done();
    assert_eq!(shown(&house, &app, &child).await, 403, "outlived its parent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_matching_roles_must_be_told_apart() {
    let house = House::start().await;
    let app = role(&house, "identity").await;
    house
        .role(
            &house.root(),
            "also",
            json!({ "allowed_uri_sans": ["spiffe://x/app"], "token_policies": ["app"] }),
        )
        .await;
    let client = house.client(&app);
    client.ask("GET", "secret/data/app", Value::Null).await.refused(400);
    client.ask("POST", "auth/cert/login", json!({})).await.refused(400);
    let named = client.login_by_certificate("cert", Some("ALSO")).await.unwrap();
    assert!(named.policies.contains(&"app".to_owned()));
    assert_eq!(client.login_by_certificate("cert", Some("none")).await.err().unwrap().status(), Some(403));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_changed_or_gone_ends_what_stands_on_it_at_once() {
    let house = House::start().await;
    let app = role(&house, "identity").await;
    let token = login(&house, &app).await;
    // One connection throughout: what was decided when it began does not count.
    let open = house.client(&app);
    assert_eq!(status(&open).await, 200);
    let body = json!({ "certificate": house.authority.pem(), "allowed_uri_sans": ["spiffe://y/*"] });
    house.root().ask("POST", "auth/cert/certs/app", body).await.done();
    assert_eq!(status(&open).await, 403, "the role was changed");
    assert_eq!(
        status(&open.with_token(token.as_str()).unwrap()).await,
        403,
        "the token outlives the identity"
    );
    house.root().ask("DELETE", "auth/cert/certs/app", Value::Null).await.done();
    assert_eq!(status(&open).await, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_a_role_are_matched_by_kind() {
    let house = House::start().await;
    let root = house.root();
    let cases: [(&str, Value, Person, bool); 8] = [
        ("cn", json!({ "allowed_common_names": ["svc-*"] }), Person::named("svc-1"), true),
        ("cn", json!({ "allowed_common_names": ["svc-*"] }), Person::named("x").dns("svc-1"), false),
        (
            "dns",
            json!({ "allowed_dns_sans": ["*.example.org"] }),
            Person::named("x").dns("a.example.org"),
            true,
        ),
        ("dns", json!({ "allowed_dns_sans": ["*.example.org"] }), Person::named("a.example.org"), false),
        (
            "email",
            json!({ "allowed_email_sans": ["*@example.org"] }),
            Person::named("x").email("a@example.org"),
            true,
        ),
        (
            "email",
            json!({ "allowed_email_sans": ["*@example.org"] }),
            Person::named("x").email("a@example.org.evil.net"),
            false,
        ),
        (
            "uri",
            json!({ "allowed_uri_sans": ["spiffe://a/b"] }),
            Person::named("x").uri("spiffe://a/b"),
            true,
        ),
        ("ou", json!({ "allowed_organizational_units": ["ops"] }), Person::named("x").unit("dev"), false),
    ];
    for (at, (kind, mut role, person, matches)) in cases.into_iter().enumerate() {
        role["token_policies"] = json!(["default"]);
        house.role(&root, "only", role).await;
        let client = house.client(&house.issue(&person));
        let status = client.ask("POST", "auth/cert/login", json!({})).await.status;
        assert_eq!(status == 200, matches, "case {at} ({kind}): {status}");
        root.ask("DELETE", "auth/cert/certs/only", Value::Null).await.done();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_a_slip_in_a_constraints_name_is_not_made() {
    let house = House::start().await;
    let root = house.root();
    house.role(&root, "good", json!({ "allowed_uri_sans": ["spiffe://x/*"] })).await;
    for slip in [
        "allowed_uri_san",
        "allowed_dns_sans_",
        "Allowed_common_names",
        "required_extension",
        "token_polices",
    ] {
        let body = json!({ "certificate": house.authority.pem(), slip: ["spiffe://x/*"] });
        let sentence = root.ask("POST", "auth/cert/certs/slip", body).await.refused(400);
        assert!(sentence.contains("'allowed_uri_sans'") && !sentence.contains("polices"), "{sentence}");
        root.ask("GET", "auth/cert/certs/slip", serde_json::Value::Null).await.refused(404);
    }
}
