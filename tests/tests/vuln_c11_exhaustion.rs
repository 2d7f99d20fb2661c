//! C11: memory, JSON, panics, deadlocks. Bodies, JSON, silence and floods of connections stand in rule_5_limits.rs.
use coffer_tests::{Ask, House, Setup, ask, eventually, resident_bytes};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

absent!(cve_2026_39396_decompression_bomb, "nothing is compressed");
absent!(
    cosmian_2026_002_hash_without_a_key,
    "the standard library's maps have random keys; a build property"
);
absent!(rustsec_2024_0336_endless_loop_in_rustls, "held by the version in Cargo.toml and cargo deny");

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2023_5954_refusals_leave_nothing_in_memory() {
    let house = House::start().await;
    let token = house.token(&house.root(), json!({ "policies": ["default"] })).await;
    let refuse = async |count: usize| {
        let asking: Vec<_> = (0..4)
            .map(|at| {
                let client = house.with_token(&token);
                tokio::spawn(async move {
                    for number in 0..count {
                        client
                            .ask("GET", &format!("secret/data/{at}/{number}"), Value::Null)
                            .await
                            .refused(403);
                    }
                })
            })
            .collect();
        for one in asking {
            one.await.unwrap();
        }
        resident_bytes(house.pid())
    };
    let warm = refuse(700).await;
    let after = refuse(1500).await;
    // 6,000 refusals: a leak of a kibibyte each would show.
    assert!(after < warm + 6 * MIB, "{} KiB, then {} KiB", warm / 1024, after / 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2024_6468_junk_before_the_handshake_ends_that_connection_only() {
    let house = House::start().await;
    let mut kept = house.wire();
    for junk in [
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n".as_slice(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\xff\xff",
        b"\x80\x2e\x01\x03\x01",
        &[0xff; 4096],
        b"SSH-2.0-x\r\n",
    ] {
        let mut socket = TcpStream::connect(house.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        socket.write_all(junk).unwrap();
        let mut rest = Vec::new();
        let _closed = socket.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP"), "HTTP is spoken without TLS");
        assert_eq!(kept.ask("GET", "/v1/sys/health", &[], b"").unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2021_45042_values_and_names_at_their_limits_and_one_beyond() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    for size in [1, 1023, 65_535, 65_536, 1 << 20, (1 << 20) + 1, 4 << 20, 12 << 20] {
        let answer = root.ask("POST", "secret/data/v", json!({ "data": { "k": "x".repeat(size) } })).await;
        assert!(matches!(answer.status, 200 | 400 | 413), "{size}: {}", answer.status);
        if answer.status == 200 {
            assert_eq!(
                root.ask("GET", "secret/data/v", Value::Null).await.ok().data()["data"]["k"]
                    .as_str()
                    .unwrap()
                    .len(),
                size
            );
        }
    }
    for length in [1, 31, 32, 255, 256, 511, 512, 513, 900] {
        let path = format!("secret/data/{}", "n".repeat(length));
        let status = root.ask("POST", &path, json!({ "data": {} })).await.status;
        assert_eq!(status, if length <= 512 { 200 } else { 400 }, "{length}");
        if status == 200 {
            root.ask("GET", &path, Value::Null).await.done();
        }
    }
    let deep = format!("secret/data/{}", vec!["d"; 120].join("/"));
    assert!(matches!(root.ask("POST", &deep, json!({ "data": {} })).await.status, 200 | 400));
    root.ask("LIST", "secret/metadata", Value::Null).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2023_3774_a_storm_of_creations_and_deletions_ends_well() {
    let house = House::start().await;
    let storm: Vec<_> = (0..6)
        .map(|at| {
            let root = house.root();
            tokio::spawn(async move {
                for round in 0..8 {
                    let name = format!("sys/namespaces/n{}", (at + round) % 3);
                    let mount = format!("sys/mounts/m{}", (at + round) % 3);
                    for (method, path, body) in [
                        ("POST", &name, json!({})),
                        ("POST", &mount, json!({ "type": "kv" })),
                        ("DELETE", &name, Value::Null),
                        ("DELETE", &mount, Value::Null),
                    ] {
                        let answer = ask(&root, method, path, &body).await.unwrap();
                        assert!(answer.status < 500, "{method} {path}: {} {}", answer.status, answer.body);
                    }
                }
            })
        })
        .collect();
    for one in storm {
        one.await.unwrap();
    }
    house.environment("calm").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2026_55776_every_combination_of_key_options_gets_an_answer() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let types = [
        "aes256-gcm96",
        "chacha20-poly1305",
        "ed25519",
        "ecdsa-p256",
        "rsa-2048",
        "hmac",
        "ml-dsa-65",
        "aes128-gcm96",
        "none",
        "",
    ];
    for (at, kind) in types.into_iter().enumerate() {
        for bits in 0..16_u32 {
            let on = |bit: u32| bits & 1 << bit != 0;
            let name = format!("k{at}-{bits}");
            let body = json!({ "type": kind, "derived": on(0), "convergent_encryption": on(1), "exportable": on(2), "allow_plaintext_backup": on(3), "key_size": bits, "context": "AAAA" });
            let made = root.ask("POST", &format!("transit/keys/{name}"), body).await;
            assert!(matches!(made.status, 200 | 204 | 400), "{kind} {bits}: {}", made.status);
            for (verb, body) in [
                ("encrypt", json!({ "plaintext": "aGk=", "context": "AAAA" })),
                ("sign", json!({ "input": "aGk=", "context": "AAAA" })),
                ("hmac", json!({ "input": "aGk=" })),
                ("datakey/plaintext", json!({ "bits": 7 })),
                ("rewrap", json!({ "ciphertext": "vault:v1:AAAA" })),
            ] {
                let status = root.ask("POST", &format!("transit/{verb}/{name}"), body).await.status;
                assert!(status < 500, "{kind} {bits} {verb}: {status}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosmian_2026_006_a_thousand_requests_at_once_are_all_answered() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    let asking: Vec<_> = (0..1000)
        .map(|at| {
            let root = root.clone();
            tokio::spawn(async move {
                let (method, path, body) = match at % 4 {
                    0 => ("POST", format!("secret/data/{}", at % 10), json!({ "data": { "at": at } })),
                    1 => ("GET", format!("secret/data/{}", at % 10), Value::Null),
                    2 => ("GET", "sys/mounts".to_owned(), Value::Null),
                    _ => ("POST", "auth/token/create".to_owned(), json!({ "ttl": "1m" })),
                };
                root.ask(method, &path, body).await.status
            })
        })
        .collect();
    for one in asking {
        assert!(matches!(one.await.unwrap(), 200 | 404));
    }
}

/// CVE-2020-15106: `faults::an_altered_store_gives_a_named_error_and_never_a_wrong_value`; RUSTSEC-2026-0258 and
/// RUSTSEC-2024-0332: frames of HTTP/2 by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rustsec_2024_0332_floods_of_http_2_frames_end_the_connection_and_cost_no_memory() {
    // What asks nothing, or nothing whole, is shown out after these.
    let sections = "[limits]\nheader_seconds = 2\nbody_seconds = 2\n".to_owned();
    let house = House::with(Setup { sections, ..Setup::default() }).await;
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    };
    // :method POST, :scheme https, :path /, without the end of the header: 0x83 0x87 0x84.
    let open = frame(1, 4, 1, &[0x83, 0x87, 0x84]);
    let floods: [(&str, Vec<u8>); 5] = [
        ("empty DATA", [open.clone(), frame(0, 0, 1, b"").repeat(20_000)].concat()),
        (
            "CONTINUATION",
            [frame(1, 0, 1, &[0x83]), frame(9, 0, 1, &[0x40, 1, b'x', 1, b'y']).repeat(20_000)].concat(),
        ),
        ("PING", frame(6, 0, 0, &[0; 8]).repeat(20_000)),
        ("SETTINGS", frame(4, 0, 0, b"").repeat(20_000)),
        (
            "reset at once",
            (0..20_000_u32)
                .flat_map(|at| {
                    [frame(1, 5, at * 2 + 1, &[0x82, 0x87, 0x84]), frame(3, 0, at * 2 + 1, &[0, 0, 0, 8])]
                        .concat()
                })
                .collect(),
        ),
    ];
    let before = resident_bytes(house.pid());
    for (what, flood) in floods {
        let tls = coffer_tests::Tls { protocols: vec![b"h2"], ..house.tls(&house.operator) };
        let mut wire = coffer_tests::Wire::connect(house.address(), &tls).unwrap();
        wire.patience(Duration::from_secs(15));
        // It may be closed before all of it was sent.
        let sent = wire
            .send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .and_then(|()| wire.send(&flood));
        let begun = Instant::now();
        assert!(sent.is_err() || wire.is_closed(), "{what}: the connection stays open");
        eprintln!("{what}: closed after {:?}, all sent: {}", begun.elapsed(), sent.is_ok());
        let after = resident_bytes(house.pid());
        assert!(after < before + 48 * MIB, "{what}: {} MiB more", (after - before) / MIB);
        house.root().ask("GET", "sys/mounts", Value::Null).await.done();
    }
}

/// OpenBao GH-2226, -2166, -2630: sealing in the middle of everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openbao_2226_sealing_amid_creations_and_deletions_does_not_hang() {
    let house = House::start().await;
    for _ in 0..3 {
        let rounds: Arc<Vec<AtomicU64>> = Arc::new((0..4).map(|_| AtomicU64::new(0)).collect());
        let busy: Vec<_> = (0..4)
            .map(|at| {
                let (root, rounds) = (house.root(), Arc::clone(&rounds));
                tokio::spawn(async move {
                    for round in 0..1000 {
                        rounds[at].store(round, Ordering::SeqCst);
                        let name = format!("sys/namespaces/n{at}");
                        let made = root.ask("POST", &name, json!({})).await.status;
                        let gone = root.ask("DELETE", &name, Value::Null).await.status;
                        assert!(
                            [made, gone].iter().all(|status| matches!(status, 200..=299 | 400 | 503)),
                            "{made} {gone} in {round}"
                        );
                        if made == 503 || gone == 503 {
                            return;
                        }
                    }
                })
            })
            .collect();
        eventually("all of them in the middle of it", || async {
            rounds.iter().all(|round| round.load(Ordering::SeqCst) >= 2).then_some(())
        })
        .await;
        house.root().sys().seal().await.unwrap();
        for one in busy {
            tokio::time::timeout(Duration::from_secs(30), one).await.expect("it hangs").unwrap();
        }
        house.unseal().await;
    }
    house.environment("after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hyper_rustsec_2021_0078_what_could_be_read_as_two_requests_is_none() {
    let house = House::start().await;
    let body = "POST /v1/sys/seal HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for head in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "content-length: 3\r\ncontent-length: 4\r\n",
        "content-length: +3\r\n",
        "content-length: 3, 4\r\n",
        "content-length: 0x3\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "x: a\r\n b\r\n",
        "x\0: a\r\n",
        "x: a\rb\r\n",
    ] {
        let mut wire = house.wire();
        wire.patience(Duration::from_secs(5));
        wire.send(format!("POST /v1/sys/unseal HTTP/1.1\r\nhost: localhost\r\n{head}\r\n{body}").as_bytes())
            .unwrap();
        if let Ok(reply) = wire.reply(false) {
            assert!((400..500).contains(&reply.status), "{head:?}: {}", reply.status);
            if let Ok(second) = wire.reply(false) {
                assert!((400..500).contains(&second.status), "{head:?}: then {}", second.status);
            }
        }
        assert!(!house.root().sys().health().await.unwrap().sealed);
    }
}
