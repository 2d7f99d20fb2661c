//! What is sent, over what, how often, and what an error says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod support;

use coffer_sdk::{Cas, Client, Error, Method, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use support::{Authority, Options, Reply, Server, envelope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[derive(Deserialize)]
struct Database {
    user: String,
    password: Secret<String>,
}

fn secret() -> Reply {
    let data = r#"{"data":{"user":"app","password":"hunter2"},"metadata":{"version":3,"created_time":"t","deletion_time":"","destroyed":false}}"#;
    Reply::Json(200, envelope(data))
}

#[tokio::test]
async fn an_application_reads_its_secret_over_http_2_and_reuses_the_connection() {
    let server = Server::start(Options::default(), std::sync::Arc::new(|_| secret())).await;
    let client = server.builder().token("t0ken").namespace("/acme/prod/").build().unwrap();
    for _ in 0..3 {
        let read = client.kv("secret").get_newest::<Database>("app/db one?").await.unwrap();
        assert_eq!((read.value.user.as_str(), read.value.password.expose().as_str()), ("app", "hunter2"));
        assert_eq!(read.info.version, 3);
    }
    let seen = server.nth(2);
    assert_eq!(seen.alpn, b"h2");
    assert_eq!(seen.target, "/v1/secret/data/app/db%20one%3F");
    assert_eq!(seen.headers["x-vault-token"], "t0ken");
    assert_eq!(seen.headers["x-vault-namespace"], "acme/prod");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_without_http_2_is_spoken_to_in_http_1() {
    let options = Options { protocols: &[b"http/1.1"], ..Options::default() };
    let server = Server::start(options, std::sync::Arc::new(|_| secret())).await;
    let client = server.client();
    for _ in 0..2 {
        client.kv("secret").get::<Database>("app/db").await.unwrap();
    }
    assert_eq!((server.nth(1).alpn.as_slice(), server.nth(1).connection), (b"http/1.1".as_slice(), 0));
}

#[tokio::test]
async fn a_read_whose_connection_broke_is_repeated_and_a_write_is_not() {
    let protocols: [&'static [&'static [u8]]; 2] = [&[b"h2"], &[b"http/1.1"]];
    for protocols in protocols {
        let replies = vec![Reply::Break, Reply::Break, secret(), Reply::Break];
        let server = Server::replying(Options { protocols, ..Options::default() }, replies).await;
        let kv = server.client().kv("secret");
        kv.get::<Database>("app/db").await.unwrap();
        assert_eq!(server.count(), 3);
        let value = BTreeMap::from([("user", "x")]);
        let error = kv.put("app/db", &value, Cas::Any).await.unwrap_err();
        assert!(matches!(error, Error::Interrupted(_)) && error.may_have_happened(), "{error:?}");
        assert_eq!(server.count(), 4);
    }
}

#[tokio::test]
async fn a_write_that_was_never_sent_is_repeated() {
    let options = Options { dropped: 2, ..Options::default() };
    let server = Server::replying(options, vec![Reply::Json(204, String::new())]).await;
    server.client().sys().rotate().await.unwrap();
    assert_eq!((server.connections.load(Ordering::SeqCst), server.count()), (3, 1));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_as_such() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let authority = Authority::new();
    let client =
        Client::builder().address(&format!("https://127.0.0.1:{port}")).ca_pem(authority.pem().as_bytes());
    let error = client.build().unwrap().sys().seal().await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)) && !error.may_have_happened(), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_only_for_reads_and_only_where_it_says_when() {
    let busy = || Reply::With(503, "retry-after", "0", r#"{"errors":["busy"]}"#.to_owned());
    let replies = vec![
        busy(),
        Reply::With(429, "retry-after", "0", String::new()),
        secret(),
        busy(),
        Reply::Json(503, r#"{"errors":["Vault is sealed"]}"#.to_owned()),
        Reply::Json(412, String::new()),
        secret(),
        Reply::With(503, "retry-after", "3600", String::new()),
    ];
    let server = Server::replying(Options::default(), replies).await;
    let (kv, sys) = (server.client().kv("secret"), server.client().sys());
    kv.get::<Database>("a").await.unwrap();
    assert_eq!(server.count(), 3);
    assert_eq!(sys.rotate().await.unwrap_err().status(), Some(503));
    assert_eq!(server.count(), 4);
    let sealed = kv.get::<Database>("a").await.err().unwrap();
    assert_eq!(sealed.to_string(), "the server answered 503: Vault is sealed");
    assert_eq!(server.count(), 5);
    kv.get::<Database>("a").await.unwrap();
    assert_eq!(server.count(), 7);
    assert!(kv.get::<Database>("a").await.err().unwrap().is_unavailable());
    assert_eq!(server.count(), 8);
}

#[tokio::test]
async fn a_post_that_only_reads_may_be_repeated() {
    let verified = Reply::Json(200, envelope(r#"{"valid":true}"#));
    let server = Server::replying(Options::default(), vec![Reply::Break, verified]).await;
    assert!(server.client().transit("transit").verify("k", b"m", "vault:v1:x").await.unwrap());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let server = Server::start(Options::default(), std::sync::Arc::new(|_| Reply::Silence)).await;
    let client = server.builder().timeout(Duration::from_millis(300)).build().unwrap();
    let start = Instant::now();
    let error = client.sys().seal().await.unwrap_err();
    assert!(matches!(error, Error::TimedOut) && error.may_have_happened());
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_server_under_another_ca_or_name_is_sent_nothing() {
    let server = Server::start(Options::default(), std::sync::Arc::new(|_| secret())).await;
    let foreign = server.builder().ca_pem(Authority::new().pem().as_bytes()).retries(0).build().unwrap();
    let misnamed = server.builder().server_name("elsewhere.example").retries(0).build().unwrap();
    for client in [foreign, misnamed] {
        let error = client.kv("secret").get::<Database>("a").await.err().unwrap();
        assert!(matches!(error, Error::Connect(_)), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(error.is_server_untrusted() && !error.is_certificate_refused(), "{error:?}");
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn the_name_of_the_certificate_may_differ_from_the_address() {
    let server = Server::start(Options::default(), std::sync::Arc::new(|_| secret())).await;
    let address = format!("https://127.0.0.1:{}", server.address.port());
    let client = server.builder().address(&address).server_name("localhost").build().unwrap();
    client.kv("secret").get::<Database>("a").await.unwrap();
}

#[tokio::test]
async fn a_missing_client_certificate_is_an_error_that_says_so() {
    let server = Server::start(Options::default(), std::sync::Arc::new(|_| secret())).await;
    let client = Client::builder()
        .address(&format!("https://localhost:{}", server.address.port()))
        .ca_pem(server.authority.pem().as_bytes())
        .build()
        .unwrap();
    let error = client.kv("secret").get::<Database>("a").await.err().unwrap();
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    assert!(error.is_certificate_refused() && !error.is_server_untrusted(), "{error:?}");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_told_as_such_and_not_asked_for_again() {
    let authority = Authority::new();
    let options = Options { protocols: &[b"http/1.1"], wants_certificate: false, dropped: 0 };
    let acceptor = support::acceptor(&authority, &options);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let client = Client::builder().address(&address).ca_pem(authority.pem().as_bytes()).build().unwrap();
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tls = acceptor.accept(tcp).await.unwrap();
        tls.read_u8().await.unwrap();
        tls.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        tls.shutdown().await.unwrap();
        listener
    });
    let error = client.kv("secret").get::<Database>("a").await.err().unwrap();
    assert!(matches!(error, Error::Unexpected(_)), "{error:?}");
    assert!(!error.is_server_untrusted() && !error.is_certificate_refused());
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_certificate_and_key_come_from_files_and_what_is_wrong_with_them_is_said() {
    let server = Server::start(Options::default(), std::sync::Arc::new(|_| secret())).await;
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (server.authority.issue("a.example"), server.authority.issue("b.example"));
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let certificate = write("one.pem", &one.certificate);
    let files = |certificate, key| server.builder().identity_files(certificate, key).build();
    let client = files(certificate.clone(), write("one.key", &one.key)).unwrap();
    client.kv("secret").get::<Database>("a").await.unwrap();
    let refused = [write("other.key", &other.key), write("empty.key", ""), folder.path().join("absent.key")];
    for key in refused {
        let error = files(certificate.clone(), key).err().unwrap();
        assert!(
            matches!(error, Error::Configuration(_))
                && error.to_string().contains(".pem") | error.to_string().contains(".key"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_error_says_what_the_server_said_and_never_a_value() {
    let replies = vec![
        Reply::Json(403, r#"{"errors":["permission denied"]}"#.to_owned()),
        Reply::Json(404, r#"{"errors":[]}"#.to_owned()),
        secret(),
        Reply::Json(200, "hunter2".to_owned()),
        Reply::Json(200, envelope(r#"{"data":{"user":"app"},"metadata":{"password":"hunter2"}}"#)),
    ];
    let server = Server::replying(Options::default(), replies).await;
    let kv = server.client().kv("secret");
    let error = kv.get::<Database>("a").await.err().unwrap();
    assert!(error.is_permission_denied());
    assert_eq!(error.to_string(), "the server answered 403: permission denied");
    assert!(kv.get::<Database>("a").await.err().unwrap().is_not_found());
    #[derive(Deserialize, Debug)]
    struct Numbers {
        #[allow(dead_code)]
        password: u64,
    }
    for _ in 0..3 {
        let error = kv.get::<Numbers>("a").await.unwrap_err();
        assert!(matches!(error, Error::Unexpected(_)), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_torn_answer_is_no_answer() {
    let torn = || Reply::Torn(br#"{"data":"#.to_vec());
    let server = Server::replying(Options::default(), vec![torn(), torn(), torn()]).await;
    let error = server.client().kv("secret").get::<Database>("a").await.err().unwrap();
    assert!(matches!(error, Error::Interrupted(_)), "{error:?}");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn values_are_written_with_their_condition_and_changed_by_merge_patch() {
    #[derive(Serialize)]
    struct New<'a> {
        user: &'a str,
        #[serde(serialize_with = "coffer_sdk::exposed")]
        password: Secret<String>,
    }
    let version = || {
        Reply::Json(200, envelope(r#"{"version":4,"created_time":"t","deletion_time":"","destroyed":false}"#))
    };
    let server = Server::replying(Options::default(), vec![version(), version(), version()]).await;
    let kv = server.client().kv("secret");
    let value = New { user: "é\"", password: "p".into() };
    assert_eq!(kv.put("a", &value, Cas::Version(3)).await.unwrap().version, 4);
    kv.put("a", &value, Cas::Any).await.unwrap();
    kv.patch("a", &value, Cas::New).await.unwrap();
    assert_eq!(
        server.nth(0).body,
        r#"{"data":{"user":"é\"","password":"p"},"options":{"cas":3}}"#.as_bytes()
    );
    assert_eq!(server.nth(1).body, r#"{"data":{"user":"é\"","password":"p"}}"#.as_bytes());
    assert_eq!(
        server.nth(2).body,
        r#"{"data":{"user":"é\"","password":"p"},"options":{"cas":0}}"#.as_bytes()
    );
    assert_eq!(
        (server.nth(2).method, &server.nth(2).headers["content-type"]),
        (Method::PATCH, &"application/merge-patch+json".parse().unwrap())
    );
}

#[tokio::test]
async fn an_empty_list_is_empty_and_a_refused_one_is_an_error() {
    let replies = vec![
        Reply::Json(200, envelope(r#"{"keys":["a","b/"]}"#)),
        Reply::Json(404, r#"{"errors":[]}"#.to_owned()),
        Reply::Json(404, r#"{"errors":["no handler for route"]}"#.to_owned()),
    ];
    let server = Server::replying(Options::default(), replies).await;
    let kv = server.client().kv("secret");
    assert_eq!(kv.list("x/").await.unwrap(), ["a", "b/"]);
    assert_eq!(server.nth(0).target, "/v1/secret/metadata/x?list=true");
    assert_eq!(kv.list("").await.unwrap(), [""; 0]);
    assert!(kv.list("").await.is_err());
}

#[tokio::test]
async fn health_is_told_whatever_the_state() {
    let sealed = r#"{"initialized":true,"sealed":true,"standby":true,"version":"1"}"#;
    let server = Server::replying(Options::default(), vec![Reply::Json(503, sealed.to_owned())]).await;
    assert!(server.client().sys().health().await.unwrap().sealed);
}

#[tokio::test]
async fn a_snapshot_is_streamed_both_ways_and_a_torn_one_is_an_error() {
    let piece: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_be_bytes()[3]).collect();
    let replies = vec![
        Reply::Bytes(vec![piece.clone(); 5]),
        Reply::Torn(piece.clone()),
        Reply::Json(200, r#"{"initialized":false,"sealed":true,"t":2,"n":3}"#.to_owned()),
        Reply::Json(403, r#"{"errors":["no"]}"#.to_owned()),
    ];
    let server = Server::replying(Options::default(), replies).await;
    let sys = server.client().sys();
    let mut saved = Vec::new();
    assert_eq!(sys.save_snapshot(&mut saved).await.unwrap(), 5 << 20);
    assert_eq!(saved, piece.repeat(5));
    assert!(matches!(sys.save_snapshot(&mut Vec::new()).await, Err(Error::Interrupted(_))));
    let status = sys.restore_snapshot(std::io::Cursor::new(saved.clone())).await.unwrap();
    assert_eq!(status.threshold, 2);
    assert_eq!(
        (server.nth(2).body == saved, server.nth(2).target.as_str()),
        (true, "/v1/sys/storage/raft/snapshot-restore")
    );
    assert!(sys.save_snapshot(&mut Vec::new()).await.unwrap_err().is_permission_denied());
}

#[tokio::test]
async fn a_login_gives_a_token_and_is_asked_for_without_one() {
    let auth = r#"{"auth":{"client_token":"t","accessor":"a","policies":["p"],"lease_duration":60,"renewable":true},"data":null}"#;
    let server = Server::replying(
        Options::default(),
        vec![Reply::Json(200, auth.to_owned()), Reply::Json(204, String::new())],
    )
    .await;
    let client = server.builder().token("old").build().unwrap();
    let token = client.login_by_certificate("cert", Some("app")).await.unwrap();
    assert_eq!((token.token.expose().as_str(), token.ttl_seconds), ("t", 60));
    assert!(!server.nth(0).headers.contains_key("x-vault-token"));
    client.with_token(token.token).unwrap().sys().seal().await.unwrap();
    assert_eq!(server.nth(1).headers["x-vault-token"], "t");
}
