//! Step 11: an answer or a fault gets its status, its envelope and its words. The one table of both.
use crate::Limits;
use bytes::Bytes;
use coffer_audit::{Recorded, status_of};
use coffer_room::{Answer, Body, Fault, Piece};
use coffer_wire::{Array, Object};
use http::{HeaderValue, StatusCode, header};
use http_body_util::{Either, Full};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::Receiver;
use zeroize::Zeroizing;

/// What goes out: a whole body, or one that is written while it is sent (snapshots).
pub(crate) type Reply = http::Response<Either<Full<Bytes>, Streamed>>;

/// A body that is made while it is sent.
pub(crate) struct Streamed(Receiver<Piece>);

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = std::io::Error;

    /// Ends well only with [`Piece::End`]; otherwise the connection is broken off.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(hyper::body::Frame::data(bytes.into()))),
            Some(Piece::End) => None,
            None => Some(Err(std::io::ErrorKind::BrokenPipe.into())),
        })
    }
}

/// Why a request ends before it is addressed. These are counted in the node log, not recorded one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    NotTheApi,
    Method,
    Slow,
    Broken,
    BodyTooLarge,
    Stopping,
    RepeatedHeader(&'static str),
    UnreadableHeader(&'static str),
    Nonce,
    UnsupportedHeader,
}

/// The words and the status of what never became a request.
pub(crate) fn refused(refused: Refused, limits: &Limits) -> Reply {
    let too_large;
    let (status, sentence) = match refused {
        Refused::NotTheApi => (404, "paths of this API begin with /v1/"),
        Refused::Method => (405, "the method must be GET, HEAD, LIST, SCAN, POST, PUT, PATCH or DELETE"),
        Refused::Slow => (408, "the body did not arrive in time"),
        Refused::Broken => (400, "the body broke off"),
        Refused::BodyTooLarge => {
            too_large = format!("the body must have at most {} MiB", limits.body_bytes >> 20);
            (413, too_large.as_str())
        }
        Refused::Stopping => (503, "the daemon is stopping"),
        Refused::RepeatedHeader("x-vault-token") => {
            (400, "give one token only: X-Vault-Token or Authorization: Bearer")
        }
        Refused::RepeatedHeader(_) => (400, "a header is given twice that may be given once"),
        Refused::UnreadableHeader(_) => (400, "a header has characters that it may not have"),
        Refused::UnsupportedHeader => {
            (400, "response wrapping, MFA and inline authentication are not supported: nothing was done")
        }
        Refused::Nonce => (400, "X-Coffer-Nonce must be 32 bytes in base64"),
    };
    error(status, &[sentence])
}

/// A recorded result: nothing else of an environment is answered. `request_id` is the leaf's own.
pub(crate) fn recorded(
    recorded: Recorded<Result<Answer, Fault>>,
    request_id: &str,
    wants_receipt: bool,
) -> Reply {
    let receipt = wants_receipt.then(|| recorded.receipt().clone());
    let result = recorded.into_inner();
    let status = status_of(&result);
    let mut reply = match result {
        Ok(answer) => answered(answer, status, request_id),
        Err(fault) => faulted(fault, status, request_id),
    };
    if let Some(receipt) = receipt
        && let Ok(value) = HeaderValue::from_str(&format!("{}:{}", receipt.index, hex(&receipt.incarnation)))
    {
        reply.headers_mut().insert("x-coffer-receipt", value);
    }
    reply
}

/// A fault of a request that has no leaf: the node is sealed, or the log can't be written.
pub(crate) fn fault(fault: Fault) -> Reply {
    let result = Err(fault);
    let status = status_of(&result);
    match result {
        Ok(answer) => answered(answer, status, ""),
        Err(fault) => faulted(fault, status, ""),
    }
}

fn answered(answer: Answer, status: u16, request_id: &str) -> Reply {
    let Answer { body, lease_seconds, warnings, .. } = answer;
    let parts = match body {
        Body::Empty if warnings.is_empty() => return whole(status, None, Bytes::new()),
        Body::Bare(text) => return json(status, text),
        Body::Bytes(kind, bytes) => return whole(status, Some(kind), Bytes::from_owner(bytes)),
        Body::Pieces(pieces) => {
            let reply = whole(status, Some("application/octet-stream"), Bytes::new());
            return reply.map(|_| Either::Right(Streamed(pieces)));
        }
        Body::Empty => Parts::default(),
        Body::Data(data) => Parts { data: Some(data), ..Parts::default() },
        Body::SystemData(data) => Parts { data: Some(data), repeats: true, ..Parts::default() },
        Body::Auth(auth) => Parts { auth: Some(auth), ..Parts::default() },
    };
    json(status, parts.envelope(request_id, lease_seconds, &warnings))
}

/// What the API's envelope is filled with.
#[derive(Default)]
struct Parts {
    data: Option<Zeroizing<Vec<u8>>>,
    auth: Option<Zeroizing<Vec<u8>>>,
    /// Whether the members of `data` stand at the top level too: clients depend on both.
    repeats: bool,
}

impl Parts {
    fn envelope(&self, request_id: &str, lease_seconds: u64, warnings: &[String]) -> Zeroizing<Vec<u8>> {
        const NULL: &[u8] = b"null";
        let (data, auth) =
            (self.data.as_ref().map_or(NULL, |data| data), self.auth.as_ref().map_or(NULL, |auth| auth));
        let warned = warnings.iter().fold(Array::new(), |all, warning| all.string(warning)).finish();
        let mut text = Zeroizing::new(Vec::with_capacity(2 * data.len() + auth.len() + warned.len() + 224));
        text.push(b'{');
        if let Some(members) =
            data.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).filter(|_| self.repeats)
            && !members.is_empty()
        {
            text.extend_from_slice(members);
            text.push(b',');
        }
        let lease = lease_seconds.to_string();
        let warned: &[u8] = if warnings.is_empty() { NULL } else { &warned };
        for piece in [
            b"\"request_id\":\"".as_slice(),
            request_id.as_bytes(),
            b"\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":",
            lease.as_bytes(),
            b",\"data\":",
            data,
            b",\"wrap_info\":null,\"warnings\":",
            warned,
            b",\"auth\":",
            auth,
            b"}\n",
        ] {
            text.extend_from_slice(piece);
        }
        text
    }
}

fn faulted(fault: Fault, status: u16, request_id: &str) -> Reply {
    match fault {
        Fault::BadRequest(sentence)
        | Fault::Conflict(sentence)
        | Fault::NoRoute(sentence)
        | Fault::Unavailable(sentence) => error(status, &[&sentence]),
        Fault::TooLarge(sentence) | Fault::UnsupportedMediaType(sentence) => error(status, &[sentence]),
        Fault::OnDisk(sentence) => {
            tracing::error!(sentence, request_id, "a request met what is not as it should be on disk");
            error(status, &[sentence])
        }
        Fault::PermissionDenied => error(status, &["permission denied"]),
        Fault::NotFound => error(status, &[]),
        Fault::NotFoundWith(data) => {
            let mut answer = Answer::data(Object::new());
            answer.body = Body::Data(data);
            answered(answer, status, request_id)
        }
        Fault::UnsupportedOperation => {
            error(status, &["unsupported operation: this path does not take this method"])
        }
        Fault::Sealed => error(status, &["Coffer is sealed: unseal it with `coffer operator unseal`"]),
        Fault::Full => error(status, &["the disk is full: nothing was changed; free space and try again"]),
        Fault::Internal(cause) => {
            tracing::error!(cause, request_id, "a request failed inside");
            error(status, &["internal error: the daemon's log tells more under this request's time"])
        }
    }
}

/// `{"errors":[…]}`.
pub(crate) fn error(status: u16, sentences: &[&str]) -> Reply {
    json(status, Object::new().strings("errors", sentences).finish())
}

/// A JSON body.
pub(crate) fn json(status: u16, text: Zeroizing<Vec<u8>>) -> Reply {
    whole(status, Some("application/json"), Bytes::from_owner(text))
}

/// A whole body of a content type.
pub(crate) fn whole(status: u16, content_type: Option<&'static str>, body: Bytes) -> Reply {
    let mut reply = http::Response::new(Either::Left(Full::new(body)));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(kind) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    reply
}

/// The status and header alone.
pub(crate) fn without_body(reply: Reply) -> Reply {
    reply.map(|_| Either::Left(Full::default()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
