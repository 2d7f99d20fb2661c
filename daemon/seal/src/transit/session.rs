//! What is asked of the server, one request after the other.
use super::{
    config::{TOKEN, TransitConfig},
    trouble,
};
use crate::{
    device::{DeviceError, DeviceTrouble, Wrapped},
    private_file,
};
use coffer_sdk::{Client, Error, Secret, Transit};
use coffer_secmem::Key32;
use keystore_format::transit_wrap::{TransitBlob, TransitParameters};
use std::{cell::Cell, fs, sync::Arc};
use zeroize::Zeroizing;

/// Longer than any chain of certificates or private key in PEM, in bytes.
const PEM_LIMIT: usize = 256 << 10;

/// A client of the server, not yet connected.
pub(super) struct Session {
    pub(super) config: Arc<TransitConfig>,
    client: Client,
    transit: Transit,
    /// Whether the token's life was looked after already.
    kept: Cell<bool>,
}

impl Session {
    /// Reads certificates, key and token.
    pub(super) fn open(config: Arc<TransitConfig>) -> Result<Self, DeviceError> {
        let mut builder = Client::builder()
            .address(&config.address)
            .ca_file(&config.ca)
            .timeout(config.deadline)
            .connect_timeout(config.deadline / 2)
            .retries(0);
        if let Some(name) = &config.server_name {
            builder = builder.server_name(name);
        }
        if let Some(namespace) = &config.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(identity) = &config.identity {
            let chain = fs::read(&identity.certificate).map_err(|_| trouble::unreadable("certificate"))?;
            let file = private_file::open(&identity.key).map_err(trouble::of_key_file)?;
            let key = private_file::read(&file, PEM_LIMIT).map_err(trouble::of_key_file)?;
            builder = builder.identity_pem(&chain, &key);
        }
        if let Some(token) = &config.token {
            builder = builder.token(text(token.read(&TOKEN)?)?);
        }
        let client = builder.build().map_err(|error| trouble::of(&error, &config))?;
        let transit = client.transit(&config.mount);
        Ok(Self { config, client, transit, kept: Cell::new(false) })
    }

    /// Encrypts a root key. Looks for the key first, as far as the policy lets it: with some policies an encryption makes
    /// a key that is not there.
    pub(super) async fn wrap(&self, root_key: &Key32, data: &[u8]) -> Result<Wrapped, DeviceError> {
        let Self { config, transit, .. } = self;
        match transit.key(&config.key).await {
            Ok(_) => {}
            Err(error) if error.is_permission_denied() => {}
            Err(error) => return Err(trouble::of(&error, config)),
        }
        let ciphertext = transit.encrypt(&config.key, root_key.expose(), self.associated(data)).await;
        let ciphertext = ciphertext.map_err(|error| trouble::of_encryption(&error, config))?;
        let blob = TransitBlob::parse(&ciphertext).map_err(|_| trouble::garbage())?.encode();
        let parameters =
            TransitParameters { associated_data: config.associated_data, key: config.key.clone() };
        let parameters = parameters.encode().map_err(|_| trouble::garbage())?;
        Ok(Wrapped { parameters, blob })
    }

    /// Decrypts a root key.
    pub(super) async fn unwrap(
        &self,
        parameters: &TransitParameters,
        blob: &TransitBlob,
        data: &[u8],
    ) -> Result<Key32, DeviceError> {
        let Self { config, transit, .. } = self;
        let opened = transit.decrypt(&config.key, blob.ciphertext(), self.associated(data)).await;
        match opened {
            Ok(opened) => {
                let key = <&[u8; 32]>::try_from(opened.expose().as_slice());
                let key = key.map_err(|_| trouble::not_authentic())?;
                Ok(Key32::derive(|into| into.copy_from_slice(key)))
            }
            Err(error) if matches!(error.status(), Some(400 | 500)) => {
                let key = transit.key(&config.key).await;
                Err(trouble::of_decryption(&error, key, parameters, blob, config))
            }
            Err(error) => Err(trouble::of(&error, config)),
        }
    }

    /// Whether the server is there and open, knows us and has the key, without using it; and the token's life.
    pub(super) async fn look(&self) -> Result<(), DeviceError> {
        let Self { config, client, transit, .. } = self;
        let told = |error: Error| trouble::of(&error, config);
        // Asked as nobody, of the server itself.
        let server = client.without_token().with_namespace("").map_err(told)?;
        let health = server.sys().health().await.map_err(told)?;
        if health.sealed || !health.initialized {
            return Err(trouble::sealed());
        }
        self.keep_token().await?;
        let (encrypt, decrypt) = (
            format!("{}/encrypt/{}", config.mount, config.key),
            format!("{}/decrypt/{}", config.mount, config.key),
        );
        let paths = [encrypt.as_str(), decrypt.as_str()];
        let granted = client.sys().capabilities(&paths).await.map_err(told)?;
        let may_use = |path| {
            let on_path = granted.get(path).into_iter().flatten();
            on_path.clone().any(|one| one == "update" || one == "root")
        };
        if !paths.into_iter().all(may_use) {
            return Err(trouble::refused(config));
        }
        match transit.key(&config.key).await {
            Ok(key) if key.soft_deleted => Err(trouble::soft_deleted()),
            Ok(_) => Ok(()),
            Err(error) if error.is_permission_denied() => Ok(()),
            Err(error) => Err(told(error)),
        }
    }

    /// Renews the token where less than half of its life is left.
    pub(super) async fn keep_token(&self) -> Result<(), DeviceError> {
        if self.config.token.is_none() || self.kept.replace(true) {
            return Ok(());
        }
        let told = |error: Error| trouble::of(&error, &self.config);
        let tokens = self.client.tokens();
        let token = tokens.lookup_self().await.map_err(told)?;
        if token.renewable && token.ttl > 0 && token.ttl < token.creation_ttl.div_ceil(2) {
            tokens.renew_self(None).await.map_err(|_| trouble::not_renewed())?;
        }
        Ok(())
    }

    fn associated<'d>(&self, data: &'d [u8]) -> &'d [u8] {
        if self.config.associated_data { data } else { &[] }
    }
}

/// A token as text. It is moved, so that one copy is there to be cleared.
fn text(mut token: Zeroizing<Vec<u8>>) -> Result<Secret<String>, DeviceError> {
    match String::from_utf8(std::mem::take(&mut *token)) {
        Ok(text) => Ok(Secret::new(text)),
        Err(bytes) => {
            drop(Zeroizing::new(bytes.into_bytes()));
            Err(DeviceError::new(
                DeviceTrouble::Configuration,
                "the token is not text: no server gave such a token",
            ))
        }
    }
}
