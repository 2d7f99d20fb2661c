//! What keeps a key of its own outside the daemon and wraps root keys under it: an HSM, a TPM, another daemon, a file.
//!
//! A device is slow and can be lost, so it is asked on a thread of its own and never on the request path. Nothing here
//! tries again by itself: a PIN that is tried again is a PIN that locks.
use coffer_secmem::Key32;
use keystore_format::{
    ids::WrapId,
    kdf::Context,
    seal_record::{Wrap, WrapType},
};
use std::fmt;
use zeroize::Zeroizing;

/// What a wrap is bound to. A device that takes associated data authenticates it; the root id is checked in any case.
#[derive(Clone, Copy)]
pub struct Binding {
    /// Store and environment.
    pub context: Context,
    /// The wrap's own id.
    pub wrap: WrapId,
    /// The root key's public id.
    pub root_id: [u8; 32],
}

impl Binding {
    /// `version u8 = 1 ‖ ctx[32] ‖ wrap id[16] ‖ root id[32]`, as of `FORMAT.md` §6.1: 81 bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; 81] {
        let mut bytes = [0; 81];
        let (version, rest) = bytes.split_at_mut(1);
        let (context, rest) = rest.split_at_mut(32);
        let (wrap, root_id) = rest.split_at_mut(16);
        version.copy_from_slice(&[1]);
        context.copy_from_slice(&self.context.bytes());
        wrap.copy_from_slice(self.wrap.as_bytes());
        root_id.copy_from_slice(&self.root_id);
        bytes
    }
}

/// A root key under a device's key: what goes into the seal record.
pub struct Wrapped {
    /// What the device needs besides the blob, in clear.
    pub parameters: Vec<u8>,
    /// The wrapped root key.
    pub blob: Vec<u8>,
}

/// What an operator gives for one operation, beside the configuration. Forgotten after it.
#[derive(Default)]
pub struct Given {
    /// The PIN, as it was typed.
    pub pin: Option<Zeroizing<String>>,
    /// The registers of a TPM that a new wrap looks at, as `sha256:7,11`.
    pub pcrs: Option<String>,
    /// The password of a TPM's owner, who approves what a new wrap looks at.
    pub owner_password: Option<Zeroizing<String>>,
}

impl Given {
    /// Whether nothing was given.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.pin.is_none() && self.pcrs.is_none() && self.owner_password.is_none()
    }

    /// Refuses what the device can't use, so that nobody believes a PIN is asked for.
    pub(crate) fn refuse(&self) -> Result<(), DeviceError> {
        if self.is_nothing() {
            return Ok(());
        }
        Err(DeviceError::new(
            DeviceTrouble::Configuration,
            "this seal takes no PIN, registers or owner password from an operator: they belong to seals by TPM",
        ))
    }
}

/// What is asked of a counter that only grows.
pub enum Count<'a> {
    /// To be there, by the owner's password.
    Define(&'a [u8]),
    /// Its value.
    Read,
    /// To count one on, where that gives this value: asked twice, it counts once.
    RaiseTo(u64),
}

/// Something outside the daemon that wraps root keys. Calls block.
pub trait Device: Send {
    /// Which wraps it makes and opens.
    fn wrap_type(&self) -> WrapType;

    /// Wraps a root key.
    ///
    /// # Errors
    /// Why the device could not.
    fn wrap(&mut self, root_key: &Key32, binding: &Binding) -> Result<Wrapped, DeviceError>;

    /// As [`Device::wrap`], with what an operator gave, and under the conditions of an older wrap where there is one.
    ///
    /// # Errors
    /// Why the device could not; [`DeviceTrouble::Configuration`] where it can't use what was given.
    fn enroll(
        &mut self,
        root_key: &Key32,
        binding: &Binding,
        _older: Option<&Wrap>,
        given: &Given,
    ) -> Result<Wrapped, DeviceError> {
        given.refuse()?;
        self.wrap(root_key, binding)
    }

    /// As [`Device::unwrap`], with what an operator gave.
    ///
    /// # Errors
    /// As [`Device::enroll`].
    fn unwrap_given(&mut self, wrap: &Wrap, binding: &Binding, given: &Given) -> Result<Key32, DeviceError> {
        given.refuse()?;
        self.unwrap(wrap, binding)
    }

    /// Opens a wrap of its type. The key is what the device gave: that it is the root key of `binding` is proved by the
    /// caller, by root id and the seal record's MAC.
    ///
    /// # Errors
    /// Why the device could not.
    fn unwrap(&mut self, wrap: &Wrap, binding: &Binding) -> Result<Key32, DeviceError>;

    /// Whether it has a counter that only grows, beside which the store's head is laid.
    fn has_counter(&self) -> bool {
        false
    }

    /// Asks its counter, with the authorisation value `auth`; gives the value after it. `wrap` is the device's own in the
    /// seal record, which names what it was made with.
    ///
    /// # Errors
    /// [`DeviceTrouble::Configuration`] where it has none; why the device could not.
    fn counter(&mut self, _wrap: &Wrap, _auth: &Key32, _count: &Count<'_>) -> Result<u64, DeviceError> {
        Err(DeviceError::new(
            DeviceTrouble::Configuration,
            "this seal has no counter: only a TPM has, with `counter_index` in the configuration",
        ))
    }

    /// Approves how the machine was started, for this wrap; or takes the approval back, so that nothing opens until there is
    /// another. `owner_password` is that of the device's owner.
    ///
    /// # Errors
    /// [`DeviceTrouble::Configuration`] where it does not look at that; why it could not.
    fn approve(
        &mut self,
        _wrap: &Wrap,
        _owner_password: &str,
        _is_withdrawn: bool,
    ) -> Result<(), DeviceError> {
        Err(DeviceError::new(
            DeviceTrouble::Configuration,
            "this seal does not look at how the machine was started: approvals belong to seals by TPM",
        ))
    }

    /// Whether it knows by itself all that opening takes: false where an operator has to give a PIN that a wrap asks for.
    fn holds_pin(&self) -> bool {
        true
    }

    /// Whether it can be reached, without using its key.
    ///
    /// # Errors
    /// Why it can't.
    fn health(&mut self) -> Result<(), DeviceError>;
}

/// Why a device does not do what it is asked: a kind that programs tell apart, and a sentence for the operator that says
/// what would be right. Never holds a PIN, a key or what came from the device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceError {
    /// What kind of trouble it is.
    pub kind: DeviceTrouble,
    /// One sentence.
    pub sentence: String,
}

/// Kinds of trouble with a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceTrouble {
    /// Its configuration can't be right: no such module, key or file.
    Configuration,
    /// It can't be reached, or was lost: try again when it is back.
    Unreachable,
    /// The PIN or authorisation is wrong; it is not tried again.
    WrongPin,
    /// The PIN or the device is locked after too many wrong ones.
    Locked,
    /// It needs a PIN, which only an operator can give.
    NeedsPin,
    /// Its policy refuses: the machine was started with other firmware or software than was approved.
    Policy,
    /// The wrap is not one of this device's key, or was altered.
    NotAuthentic,
    /// Anything else that the device reports.
    Failed,
}

impl DeviceError {
    /// Trouble of this kind.
    pub fn new(kind: DeviceTrouble, sentence: impl Into<String>) -> Self {
        Self { kind, sentence: sentence.into() }
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for DeviceError {}
