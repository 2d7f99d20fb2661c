//! The client, and a request as it is put together.
use crate::config::Builder;
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::transport::{Exchange, Transport, Whole};
use bytes::Bytes;
use coffer_wire::{Envelope, push};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::Arc;
use zeroize::Zeroizing;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// A client of one Coffer daemon. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
    token: Option<HeaderValue>,
    namespace: Arc<str>,
}

impl Client {
    /// Begins a client.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A client as `COFFER_ADDR`, `COFFER_CACERT`, `COFFER_CLIENT_CERT`, `COFFER_CLIENT_KEY`, `COFFER_TOKEN` and
    /// `COFFER_NAMESPACE` say, or else the same names with `VAULT_`.
    ///
    /// # Errors
    /// [`Error::Configuration`] names the variable that is missing or wrong.
    pub fn from_env() -> Result<Self> {
        Self::builder().environment()?.build()
    }

    pub(crate) fn new(
        transport: Transport,
        token: Option<Secret<String>>,
        namespace: Option<&str>,
    ) -> Result<Self> {
        let client = Self { transport: Arc::new(transport), token: None, namespace: "".into() };
        let client = client.with_namespace(namespace.unwrap_or_default())?;
        match token {
            Some(token) => client.with_token(token),
            None => Ok(client),
        }
    }

    /// The same connections, with this token.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a token that can't be sent.
    pub fn with_token(&self, token: impl Into<Secret<String>>) -> Result<Self> {
        let token: Secret<String> = token.into();
        let mut value = HeaderValue::from_str(token.expose().trim())
            .map_err(|_| Error::Configuration("the token has characters that no token has".to_owned()))?;
        value.set_sensitive(true);
        Ok(Self { token: Some(value), ..self.clone() })
    }

    /// The same connections, without a token: the client certificate is the identity.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The same connections and token, in another environment, such as `prod` or `acme/prod`; empty for the root.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a name that can't be sent.
    pub fn with_namespace(&self, namespace: &str) -> Result<Self> {
        let namespace = namespace.trim_matches('/');
        HeaderValue::from_str(namespace)
            .map_err(|_| Error::Configuration("the namespace has characters that no name has".to_owned()))?;
        Ok(Self { namespace: namespace.into(), ..self.clone() })
    }

    /// The environment that this client acts in; empty for the root.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Sends any request of the API. `path` is what follows `/v1/`, not encoded; `body` is JSON text.
    /// For a query, or for the answer to an error status, see [`Client::call`].
    ///
    /// # Errors
    /// As every call; see [`Error`].
    pub async fn request(&self, method: Method, path: &str, body: Option<&[u8]>) -> Result<Answer> {
        let call = self.call(method, path);
        let call = match body {
            Some(text) => call.json(Zeroizing::new(text.to_vec())),
            None => call,
        };
        call.send().await
    }

    /// Puts a request together piece by piece. `path` is what follows `/v1/`, not encoded.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        let is_read = method == Method::GET || method == Method::HEAD;
        let mut url = String::with_capacity(path.len() + 8);
        url.push_str("/v1/");
        encode(path.trim_start_matches('/'), true, &mut url);
        Call {
            client: self,
            method,
            url,
            separator: '?',
            headers: HeaderMap::new(),
            body: Bytes::new(),
            is_read,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn list_call(&self, path: &str) -> Call<'_> {
        self.get(path).query("list", "true")
    }

    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(crate) fn delete_call(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }
}

/// A request under construction.
#[must_use]
pub struct Call<'c> {
    client: &'c Client,
    method: Method,
    url: String,
    separator: char,
    headers: HeaderMap,
    body: Bytes,
    is_read: bool,
}

impl<'c> Call<'c> {
    /// Adds a pair to the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.push(std::mem::replace(&mut self.separator, '&'));
        encode(name, false, &mut self.url);
        self.url.push('=');
        encode(value, false, &mut self.url);
        self
    }

    /// The body, as JSON text.
    pub fn json(mut self, text: Zeroizing<Vec<u8>>) -> Self {
        let kind =
            if self.method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = Bytes::from_owner(text);
        self
    }

    /// Says that this request changes nothing although it is a POST, so that it may be repeated.
    pub fn reads_only(mut self) -> Self {
        self.is_read = true;
        self
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// What the request line will say: path and query, encoded.
    pub(crate) fn target(&self) -> &str {
        &self.url
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Sends it; an error status is an error.
    ///
    /// # Errors
    /// As every call; see [`Error`].
    pub async fn send(self) -> Result<Answer> {
        self.exchange().await?.accepted().map(Answer)
    }

    /// Sends it; every status is an answer.
    ///
    /// # Errors
    /// As every call but for [`Error::Refused`].
    pub async fn send_any_status(self) -> Result<Answer> {
        self.exchange().await.map(Answer)
    }

    async fn exchange(self) -> Result<Whole> {
        let transport = &self.client.transport;
        transport.exchange(&self.into_exchange()).await
    }

    pub(crate) fn into_exchange(self) -> Exchange {
        let mut headers = self.headers;
        headers.insert(REQUEST, HeaderValue::from_static("true"));
        if let Some(token) = &self.client.token {
            headers.insert(TOKEN, token.clone());
        }
        if let Ok(namespace) = HeaderValue::from_str(&self.client.namespace)
            && !namespace.is_empty()
        {
            headers.insert(NAMESPACE, namespace);
        }
        Exchange {
            method: self.method,
            path_and_query: self.url,
            headers,
            body: self.body,
            is_read: self.is_read,
        }
    }
}

/// An answer. No `Debug`: it may hold secrets, and is cleared when it is dropped.
pub struct Answer(Whole);

impl From<Whole> for Answer {
    fn from(whole: Whole) -> Self {
        Self(whole)
    }
}

impl Answer {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// This answer, unless its status is an error.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn accepted(self) -> Result<Self> {
        self.0.accepted().map(Self)
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// A header's value, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name)?.to_str().ok()
    }

    /// The whole body, read as `T`.
    ///
    /// # Errors
    /// [`Error::Unexpected`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.0.body, "the body has another shape")
    }

    /// The envelope's `data`, read as `T`.
    ///
    /// # Errors
    /// [`Error::Unexpected`].
    pub fn data<T: DeserializeOwned>(&self) -> Result<T> {
        let data = self.envelope()?.data.ok_or(Error::Unexpected("there is no data in it"))?;
        read(data.get().as_bytes(), "its data has another shape")
    }

    /// The sentences for people that came with the answer.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.envelope().ok().and_then(|envelope| envelope.warnings).unwrap_or_default()
    }

    pub(crate) fn envelope(&self) -> Result<Envelope<'_>> {
        serde_json::from_slice(&self.0.body).map_err(|_| Error::Unexpected("it is no answer of this API"))
    }
}

/// serde's own sentence may quote the value, so ours takes its place.
fn read<T: DeserializeOwned>(text: &[u8], what: &'static str) -> Result<T> {
    serde_json::from_slice(text).map_err(|_| Error::Unexpected(what))
}

/// A value as JSON text, in a buffer that is cleared.
pub(crate) fn write(value: &(impl Serialize + ?Sized)) -> Result<Zeroizing<Vec<u8>>> {
    struct Clearing(Zeroizing<Vec<u8>>);
    impl io::Write for Clearing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            push(&mut self.0, bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut text = Clearing(Zeroizing::new(Vec::new()));
    serde_json::to_writer(&mut text, value).map_err(|_| Error::Unwritable)?;
    Ok(text.0)
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3), and slashes where they part segments.
fn encode(text: &str, keeps_slashes: bool, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if keeps_slashes => out.push('/'),
            _ => {
                out.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_break_out_of_its_place_in_the_url() {
        let mut url = String::new();
        encode("a/b c?d#e%2f&é", true, &mut url);
        assert_eq!(url, "a/b%20c%3Fd%23e%252f%26%C3%A9");
        url.clear();
        encode("a/b=c", false, &mut url);
        assert_eq!(url, "a%2Fb%3Dc");
    }
}
