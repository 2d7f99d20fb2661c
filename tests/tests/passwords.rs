//! Users with a password, over the wire: what is public, what is told apart, and what outlives a mount.
use coffer_sdk::{Client, NewMount};
use coffer_tests::{Ask, House, policy};
use serde_json::{Value, json};

/// A house with `auth/up` and its user `bob`; gives root's client and bob's password.
async fn with_bob() -> (House, Client, String) {
    let house = House::start().await;
    let root = house.root();
    let password = house.canaries.plant("password");
    root.sys().enable_auth("up", &NewMount::of("userpass")).await.unwrap();
    root.ask("POST", "auth/up/users/bob", json!({ "password": password, "token_policies": "bob" }))
        .await
        .done();
    (house, root, password)
}

/// Logs in without being anybody; gives the token.
async fn login(house: &House, password: &str) -> String {
    let nobody = house.client(&house.operator);
    let token = nobody.ask("POST", "auth/up/login/bob", json!({ "password": password })).await.ok().token();
    house.canaries.add(&token);
    token
}

async fn lookup(house: &House, token: &str) -> u16 {
    house.with_token(token).ask("GET", "auth/token/lookup-self", Value::Null).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_does_not_outlive_the_mount_it_was_got_at() {
    let (house, root, password) = with_bob().await;
    root.sys().put_policy("bob", &policy(&[("auth/token/create", &["update"])])).await.unwrap();
    let token = login(&house, &password).await;
    let child = house.token(&house.with_token(&token), json!({})).await;
    assert_eq!((lookup(&house, &token).await, lookup(&house, &child).await), (200, 200));
    root.ask("DELETE", "sys/auth/up", Value::Null).await.done();
    assert_eq!((lookup(&house, &token).await, lookup(&house, &child).await), (403, 403));
    // A mount of the same name is another mount, and its user bob is somebody else.
    root.sys().enable_auth("up", &NewMount::of("userpass")).await.unwrap();
    root.ask("POST", "auth/up/users/bob", json!({ "password": password })).await.done();
    assert_eq!((lookup(&house, &token).await, lookup(&house, &child).await), (403, 403));
    assert_eq!(lookup(&house, &login(&house, &password).await).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_changes_nothing_for_users_and_their_tokens() {
    let (mut house, _, password) = with_bob().await;
    let token = login(&house, &password).await;
    house.restart().await;
    assert_eq!(lookup(&house, &token).await, 200);
    assert_eq!(lookup(&house, &login(&house, &password).await).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_the_login_itself_is_public() {
    let (house, _, password) = with_bob().await;
    let nobody = house.client(&house.operator);
    let body = json!({ "password": password });
    for (method, path) in [
        ("GET", "auth/up/login/bob"),
        ("LIST", "auth/up/login"),
        ("DELETE", "auth/up/login/bob"),
        ("POST", "auth/up/login"),
        ("POST", "auth/up/login/bob/x"),
        ("POST", "auth/up/users/bob"),
        ("POST", "auth/up/users/bob/password"),
        ("GET", "auth/up/users/bob"),
        ("LIST", "auth/up/users"),
        ("POST", "auth/token/login/bob"),
        ("POST", "auth/none/login/bob"),
        ("POST", "login/bob"),
    ] {
        let body = if method == "POST" { body.clone() } else { Value::Null };
        nobody.ask(method, path, body).await.refused(403);
    }
    login(&house, &password).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_denied_of_a_user_is_denied_in_every_spelling() {
    let (house, root, _) = with_bob().await;
    root.ask("POST", "auth/up/users/admin", json!({ "password": "first" })).await.done();
    let rules: [(&str, &[&str]); 3] = [
        ("auth/up/users/*", &["create", "read", "update", "delete"]),
        ("auth/up/users/admin", &["deny"]),
        ("auth/up/users/admin/*", &["deny"]),
    ];
    let helper = house.token_for(&root, "helpdesk", &rules).await;
    let helper = house.with_token(&helper);
    helper.ask("POST", "auth/up/users/other", json!({ "password": "p" })).await.done();
    for name in [
        "admin",
        "AdMin",
        "ADMIN",
        "%61dmin",
        "adm%49n",
        "admin%20",
        "%20admin",
        "./admin",
        "x/../admin",
        "/admin",
        "admin%00",
    ] {
        for path in [
            format!("auth/up/users/{name}"),
            format!("auth/up/users/{name}/password"),
            format!("auth/up/users/{name}/PASSWORD"),
        ] {
            let status = helper.ask("POST", &path, json!({ "password": "second" })).await.status;
            assert!(matches!(status, 400 | 403 | 404), "{path}: {status}");
        }
        let status = helper.ask("DELETE", &format!("auth/up/users/{name}"), Value::Null).await.status;
        assert!(matches!(status, 400 | 403), "{name}: {status}");
    }
    house
        .client(&house.operator)
        .ask("POST", "auth/up/login/admin", json!({ "password": "first" }))
        .await
        .done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_user_is_told_from_a_known_one_by_nothing_in_the_answer() {
    let (house, _, password) = with_bob().await;
    let mut wire = house.wire();
    let mut ask = |name: &str, password: &str| {
        let body = json!({ "password": password }).to_string();
        let mut reply = wire.ask("POST", &format!("/v1/auth/up/login/{name}"), &[], body.as_bytes()).unwrap();
        reply.headers.retain(|(name, _)| name != "date");
        (reply.status, reply.headers, reply.body)
    };
    // Five failures and what follows them, in whatever spelling.
    let spellings = ["bob", "BOB", "Bob", "b%6fb", "b%4fb", "boB", "bOb", "bob"];
    for (at, spelling) in spellings.into_iter().enumerate() {
        let (known, unknown) =
            (ask(spelling, "no"), ask(&spelling.replace('b', "n").replace('B', "N"), "no"));
        assert_eq!(known, unknown, "{spelling}");
        assert_eq!(known.0, if at < 5 { 400 } else { 403 });
    }
    assert_eq!(ask("bob", &password).0, 403);
}
