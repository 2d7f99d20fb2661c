//! Environments: what belongs to one means nothing in another; made and deleted as a whole, also when killed half-way.
use coffer_sdk::{Cas, Client, KeyType};
use coffer_tests::{Ask, House, Moments, ask, eventually, random_hex};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const EVERYTHING: &[(&str, &[&str])] =
    &[("*", &["create", "read", "update", "patch", "delete", "list", "sudo"])];

/// An environment with one of everything in it, and an administrator of it who is not root.
struct Tenant {
    name: &'static str,
    root: Client,
    admin: Client,
    admin_token: String,
    admin_accessor: String,
    secret: String,
    ciphertext: String,
}

async fn tenant(house: &House, name: &'static str) -> Tenant {
    let root = house.environment(name).await;
    let admin_token = house.token_for(&root, "admin", EVERYTHING).await;
    let info = root.ask("POST", "auth/token/lookup", json!({ "token": admin_token })).await.ok();
    let admin = house.with_token(&admin_token).with_namespace(name).unwrap();
    let secret = house.canaries.plant(name);
    root.kv("secret").put("app/db", &json!({ "password": secret }), Cas::New).await.unwrap();
    root.transit("transit").create("key", KeyType::Aes256Gcm96).await.unwrap();
    let ciphertext = root.transit("transit").encrypt("key", b"something", b"").await.unwrap();
    house
        .role(
            &root,
            "role",
            json!({ "allowed_uri_sans": [format!("spiffe://x/{name}")], "token_policies": ["admin"] }),
        )
        .await;
    Tenant { name, root, admin, admin_token, admin_accessor: info.text("accessor"), secret, ciphertext }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_one_environment_is_nothing_in_another() {
    let house = House::start().await;
    let (a, b) = (tenant(&house, "alpha").await, tenant(&house, "beta").await);
    let a_in_b = a.admin.with_namespace("beta").unwrap();
    let a_in_root = a.admin.with_namespace("").unwrap();
    a.admin.ask("GET", "secret/data/app/db", Value::Null).await.done();
    for (method, path, body) in [
        ("GET", "secret/data/app/db", Value::Null),
        ("POST", "secret/data/app/db", json!({ "data": { "x": 1 } })),
        ("DELETE", "secret/metadata/app/db", Value::Null),
        ("LIST", "secret/metadata", Value::Null),
        ("SCAN", "secret/metadata", Value::Null),
        ("POST", "transit/decrypt/key", json!({ "ciphertext": b.ciphertext })),
        ("POST", "transit/keys/key/rotate", json!({})),
        ("GET", "sys/mounts", Value::Null),
        ("GET", "sys/internal/ui/mounts", Value::Null),
        ("GET", "sys/internal/ui/mounts/secret", Value::Null),
        ("POST", "sys/policies/acl/x", json!({ "policy": "path \"*\" { capabilities = [\"read\"] }" })),
        ("POST", "sys/rotate", json!({})),
        ("GET", "sys/key-status", Value::Null),
        ("POST", "sys/namespaces/inner", json!({})),
        ("POST", "auth/token/create", json!({})),
        ("GET", "auth/token/lookup-self", Value::Null),
        ("POST", "auth/token/renew-self", json!({})),
        ("POST", "auth/token/revoke-self", json!({})),
        ("GET", "sys/audit/checkpoint", Value::Null),
        ("GET", "sys/audit/receipt/0", Value::Null),
        ("GET", "auth/cert/certs/role", Value::Null),
    ] {
        a_in_b.ask(method, path, body.clone()).await.refused(403);
        if !path.contains("self") {
            // Neither in the environment above, nor by way of it.
            assert_eq!(
                a_in_root.ask(method, path, body.clone()).await.status,
                403,
                "{method} {path} in root"
            );
            assert_eq!(
                a_in_root.ask(method, &format!("beta/{path}"), body).await.status,
                403,
                "{method} beta/{path}"
            );
        }
    }
    a_in_root.ask("POST", "sys/seal", json!({})).await.refused(403);
    a.admin.ask("GET", "auth/token/lookup-self", Value::Null).await.done();
    assert_eq!(b.root.kv("secret").get::<Value>("app/db").await.unwrap()["password"], b.secret.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_another_environment_do_not_exist_for_its_neighbours_administrator() {
    let house = House::start().await;
    let (a, b) = (tenant(&house, "alpha").await, tenant(&house, "beta").await);
    let foreign = |token: &str, accessor: &str| {
        [
            ("auth/token/lookup", json!({ "token": token })),
            ("auth/token/renew", json!({ "token": token })),
            ("auth/token/revoke", json!({ "token": token })),
            ("auth/token/revoke-orphan", json!({ "token": token })),
            ("auth/token/lookup-accessor", json!({ "accessor": accessor })),
            ("auth/token/renew-accessor", json!({ "accessor": accessor })),
            ("auth/token/revoke-accessor", json!({ "accessor": accessor })),
            ("sys/capabilities", json!({ "token": token, "paths": ["secret/data/app/db"] })),
            ("sys/capabilities-accessor", json!({ "accessor": accessor, "paths": ["secret/data/app/db"] })),
        ]
    };
    let unknown = format!("hvs.{}", random_hex(20));
    for ((path, theirs), (_, nobodys)) in foreign(&b.admin_token, &b.admin_accessor)
        .into_iter()
        .zip(foreign(&unknown, "00000000-0000-4000-8000-000000000000"))
    {
        let (foreign, unknown) =
            (a.admin.ask("POST", path, theirs).await, a.admin.ask("POST", path, nobodys).await);
        // A foreign id and one that never was can't be told apart.
        assert_eq!(
            (foreign.status, foreign.body["errors"].clone()),
            (unknown.status, unknown.body["errors"].clone()),
            "{path}"
        );
        let is_idempotent = path.ends_with("revoke") || path.ends_with("revoke-orphan");
        assert!(is_idempotent || matches!(foreign.status, 400 | 403 | 404), "{path}: {}", foreign.status);
    }
    // Root's own token and accessor neither.
    let root_accessor =
        house.root().ask("GET", "auth/token/lookup-self", Value::Null).await.ok().text("accessor");
    for (path, body) in foreign(&house.root_token, &root_accessor) {
        let answer = a.admin.ask("POST", path, body).await;
        assert!(answer.status >= 400 || answer.body.is_null(), "{path}: {} {}", answer.status, answer.body);
    }
    b.admin.ask("GET", "auth/token/lookup-self", Value::Null).await.done();
    house.root().ask("GET", "auth/token/lookup-self", Value::Null).await.done();
    // A ciphertext of the same key's name.
    a.admin.ask("POST", "transit/decrypt/key", json!({ "ciphertext": b.ciphertext })).await.refused(400);
    let listed = a.admin.ask("LIST", "auth/token/accessors", Value::Null).await.ok();
    assert!(!listed.data()["keys"].as_array().unwrap().contains(&json!(b.admin_accessor)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_reaches_an_environment_below_only_where_it_names_it() {
    let house = House::start().await;
    let (a, b) = (tenant(&house, "alpha").await, tenant(&house, "beta").await);
    let root = house.root();
    let glob = house.token_for(&root, "glob", EVERYTHING).await;
    let text = "path \"secret/data/*\" { environments = [\"alpha\"] capabilities = [\"read\"] }";
    root.sys().put_policy("named", text).await.unwrap();
    let named = house.token(&root, json!({ "policies": ["named"] })).await;
    let read = async |token: &str, namespace: &str| {
        house
            .with_token(token)
            .with_namespace(namespace)
            .unwrap()
            .ask("GET", "secret/data/app/db", Value::Null)
            .await
            .status
    };
    assert_eq!(read(&glob, a.name).await, 403, "a glob is no leave for a child");
    assert_eq!(house.with_token(&glob).ask("GET", "alpha/secret/data/app/db", Value::Null).await.status, 403);
    assert_eq!(read(&named, a.name).await, 200);
    assert_eq!(read(&named, "ALPHA").await, 200, "an environment's name is the same in any case");
    assert_eq!(read(&named, b.name).await, 403);
    assert_eq!(
        house.with_token(&named).ask("GET", "secret/data/app/db", Value::Null).await.status,
        403,
        "root was not named"
    );
    // An environment made later under a glob's path.
    house.environment("gamma").await;
    assert_eq!(read(&glob, "gamma").await, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_is_addressed_by_header_or_path_and_never_by_both_in_two_ways() {
    let house = House::start().await;
    let a = tenant(&house, "alpha").await;
    let inner = house.environment("alpha/inner").await;
    inner.kv("secret").put("x", &json!({ "in": "inner" }), Cas::New).await.unwrap();
    let root = house.root();
    for (namespace, path) in [
        ("alpha/inner", "secret/data/x"),
        ("alpha", "inner/secret/data/x"),
        ("", "alpha/inner/secret/data/x"),
    ] {
        let read = root.with_namespace(namespace).unwrap().ask("GET", path, Value::Null).await.ok();
        assert_eq!(read.data()["data"]["in"], "inner", "{namespace} {path}");
    }
    for namespace in [
        "beta",
        "alpha/none",
        "..",
        "alpha/../alpha",
        "alpha//inner",
        "root/alpha",
        "sys",
        "al pha",
        "%61lpha",
    ] {
        let status =
            root.with_namespace(namespace).unwrap().ask("GET", "secret/data/x", Value::Null).await.status;
        assert!(matches!(status, 400 | 403 | 404), "{namespace:?}: {status}");
    }
    let mut wire = house.wire();
    let twice = [
        ("x-vault-token", house.root_token.as_str()),
        ("x-vault-namespace", "alpha"),
        ("x-vault-namespace", "beta"),
    ];
    assert_eq!(wire.ask("GET", "/v1/sys/mounts", &twice, b"").unwrap().status, 400);
    let mounts = a.admin.ask("GET", "sys/mounts", Value::Null).await.ok();
    assert!(mounts.data()["secret/"].is_object());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_environment_says_what_became_of_it_and_its_name_can_be_used_again() {
    let house = House::start().await;
    let a = tenant(&house, "alpha").await;
    house.root().sys().delete_namespace("alpha").await.unwrap();
    assert_eq!(
        house
            .root()
            .with_namespace("alpha")
            .unwrap()
            .ask("GET", "secret/data/app/db", Value::Null)
            .await
            .status
            / 100,
        4
    );
    assert!(matches!(a.admin.ask("GET", "auth/token/lookup-self", Value::Null).await.status, 403 | 404));
    let state = eventually("the end of the deletion", || async {
        let state = house.root().ask("GET", "sys/namespaces/alpha", Value::Null).await;
        (state.status == 200 && state.text("state") != "deleting").then(|| state.text("state"))
    })
    .await;
    // Nothing else holds its wrap: there was no backup.
    assert_eq!(state, "destroyed");
    assert!(!house.root().sys().namespaces().await.unwrap().contains(&"alpha/".to_owned()));
    // The same name is another environment: nothing of the old one means anything.
    let again = house.environment("alpha").await;
    again.ask("GET", "secret/data/app/db", Value::Null).await.refused(404);
    a.admin.ask("GET", "auth/token/lookup-self", Value::Null).await.refused(403);
    again.transit("transit").create("key", KeyType::Aes256Gcm96).await.unwrap();
    again.ask("POST", "transit/decrypt/key", json!({ "ciphertext": a.ciphertext })).await.refused(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_in_a_backup_is_deleted_but_recoverable() {
    let house = House::start().await;
    tenant(&house, "alpha").await;
    house.root().sys().save_snapshot(tokio::io::sink()).await.unwrap();
    house.root().sys().delete_namespace("alpha").await.unwrap();
    let state = eventually("the end of the deletion", || async {
        let state = house.root().ask("GET", "sys/namespaces/alpha", Value::Null).await.ok().text("state");
        (state != "deleting").then_some(state)
    })
    .await;
    assert!(state.starts_with("deleted, recoverable until 20"), "{state}");
}

/// How far a change of an environment had come when the daemon was killed.
#[derive(Default, Debug)]
struct Kills {
    /// Nothing of it is there.
    before: u32,
    /// It is there, or being done, and nobody was told.
    amid: u32,
    /// It is there, and was acknowledged.
    after: u32,
}

impl Kills {
    const MOST: u32 = 150;

    fn are_of_all_kinds(&self) -> bool {
        self.before > 0 && self.amid > 0 && self.after > 0
    }

    fn count(&self) -> u32 {
        self.before + self.amid + self.after
    }

    /// Counts a kill at this moment, and has the next one come nearer to the middle.
    fn add(&mut self, moments: &mut Moments, moment: Duration, is_done: bool, was_acknowledged: bool) {
        match (is_done, was_acknowledged) {
            (false, _) => {
                self.before += 1;
                moments.was_early(moment);
            }
            (true, true) => {
                self.after += 1;
                moments.was_late(moment);
            }
            (true, false) => {
                self.amid += 1;
                if self.before == 0 { moments.was_late(moment) } else { moments.was_early(moment) }
            }
        }
    }
}

/// Asks for a change of an environment, kills the daemon at this moment after, and starts it again; whether the change
/// was acknowledged.
async fn killed(house: &mut House, moment: Duration, method: &'static str, name: &str) -> bool {
    let (root, path) = (house.root(), format!("sys/namespaces/{name}"));
    // Connected already: the time is that of the change alone.
    root.ask("GET", "sys/health", Value::Null).await.done();
    let body = if method == "POST" { json!({}) } else { Value::Null };
    let begun = Instant::now();
    let asking = tokio::spawn(async move {
        ask(&root, method, &path, &body).await.is_ok_and(|answer| answer.status < 300)
    });
    Moments::wait(begun, moment);
    house.kill9();
    let was_acknowledged = asking.await.unwrap();
    house.start_process().await;
    house.unseal().await;
    was_acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_killed_half_way_is_whole_after_the_restart() {
    let mut house = House::start().await;
    let (mut kills, mut moments) = (Kills::default(), Moments::up_to(Duration::from_millis(60)));
    let mut here: Option<Client> = None;
    while !kills.are_of_all_kinds() {
        assert!(kills.count() < Kills::MOST, "not every moment was met: {kills:?}");
        let name = format!("env{}", kills.count() - kills.before);
        // One that outlived a kill is there for the next.
        if here.is_none() {
            let made = house.environment(&name).await;
            for at in 0..10 {
                made.kv("secret").put(&format!("many/{at}"), &json!({ "at": at }), Cas::New).await.unwrap();
            }
        }
        let moment = moments.next();
        let was_acknowledged = killed(&mut house, moment, "DELETE", &name).await;
        let listed = house.root().sys().namespaces().await.unwrap().contains(&format!("{name}/"));
        assert!(!(was_acknowledged && listed), "an acknowledged deletion was undone");
        kills.add(&mut moments, moment, !listed, was_acknowledged);
        let root = house.root();
        let after = root.with_namespace(&name).unwrap();
        if listed {
            for at in 0..10 {
                let read = after.kv("secret").get::<Value>(&format!("many/{at}")).await.unwrap();
                assert_eq!(read, json!({ "at": at }));
            }
            here = Some(after);
            continue;
        }
        here = None;
        assert_eq!(after.ask("GET", "secret/data/many/1", Value::Null).await.status / 100, 4);
        let path = format!("sys/namespaces/{name}");
        eventually("the end of the deletion", || async {
            (root.ask("GET", &path, Value::Null).await.ok().text("state") == "destroyed").then_some(())
        })
        .await;
    }
    eprintln!("{kills:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_killed_half_way_is_whole_after_the_restart() {
    let mut house = House::start().await;
    let (mut kills, mut moments) = (Kills::default(), Moments::up_to(Duration::from_millis(60)));
    while !kills.are_of_all_kinds() {
        assert!(kills.count() < Kills::MOST, "not every moment was met: {kills:?}");
        let name = format!("env{}", kills.count());
        let moment = moments.next();
        let was_acknowledged = killed(&mut house, moment, "POST", &name).await;
        let listed = house.root().sys().namespaces().await.unwrap().contains(&format!("{name}/"));
        assert!(listed || !was_acknowledged, "an acknowledged environment is gone");
        kills.add(&mut moments, moment, listed, was_acknowledged);
        if listed {
            coffer_tests::furnish(&house.root().with_namespace(&name).unwrap()).await;
        } else {
            house.environment(&name).await;
        }
        let here = house.root().with_namespace(&name).unwrap();
        here.kv("secret").put("x", &json!({ "works": true }), Cas::New).await.unwrap();
    }
    eprintln!("{kills:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_with_others_below_it_is_not_deleted() {
    let house = House::start().await;
    tenant(&house, "alpha").await;
    house.environment("alpha/inner").await;
    house.root().ask("DELETE", "sys/namespaces/alpha", Value::Null).await.refused(400);
    let alpha = house.root().with_namespace("alpha").unwrap();
    alpha.sys().delete_namespace("inner").await.unwrap();
    house.root().ask("DELETE", "sys/namespaces/alpha", Value::Null).await.done();
}
