//! Rule 6: no plugins, no shell, no file names and no sinks over the API. Rule 7: what must be there is there before the
//! daemon or an environment opens, or it does not open.
use coffer_tests::{Ask, House, Setup};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_of_the_api_names_a_file_a_plugin_or_a_sink() {
    let house = House::start().await;
    let root = house.root();
    for (method, path, body) in [
        (
            "POST",
            "sys/audit/file",
            json!({ "type": "file", "options": { "file_path": "/tmp/coffer-audit" } }),
        ),
        ("PUT", "sys/audit/socket", json!({ "type": "socket", "options": { "address": "127.0.0.1:9" } })),
        ("DELETE", "sys/audit/file", Value::Null),
        ("GET", "sys/audit", Value::Null),
        ("POST", "sys/audit-hash/file", json!({ "input": "x" })),
        ("POST", "sys/plugins/catalog/secret/x", json!({ "command": "x", "sha256": "00" })),
        ("POST", "sys/plugins/reload/backend", json!({ "plugin": "x" })),
        ("GET", "sys/raw/core/keyring", Value::Null),
        ("LIST", "sys/raw/", Value::Null),
        ("GET", "sys/config/state/sanitized", Value::Null),
        ("POST", "sys/config/cors", json!({ "allowed_origins": "*" })),
        ("GET", "sys/pprof/goroutine", Value::Null),
        ("GET", "sys/monitor", Value::Null),
        ("GET", "sys/host-info", Value::Null),
        ("GET", "sys/in-flight-req", Value::Null),
        ("GET", "sys/internal/inspect/router/root", Value::Null),
        ("GET", "sys/rekey/backup", Value::Null),
        ("POST", "sys/rekey-recovery-key/init", json!({ "secret_shares": 1, "secret_threshold": 1 })),
        ("POST", "sys/step-down", json!({})),
        ("POST", "sys/storage/raft/join", json!({ "leader_api_addr": "https://x" })),
        ("POST", "sys/storage/raft/remove-peer", json!({ "server_id": "x" })),
        ("POST", "sys/tools/random", json!({})),
    ] {
        let answer = root.ask(method, path, body).await;
        assert!(matches!(answer.status, 404 | 405), "{method} {path}: {} {}", answer.status, answer.body);
    }
    for kind in ["plugin", "pki", "ssh", "database", "file", "../kv", "KV ", "ldap"] {
        root.ask(
            "POST",
            "sys/mounts/new",
            json!({ "type": kind, "config": { "plugin_name": "x" }, "plugin_name": "x" }),
        )
        .await
        .refused(400);
        root.ask("POST", "sys/auth/new", json!({ "type": kind })).await.refused(400);
    }
    // References in texts that are stored are texts.
    for text in [
        "include \"/etc/passwd\"",
        "path \"x\" { file = \"/etc/passwd\" }",
        "!include /etc/passwd",
        "path \"x\" { capabilities = file(\"/etc/passwd\") }",
        "${file(\"/etc/passwd\")}",
    ] {
        root.ask("POST", "sys/policies/acl/p", json!({ "policy": text })).await.refused(400);
    }
    root.ask("POST", "auth/cert/certs/r", json!({ "certificate": "/etc/passwd" })).await.refused(404);
    house.role(&root, "ok", json!({ "allowed_common_names": ["x"] })).await;
    for certificate in ["/etc/ssl/certs/ca.pem", "file:///etc/passwd", "@/etc/passwd", ""] {
        root.ask("POST", "auth/cert/certs/r", json!({ "certificate": certificate })).await.refused(400);
    }
    root.ask("POST", "auth/cert/crls/c", json!({ "url": "http://127.0.0.1:9/crl" })).await.refused(400);
    // Only this process: it has no children.
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", house.pid())).unwrap_or_default();
    assert!(children.trim().is_empty(), "{children}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_folders_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut house = House::start().await;
    house.environment("prod").await;
    let backup = house.at("saved");
    house.coffer("", &["operator", "snapshot", "save", backup.to_str().unwrap()]).ok();
    fn look(path: &std::path::Path) {
        let mode = std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                look(&entry.unwrap().path());
            }
        }
    }
    look(house.data());
    look(&backup);
    // And a folder that others can read is refused.
    assert!(house.stop().success());
    for folder in [house.data().to_owned(), house.audit()] {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let said = house.try_start().expect_err("it starts in a folder that others can read");
        assert!(said.contains("700") || said.contains("others"), "{said}");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    house.start_process().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_without_its_certificates_or_lists_does_not_open_its_door() {
    let mut house = House::empty(Setup::default()).await;
    assert!(house.stop().success());
    for name in ["server.pem", "server-key.pem", "ca.pem"] {
        let kept = std::fs::read(house.at(name)).unwrap();
        for broken in [
            None,
            Some(""),
            Some("nonsense"),
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ] {
            match broken {
                None => std::fs::remove_file(house.at(name)).unwrap(),
                Some(text) => std::fs::write(house.at(name), text).unwrap(),
            }
            let said = house.try_start().expect_err(name);
            assert!(said.contains(".pem"), "{name} {broken:?}: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        std::fs::write(house.at(name), kept).unwrap();
    }
    // A key that is not the certificate's.
    let other = house.authority.server();
    let kept = std::fs::read(house.at("server-key.pem")).unwrap();
    std::fs::write(house.at("server-key.pem"), &other.key).unwrap();
    assert!(house.try_start().is_err());
    std::fs::write(house.at("server-key.pem"), kept).unwrap();
    house.start_process().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_is_refused_with_its_line() {
    let mut house = House::empty(Setup::default()).await;
    assert!(house.stop().success());
    let good = std::fs::read_to_string(house.at("cofferd.toml")).unwrap();
    for (wrong, names) in [
        ("[unknown]\nx = 1\n", "unknown"),
        ("[limits]\nbody_mb = 1\n", "body_mb"),
        ("[limits]\nbody_mib = 0\n", "body_mib"),
        ("[limits]\nbody_mib = \"1\"\n", "expected usize"),
        ("[limits]\njson_depth = 100000\n", "json_depth"),
        ("[audit]\ndurability = \"never\"\n", "expected `checkpoint` or `fsync`"),
        ("[audit]\nsink = \"/tmp/x\"\n", "sink"),
        ("x", ""),
    ] {
        let file = house.at("wrong.toml");
        std::fs::write(&file, format!("{good}{wrong}")).unwrap();
        let mut command = std::process::Command::new(coffer_tests::cofferd());
        command.arg("check-config").arg(&file);
        let said = coffer_tests::run(command, "");
        assert_ne!(said.code, 0, "{wrong}");
        assert!(
            said.stderr.contains("wrong.toml:")
                && said.stderr.contains(names)
                && said.stderr.trim().lines().count() == 1,
            "{wrong}: {said:?}"
        );
    }
    let mut command = std::process::Command::new(coffer_tests::cofferd());
    command.arg("check-config").arg(house.at("cofferd.toml"));
    coffer_tests::run(command, "").ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_lists_and_policies_are_there_with_the_first_request_after_unsealing() {
    let mut house = House::start().await;
    let prod = house.environment("prod").await;
    house
        .role(&prod, "app", json!({ "allowed_uri_sans": ["spiffe://x/*"], "token_policies": ["app"] }))
        .await;
    prod.sys().put_policy("app", "path \"sys/mounts\" { capabilities = [\"read\"] }").await.unwrap();
    let (good, thief) = (
        house.issue(&coffer_tests::Person::named("a").uri("spiffe://x/a")),
        house.issue(&coffer_tests::Person::named("b").uri("spiffe://x/b")),
    );
    prod.ask("POST", "auth/cert/crls/main", json!({ "crl": house.authority.revocation_list(1, &[&thief]) }))
        .await
        .done();
    for _ in 0..3 {
        house.kill9();
        house.start_process().await;
        let (as_good, as_thief) = (
            house.client(&good).with_namespace("prod").unwrap(),
            house.client(&thief).with_namespace("prod").unwrap(),
        );
        // Asking all the while it opens: sealed, and then at once as it should be.
        let watch = tokio::spawn(async move {
            loop {
                let (thief, good) = tokio::join!(
                    as_thief.ask("GET", "sys/mounts", Value::Null),
                    as_good.ask("GET", "sys/mounts", Value::Null)
                );
                assert!(matches!(thief.status, 403 | 503), "{}", thief.status);
                assert!(matches!(good.status, 200 | 503), "{}", good.status);
                if good.status == 200 {
                    return;
                }
            }
        });
        house.unseal().await;
        watch.await.unwrap();
    }
}
