//! HTTP/1.1 over TLS by hand: for what no proper client would send.
use crate::Identity;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long a test waits for an answer before it calls the daemon stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a connection is made.
#[derive(Clone)]
pub struct Tls {
    /// The authority that signed the server's certificate, PEM.
    pub authority: String,
    /// Who connects.
    pub identity: Option<Identity>,
    /// Whether TLS 1.2 is spoken instead of 1.3.
    pub is_old: bool,
    /// Which protocols are offered, the first preferred.
    pub protocols: Vec<&'static [u8]>,
    /// What is kept between connections.
    pub resumption: Option<Resumption>,
}

/// A connection.
pub struct Wire {
    stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Tls {
    /// TLS 1.3 as this identity, speaking HTTP/1.1.
    #[must_use]
    pub fn new(authority: &str, identity: &Identity) -> Self {
        Self {
            authority: authority.to_owned(),
            identity: Some(identity.clone()),
            is_old: false,
            protocols: vec![b"http/1.1"],
            resumption: None,
        }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.authority.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let version = if self.is_old { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
                    .collect::<Result<_, _>>()
                    .unwrap();
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.resumption = self.resumption.clone().unwrap_or_else(Resumption::disabled);
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        config
    }
}

impl Wire {
    /// Connects, as far as TLS can tell the client: TLS 1.3 says only with the first answer whether the server took the
    /// client's certificate.
    ///
    /// # Errors
    /// What TCP or TLS said.
    pub fn connect(address: SocketAddr, tls: &Tls) -> std::io::Result<Self> {
        Self::connect_within(PATIENCE, address, tls)
    }

    /// The same with less patience, which stays the connection's.
    ///
    /// # Errors
    /// What TCP or TLS said; `WouldBlock` where nothing came in time.
    pub fn connect_within(patience: Duration, address: SocketAddr, tls: &Tls) -> std::io::Result<Self> {
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(tls.config()), name).unwrap();
        let socket = TcpStream::connect_timeout(&address, patience)?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let mut stream = StreamOwned::new(session, socket);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Which protocol, key exchange and version were agreed upon.
    #[must_use]
    pub fn session(&self) -> &ClientConnection {
        &self.stream.conn
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// Where the connection ends before a whole answer.
    pub fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Reply> {
        let mut text = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        // A refusal of a large body may come, and the connection go, while it is still being sent.
        let sent = self.send(&bytes);
        let reply = self.reply(method == "HEAD");
        if reply.is_err() {
            sent?;
        }
        reply
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    /// Where the connection ends before a whole one.
    pub fn reply(&mut self, is_head: bool) -> std::io::Result<Reply> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let header =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let body = if is_head || status == 204 {
            Vec::new()
        } else if header("transfer-encoding").is_some() {
            self.chunks()?
        } else {
            let length = header("content-length").map_or(0, |length| length.parse().unwrap());
            self.take(length)?
        };
        Ok(Reply { status, headers, body })
    }

    fn chunks(&mut self) -> std::io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                    break at;
                }
                self.more()?;
            };
            let size =
                usize::from_str_radix(std::str::from_utf8(&self.buffer[..end]).unwrap().trim(), 16).unwrap();
            self.buffer.drain(..end + 2);
            whole.extend(self.take(size)?);
            self.take(2)?;
            if size == 0 {
                return Ok(whole);
            }
        }
    }

    fn take(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.more()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn more(&mut self) -> std::io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(())
            }
        }
    }

    /// Whether the server has closed the connection, once all that it sent is read.
    #[must_use]
    pub fn is_closed(&mut self) -> bool {
        loop {
            match self.more() {
                Ok(()) => self.buffer.clear(),
                Err(error) => {
                    return !matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    );
                }
            }
        }
    }

    /// How long to wait for an answer.
    pub fn patience(&mut self, patience: Duration) {
        self.stream.sock.set_read_timeout(Some(patience)).unwrap();
    }
}

impl Reply {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
