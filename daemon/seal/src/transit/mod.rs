//! A root key under a transit key of another Coffer, OpenBao or Vault.
//!
//! The other server is asked over TLS with a client certificate, a token or both. The root key travels inside TLS and is
//! seen by that server's memory: who has that server has the root key, as with any HSM that others run.
//!
//! Nothing is tried again by itself, and each operation connects anew ([`thread`]). A token lives on by being used: after
//! each operation, and in [`Device::health`], it is renewed where less than half of its life is left. So health must be
//! asked more often than that.
//!
//! Deliberately missing: logging in for a token (by certificate, AppRole or the like), which needs a secret or a role that a
//! token source can hide as well; and making the key, which is for that server's own people.
mod config;
mod session;
mod thread;
mod trouble;

pub use config::{DEADLINE, Identity, TransitConfig};

use crate::device::{Binding, Device, DeviceError, Wrapped};
use coffer_secmem::Key32;
use keystore_format::{
    seal_record::{self, Wrap, WrapType},
    transit_wrap::{TransitBlob, TransitParameters},
};
use std::sync::Arc;

/// A transit key.
pub struct TransitDevice {
    config: Arc<TransitConfig>,
}

impl TransitDevice {
    /// The device of a configuration. Asks the server nothing: one that is not there yet is no reason not to start.
    ///
    /// # Errors
    /// [`crate::device::DeviceTrouble::Configuration`].
    pub fn new(config: TransitConfig) -> Result<Self, DeviceError> {
        config.check()?;
        Ok(Self { config: Arc::new(config) })
    }
}

impl Device for TransitDevice {
    fn wrap_type(&self) -> WrapType {
        WrapType::Transit
    }

    fn wrap(&mut self, root_key: &Key32, binding: &Binding) -> Result<Wrapped, DeviceError> {
        let (root_key, data) = (root_key.duplicate(), binding.bytes());
        thread::ask(&self.config, move |session| async move { session.wrap(&root_key, &data).await })
    }

    fn unwrap(&mut self, wrap: &Wrap, binding: &Binding) -> Result<Key32, DeviceError> {
        if wrap.wrap_type != WrapType::Transit {
            return Err(trouble::not_authentic());
        }
        let parameters = TransitParameters::decode(&wrap.parameters).map_err(|_| trouble::unknown())?;
        let blob = TransitBlob::decode(&wrap.blob).map_err(|_| trouble::unknown())?;
        // What lies in the store in clear does not choose how the key is used.
        if parameters.associated_data != self.config.associated_data {
            return Err(trouble::other_binding());
        }
        let data = binding.bytes();
        let key = thread::ask(&self.config, move |session| async move {
            session.unwrap(&parameters, &blob, &data).await
        })?;
        // Without associated data whatever the key has ever encrypted opens, from wherever.
        if seal_record::root_id(key.expose(), &binding.context) == binding.root_id {
            Ok(key)
        } else {
            Err(trouble::not_authentic())
        }
    }

    fn health(&mut self) -> Result<(), DeviceError> {
        thread::ask(&self.config, |session| async move { session.look().await })
    }
}
