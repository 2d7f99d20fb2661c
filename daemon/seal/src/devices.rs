//! The devices that a configuration names, and what each may open.
//!
//! A wrap is opened by the device of its name and by no other: nothing is tried on the wrong HSM, and a PIN is shown to
//! no stranger. Calls block; they belong on threads of their own.
use crate::{
    Seal,
    device::{Binding, Count, Device, DeviceError, DeviceTrouble, Given},
    seals::{INHERIT, ListedWrap, NamedWrap, SHARES, listed},
};
use coffer_secmem::{Key32, leaving_nothing};
use coffer_types::{Entropy, EnvironmentPath, WrapId};
use keystore_format::{
    kdf::Context,
    seal_record::{self, Wrap, WrapState, WrapType},
    wrap_names,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A device as a configuration gives it.
pub struct Configured {
    /// Its name, which the wraps that it makes carry.
    pub name: String,
    /// The environments that may be sealed by it.
    pub environments: Vec<EnvironmentPath>,
    /// The only root keys that it gives out, by their public ids; any, where none is named. Whoever can encrypt for the
    /// device could else put a whole store of their own in place of ours.
    pub root_ids: Vec<[u8; 32]>,
    /// The device.
    pub device: Box<dyn Device>,
}

/// All configured devices.
#[derive(Default)]
pub struct Devices(Vec<NamedDevice>);

/// One of them.
pub struct NamedDevice {
    name: String,
    wrap_type: WrapType,
    environments: Vec<EnvironmentPath>,
    root_ids: Vec<[u8; 32]>,
    holds_pin: bool,
    device: Mutex<Box<dyn Device>>,
    health: Mutex<Option<Result<(), DeviceError>>>,
}

/// What a device made of a sealed environment.
pub struct Opened {
    /// The root key, proved by root id and by the seal record's MAC.
    pub root_key: Key32,
    /// The device's name.
    pub by: String,
}

/// A device that did not open, and why.
pub struct Refused {
    /// Its name, or what the wrap has in place of one.
    pub name: String,
    /// Why.
    pub error: DeviceError,
}

impl Devices {
    /// The devices of a configuration, in its order.
    ///
    /// # Errors
    /// A sentence, where a name can't be, or is there twice.
    pub fn new(configured: Vec<Configured>) -> Result<Self, String> {
        let mut devices: Vec<NamedDevice> = Vec::new();
        for Configured { name, environments, root_ids, device } in configured {
            Self::check_name(&name)?;
            if devices.iter().any(|other| other.name == name) {
                return Err(format!("two seals have the name \"{name}\""));
            }
            devices.push(NamedDevice {
                name,
                wrap_type: device.wrap_type(),
                environments,
                root_ids,
                holds_pin: device.holds_pin(),
                device: Mutex::new(device),
                health: Mutex::default(),
            });
        }
        Ok(Self(devices))
    }

    /// Whether a device may have this name.
    ///
    /// # Errors
    /// What a name can be.
    pub fn check_name(name: &str) -> Result<(), String> {
        if wrap_names::is_name(name) && ![INHERIT, SHARES].contains(&name) {
            return Ok(());
        }
        Err(format!(
            "a seal's name is 1 to {} of a to z, 0 to 9 and '-', not at its ends, and neither \"{INHERIT}\" nor \"{SHARES}\"",
            wrap_names::MAX_LEN
        ))
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &NamedDevice> {
        self.0.iter()
    }

    /// The device of this name, for this environment.
    ///
    /// # Errors
    /// [`DeviceTrouble::Configuration`] where the configuration has none.
    pub fn find(&self, name: &str, environment: &EnvironmentPath) -> Result<&NamedDevice, DeviceError> {
        let found = self.0.iter().find(|device| device.name == name);
        let found = found.ok_or("the configuration has no seal of this name: see `[[seal]]`");
        let allowed = found.and_then(|device| match device.may_seal(environment) {
            true => Ok(device),
            false => {
                Err("the configuration does not let this environment be sealed by it: see `environments`")
            }
        });
        allowed.map_err(|sentence| DeviceError::new(DeviceTrouble::Configuration, sentence))
    }

    /// Asks each device how it is, all at once.
    pub fn look(&self) {
        std::thread::scope(|scope| {
            for device in &self.0 {
                scope.spawn(|| device.look());
            }
        });
    }

    /// Opens a sealed environment by the devices of its wraps, those that are well first. `only` names one of them.
    ///
    /// # Errors
    /// Each device that was asked, and why it did not open; none where no wrap is by a device.
    pub fn open(
        &self,
        seal: &Seal,
        environment: &EnvironmentPath,
        only: Option<&str>,
        given: &Given,
    ) -> Result<Opened, Vec<Refused>> {
        let mut refused = Vec::new();
        for copy in seal.copies() {
            let record = copy.claimed();
            let mut wraps: Vec<_> = listed(record)
                .into_iter()
                .zip(&record.wraps)
                .filter(|(listed, _)| listed.is_current && is_by_device(listed.wrap_type))
                .filter(|(listed, _)| only.is_none_or(|only| only == listed.name))
                .map(|(listed, wrap)| (listed.name, wrap))
                .collect();
            wraps.sort_by_key(|(name, _)| !self.is_well(name));
            for (name, wrap) in wraps {
                let opened = self
                    .find(&name, environment)
                    .and_then(|device| device.open(record.ctx, record.root_id, wrap, given));
                match opened {
                    Ok(root_key) if seal.is_authentic(&root_key) => return Ok(Opened { root_key, by: name }),
                    Ok(_) => refused.push(Refused { name, error: altered() }),
                    Err(error) => refused.push(Refused { name, error }),
                }
            }
            // The older copy is of use only where the newer one was damaged.
            if !refused.iter().any(|refused| refused.error.kind == DeviceTrouble::NotAuthentic) {
                break;
            }
        }
        Err(refused)
    }

    fn is_well(&self, name: &str) -> bool {
        self.0.iter().any(|device| device.name == name && matches!(device.health(), Some(Ok(()))))
    }
}

impl NamedDevice {
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

    fn look(&self) {
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

    /// Opens one of its wraps.
    fn open(
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
        let result = leaving_nothing(|| lock(&self.device).unwrap_given(wrap, &binding, given));
        let health = match &result {
            // What is wrong with a wrap or a PIN is no illness of the device.
            Ok(_) => Some(Ok(())),
            Err(error) if is_illness(error.kind) => Some(Err(error.clone())),
            Err(_) => None,
        };
        if health.is_some() {
            *lock(&self.health) = health;
        }
        let root_key = result?;
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
        leaving_nothing(|| lock(&self.device).approve(wrap, owner_password, is_withdrawn))
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

/// Whether wraps of this type are made by devices.
#[must_use]
pub const fn is_by_device(wrap_type: WrapType) -> bool {
    !matches!(wrap_type, WrapType::Shamir | WrapType::Inherit)
}

const fn is_illness(kind: DeviceTrouble) -> bool {
    matches!(kind, DeviceTrouble::Unreachable | DeviceTrouble::Failed | DeviceTrouble::Locked)
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

fn altered() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::NotAuthentic,
        "the wrap does not hold the store's root key: the seal record was altered, or is of another store",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
