//! TLS: rustls with AWS-LC, the CA that was given and no other, no resumption.
use crate::{Error, Result};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// PEM text, or where it lies.
pub(crate) enum Material {
    File(PathBuf),
    Pem(Zeroizing<Vec<u8>>),
}

impl Material {
    pub(crate) fn pem(text: &[u8]) -> Self {
        Self::Pem(Zeroizing::new(text.to_vec()))
    }

    fn read(&self) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::Pem(text) => Ok(Cow::Borrowed(text)),
            Self::File(path) => {
                std::fs::read(path).map(Cow::Owned).map_err(|error| self.unusable(&error.to_string()))
            }
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let text = self.read()?;
        let found: core::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let found = found.map_err(|_| self.unusable("is damaged PEM"))?;
        if found.is_empty() { Err(self.unusable("holds no certificate")) } else { Ok(found) }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>> {
        let text = match self.read()? {
            Cow::Owned(text) => Zeroizing::new(text),
            Cow::Borrowed(text) => Zeroizing::new(text.to_vec()),
        };
        PrivateKeyDer::from_pem_slice(&text).map_err(|_| self.unusable("holds no private key in PEM"))
    }

    fn unusable(&self, why: &str) -> Error {
        Error::Configuration(match self {
            Self::File(path) => format!("{}: {why}", path.display()),
            Self::Pem(_) => format!("the PEM text given: {why}"),
        })
    }
}

/// TLS 1.3 where the server has it, else 1.2; HTTP/2 by ALPN, else HTTP/1.1.
pub(crate) fn configuration(
    ca: &Material,
    identity: Option<&(Material, Material)>,
) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.certificates()? {
        roots.add(certificate).map_err(|error| ca.unusable(&error.to_string()))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Configuration(error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificate.certificates()?, key.key()?)
            .map_err(|error| certificate.unusable(&error.to_string()))?,
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned())
        .map_err(|_| Error::Configuration("the server name must be a DNS name or an IP address".to_owned()))
}
