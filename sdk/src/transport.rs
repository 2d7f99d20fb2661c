//! One request, one answer: the pool, the deadline, and what may be repeated.
//!
//! A request is repeated only where it can't have had an effect: it was never sent, or it is a read. Writes
//! that may have reached the server are never repeated; [`crate::Error::may_have_happened`] says so instead.
use crate::body::Outgoing;
use crate::connect::Connector;
use crate::error::{Cause, Refusal};
use crate::secret::random;
use crate::{Error, Result};
use bytes::Bytes;
use coffer_wire::{Errors, push};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

/// The longest answer that is taken into memory, in bytes; snapshots are streamed and have no limit.
const MAX_ANSWER: usize = 64 << 20;
/// The longest pause before an attempt; a server that asks for more is not waited for.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How often and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Retries {
    pub(crate) attempts: u32,
    pub(crate) timeout: Duration,
}

/// What is sent, as often as needed.
pub(crate) struct Exchange {
    pub(crate) method: Method,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether repeating it can't do harm.
    pub(crate) is_read: bool,
}

/// A whole answer.
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// The connections to one server.
pub(crate) struct Transport {
    http: legacy::Client<Connector, Outgoing>,
    base: Uri,
    retries: Retries,
}

impl Transport {
    pub(crate) fn new(
        base: Uri,
        tls: Arc<ClientConfig>,
        server_name: ServerName<'static>,
        connect_timeout: Duration,
        retries: Retries,
    ) -> Self {
        let connector = Connector {
            host: base.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').into(),
            port: base.port_u16().unwrap_or(443),
            tls,
            server_name,
            timeout: connect_timeout,
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            // Shorter than the daemon waits: who closes an idle connection should be who uses it.
            .pool_idle_timeout(Duration::from_secs(45))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            // Only repeats what the connection gave back unsent, because it had been closed while idle.
            .retry_canceled_requests(true)
            .build(connector);
        Self { http, base, retries }
    }

    /// Sends until there is an answer of any status, within the deadline.
    pub(crate) async fn exchange(&self, exchange: &Exchange) -> Result<Whole> {
        let deadline = Instant::now() + self.retries.timeout;
        let mut attempt = 1;
        loop {
            let outcome = match timeout_at(deadline, self.attempt(exchange)).await {
                Ok(outcome) => outcome,
                Err(_) => return Err(Error::TimedOut),
            };
            if attempt >= self.retries.attempts {
                return outcome;
            }
            let Some(pause) = pause(&outcome, exchange.is_read, attempt)? else { return outcome };
            if Instant::now() + pause >= deadline {
                return outcome;
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// Sends once and gives the answer's body as it comes. There is no deadline, since there is no limit to the
    /// length; a peer that is gone is noticed by HTTP/2's pings.
    pub(crate) async fn stream(&self, exchange: &Exchange, body: Outgoing) -> Result<Response<Incoming>> {
        self.http.request(self.request(exchange, body)?).await.map_err(failure)
    }

    async fn attempt(&self, exchange: &Exchange) -> Result<Whole> {
        let body = Outgoing::Whole((!exchange.body.is_empty()).then(|| exchange.body.clone()));
        let answer = self.http.request(self.request(exchange, body)?).await.map_err(failure)?;
        whole(answer).await
    }

    fn request(&self, exchange: &Exchange, body: Outgoing) -> Result<Request<Outgoing>> {
        let mut parts = self.base.clone().into_parts();
        let path = exchange.path_and_query.as_str().try_into();
        parts.path_and_query =
            Some(path.map_err(|_| Error::Configuration("the path is too long".to_owned()))?);
        let uri =
            Uri::from_parts(parts).map_err(|_| Error::Configuration("the path can't be sent".to_owned()))?;
        let mut request = Request::new(body);
        *request.method_mut() = exchange.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = exchange.headers.clone();
        Ok(request)
    }
}

/// Reads an answer to its end.
pub(crate) async fn whole(answer: Response<Incoming>) -> Result<Whole> {
    let (head, mut incoming) = answer.into_parts();
    let mut body = Zeroizing::new(Vec::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| Error::Interrupted(error.into()))?;
        if let Ok(data) = frame.into_data() {
            if body.len() + data.len() > MAX_ANSWER {
                return Err(Error::Unexpected("it is longer than 64 MiB"));
            }
            push(&mut body, &data);
        }
    }
    Ok(Whole { status: head.status.as_u16(), headers: head.headers, body })
}

impl Whole {
    /// This answer, unless its status is an error.
    pub(crate) fn accepted(self) -> Result<Self> {
        if self.status < 400 { Ok(self) } else { Err(Error::Refused(self.refusal())) }
    }

    pub(crate) fn refusal(&self) -> Refusal {
        let sentences =
            serde_json::from_slice::<Errors>(&self.body).map(|answer| answer.errors).unwrap_or_default();
        Refusal { status: self.status, sentences, retry_after: retry_after(&self.headers) }
    }
}

/// Whether to try again and after how long; `None` keeps the outcome.
fn pause(outcome: &Result<Whole>, is_read: bool, attempt: u32) -> Result<Option<Duration>> {
    let asked = match outcome {
        Err(Error::Connect(_)) => None,
        Err(Error::Interrupted(_)) if is_read => None,
        // 412: the server has not yet seen the state that was asked for.
        Ok(answer) if is_read && answer.status == 412 => None,
        Ok(answer) if is_read && matches!(answer.status, 429 | 503) => match retry_after(&answer.headers) {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    // 50 to 100 ms, doubled each time: clients that failed together do not come back together.
    let [jitter] = *random::<1>()?;
    let step = Duration::from_millis(50 + u64::from(jitter) * 50 / 255) * 2u32.saturating_pow(attempt - 1);
    let pause = asked.unwrap_or_default().max(step);
    Ok((pause <= MAX_PAUSE).then_some(pause))
}

/// Whether what came could not be read as HTTP/1.1.
fn answers_otherwise(error: &legacy::Error) -> bool {
    let source = std::error::Error::source(error);
    source.and_then(|error| error.downcast_ref::<hyper::Error>()).is_some_and(hyper::Error::is_parse)
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn failure(error: legacy::Error) -> Error {
    if answers_otherwise(&error) {
        return Error::Unexpected("it is not HTTP");
    }
    let never_sent = error.is_connect();
    let cause: Cause = error.into();
    if never_sent { Error::Connect(cause) } else { Error::Interrupted(cause) }
}
