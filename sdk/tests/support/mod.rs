//! A small HTTPS server with a CA of its own, which answers as each test tells it and remembers what came.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::expect_used)]
use bytes::Bytes;
use coffer_sdk::{Builder, Client};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::PrivateKeyDer;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub type Handler = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// A request as it came.
#[derive(Clone)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub connection: usize,
    pub alpn: Vec<u8>,
}

/// What the server does with it.
pub enum Reply {
    Json(u16, String),
    With(u16, &'static str, &'static str, String),
    Receipt(u16, String, String),
    Bytes(Vec<Vec<u8>>),
    /// Some bytes of a body, and then the connection breaks.
    Torn(Vec<u8>),
    Break,
    Silence,
}

/// One certificate with its key, as PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

pub struct Server {
    pub authority: Authority,
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub connections: Arc<AtomicUsize>,
}

pub struct Options {
    pub protocols: &'static [&'static [u8]],
    pub wants_certificate: bool,
    /// How many connections are dropped before TLS begins.
    pub dropped: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { protocols: &[b"h2", b"http/1.1"], wants_certificate: true, dropped: 0 }
    }
}

impl Server {
    /// Answers each request with the next reply, and the last one for ever.
    pub async fn replying(options: Options, replies: Vec<Reply>) -> Self {
        let replies = Mutex::new(VecDeque::from(replies));
        Self::start(
            options,
            Arc::new(move |_| {
                let mut replies = replies.lock().unwrap();
                replies.pop_front().unwrap_or_else(|| panic!("a request that the test did not expect"))
            }),
        )
        .await
    }

    pub async fn start(options: Options, handler: Handler) -> Self {
        let authority = Authority::new();
        let acceptor = acceptor(&authority, &options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        tokio::spawn(accept(
            listener,
            acceptor,
            options.dropped,
            handler,
            Arc::clone(&seen),
            Arc::clone(&connections),
        ));
        Self { authority, address, seen, connections }
    }

    pub fn builder(&self) -> Builder {
        let identity = self.authority.issue("app.example");
        Client::builder()
            .address(&format!("https://localhost:{}", self.address.port()))
            .ca_pem(self.authority.pem().as_bytes())
            .identity_pem(identity.certificate.as_bytes(), identity.key.as_bytes())
            .timeout(Duration::from_secs(20))
    }

    pub fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn nth(&self, at: usize) -> Seen {
        self.seen.lock().unwrap().get(at).unwrap().clone()
    }
}

pub fn acceptor(authority: &Authority, options: &Options) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if options.wants_certificate {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = options.protocols.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    mut dropped: usize,
    handler: Handler,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        let connection = connections.fetch_add(1, Ordering::SeqCst);
        if dropped > 0 {
            dropped -= 1;
            continue;
        }
        let (acceptor, handler, seen) = (acceptor.clone(), Arc::clone(&handler), Arc::clone(&seen));
        tokio::spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let alpn = tls.get_ref().1.alpn_protocol().unwrap_or_default().to_vec();
            let is_h2 = alpn == b"h2";
            let service = service_fn(move |request| {
                answer(request, Arc::clone(&handler), Arc::clone(&seen), connection, alpn.clone())
            });
            let io = TokioIo::new(tls);
            if is_h2 {
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(io, service)
                    .await;
            } else {
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    handler: Handler,
    seen: Arc<Mutex<Vec<Seen>>>,
    connection: usize,
    alpn: Vec<u8>,
) -> Result<Response<UnsyncBoxBody<Bytes, &'static str>>, &'static str> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| "the body broke")?.to_bytes().to_vec();
    let request = Seen {
        method: head.method,
        target: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers,
        body,
        connection,
        alpn,
    };
    seen.lock().unwrap().push(request.clone());
    let whole = |text: String| Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let response = Response::builder();
    let response = match handler(&request) {
        Reply::Json(status, text) => response.status(status).body(whole(text)),
        Reply::With(status, name, value, text) => {
            response.status(status).header(name, value).body(whole(text))
        }
        Reply::Receipt(status, place, text) => {
            response.status(status).header("x-coffer-receipt", place).body(whole(text))
        }
        Reply::Bytes(pieces) => response.body(Pieces { pieces: pieces.into(), torn: false }.boxed_unsync()),
        Reply::Torn(piece) => response.body(Pieces { pieces: [piece].into(), torn: true }.boxed_unsync()),
        Reply::Break => return Err("broken as the test wants it"),
        Reply::Silence => std::future::pending().await,
    };
    Ok(response.unwrap())
}

struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    torn: bool,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        std::task::Poll::Ready(match self.pieces.pop_front() {
            Some(piece) => Some(Ok(Frame::data(piece.into()))),
            None if self.torn => Some(Err("torn as the test wants it")),
            None => None,
        })
    }
}

pub fn envelope(data: &str) -> String {
    format!(
        r#"{{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":{data},"wrap_info":null,"warnings":null,"auth":null}}"#
    )
}
