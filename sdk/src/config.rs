//! Building a client, from code or from the environment.
use crate::client::Client;
use crate::tls::{self, Material};
use crate::transport::{Retries, Transport};
use crate::{Error, Result, Secret};
use http::Uri;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Collects what a client needs; [`Client::builder`] begins one.
///
/// Nothing is trusted by default: a CA must be given. Times out after 30 seconds unless told otherwise.
#[derive(Default)]
#[must_use]
pub struct Builder {
    address: Option<String>,
    server_name: Option<String>,
    ca: Option<Material>,
    identity: Option<(Material, Material)>,
    token: Option<Secret<String>>,
    namespace: Option<String>,
    timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    retries: Option<u32>,
}

impl Builder {
    /// The server, as `https://host:port`.
    pub fn address(mut self, address: &str) -> Self {
        self.address = Some(address.to_owned());
        self
    }

    /// The name that the server's certificate must carry, where it differs from the address.
    pub fn server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name.to_owned());
        self
    }

    /// A PEM file with the certificates that may have signed the server's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca = Some(Material::File(path.into()));
        self
    }

    /// The same as PEM text.
    pub fn ca_pem(mut self, pem: &[u8]) -> Self {
        self.ca = Some(Material::pem(pem));
        self
    }

    /// PEM files with the client's certificate chain and its private key.
    pub fn identity_files(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((Material::File(certificate.into()), Material::File(key.into())));
        self
    }

    /// The same as PEM text.
    pub fn identity_pem(mut self, certificate: &[u8], key: &[u8]) -> Self {
        self.identity = Some((Material::pem(certificate), Material::pem(key)));
        self
    }

    /// The token to send. Without one, the client certificate is the identity.
    pub fn token(mut self, token: impl Into<Secret<String>>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The environment to act in, such as `prod` or `acme/prod`; the root unless given.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// How long one call may take, retries included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long TCP and TLS may take to connect; 5 seconds unless given.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How often a call that is safe to repeat is repeated; twice unless given.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Fills in what `COFFER_ADDR`, `COFFER_CACERT`, `COFFER_CLIENT_CERT`, `COFFER_CLIENT_KEY`, `COFFER_TOKEN`,
    /// `COFFER_NAMESPACE` and `COFFER_TLS_SERVER_NAME` say, or else the same names with `VAULT_`.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a variable that is no text, or a certificate without its key.
    pub fn environment(self) -> Result<Self> {
        self.with_variables(|name| std::env::var_os(name))
    }

    /// Reads the files and makes the client. Connects only when it is used.
    ///
    /// # Errors
    /// [`Error::Configuration`] says what is missing or can't be used.
    pub fn build(self) -> Result<Client> {
        let missing = |what: &str, name: &str| {
            Error::Configuration(format!(
                "{what}: set COFFER_{name} (or VAULT_{name}), or give it to the builder"
            ))
        };
        let address = self.address.ok_or_else(|| missing("no server address", "ADDR"))?;
        let base = base(&address)?;
        let ca = self.ca.ok_or_else(|| missing("no CA certificate to trust", "CACERT"))?;
        let tls = tls::configuration(&ca, self.identity.as_ref())?;
        let name = match &self.server_name {
            Some(name) => name,
            None => base.host().unwrap_or_default(),
        };
        let server_name = tls::server_name(name)?;
        let connect_timeout = self.connect_timeout.unwrap_or(Duration::from_secs(5));
        let retries = Retries {
            attempts: self.retries.unwrap_or(2).saturating_add(1),
            timeout: self.timeout.unwrap_or(Duration::from_secs(30)),
        };
        let transport = Transport::new(base, tls, server_name, connect_timeout, retries);
        Client::new(transport, self.token, self.namespace.as_deref())
    }

    fn with_variables(mut self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let find = |name: &str| {
            ["COFFER_", "VAULT_"].into_iter().find_map(|prefix| {
                let name = format!("{prefix}{name}");
                variable(&name).filter(|value| !value.is_empty()).map(|value| (name, value))
            })
        };
        let text = |name: &str| match find(name) {
            None => Ok(None),
            Some((name, value)) => match value.into_string() {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(Error::Configuration(format!("{name} is not UTF-8 text"))),
            },
        };
        self.address = text("ADDR")?.or(self.address);
        self.server_name = text("TLS_SERVER_NAME")?.or(self.server_name);
        self.namespace = text("NAMESPACE")?.or(self.namespace);
        self.token = text("TOKEN")?.map(Secret::new).or(self.token);
        if let Some((_, path)) = find("CACERT") {
            self.ca = Some(Material::File(path.into()));
        }
        match (find("CLIENT_CERT"), find("CLIENT_KEY")) {
            (Some((_, certificate)), Some((_, key))) => Ok(self.identity_files(certificate, key)),
            (None, None) => Ok(self),
            (Some((name, _)), None) => Err(Error::Configuration(format!(
                "{name} is set, but {} is not",
                name.replace("CERT", "KEY")
            ))),
            (None, Some((name, _))) => Err(Error::Configuration(format!(
                "{name} is set, but {} is not",
                name.replace("KEY", "CERT")
            ))),
        }
    }
}

/// Only scheme, host and port: what else stands in an address would be ignored silently.
fn base(address: &str) -> Result<Uri> {
    let wrong = || Error::Configuration("the server address must be https://host:port".to_owned());
    let uri: Uri = address.trim_end_matches('/').parse().map_err(|_| wrong())?;
    let is_plain = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    let authority = uri.authority().ok_or_else(wrong)?;
    // A port that is none would be passed over, and another than the one that was meant be spoken to.
    let has_its_port = authority.as_str() == authority.host() || authority.port_u16().is_some();
    let host = authority.host();
    let is_host = host.starts_with('[') == host.ends_with(']') && tls::server_name(host).is_ok();
    let is_foreign = uri.scheme_str() != Some("https") || authority.as_str().contains('@');
    if is_foreign || !is_plain || !is_host || !has_its_port {
        return Err(wrong());
    }
    Ok(uri)
}

/// Reads `text` as the server's address: what is taken leads to one host and one port, and to nothing below it.
pub(crate) fn fuzz(text: &str) {
    let Ok(uri) = base(text) else { return };
    assert_eq!(base(&uri.to_string()).ok().as_ref(), Some(&uri));
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
    let text = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    assert_eq!(uri.port().is_some(), text != host, "a part of {text} was passed over");
    let own = format!("https://{host}:{port}");
    assert!(
        base(&own).is_ok_and(|again| again.host() == Some(host) && again.port_u16() == Some(port)),
        "{own}"
    );
    let _ = tls::server_name(host);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(pairs: &[(&str, &str)]) -> Result<Client> {
        let variables =
            |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Builder::default().with_variables(variables)?.build()
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        built(pairs).err().unwrap().to_string()
    }

    #[test]
    fn the_variable_that_is_missing_is_named() {
        assert!(refusal(&[]).contains("COFFER_ADDR"));
        assert!(refusal(&[("VAULT_ADDR", "https://localhost:8200")]).contains("COFFER_CACERT"));
        let address = ("COFFER_ADDR", "https://localhost:8200");
        assert!(refusal(&[address, ("COFFER_CLIENT_CERT", "c.pem")]).contains("COFFER_CLIENT_KEY is not"));
        assert!(refusal(&[address, ("VAULT_CLIENT_KEY", "k.pem")]).contains("VAULT_CLIENT_CERT is not"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let pairs = [("COFFER_ADDR", "https://localhost:8200"), ("COFFER_CACERT", "/nowhere/ca.pem")];
        assert!(refusal(&pairs).contains("/nowhere/ca.pem"));
    }

    #[test]
    fn an_address_whose_host_or_port_is_none_is_refused() {
        for address in ["https://h:", "https://h:99999", "https://h:-1", "https://[::1]:65536"] {
            assert!(refusal(&[("COFFER_ADDR", address)]).contains("https://host:port"), "{address}");
        }
        for address in ["https://:8200", "https://name[::1]:8200", "https://a..b"] {
            assert!(refusal(&[("COFFER_ADDR", address)]).contains("https://host:port"), "{address}");
        }
        for address in ["https://h_1", "https://h:65535/", "https://[::1]:8200", "https://[::1]"] {
            assert!(!refusal(&[("COFFER_ADDR", address)]).contains("https://host:port"), "{address}");
        }
    }

    #[test]
    fn coffers_own_variables_come_before_vaults() {
        let pairs = [
            ("VAULT_ADDR", "http://wrong"),
            ("COFFER_ADDR", "https://right:1"),
            ("COFFER_CACERT", "/nowhere/x"),
        ];
        assert!(refusal(&pairs).contains("/nowhere/x"));
    }

    #[test]
    fn an_address_without_tls_or_with_more_than_a_host_is_refused() {
        for address in
            ["http://h:1", "h:1", "https://", "https://h/v1", "https://u:p@h", "https://h?x", "ftp://h"]
        {
            assert!(refusal(&[("COFFER_ADDR", address)]).contains("https://host:port"), "{address}");
        }
    }
}
