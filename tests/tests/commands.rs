//! The same stories with other people's programs: `coffer`, `curl` and `bao`.
use coffer_sdk::{Cas, KeyType};
use coffer_tests::{House, Output, Person, Setup, find, policy, skip};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_does_it_all_with_coffer() {
    let mut house = House::empty(Setup::default()).await;
    assert_eq!(house.coffer("", &["status"]).code, 2, "not initialised");
    let made: Value = serde_json::from_str(
        &house
            .coffer("", &["--format", "json", "operator", "init", "--shares", "3", "--threshold", "2"])
            .ok(),
    )
    .unwrap();
    let shares = made["shares"].as_array().expect("the shares").iter();
    house.shares = shares.map(|text| text.as_str().unwrap().to_owned()).collect();
    house.root_token = made["root_token"].as_str().unwrap().to_owned();
    house.shares.iter().for_each(|share| house.canaries.add(share));
    house.canaries.add(&house.root_token);
    assert_eq!(house.coffer("", &["status"]).code, 2, "sealed");
    // Shares come on standard input, never as arguments.
    let argument = house.coffer("", &["operator", "unseal", &house.shares[0]]);
    assert_eq!(argument.code, 1);
    assert!(!argument.stderr.contains(&house.shares[0]), "the share is echoed");
    for share in house.shares[..2].iter() {
        let _progress = house.coffer_with("", &["operator", "unseal"], format!("{share}\n"));
    }
    house.coffer("", &["status"]).ok();
    house.coffer("", &["env", "create", "prod"]).ok();
    house.coffer("prod", &["secrets", "enable", "kv-v2", "--path", "secret"]).ok();
    let secret = house.canaries.plant("value");
    house.coffer_with("prod", &["kv", "put", "secret/app/db", "user=app", "password=-"], &secret).ok();
    assert_eq!(
        house.coffer("prod", &["kv", "get", "secret/app/db", "--field", "password"]).ok().trim_end(),
        secret
    );
    let missing = house.coffer("prod", &["kv", "get", "secret/none"]);
    assert_eq!((missing.code, missing.stderr.trim().lines().count() <= 2), (1, true), "{missing:?}");
    house.coffer("prod", &["secrets", "enable", "transit"]).ok();
    house.coffer("prod", &["transit", "keys", "create", "app"]).ok();
    let sealed = house.coffer_with("prod", &["transit", "encrypt", "app"], "plain text").ok();
    assert_eq!(house.coffer_with("prod", &["transit", "decrypt", "app"], &sealed).ok(), "plain text");
    house.coffer("prod", &["operator", "rotate"]).ok();
    house.coffer("", &["operator", "seal"]).ok();
    assert_eq!(house.coffer("prod", &["kv", "get", "secret/app/db"]).code, 2, "sealed");
    assert_eq!(house.coffer("", &["audit", "verify", house.audit().to_str().unwrap()]).code, 0);
    house.stop();
    house.root_token.clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_gone_is_told_from_one_that_refuses() {
    let house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    let refused = house.coffer("", &["kv", "get", "secret/none"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let gone = house.coffer("", &["--address", "https://127.0.0.1:9", "status"]);
    assert_eq!(gone.code, 3, "{gone:?}");
    let typo = house.coffer("", &["kv", "gte", "secret/none"]);
    assert_eq!(typo.code, 1, "{typo:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_uses_curl_with_no_login_a_login_and_a_token() {
    if find("curl").is_none() {
        return skip("curl is not installed");
    }
    let house = House::start().await;
    let prod = house.environment("prod").await;
    let secret = house.canaries.plant("value");
    prod.kv("secret").put("app/db", &json!({ "password": secret }), Cas::New).await.unwrap();
    prod.sys()
        .put_policy("app", &policy(&[("secret/data/app/*", &["read", "create", "update"])]))
        .await
        .unwrap();
    house
        .role(&prod, "app", json!({ "allowed_uri_sans": ["spiffe://x/app"], "token_policies": ["app"] }))
        .await;
    let app = house.issue(&Person::named("app").uri("spiffe://x/app"));
    let namespace = ["-H", "X-Vault-Namespace: prod"];
    for version in ["--http1.1", "--http2"] {
        let (status, body) = house.curl(&app, "secret/data/app/db", &[namespace[0], namespace[1], version]);
        assert_eq!((status, body.contains(&secret)), (200, true), "no login");
        // curl's own Content-Type for -d, and a HEAD.
        let (status, body) =
            house.curl(&app, "auth/cert/login", &[namespace[0], namespace[1], version, "-d", "{}"]);
        assert_eq!(status, 200, "login");
        let token = serde_json::from_str::<Value>(&body).unwrap()["auth"]["client_token"]
            .as_str()
            .unwrap()
            .to_owned();
        house.canaries.add(&token);
        for header in [format!("X-Vault-Token: {token}"), format!("Authorization: Bearer {token}")] {
            assert_eq!(
                house
                    .curl(&app, "secret/data/app/db", &[namespace[0], namespace[1], version, "-H", &header])
                    .0,
                200,
                "token"
            );
        }
        assert_eq!(
            house.curl(&app, "prod/secret/data/app/other", &[version, "-d", "{\"data\":{\"a\":1}}"]).0,
            200,
            "the environment in the path"
        );
        assert_eq!(house.curl(&app, "sys/health", &["--head", version]).0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_and_an_application_use_bao() {
    if find("bao").is_none() {
        return skip("bao is not installed: tests/tools.sh installs it");
    }
    let house = House::start().await;
    let prod = house.environment("prod").await;
    prod.transit("transit").create("app", KeyType::Aes256Gcm96).await.unwrap();
    let bao = |arguments: &[&str]| -> Output { house.bao("prod", arguments).unwrap() };
    let secret = house.canaries.plant("value");
    bao(&["kv", "put", "secret/app/db", &format!("password={secret}")]).ok();
    assert_eq!(bao(&["kv", "get", "-field=password", "secret/app/db"]).ok().trim(), secret);
    bao(&["kv", "patch", "secret/app/db", "user=app"]).ok();
    bao(&["kv", "metadata", "get", "secret/app/db"]).ok();
    assert!(bao(&["kv", "list", "secret/"]).ok().contains("app/"));
    bao(&["write", "-f", "transit/keys/app/rotate"]).ok();
    let sealed = bao(&["write", "-field=ciphertext", "transit/encrypt/app", "plaintext=aGVsbG8="]).ok();
    assert_eq!(
        bao(&["write", "-field=plaintext", "transit/decrypt/app", &format!("ciphertext={}", sealed.trim())])
            .ok()
            .trim(),
        "aGVsbG8="
    );
    assert_ne!(bao(&["kv", "get", "secret/none"]).code, 0);
    assert!(house.bao("", &["namespace", "list"]).unwrap().ok().contains("prod/"));
    house.bao("", &["status"]).unwrap().ok();
    house.bao("", &["operator", "seal"]).unwrap().ok();
    assert_eq!(house.bao("", &["status"]).unwrap().code, 2);
    house.bao("", &["operator", "unseal", &house.shares[0]]).unwrap().ok();
    house.bao("", &["operator", "unseal", &house.shares[2]]).unwrap().ok();
    bao(&["kv", "get", "secret/app/db"]).ok();
}
