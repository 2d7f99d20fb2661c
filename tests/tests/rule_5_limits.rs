//! Rule 5: limits first, then parsing.
use coffer_tests::{Ask, House, Setup, Wire, eventually, furnish, resident_bytes};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_large_bodies_keeps_memory_flat_and_others_served() {
    let sections = "[limits]\nlarge_bodies_mib = 32\nbody_mib = 8\n".to_owned();
    let house = House::with(Setup { sections, ..Setup::default() }).await;
    house.root().ask("GET", "sys/mounts", Value::Null).await.done();
    let before = resident_bytes(house.pid());
    let flood: Vec<_> = (0..48)
        .map(|_| {
            let (address, tls) = (house.address(), house.tls(&house.operator));
            tokio::task::spawn_blocking(move || {
                let mut wire = Wire::connect(address, &tls).unwrap();
                // Refused or not, nothing of this is anybody's.
                let body = vec![b'['; 7 << 20];
                wire.ask("POST", "/v1/secret/data/x", &[("x-vault-token", "nobody")], &body)
                    .map_or(0, |reply| reply.status)
            })
        })
        .collect();
    let mut peak = 0;
    let mut slowest = Duration::ZERO;
    while flood.iter().any(|one| !one.is_finished()) {
        peak = peak.max(resident_bytes(house.pid()));
        let begun = Instant::now();
        house.root().ask("GET", "sys/mounts", Value::Null).await.done();
        slowest = slowest.max(begun.elapsed());
    }
    for one in flood {
        assert!(matches!(one.await.unwrap(), 0 | 400 | 403 | 408), "a body of nobody's was taken");
    }
    assert!(peak < before + 160 * MIB, "{} MiB before, {} MiB at most", before / MIB, peak / MIB);
    assert!(slowest < Duration::from_secs(5), "others waited {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let sections = "[limits]\nbody_mib = 1\n".to_owned();
    let house = House::with(Setup { sections, ..Setup::default() }).await;
    coffer_tests::furnish(&house.root()).await;
    let mut wire = house.wire();
    let head = |length: &str| {
        format!(
            "POST /v1/secret/data/x HTTP/1.1\r\nhost: localhost\r\nx-vault-token: {}\r\n{length}\r\n\r\n",
            house.root_token
        )
    };
    // By its header alone: nothing of the body is sent.
    wire.send(head("content-length: 1048577").as_bytes()).unwrap();
    let refused = wire.reply(false).unwrap();
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("at most 1 MiB"), "{}", refused.text());
    let mut wire = house.wire();
    wire.send(head("transfer-encoding: chunked").as_bytes()).unwrap();
    let chunk = [b"40000\r\n".as_slice(), &vec![b' '; 0x40000], b"\r\n"].concat();
    for _ in 0..6 {
        if wire.send(&chunk).is_err() {
            break;
        }
    }
    assert_eq!(wire.reply(false).map(|reply| reply.status).unwrap_or(413), 413);
    house.root().ask("GET", "secret/data/x", Value::Null).await.refused(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_wide_and_strange_json_is_refused_in_no_time() {
    let house = House::start().await;
    coffer_tests::furnish(&house.root()).await;
    let mut wire = house.wire();
    let before = resident_bytes(house.pid());
    let wide = format!(
        "{{\"data\":{{{}}}}}",
        (0..1_000_000).map(|at| format!("\"{at}\":1")).collect::<Vec<_>>().join(",")
    );
    let cases: [(&str, String); 12] = [
        ("deep arrays", "[".repeat(100_000)),
        ("deep objects", "{\"a\":".repeat(100_000)),
        ("deep and whole", format!("{{\"data\":{}1{}}}", "[".repeat(5000), "]".repeat(5000))),
        ("a million names", wide),
        ("a million values", format!("{{\"data\":{{\"a\":[{}1]}}}}", "1,".repeat(1_000_000))),
        ("the same name twice", "{\"data\":{\"a\":1},\"data\":{\"a\":2}}".into()),
        ("the same name twice inside", "{\"data\":{\"a\":1,\"a\":2}}".into()),
        ("a lone surrogate", "{\"data\":{\"a\":\"\\ud800\"}}".into()),
        ("not UTF-8 escapes", "{\"data\":{\"a\":\"\\x41\"}}".into()),
        ("trailing text", "{\"data\":{}} {}".into()),
        ("NaN", "{\"data\":{\"a\":NaN}}".into()),
        ("a number without end", format!("{{\"data\":{{\"a\":1{}}}}}x", "0".repeat(1_000_000))),
    ];
    for (what, body) in cases {
        let begun = Instant::now();
        let reply = wire
            .ask("POST", "/v1/secret/data/x", &[("x-vault-token", &house.root_token)], body.as_bytes())
            .unwrap();
        assert_eq!(reply.status, 400, "{what}: {}", reply.text());
        assert!(begun.elapsed() < Duration::from_secs(2), "{what}: {:?}", begun.elapsed());
    }
    let after = resident_bytes(house.pid());
    assert!(after < before + 96 * MIB, "{} MiB, then {} MiB", before / MIB, after / MIB);
    house.root().ask("GET", "secret/data/x", Value::Null).await.refused(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_and_slow_clients_are_shown_out() {
    let sections = "[limits]\nhandshake_seconds = 1\nheader_seconds = 1\nbody_seconds = 1\n".to_owned();
    let house = House::with(Setup { sections, ..Setup::default() }).await;
    let address = house.address();
    // Hundreds that connect and say nothing.
    let silent: Vec<_> = (0..300).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut header = house.wire();
    header.send(b"GET /v1/sys/health HTTP/1.1\r\nhost: ").unwrap();
    let mut body = house.wire();
    body.send(b"POST /v1/sys/unseal HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{").unwrap();
    let begun = Instant::now();
    assert_eq!(body.reply(false).unwrap().status, 408);
    assert!(header.is_closed());
    for mut socket in silent {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut rest = Vec::new();
        assert!(
            socket.read_to_end(&mut rest).is_ok() || socket.write_all(b"x").is_err(),
            "a silent connection stays open"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    house.root().ask("GET", "sys/mounts", Value::Null).await.done();
    // Idle ones as well.
    let mut idle = house.wire();
    assert_eq!(idle.ask("GET", "/v1/sys/health", &[], b"").unwrap().status, 200);
    assert!(idle.is_closed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_are_bounded() {
    let house = House::start().await;
    let large = "x".repeat(40_000);
    let many: Vec<_> = (0..200).map(|at| (format!("x-{at}"), "y".to_owned())).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for headers in [vec![("x-large", large.as_str())], many] {
        let mut wire = house.wire();
        let reply = wire.ask("GET", "/v1/sys/health", &headers, b"");
        assert!(reply.is_err() || matches!(reply.unwrap().status, 400 | 431));
    }
    let mut wire = house.wire();
    let path = format!("/v1/secret/data/{}", "y".repeat(2000));
    assert_eq!(wire.ask("GET", &path, &[("x-vault-token", &house.root_token)], b"").unwrap().status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_connections_than_allowed_wait_and_none_is_lost() {
    const ALLOWED: usize = 20;
    let sections = format!("[limits]\nconnections = {ALLOWED}\nheader_seconds = 60\n");
    let house = House::with(Setup { sections, ..Setup::default() }).await;
    let (address, tls) = (house.address(), house.tls(&house.operator));
    let mut first = house.wire();
    let token = house.root_token.clone();
    let mut open = move || {
        let reply = first.ask("GET", "/v1/sys/metrics", &[("x-vault-token", &token)], b"").unwrap();
        open_connections(&reply.text())
    };
    eventually("that all others are gone", || std::future::ready((open() == 1).then_some(()))).await;
    let mut held: Vec<_> = (1..ALLOWED).map(|_| Wire::connect(address, &tls).unwrap()).collect();
    // One more gets no handshake, while the others are served.
    let refused = Wire::connect_within(Duration::from_millis(500), address, &tls).err();
    let kind = refused.map(|error| error.kind());
    assert!(matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{kind:?}");
    for wire in &mut held {
        assert_eq!(wire.ask("GET", "/v1/sys/health", &[], b"").unwrap().status, 200);
    }
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let tls = tls.clone();
            tokio::task::spawn_blocking(move || {
                let mut wire = Wire::connect(address, &tls)?;
                wire.ask("GET", "/v1/sys/health", &[], b"").map(|reply| reply.status)
            })
        })
        .collect();
    // The others go on being served, and none of those who wait has come in.
    for wire in &mut held {
        assert_eq!(wire.ask("GET", "/v1/sys/health", &[], b"").unwrap().status, 200);
    }
    assert_eq!((open(), waiting.iter().filter(|one| one.is_finished()).count()), (ALLOWED as u64, 0));
    // One place is enough for them all, one after the other.
    held.pop();
    for one in waiting {
        assert_eq!(one.await.unwrap().unwrap(), 200);
    }
}

/// How many connections the daemon has open.
async fn connections_open(house: &House) -> u64 {
    let answer = house.root().call(coffer_sdk::Method::GET, "sys/metrics").send().await.unwrap();
    open_connections(&String::from_utf8_lossy(answer.body()))
}

fn open_connections(metrics: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("coffer_connections_open ")).unwrap();
    line.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_its_answer_is_shown_out() {
    let sections = "[limits]\nbody_seconds = 1\n".to_owned();
    let house = House::with(Setup { sections, ..Setup::default() }).await;
    furnish(&house.root()).await;
    let large = "x".repeat(24 * MIB as usize);
    house.root().ask("POST", "secret/data/large", json!({ "data": { "x": large } })).await.done();
    let before = connections_open(&house).await;
    let mut deaf = house.wire();
    let token = &house.root_token;
    deaf.send(
        format!("GET /v1/secret/data/large HTTP/1.1\r\nhost: localhost\r\nx-vault-token: {token}\r\n\r\n")
            .as_bytes(),
    )
    .unwrap();
    eventually("the answer under way", || async { (connections_open(&house).await > before).then_some(()) })
        .await;
    eventually("the connection closed", || async {
        (connections_open(&house).await == before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_never_come_hold_no_memory_that_others_need() {
    // All large bodies together may take what one may: whoever held it would keep everybody else out.
    let sections = "[limits]\nlarge_bodies_mib = 8\nbody_mib = 8\nbody_seconds = 20\n".to_owned();
    let house = House::with(Setup { sections, ..Setup::default() }).await;
    furnish(&house.root()).await;
    let before = connections_open(&house).await;
    let silent: Vec<_> = ["transfer-encoding: chunked", "content-length: 8000000"]
        .iter()
        .cycle()
        .take(16)
        .map(|length| {
            let mut wire = house.wire();
            let head = format!("POST /v1/secret/data/x HTTP/1.1\r\nhost: localhost\r\n{length}\r\n\r\n");
            wire.send(head.as_bytes()).unwrap();
            wire
        })
        .collect();
    eventually("the silent ones are connected", || async {
        (connections_open(&house).await >= before + 16).then_some(())
    })
    .await;
    let large = "x".repeat(MIB as usize);
    let begun = Instant::now();
    house.root().ask("POST", "secret/data/large", json!({ "data": { "x": large } })).await.done();
    assert!(begun.elapsed() < Duration::from_secs(10), "a large body waited for silent ones");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_never_asks_is_closed_in_every_protocol() {
    let sections = "[limits]\nheader_seconds = 1\n".to_owned();
    let house = House::with(Setup { sections, ..Setup::default() }).await;
    for protocols in [vec![], vec![b"http/1.1".as_slice()], vec![b"h2".as_slice()]] {
        let tls = coffer_tests::Tls { protocols, ..house.tls(&house.operator) };
        let mut wire = Wire::connect(house.address(), &tls).unwrap();
        wire.patience(Duration::from_secs(15));
        assert!(wire.is_closed(), "{:?} stays open", wire.session().alpn_protocol());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_2_connection_that_asks_no_more_is_closed() {
    let sections = "[limits]\nheader_seconds = 1\n".to_owned();
    let house = House::with(Setup { sections, ..Setup::default() }).await;
    let tls = coffer_tests::Tls { protocols: vec![b"h2"], ..house.tls(&house.operator) };
    let mut wire = Wire::connect(house.address(), &tls).unwrap();
    // Preface, empty SETTINGS, and one GET of /v1/sys/health: method, scheme and authority by the static table of HPACK.
    let path = b"/v1/sys/health";
    let mut block = vec![0x82, 0x87, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend_from_slice(path);
    block.extend_from_slice(&[0x01, 0x09]);
    block.extend_from_slice(b"localhost");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(&[0, 0, u8::try_from(block.len()).unwrap(), 0x01, 0x05, 0, 0, 0, 1]);
    bytes.extend_from_slice(&block);
    wire.send(&bytes).unwrap();
    eventually("an answer", || async {
        let answer = house.root().call(coffer_sdk::Method::GET, "sys/metrics").send().await.unwrap();
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let count = |class: &str| -> u64 {
            let line = text.lines().find(|line| line.contains(class)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        (count("status=\"2xx\"") > 0).then_some(())
    })
    .await;
    let begun = Instant::now();
    wire.patience(Duration::from_secs(20));
    assert!(wire.is_closed(), "it stays open");
    assert!(begun.elapsed() < Duration::from_secs(10));
}
