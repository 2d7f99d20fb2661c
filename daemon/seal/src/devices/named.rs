//! A configured device: asked one at a time, with what is known of how it is and of what it did not open.
use super::{Configured, is_of_device};
use crate::{
    device::{Binding, Count, Device, DeviceError, DeviceTrouble, Given},
    seals::{ListedWrap, NamedWrap},
};
use coffer_secmem::{Key32, leaving_nothing};
use coffer_types::{Entropy, EnvironmentPath, WrapId};
use keystore_format::{
    kdf::Context,
    seal_record::{self, Wrap, WrapState, WrapType},
};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One of the configured devices.
pub struct NamedDevice {
    name: String,
    wrap_type: WrapType,
    environments: Vec<EnvironmentPath>,
    root_ids: Vec<[u8; 32]>,
    holds_pin: bool,
    device: Mutex<Box<dyn Device>>,
    health: Mutex<Option<Result<(), DeviceError>>>,
    /// Wraps that it did not open when it was last asked to, for a reason that its health does not show.
    unopened: Mutex<BTreeMap<WrapId, DeviceError>>,
}

impl NamedDevice {
    pub(super) fn new(configured: Configured) -> Self {
        let Configured { name, environments, root_ids, device } = configured;
        Self {
            name,
            wrap_type: device.wrap_type(),
            environments,
            root_ids,
            holds_pin: device.holds_pin(),
            device: Mutex::new(device),
            health: Mutex::default(),
            unopened: Mutex::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of wraps that it makes.
    #[must_use]
    pub const fn wrap_type(&self) -> WrapType {
        self.wrap_type
    }

    /// Whether it has a counter that only grows.
    #[must_use]
    pub fn has_counter(&self) -> bool {
        lock(&self.device).has_counter()
    }

    /// Asks its counter; see [`Device::counter`].
    ///
    /// # Errors
    /// Why the device could not.
    pub fn counter(&self, wrap: &Wrap, auth: &Key32, count: &Count<'_>) -> Result<u64, DeviceError> {
        leaving_nothing(|| lock(&self.device).counter(wrap, auth, count))
    }

    /// Whether it may seal this environment.
    #[must_use]
    pub fn may_seal(&self, environment: &EnvironmentPath) -> bool {
        self.environments.contains(environment)
    }

    /// Whether it gives out certain root keys only.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        !self.root_ids.is_empty()
    }

    /// Whether its pins let it give out the root key of this id.
    #[must_use]
    pub fn gives_out(&self, root_id: &[u8; 32]) -> bool {
        self.root_ids.is_empty() || self.root_ids.contains(root_id)
    }

    /// Whether this wrap of it opens only where an operator gives the PIN.
    #[must_use]
    pub const fn waits_for_pin(&self, wrap: &ListedWrap) -> bool {
        wrap.takes_pin && !self.holds_pin
    }

    /// How it was when it was last asked; `None` before that.
    #[must_use]
    pub fn health(&self) -> Option<Result<(), DeviceError>> {
        lock(&self.health).clone()
    }

    /// Whether it would open this wrap of it, as far as is known: why it did not when it was last asked to, or else how it
    /// is.
    #[must_use]
    pub fn health_for(&self, wrap: WrapId) -> Option<Result<(), DeviceError>> {
        let unopened = lock(&self.unopened).get(&wrap).cloned();
        unopened.map_or_else(|| self.health(), |error| Some(Err(error)))
    }

    pub(super) fn look(&self) {
        let health = lock(&self.device).health();
        *lock(&self.health) = Some(health);
    }

    /// Wraps a root key, and proves that the wrap opens. `older` is the wrap that the new one takes the place of.
    ///
    /// # Errors
    /// Why the device could not.
    pub fn wrap(
        &self,
        root_key: &Key32,
        context: Context,
        older: Option<&Wrap>,
        given: &Given,
        entropy: &dyn Entropy,
    ) -> Result<NamedWrap, DeviceError> {
        let id = WrapId(coffer_types::random(entropy).map_err(|_| {
            DeviceError::new(DeviceTrouble::Failed, "the operating system gave no randomness")
        })?);
        let root_id = seal_record::root_id(root_key.expose(), &context);
        let binding = Binding { context, wrap: id, root_id };
        if let Some(older) = older {
            lock(&self.unopened).remove(&older.id);
        }
        let mut device = lock(&self.device);
        let made = leaving_nothing(|| device.enroll(root_key, &binding, older, given))?;
        let wrap = Wrap {
            id,
            wrap_type: self.wrap_type,
            state: WrapState::Current,
            parameters: made.parameters,
            blob: made.blob,
        };
        let proof = leaving_nothing(|| device.unwrap_given(&wrap, &binding, &pin_of(given)))?;
        if seal_record::root_id(proof.expose(), &context) != root_id {
            return Err(DeviceError::new(
                DeviceTrouble::Failed,
                "what the device wrapped it does not open again: its key must not change",
            ));
        }
        Ok(NamedWrap { name: self.name.clone(), wrap })
    }

    /// Opens one of its wraps, and remembers how that went.
    pub(super) fn open(
        &self,
        context: Context,
        root_id: [u8; 32],
        wrap: &Wrap,
        given: &Given,
    ) -> Result<Key32, DeviceError> {
        let result = self.opened(context, root_id, wrap, given);
        let mut unopened = lock(&self.unopened);
        match &result {
            Ok(_) => {
                unopened.remove(&wrap.id);
                *lock(&self.health) = Some(Ok(()));
            }
            Err(error) => match error.kind {
                // What an operator mistypes, or has not typed yet, is no trouble of the seal.
                DeviceTrouble::WrongPin if given.pin.is_some() => {}
                DeviceTrouble::NeedsPin => {}
                kind if is_of_device(kind) || kind == DeviceTrouble::Failed => {
                    unopened.remove(&wrap.id);
                    *lock(&self.health) = Some(Err(error.clone()));
                }
                _ => drop(unopened.insert(wrap.id, error.clone())),
            },
        }
        result
    }

    /// Remembers why it did not open a wrap.
    pub(super) fn did_not_open(&self, wrap: WrapId, error: DeviceError) -> DeviceError {
        lock(&self.unopened).insert(wrap, error.clone());
        error
    }

    fn opened(
        &self,
        context: Context,
        root_id: [u8; 32],
        wrap: &Wrap,
        given: &Given,
    ) -> Result<Key32, DeviceError> {
        if wrap.wrap_type != self.wrap_type {
            return Err(other_type());
        }
        if !self.gives_out(&root_id) {
            return Err(DeviceError::new(
                DeviceTrouble::Configuration,
                "the store's root key is none of those in `root_ids`: the store was put in place of another, or the root key was rotated since",
            ));
        }
        let binding = Binding { context, wrap: wrap.id, root_id };
        let root_key = leaving_nothing(|| lock(&self.device).unwrap_given(wrap, &binding, given))?;
        let is_its = seal_record::root_id(root_key.expose(), &context) == root_id;
        if is_its { Ok(root_key) } else { Err(altered()) }
    }

    /// Approves how the machine was started for one of its wraps, or takes that back: see [`Device::approve`].
    ///
    /// # Errors
    /// Why the device could not.
    pub fn approve(&self, wrap: &Wrap, owner_password: &str, is_withdrawn: bool) -> Result<(), DeviceError> {
        if wrap.wrap_type != self.wrap_type {
            return Err(other_type());
        }
        leaving_nothing(|| lock(&self.device).approve(wrap, owner_password, is_withdrawn))?;
        // Whether it opens now is seen when it is asked to.
        lock(&self.unopened).remove(&wrap.id);
        Ok(())
    }

    /// Proves that it opens its wrap of the root key of this id.
    ///
    /// # Errors
    /// Why it does not.
    pub fn prove(
        &self,
        context: Context,
        root_id: [u8; 32],
        wrap: &Wrap,
        given: &Given,
    ) -> Result<(), DeviceError> {
        self.open(context, root_id, wrap, given).map(drop)
    }
}

/// Of what was given for making a wrap, what opens it.
fn pin_of(given: &Given) -> Given {
    Given { pin: given.pin.clone(), ..Given::default() }
}

fn other_type() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "the seal of this name was of another type: configure the device that it was made with",
    )
}

pub(super) fn altered() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::NotAuthentic,
        "the wrap does not hold the store's root key: the seal record was altered, or is of another store, and a backup brings the right one back",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
