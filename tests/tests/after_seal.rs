//! What is left after a seal: on the disk, and in the memory of the process.
use crate::stored;
use coffer_sdk::{Cas, KeyType};
use coffer_tests::{Ask, Frozen, House, Person, Search, Wanted, ask, eventually, is_root, memory, skip};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A tenth of a second is what a seal may take; a machine that is busy with other tests is given more.
const A_BUSY_MACHINE: Duration = Duration::from_secs(2);

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
async fn no_byte_of_a_secret_or_a_key_is_in_the_memory_of_a_sealed_daemon() {
    if !is_root() {
        return skip("only root can look into the memory of a process that is not dumpable");
    }
    let mut house = used().await;
    // The keys, from the shares and the store: the same after a restart, with which the daemon has them all again.
    assert!(house.stop().success());
    let entries = stored::entries(house.data());
    let mut keys = vec![("joined shares".to_owned(), stored::joined(&house.shares).to_vec())];
    for (number, environment) in stored::open(&entries, &house.shares).iter().enumerate() {
        let named = environment.keys(&entries).into_iter();
        keys.extend(named.map(|(name, key)| (format!("{name} of environment {number}"), key)));
    }
    assert!(keys.len() > 2 * 8, "root and prod have more keys than {}", keys.len());
    house.start_process().await;
    house.unseal().await;
    let prod = house.root().with_namespace("prod").unwrap();
    let names = prod.kv("secret").list("app").await.unwrap();
    for name in &names {
        let path = format!("app/{name}");
        let value = prod.kv("secret").get::<Value>(&path).await.unwrap();
        prod.kv("secret").put(&path, &value, Cas::Any).await.unwrap();
    }
    // `prod` keeps its connection, and so does another client: in their buffers lies what they sent last.
    let mut kept = house.wire();
    let body = json!({ "data": { "k": house.canaries.plant("kept") } }).to_string();
    let headers = [("x-vault-token", house.root_token.as_str()), ("x-vault-namespace", "prod")];
    assert_eq!(kept.ask("POST", "/v1/secret/data/kept", &headers, body.as_bytes()).unwrap().status, 200);
    // That the search finds what is there: each key in this process, which holds them, and a path in the daemon. Its own
    // keys it may rightly not find there: they lie in pages that nobody else can read.
    let mut search = Search::new();
    for (name, key) in &keys {
        search.add(Wanted { kind: "key", name: name.clone(), bytes: key.clone() });
    }
    let found = memory(std::process::id(), &search).hits.get("key").copied().unwrap_or_default();
    assert!(found >= keys.len(), "only {found} are found where all {} are", keys.len());
    let path = house.data().display().to_string().into_bytes();
    search.add_raw(Wanted { kind: "control", name: "data folder".into(), bytes: path });
    assert!(memory(house.pid(), &search).hits.contains_key("control"), "the search finds nothing at all");

    house.root().sys().seal().await.unwrap();
    let sealed = Instant::now();
    // What is looked for is the state at this very moment: there is nothing to wait for.
    tokio::time::sleep(Duration::from_millis(60)).await;
    let still = Frozen::now(house.pid());
    let after = sealed.elapsed();
    assert!(after < Duration::from_millis(100), "it stood only after {after:?}: too busy a machine to tell");
    for (number, value) in house.canaries.values().into_iter().enumerate() {
        search.add(Wanted { kind: "canary", name: number.to_string(), bytes: value });
    }
    let scan = still.memory(&search);
    let told: Vec<_> =
        scan.found.iter().filter(|found| found.hit.kind != "control").map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    drop(still);
    assert!(kept.is_closed(), "a connection outlives the seal");
    drop(prod);
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

/// What one reader saw: how many reads were answered, and of the last one when it was asked and when answered.
#[derive(Clone, Copy)]
struct Seen {
    answered: u64,
    asked: Instant,
    at: Instant,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_that_begins_after_the_answer_to_a_seal_is_answered() {
    let house = used().await;
    let begun = Instant::now();
    let nothing = Seen { answered: 0, asked: begun, at: begun };
    let seen: Arc<Vec<Mutex<Seen>>> = Arc::new((0..4).map(|_| Mutex::new(nothing)).collect());
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let (prod, seen) = (house.root().with_namespace("prod").unwrap(), Arc::clone(&seen));
            tokio::spawn(async move {
                loop {
                    let asked = Instant::now();
                    // A seal ends connections, so one may end just when it is asked over: then it is asked over another.
                    let Ok(answer) = ask(&prod, "GET", "sys/mounts", &Value::Null).await else { continue };
                    let status = answer.status;
                    if status != 200 {
                        return status;
                    }
                    let mut seen = seen[reader].lock().unwrap();
                    *seen = Seen { answered: seen.answered + 1, asked, at: Instant::now() };
                }
            })
        })
        .collect();
    eventually("reads of all", || async {
        seen.iter().all(|seen| seen.lock().unwrap().answered >= 10).then_some(())
    })
    .await;
    let (root, asked) = (house.root(), Instant::now());
    root.sys().seal().await.unwrap();
    let sealed = Instant::now();
    assert!(sealed - asked < A_BUSY_MACHINE, "a seal took {:?}", sealed - asked);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 503, "a reader was told something else than that it is sealed");
    }
    for seen in seen.iter() {
        let Seen { answered, asked, at } = *seen.lock().unwrap();
        assert!(asked < sealed, "after {answered} reads one was asked after the seal and answered");
        // An answer that was on its way may be seen a little later than the seal's.
        assert!(at < sealed + A_BUSY_MACHINE, "an answer came {:?} after the seal", at - sealed);
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
