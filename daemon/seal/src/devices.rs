//! The devices that a configuration names, and what each may open.
//!
//! A wrap is opened by the device of its name and by no other: nothing is tried on the wrong HSM, and a PIN is shown to
//! no stranger. Calls block; they belong on threads of their own.
mod named;

pub use named::NamedDevice;

use crate::{
    Seal,
    device::{Device, DeviceError, DeviceTrouble, Given},
    seals::{INHERIT, SHARES, listed},
};
use coffer_secmem::Key32;
use coffer_types::EnvironmentPath;
use keystore_format::{seal_record::WrapType, wrap_names};

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
        for one in configured {
            Self::check_name(&one.name)?;
            if devices.iter().any(|other| other.name() == one.name) {
                return Err(format!("two seals have the name \"{}\"", one.name));
            }
            devices.push(NamedDevice::new(one));
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
        let found = self.0.iter().find(|device| device.name() == name);
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
        let mut refused: Vec<Refused> = Vec::new();
        // Which copy was altered nobody can tell before one of them has opened.
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
                // A PIN is shown once, and a device that is away is waited for once.
                if refused.iter().any(|refused| refused.name == name && is_of_device(refused.error.kind)) {
                    continue;
                }
                let opened = self.find(&name, environment).and_then(|device| {
                    let root_key = device.open(record.ctx, record.root_id, wrap, given)?;
                    if seal.is_authentic(&root_key) {
                        return Ok(root_key);
                    }
                    Err(device.did_not_open(wrap.id, named::altered()))
                });
                let error = match opened {
                    Ok(root_key) => return Ok(Opened { root_key, by: name }),
                    Err(error) => error,
                };
                if !refused.iter().any(|refused| refused.name == name && refused.error == error) {
                    refused.push(Refused { name, error });
                }
            }
        }
        Err(refused)
    }

    fn is_well(&self, name: &str) -> bool {
        self.0.iter().any(|device| device.name() == name && matches!(device.health(), Some(Ok(()))))
    }
}

/// Whether wraps of this type are made by devices.
#[must_use]
pub const fn is_by_device(wrap_type: WrapType) -> bool {
    !matches!(wrap_type, WrapType::Shamir | WrapType::Inherit)
}

/// Whether it is trouble with the device or its PIN, which another copy of the wrap can't end.
const fn is_of_device(kind: DeviceTrouble) -> bool {
    matches!(kind, DeviceTrouble::Unreachable | DeviceTrouble::WrongPin | DeviceTrouble::Locked)
}
