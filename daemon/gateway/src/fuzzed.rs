//! For the fuzzer: what the door reads, without a socket and without a house behind it.
use crate::limits::Limits;
use crate::public::wished_code;
use crate::received::Received;
use crate::reply::{self, Reply};
use crate::tls::{TlsFiles, build};
use coffer_room::Fault;
use coffer_types::Operation;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// A word of the kept corpus that stands where secrets stand: no answer may repeat it.
const SECRET: &[u8] = b"hunter2";

/// Reads `bytes` as all that a client sends over one HTTP/1.1 connection, and answers each request as far as the door
/// alone can: whatever comes, a request is within bounds, and a refusal is a sentence that repeats nothing of it.
pub fn requests(bytes: &[u8]) {
    let limits = Limits { body_bytes: 2048, header_bytes: 8192, ..Limits::default() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
    let memory = Semaphore::new(1024);
    let service =
        service_fn(|request| async { Ok::<_, Infallible>(answer(request, &limits, &memory).await) });
    let connection = TokioIo::new(tokio::io::join(bytes, tokio::io::sink()));
    runtime.block_on(async {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .max_headers(limits.header_lines)
            // The input ends here; its last request is to be answered all the same.
            .half_close(true)
            .max_buf_size(limits.header_bytes as usize);
        let _ = http.serve_connection(connection, service).await;
    });
    assert_eq!(memory.available_permits(), 1024, "memory for large bodies was not given back");
}

async fn answer(request: http::Request<Incoming>, limits: &Limits, memory: &Semaphore) -> Reply {
    let (headers, method, uri) = (request.headers().clone(), request.method().clone(), request.uri().clone());
    let (head, body) = request.into_parts();
    let received = async {
        let mut received = Received::of(head)?;
        received.read_body(body, limits, memory).await.map(|()| received)
    };
    let reply = match received.await {
        Err(refused) => reply::refused(refused, limits),
        Ok(mut received) => {
            assert_eq!(uri.path().strip_prefix("/v1/"), Some(received.path.as_str()));
            assert!(received.body.len() <= limits.body_bytes);
            assert_eq!(received.digest().is_some(), headers.contains_key("x-coffer-nonce"));
            // Nobody is somebody else by a header that was read in two ways.
            let shown = |token: &str| {
                ["x-vault-token", "authorization"].iter().any(|name| {
                    let mut values = headers.get_all(*name).iter();
                    values.any(|value| value.to_str().is_ok_and(|value| value.trim().ends_with(token)))
                })
            };
            assert!(received.token.as_deref().is_none_or(|token| shown(token)));
            assert_eq!(received.operation, expected(method.as_str(), uri.query().unwrap_or_default()));
            for code in [200, 501, 503] {
                assert!((200..600).contains(&wished_code(code, uri.query().unwrap_or_default())));
            }
            reply::fault(received.take_params(limits).err().unwrap_or(Fault::NotFound))
        }
    };
    let (head, body) = reply.into_parts();
    assert!(head.status.is_client_error(), "{}", head.status);
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    assert!(body.starts_with(br#"{"errors":["#) && body.len() < 512);
    assert!(!body.windows(SECRET.len()).any(|piece| piece == SECRET));
    http::Response::from_parts(head, http_body_util::Either::Left(body.into()))
}

/// What a method asks for, told the other way round.
fn expected(method: &str, query: &str) -> Operation {
    let asks = |name: &str| {
        let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        values.any(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true"))
    };
    match method {
        "POST" | "PUT" => Operation::Write,
        "DELETE" => Operation::Delete,
        "PATCH" => Operation::Patch,
        "LIST" => Operation::List,
        "SCAN" => Operation::Scan,
        _ if asks("list") => Operation::List,
        _ if asks("scan") => Operation::Scan,
        _ => Operation::Read,
    }
}

/// Reads four files as a listener's authorities, certificate, key and revocation list: what is refused is refused in one
/// short line, which has no room for what stands in them.
pub fn files(contents: [&[u8]; 4]) {
    let contents = contents.map(<[u8]>::to_vec);
    let names = ["authorities", "certificate", "key", "list"];
    let read = move |file: &Path| {
        let found = names.iter().zip(&contents).find(|(name, _)| file == Path::new(name));
        found.map(|(_, content)| Zeroizing::new(content.clone())).ok_or(std::io::ErrorKind::NotFound.into())
    };
    let [client_ca, certificate, key, list] = names.map(PathBuf::from);
    for client_crls in [vec![], vec![list]] {
        let (certificate, key, client_ca) = (certificate.clone(), key.clone(), client_ca.clone());
        let files = TlsFiles { certificate, key, client_ca, client_crls, allow_tls12: false };
        if let Err(error) = build(&files, &read) {
            let sentence = error.to_string();
            assert!(sentence.len() < 200 && !sentence.contains('\n'), "{sentence}");
        }
    }
}
