//! From flags and environment variables to a client.
use crate::api::Api;
use crate::files;
use crate::operator::Target;
use crate::page::Format;
use crate::words::Failure;
use clap::Args;
use coffer_sdk::{Builder, Client, Secret};
use std::path::PathBuf;
use std::time::Duration;

/// Unsealing and restoring open a whole store, which may take its time.
pub(crate) const PATIENT: Duration = Duration::from_secs(900);
const USUAL: Duration = Duration::from_secs(30);
/// How long one of several daemons may take to answer at all.
const CONNECTING: Duration = Duration::from_secs(10);

/// Who to speak to, as whom, and how to show the answer.
#[derive(Args, Clone)]
#[command(next_help_heading = "Connection and output (everywhere)")]
pub(crate) struct Connection {
    /// The daemon, as https://host:port
    #[arg(long, global = true, value_name = "URL")]
    address: Option<String>,
    /// PEM file of the CA that signed the daemon's certificate
    #[arg(long, global = true, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// PEM file of your certificate, with its chain
    #[arg(long, global = true, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// PEM file of your certificate's private key
    #[arg(long, global = true, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// The name that the daemon's certificate carries, where it differs from the address
    #[arg(long, global = true, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// File that your token lies in
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The environment to act in, such as prod or acme/prod
    #[arg(long, short = 'n', global = true, value_name = "ENVIRONMENT")]
    namespace: Option<String>,
    /// Seconds that one request may take [default: 30; 900 to unseal and restore]
    #[arg(long, global = true, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Tables for people, or JSON for scripts
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

impl Connection {
    /// A client for usual requests.
    pub(crate) fn api(&self) -> Result<Api, Failure> {
        self.api_within(USUAL)
    }

    /// A client for what concerns the daemon as a whole, whichever environment the operator is in.
    pub(crate) fn node(&self) -> Result<Api, Failure> {
        self.node_within(USUAL)
    }

    /// As [`Self::node`], for ceremonies that take their time.
    pub(crate) fn node_within(&self, patience: Duration) -> Result<Api, Failure> {
        let api = self.api_within(patience)?;
        Ok(Api { client: api.client.with_namespace("")?, ..api })
    }

    /// One of several daemons: as [`Self::node_within`], with its own address and where it says so its own certificates.
    /// Who does not answer soon is down, so that the others need not wait.
    pub(crate) fn target(&self, target: &Target, patience: Duration) -> Result<Api, Failure> {
        let mut own = self.clone();
        own.address = Some(target.address.clone());
        own.cacert = target.ca.clone().or(own.cacert);
        own.tls_server_name = target.server_name.clone().or(own.tls_server_name);
        if let Some((certificate, key)) = target.identity.clone() {
            (own.client_cert, own.client_key) = (Some(certificate), Some(key));
        }
        let client = own.builder(patience)?.connect_timeout(CONNECTING).build()?;
        // An environment is asked for in the one above it.
        Ok(Api { client: client.with_namespace(target.above())?, address: target.address.clone() })
    }

    /// A client for requests that may take `patience`, unless the caller said how long.
    pub(crate) fn api_within(&self, patience: Duration) -> Result<Api, Failure> {
        Ok(Api { client: self.builder(patience)?.build()?, address: self.shown_address() })
    }

    fn builder(&self, patience: Duration) -> Result<Builder, Failure> {
        let mut builder = Client::builder().environment()?;
        if let Some(address) = &self.address {
            builder = builder.address(address);
        }
        if let Some(path) = &self.cacert {
            builder = builder.ca_file(path);
        }
        match (self.file(&self.client_cert, "CLIENT_CERT"), self.file(&self.client_key, "CLIENT_KEY")) {
            (Some(certificate), Some(key)) => builder = builder.identity_files(certificate, key),
            (None, None) => {}
            _ => return Err(Failure::HalfIdentity),
        }
        if let Some(name) = &self.tls_server_name {
            builder = builder.server_name(name);
        }
        if let Some(name) = &self.namespace {
            builder = builder.namespace(name);
        }
        if let Some(token) = self.token()? {
            builder = builder.token(token);
        }
        Ok(builder.timeout(self.timeout.map_or(patience, Duration::from_secs)))
    }

    /// Whether there is a client certificate.
    pub(crate) fn has_identity(&self) -> bool {
        self.file(&self.client_cert, "CLIENT_CERT").is_some()
    }

    /// A file as the flag names it, or else the variable.
    fn file(&self, flag: &Option<PathBuf>, name: &str) -> Option<PathBuf> {
        flag.clone().or_else(|| variable(name).map(PathBuf::from))
    }

    /// The token of a file, where the flag names one, or the variable does and no token is given itself.
    fn token(&self) -> Result<Option<Secret<String>>, Failure> {
        let from_variable =
            || variable("TOKEN").is_none().then(|| variable("TOKEN_FILE")).flatten().map(PathBuf::from);
        match self.token_file.clone().or_else(from_variable) {
            Some(path) => Ok(Some(Secret::new(files::text(&path)?.trim().to_owned()))),
            None => Ok(None),
        }
    }

    /// The address as the operator gave it.
    pub(crate) fn shown_address(&self) -> String {
        let known = self.address.clone();
        known.or_else(|| variable("ADDR")?.into_string().ok()).unwrap_or_default()
    }
}

/// `COFFER_…`, or else `VAULT_…`.
fn variable(name: &str) -> Option<std::ffi::OsString> {
    let find = |prefix: &str| std::env::var_os(format!("{prefix}{name}")).filter(|value| !value.is_empty());
    find("COFFER_").or_else(|| find("VAULT_"))
}
