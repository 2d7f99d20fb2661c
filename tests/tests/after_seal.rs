//! What is left after a seal: on the disk, and in the memory of the process.
use coffer_sdk::{Cas, KeyType};
use coffer_tests::{Ask, House, Person, eventually, is_root, memory_holds, skip};
use serde_json::{Value, json};

/// A house that was used in every way that brings a secret in, and that knows them all as canaries.
async fn used() -> House {
    let house = House::start().await;
    let prod = house.environment("prod").await;
    for at in 0..20 {
        prod.kv("secret")
            .put(
                &format!("app/{}", house.canaries.plant("name")),
                &json!({ "k": house.canaries.plant("value"), "at": at }),
                Cas::New,
            )
            .await
            .unwrap();
    }
    let path = house.canaries.plant("path");
    prod.kv("secret")
        .put(
            &path,
            &json!({ &house.canaries.plant("key"): { "deep": [house.canaries.plant("deep")] } }),
            Cas::New,
        )
        .await
        .unwrap();
    prod.kv("secret").get::<Value>(&path).await.unwrap();
    prod.kv("secret").list("app").await.unwrap();
    prod.kv("secret").destroy(&path, &[1]).await.unwrap();
    prod.transit("transit").create("key", KeyType::Aes256Gcm96).await.unwrap();
    let plain = house.canaries.plant("plaintext");
    let sealed = prod.transit("transit").encrypt("key", plain.as_bytes(), b"").await.unwrap();
    prod.transit("transit").decrypt("key", &sealed, b"").await.unwrap();
    let key = prod.transit("transit").data_key("key").await.unwrap();
    house.canaries.add(key.plain.expose());
    house.token_for(&prod, "reader", &[("secret/data/*", &["read"])]).await;
    house
        .role(&prod, "app", json!({ "allowed_uri_sans": ["spiffe://x/app"], "token_policies": ["reader"] }))
        .await;
    let app = house.issue(&Person::named("app").uri("spiffe://x/app"));
    let token =
        house.client(&app).with_namespace("prod").unwrap().login_by_certificate("cert", None).await.unwrap();
    house.canaries.add(token.token.expose());
    prod.sys().rotate().await.unwrap();
    // Wrong in ways that could end in an error's text.
    prod.ask("POST", "secret/data/x", json!(house.canaries.plant("body"))).await.refused(400);
    house
        .with_token(&house.canaries.plant("token"))
        .ask("GET", "secret/data/x", Value::Null)
        .await
        .refused(403);
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_the_store_shows_a_value_a_name_a_token_or_a_share() {
    let mut house = used().await;
    let look = |house: &House| {
        let found = house.canaries.found_below(house.data());
        assert!(found.is_empty(), "{found:#?}");
    };
    look(&house);
    house.root().sys().seal().await.unwrap();
    look(&house);
    house.kill9();
    look(&house);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_secret_is_in_the_memory_of_a_sealed_daemon() {
    if !is_root() {
        return skip("only root can look into the memory of a process that is not dumpable");
    }
    let house = used().await;
    // That the search finds what is there: a header of every answer, and the configuration.
    assert!(
        !memory_holds(house.pid(), &[b"no-store".to_vec()]).is_empty(),
        "the search finds nothing at all"
    );
    house.root().sys().seal().await.unwrap();
    let patterns = house.canaries.spellings();
    // Connections that were just closed may hold a last buffer for a moment.
    let pid = house.pid();
    let found = eventually_clean(pid, &patterns).await;
    assert!(found.is_empty(), "{found:#?}");
}

async fn eventually_clean(pid: u32, patterns: &[Vec<u8>]) -> Vec<String> {
    let mut found = memory_holds(pid, patterns);
    for _ in 0..5 {
        if found.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        found = memory_holds(pid, patterns);
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_can_not_be_dumped_or_traced_by_its_own_user() {
    let house = House::start().await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.pid())).unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(field("NoNewPrivs:"), "1");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", house.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().nth(4) == Some("0"), "{core}");
    if is_root() {
        // What is not dumpable belongs to root in /proc; as root that can't be told from the owner's own.
        return;
    }
    assert!(std::fs::File::open(format!("/proc/{}/mem", house.pid())).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_is_total_within_a_tenth_of_a_second() {
    let house = used().await;
    let prod = house.root().with_namespace("prod").unwrap();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let prod = prod.clone();
            tokio::spawn(
                async move { while prod.ask("GET", "sys/mounts", Value::Null).await.status == 200 {} },
            )
        })
        .collect();
    eventually("readers at work", || async { Some(()) }).await;
    house.root().sys().seal().await.unwrap();
    // The answer to the seal came after the keys had gone.
    assert_eq!(prod.ask("GET", "sys/mounts", Value::Null).await.status, 503);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_sealed_only_the_public_paths_answer() {
    let house = used().await;
    house.root().sys().seal().await.unwrap();
    for (method, path) in [
        ("GET", "secret/data/x"),
        ("GET", "sys/mounts"),
        ("POST", "sys/seal"),
        ("POST", "sys/rotate"),
        ("POST", "auth/token/create"),
        ("POST", "auth/cert/login"),
        ("GET", "sys/audit/checkpoint"),
        ("GET", "sys/storage/raft/snapshot"),
        ("GET", "sys/internal/ui/mounts"),
        ("GET", "nonsense"),
    ] {
        let body = if method == "POST" { json!({}) } else { Value::Null };
        for namespace in ["", "prod", "none"] {
            house
                .root()
                .with_namespace(namespace)
                .unwrap()
                .ask(method, path, body.clone())
                .await
                .refused(503);
        }
    }
    let status = house.client(&house.operator).sys().seal_status().await.unwrap();
    assert!(status.sealed && status.initialized);
    house.unseal().await;
}
