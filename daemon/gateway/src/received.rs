//! Step 2: HTTP, under limits. Bytes become a request that is whole and within bounds.
use crate::Limits;
use crate::reply::Refused;
use bytes::Bytes;
use coffer_room::Fault;
use coffer_types::Operation;
use coffer_wire::Params;
use http::{HeaderMap, Method, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use keystore_format::leaf::request_digest;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

/// Headers by which a client asks for protection that is not there: refused, since an answer without it would be worse.
const UNSUPPORTED: [&str; 4] =
    ["x-vault-wrap-ttl", "x-vault-wrap-format", "x-vault-mfa", "x-vault-inline-auth-path"];

/// The content type of a PATCH.
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Bodies up to this size need no share of the memory for large ones.
const SMALL_BODY_BYTES: usize = 64 * 1024;

/// A request as it came, whole and within the limits.
pub(crate) struct Received<'g> {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Path and query as they were sent.
    target: String,
    pub(crate) namespace: Option<String>,
    pub(crate) token: Option<Zeroizing<String>>,
    pub(crate) nonce: Option<[u8; 32]>,
    pub(crate) query: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
    _memory: Option<SemaphorePermit<'g>>,
}

impl<'g> Received<'g> {
    /// What stands before the body: judged before anything of that is taken.
    pub(crate) fn of(head: Parts) -> Result<Self, Refused> {
        if UNSUPPORTED.iter().any(|name| head.headers.contains_key(*name)) {
            return Err(Refused::UnsupportedHeader);
        }
        let operation = operation(&head)?;
        let path = head.uri.path().strip_prefix("/v1/").ok_or(Refused::NotTheApi)?.to_owned();
        let target = head.uri.path_and_query().map(|target| target.as_str().to_owned()).unwrap_or_default();
        Ok(Self {
            operation,
            path,
            target,
            namespace: text(&head.headers, "x-vault-namespace")?,
            token: token(&head.headers)?,
            nonce: nonce(&head.headers)?,
            query: head.uri.query().map(str::to_owned),
            content_type: text(&head.headers, "content-type")?,
            method: head.method,
            body: Zeroizing::default(),
            _memory: None,
        })
    }

    /// Reads the whole body.
    pub(crate) async fn read_body(
        &mut self,
        body: Incoming,
        limits: &Limits,
        memory: &'g Semaphore,
    ) -> Result<(), Refused> {
        let read = tokio::time::timeout(limits.body, read_body(body, limits, memory)).await;
        (self.body, self._memory) = read.map_err(|_| Refused::Slow)??;
        Ok(())
    }

    /// What the leaf holds of the request where the client sent a nonce: so that its receipt proves this very request.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        self.nonce.map(|nonce| {
            request_digest(&nonce, self.method.as_str(), &self.target, &Sha256::digest(&*self.body).into())
        })
    }

    /// The parameters: body and query. The body stays readable where it is no JSON (snapshots).
    pub(crate) fn take_params(&mut self, limits: &Limits) -> Result<Params, Fault> {
        let is_merge = self.content_type.as_deref().is_some_and(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MERGE_PATCH))
        });
        if self.operation == Operation::Patch && !is_merge {
            return Err(Fault::UnsupportedMediaType(
                "a PATCH needs Content-Type: application/merge-patch+json (RFC 7396)",
            ));
        }
        let body = match self.method {
            // A body with these is drained and means nothing.
            Method::GET | Method::HEAD => Zeroizing::default(),
            _ => std::mem::take(&mut self.body),
        };
        let mut params = Params::parse(body, limits.json)?;
        if let Some(query) = &self.query {
            params.add_query(query)?;
        }
        Ok(params)
    }
}

fn operation(head: &Parts) -> Result<Operation, Refused> {
    let asks = |what: &str| {
        head.uri.query().is_some_and(|query| {
            query.split('&').any(|pair| {
                pair.split_once('=').is_some_and(|(name, value)| {
                    name == what && (value == "1" || value.eq_ignore_ascii_case("true"))
                })
            })
        })
    };
    Ok(match head.method.as_str() {
        "GET" | "HEAD" if asks("list") => Operation::List,
        "GET" | "HEAD" if asks("scan") => Operation::Scan,
        "GET" | "HEAD" => Operation::Read,
        "LIST" => Operation::List,
        "SCAN" => Operation::Scan,
        "POST" | "PUT" => Operation::Write,
        "PATCH" => Operation::Patch,
        "DELETE" => Operation::Delete,
        _ => return Err(Refused::Method),
    })
}

async fn read_body<'g>(
    body: Incoming,
    limits: &Limits,
    memory: &'g Semaphore,
) -> Result<(Zeroizing<Vec<u8>>, Option<SemaphorePermit<'g>>), Refused> {
    let announced = body.size_hint().upper().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if announced == Some(0) {
        return Ok((Zeroizing::default(), None));
    }
    if announced.is_some_and(|bytes| bytes > limits.body_bytes) {
        return Err(Refused::BodyTooLarge);
    }
    let expected = announced.unwrap_or(limits.body_bytes);
    let mut share = None;
    let mut body = Limited::new(body, limits.body_bytes);
    let mut whole = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(0).min(SMALL_BODY_BYTES)));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                Refused::BodyTooLarge
            } else {
                Refused::Broken
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        // Only now: who announces much and sends nothing takes no memory from others.
        if share.is_none() && whole.len() + data.len() > SMALL_BODY_BYTES {
            let kib = u32::try_from(expected.div_ceil(1024)).map_err(|_| Refused::BodyTooLarge)?;
            share = Some(memory.acquire_many(kib).await.map_err(|_| Refused::Stopping)?);
            whole = grown(&whole, announced.unwrap_or(0));
        }
        append(&mut whole, &data);
    }
    Ok((whole, share))
}

/// Grows without leaving an uncleared copy behind: the old buffer is cleared when it is dropped.
fn append(whole: &mut Zeroizing<Vec<u8>>, data: &Bytes) {
    if whole.capacity() - whole.len() < data.len() {
        *whole = grown(whole, (whole.len() + data.len()).next_power_of_two());
    }
    whole.extend_from_slice(data);
}

fn grown(whole: &[u8], capacity: usize) -> Zeroizing<Vec<u8>> {
    let mut grown = Zeroizing::new(Vec::with_capacity(capacity.max(whole.len())));
    grown.extend_from_slice(whole);
    grown
}

fn text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Refused> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refused::RepeatedHeader(name));
    }
    first.to_str().map(|value| Some(value.to_owned())).map_err(|_| Refused::UnreadableHeader(name))
}

fn token(headers: &HeaderMap) -> Result<Option<Zeroizing<String>>, Refused> {
    let own = text(headers, "x-vault-token")?.filter(|token| !token.is_empty()).map(Zeroizing::new);
    let bearer = text(headers, "authorization")?.map(Zeroizing::new);
    let bearer = bearer.and_then(|value| {
        // The scheme is the same in any case (RFC 9110 §11.1); passed over, the certificate would count instead.
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Zeroizing::new(token.trim().to_owned()))
    });
    match (own, bearer) {
        (Some(_), Some(_)) => Err(Refused::RepeatedHeader("x-vault-token")),
        (own, bearer) => Ok(own.or(bearer)),
    }
}

fn nonce(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Refused> {
    use base64::Engine;
    let Some(value) = text(headers, "x-coffer-nonce")? else { return Ok(None) };
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).map_err(|_| Refused::Nonce)?;
    bytes.try_into().map(Some).map_err(|_| Refused::Nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_one_in_whatever_case_its_scheme_is_written() {
        for (value, is_token) in
            [("Bearer hvs.x", true), ("bearer hvs.x", true), ("BEARER  hvs.x", true), ("Basic eA==", false)]
        {
            let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, value.parse().unwrap())]);
            let token = token(&headers).unwrap();
            assert_eq!(token.as_deref().map(String::as_str), is_token.then_some("hvs.x"), "{value}");
        }
    }
}
