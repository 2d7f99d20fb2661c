//! The workloads: what is asked, over which keys, by how many at once.
use crate::Failure;
use crate::server::Server;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_sdk::{Client, Method};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// What is asked of the servers.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// A KV v2 value of 1 KB, one of a thousand.
    KvRead,
    /// A new version of one of ten thousand keys, 1 KB.
    KvWrite,
    /// A new version of one key, 1 KB, by all at once.
    KvWriteHot,
    /// 1 KB under aes256-gcm96.
    TransitEncrypt,
}

/// In the order in which they run.
pub(crate) const ALL: [Load; 4] = [Load::KvRead, Load::KvWrite, Load::KvWriteHot, Load::TransitEncrypt];

const READ_KEYS: u64 = 1_000;
const WRITE_KEYS: u64 = 10_000;
/// How many write the values that will be read.
const WRITERS: u64 = 32;
const VALUE_BYTES: usize = 1_000;
/// What the token of the load may do: as an application has it, so that the policy is asked.
const POLICY: &str = r#"path \"secret/data/*\" { capabilities = [\"create\", \"read\", \"update\"] } path \"transit/encrypt/*\" { capabilities = [\"update\"] }"#;

impl Load {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KvRead => "kv-read",
            Self::KvWrite => "kv-write",
            Self::KvWriteHot => "kv-write-hot",
            Self::TransitEncrypt => "transit-encrypt",
        }
    }

    /// Path and body of one request; a body is written, no body is read.
    fn request(self, random: u64, bodies: &Bodies) -> (Method, String, Option<&[u8]>) {
        match self {
            Self::KvRead => (Method::GET, format!("secret/data/read/{}", random % READ_KEYS), None),
            Self::KvWrite => {
                (Method::POST, format!("secret/data/write/{}", random % WRITE_KEYS), Some(&bodies.kv))
            }
            Self::KvWriteHot => (Method::POST, "secret/data/hot".into(), Some(&bodies.kv)),
            Self::TransitEncrypt => (Method::POST, "transit/encrypt/bench".into(), Some(&bodies.transit)),
        }
    }
}

struct Bodies {
    kv: Vec<u8>,
    transit: Vec<u8>,
}

fn bodies() -> Bodies {
    let value = "v".repeat(VALUE_BYTES);
    let plaintext = STANDARD.encode(&value);
    Bodies {
        kv: format!(r#"{{"data":{{"value":"{value}"}}}}"#).into_bytes(),
        transit: format!(r#"{{"plaintext":"{plaintext}"}}"#).into_bytes(),
    }
}

/// Mounts, a transit key, a policy, and the values that will be read.
pub(crate) async fn furnish(server: &mut Server) -> Result<(), Failure> {
    let policy = format!(r#"{{"policy":"{POLICY}"}}"#);
    for (path, body) in [
        ("sys/mounts/secret", r#"{"type":"kv","options":{"version":"2"}}"#),
        ("sys/mounts/transit", r#"{"type":"transit"}"#),
        ("transit/keys/bench", r#"{"type":"aes256-gcm96"}"#),
        ("sys/policies/acl/bench", &policy),
    ] {
        server.root.request(Method::POST, path, Some(body.as_bytes())).await?;
    }
    let Bodies { kv, .. } = bodies();
    // A fresh KV v2 mount may be made ready in the background.
    server.until(Method::POST, "secret/data/hot", Some(&kv)).await?;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (root, kv) = (server.root.clone(), kv.clone());
        writers.spawn(async move {
            for key in (writer..READ_KEYS).step_by(WRITERS as usize) {
                root.request(Method::POST, &format!("secret/data/read/{key}"), Some(&kv)).await?;
            }
            Ok::<_, coffer_sdk::Error>(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    Ok(())
}

/// Clients of one server, each with one connection and one request at a time.
pub(crate) struct Driver {
    clients: Vec<Client>,
    load: Load,
}

/// The latencies of the requests of one round, in microseconds, and how long it took.
pub(crate) struct Done {
    pub(crate) micros: Vec<u32>,
    pub(crate) time: Duration,
}

#[derive(Deserialize)]
struct Login {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
}

impl Driver {
    /// Clients that share an application's token.
    pub(crate) async fn new(server: &Server, load: Load, connections: usize) -> Result<Self, Failure> {
        let body = br#"{"policies":["bench"],"ttl":"1h"}"#;
        let login: Login =
            server.root.request(Method::POST, "auth/token/create", Some(body)).await?.json()?;
        let client = |_| server.client(&login.auth.client_token);
        Ok(Self { clients: (0..connections).map(client).collect::<Result<_, _>>()?, load })
    }

    /// Keeps every client busy for `length`. The first refusal or broken connection is a failure.
    pub(crate) async fn run(&self, length: Duration) -> Result<Done, Failure> {
        let start = Instant::now();
        let tasks: Vec<_> = self
            .clients
            .iter()
            .map(|client| tokio::spawn(keep_busy(client.clone(), self.load, start + length)))
            .collect();
        let mut micros = Vec::new();
        for task in tasks {
            micros.append(&mut task.await??);
        }
        Ok(Done { micros, time: start.elapsed() })
    }
}

async fn keep_busy(client: Client, load: Load, until: Instant) -> Result<Vec<u32>, Failure> {
    let bodies = bodies();
    let mut state = getrandom::u64()?;
    let mut micros = Vec::with_capacity(100_000);
    loop {
        // A linear congruential generator (Knuth's MMIX): keys need not be unpredictable.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (method, path, body) = load.request(state >> 33, &bodies);
        let start = Instant::now();
        if start >= until {
            return Ok(micros);
        }
        client.request(method, &path, body).await.map_err(|error| format!("{}: {error}", load.name()))?;
        micros.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}
