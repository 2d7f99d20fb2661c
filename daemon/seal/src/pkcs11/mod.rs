//! A root key under a key in an HSM, by any PKCS#11 module.
//!
//! The module is loaded at run time, so that nothing is needed where no HSM is. It is a stranger in the process: its
//! answers are checked, it is asked on a thread of its own ([`thread`]) and nobody waits for it beyond a deadline.
//!
//! A wrong PIN is never tried again: HSMs lock after a few. A device whose PIN was refused says so, without asking the
//! token, until another is made from the configuration.
//!
//! Deliberately missing: PIN pads and M-of-N login (the daemon starts without people), and making keys, which is the
//! HSM's own ceremony.
mod config;
mod mechanisms;
mod module;
mod thread;
mod trouble;

pub use config::{DEADLINE, PinSource, Pkcs11Config, TokenName, mechanism};

use crate::device::{Binding, Device, DeviceError, DeviceTrouble, Wrapped};
use coffer_secmem::Key32;
use coffer_types::Entropy;
use keystore_format::{
    device_wraps::{Pkcs11Blob, Pkcs11Parameters},
    seal_record::{self, Wrap, WrapType},
};
use module::Client;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// The key of a token. Opened when it is first needed, and logged in until the device is dropped.
pub struct Pkcs11Device {
    config: Arc<Pkcs11Config>,
    entropy: Arc<dyn Entropy>,
    client: Client,
}

impl Pkcs11Device {
    /// The device of a configuration. Asks the module nothing: an HSM that is not there yet is no reason not to start.
    ///
    /// # Errors
    /// [`DeviceTrouble::Configuration`].
    pub fn new(config: Pkcs11Config, entropy: Arc<dyn Entropy>) -> Result<Self, DeviceError> {
        config.check()?;
        Ok(Self { config: Arc::new(config), entropy, client: NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut module::Module, Client, &Pkcs11Config) -> Result<T, DeviceError>
        + Send
        + 'static,
    ) -> Result<T, DeviceError> {
        let (config, client) = (Arc::clone(&self.config), self.client);
        thread::ask(&self.config.module, self.config.deadline, move |module| {
            question(module, client, &config)
        })
    }
}

impl Device for Pkcs11Device {
    fn wrap_type(&self) -> WrapType {
        WrapType::Pkcs11
    }

    fn wrap(&mut self, root_key: &Key32, binding: &Binding) -> Result<Wrapped, DeviceError> {
        let iv = coffer_types::random(&*self.entropy).map_err(|_| {
            DeviceError::new(DeviceTrouble::Failed, "the operating system gave no randomness")
        })?;
        let (root_key, data) = (root_key.duplicate(), binding.bytes());
        self.ask(move |module, client, config| {
            module.with_key(client, config, |open| {
                let parameters =
                    Pkcs11Parameters { mechanism: config.mechanism, key_id: open.key_id.clone() };
                let parameters = parameters.encode().map_err(|_| trouble::of_key_id())?;
                let blob = mechanisms::wrap(open, config.mechanism, &root_key, iv, &data)?;
                Ok(Wrapped { parameters, blob })
            })
        })
    }

    fn unwrap(&mut self, wrap: &Wrap, binding: &Binding) -> Result<Key32, DeviceError> {
        if wrap.wrap_type != WrapType::Pkcs11 {
            return Err(trouble::not_authentic());
        }
        let parameters = Pkcs11Parameters::decode(&wrap.parameters).map_err(|_| trouble::unknown())?;
        // What lies in the store in clear does not choose how the HSM is used.
        if parameters.mechanism != self.config.mechanism {
            return Err(trouble::other_mechanism());
        }
        Pkcs11Blob::decode(parameters.mechanism, &wrap.blob).map_err(|_| trouble::not_authentic())?;
        let (bytes, data, key_id) = (wrap.blob.clone(), binding.bytes(), parameters.key_id);
        let key = self.ask(move |module, client, config| {
            module.with_key(client, config, |open| {
                if open.key_id != key_id {
                    return Err(trouble::other_key().into());
                }
                let blob =
                    Pkcs11Blob::decode(config.mechanism, &bytes).map_err(|_| trouble::not_authentic())?;
                mechanisms::unwrap(open, config.mechanism, &blob, &data)
            })
        })?;
        // Key wrap and OAEP open whatever was made with the key, from wherever.
        if seal_record::root_id(key.expose(), &binding.context) == binding.root_id {
            Ok(key)
        } else {
            Err(trouble::not_authentic())
        }
    }

    fn health(&mut self) -> Result<(), DeviceError> {
        self.ask(|module, client, config| module.look(client, config))
    }
}

/// How long a device waits for its module when it is dropped.
const PARTING: Duration = Duration::from_secs(1);

impl Drop for Pkcs11Device {
    fn drop(&mut self) {
        let client = self.client;
        let (done, is_done) = mpsc::sync_channel(1);
        let told = thread::tell(&self.config.module, move |module| {
            module.forget(client);
            // Nobody may be waiting any more.
            let _ = done.send(());
        });
        // A process that ends while its module is in use takes it away under the thread, which crashes. Where there is no
        // thread, nothing is open; a module that hangs is left alone.
        if told.is_ok() {
            let _ = is_done.recv_timeout(PARTING);
        }
    }
}
