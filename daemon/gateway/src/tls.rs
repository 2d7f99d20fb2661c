//! The TLS configuration: loaded whole before the listener opens, replaced whole when the files change.
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};
use zeroize::Zeroizing;

/// The files of a listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authorities that client certificates must come from, PEM.
    pub client_ca: PathBuf,
    /// Revocation lists for client certificates, PEM; none is allowed, a named one must be there.
    pub client_crls: Vec<PathBuf>,
    /// Whether TLS 1.2 is spoken besides 1.3.
    pub allow_tls12: bool,
}

/// Why a TLS configuration can't be used: which file, and what is wrong with it.
#[derive(Debug)]
pub struct TlsError {
    file: Option<PathBuf>,
    what: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: {}", file.display(), self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for TlsError {}

/// The configuration in force. New connections take the newest; open ones keep theirs.
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    /// Names the first file that is missing or can't be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = build(&files, &from_disk)?;
        Ok(Self { files, current: ArcSwap::from_pointee(config) })
    }

    /// Loads the files again. Where that fails, what was in force stays in force.
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(build(&self.files, &from_disk)?));
        Ok(())
    }

    /// The configuration for the next connection.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

/// How the bytes of a file are come by. They may be a key.
pub(crate) type Read = dyn Fn(&Path) -> io::Result<Zeroizing<Vec<u8>>>;

fn from_disk(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    fs::read(file).map(Zeroizing::new)
}

/// The configuration that these files make.
pub(crate) fn build(files: &TlsFiles, read: &Read) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(&files.client_ca, read)? {
        roots.add(certificate).map_err(|error| at(&files.client_ca, &error))?;
    }
    let roots = Arc::new(roots);
    let mut lists = Vec::new();
    for file in &files.client_crls {
        lists.extend(revocation_lists(file, read, &roots, &provider)?);
    }
    let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    if !lists.is_empty() {
        // Fails closed on what the lists say, and lets pass issuers that none of them speaks of.
        verifier = verifier.with_crls(lists).allow_unknown_revocation_status();
    }
    let verifier = verifier.build().map_err(|error| at(&files.client_ca, &error))?;
    let key = bytes(&files.key, read)?;
    let key =
        PrivateKeyDer::from_pem_slice(&key).map_err(|error| not_pem(&files.key, &error, "private key"))?;
    let versions: &[&rustls::SupportedProtocolVersion] = if files.allow_tls12 {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13]
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| TlsError { file: None, what: error.to_string() })?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.certificate, read)?, key)
        .map_err(|error| at(&files.certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed session keeps the old client chain without verifying it again: none is offered, no early data either.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The lists of one file. A file that names nobody's list, or one that can't be read, is no list of nobody.
fn revocation_lists(
    file: &Path,
    read: &Read,
    roots: &Arc<rustls::RootCertStore>,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let lists: Vec<CertificateRevocationListDer<'_>> = items(file, read, "revocation list")?;
    // Parsed here once more, alone, so that the error names this file.
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .with_crls(lists.clone())
        .build()
        .map_err(|error| at(file, &error))?;
    Ok(lists)
}

fn certificates(file: &Path, read: &Read) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    items(file, read, "certificate")
}

/// All items of a kind in a file, at least one.
fn items<T: PemObject>(file: &Path, read: &Read, kind: &str) -> Result<Vec<T>, TlsError> {
    let bytes = bytes(file, read)?;
    let items: Result<Vec<_>, _> = T::pem_slice_iter(&bytes).collect();
    match items {
        Ok(items) if items.is_empty() => Err(not_pem(file, &pem::Error::NoItemsFound, kind)),
        Ok(items) => Ok(items),
        Err(error) => Err(not_pem(file, &error, kind)),
    }
}

fn bytes(file: &Path, read: &Read) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    read(file).map_err(|error| at(file, &error))
}

/// In our own words: those of the reader repeat lines of the file, and of a key that lost its line breaks, the key.
fn not_pem(file: &Path, error: &pem::Error, kind: &str) -> TlsError {
    match error {
        pem::Error::NoItemsFound => at(file, &format_args!("holds no {kind} in PEM form")),
        pem::Error::MissingSectionEnd { .. } => at(
            file,
            &"is damaged PEM: a part that begins does not end (BEGIN and END stand on lines of their own)",
        ),
        _ => at(file, &"is damaged PEM"),
    }
}

fn at(file: &Path, what: &dyn fmt::Display) -> TlsError {
    TlsError { file: Some(file.to_owned()), what: what.to_string() }
}

impl Tls {
    /// When each file was last changed, for noticing that one was.
    #[must_use]
    pub fn changed(&self) -> Vec<Option<std::time::SystemTime>> {
        let files = [&self.files.certificate, &self.files.key, &self.files.client_ca];
        let all = files.into_iter().chain(&self.files.client_crls);
        all.map(|file| std::fs::metadata(file).and_then(|meta| meta.modified()).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(key: &str) -> String {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), key.to_owned());
        let read = move |file: &Path| {
            let text = if file == Path::new("key") { &key } else { &certificate };
            Ok(Zeroizing::new(text.clone().into_bytes()))
        };
        let files = TlsFiles {
            certificate: "certificate".into(),
            key: "key".into(),
            client_ca: "certificate".into(),
            client_crls: Vec::new(),
            allow_tls12: false,
        };
        build(&files, &read).err().unwrap().to_string()
    }

    #[test]
    fn a_key_that_lost_its_line_breaks_is_not_repeated_by_its_refusal() {
        let lost = "-----BEGIN PRIVATE KEY-----MC4CAQAwBQYDK2VwBCIEIA==-----END PRIVATE KEY-----";
        let cut = "-----BEGIN PRIVATE KEY-----MC4CAQAwBQYDK2VwBCIEIA==";
        for text in [lost, cut] {
            let sentence = refusal(text);
            // As text, and as the numbers of its bytes.
            assert!(!sentence.contains("MC4C") && !sentence.contains("77, 67, 52"), "{sentence}");
            assert!(sentence.starts_with("key: is damaged PEM"), "{sentence}");
        }
        assert_eq!(refusal("hunter2"), "key: holds no private key in PEM form");
    }
}
