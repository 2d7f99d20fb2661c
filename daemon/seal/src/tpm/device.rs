//! The device: what the daemon asks of a TPM, one operation at a time.
use super::{
    approval::{self, Approval},
    capability,
    command::Tpm,
    counter::Counter,
    error::{Name, PolicyFault, Result, TpmError},
    object, policy,
    session::{Kind, Session},
    srk::Srk,
    transport::{Address, Channel, Wire},
};
use crate::device::{Binding, Count, Device, DeviceError, DeviceTrouble, Given, Wrapped};
use coffer_secmem::Key32;
use coffer_types::Entropy;
use keystore_format::{
    error::FormatError,
    seal_record::{Wrap, WrapType},
    tpm_wrap::{PcrSelection, TpmBlob, TpmParameters},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// Where a PIN comes from, asked once for each operation that needs it.
pub type PinSource = Arc<dyn Fn() -> std::result::Result<Zeroizing<Vec<u8>>, DeviceError> + Send + Sync>;
/// The password of the TPM's owner, empty where it has none.
pub type OwnerPassword = Zeroizing<Vec<u8>>;

/// How a TPM is used.
#[derive(Clone)]
pub struct TpmConfig {
    /// Where it is.
    pub address: Address,
    /// The registers that new wraps look at.
    pub pcrs: Option<PcrSelection>,
    /// The PIN; new wraps need it where there is a source.
    pub pin: Option<PinSource>,
    /// The NV index that holds the approved policy: see [`super::APPROVAL_INDEX`].
    pub approval_index: u32,
    /// The only storage root key that will do. Without it, a wrap's own record says which it was, and whoever can change
    /// both the record and the bus could listen in.
    pub srk_name: Option<Name>,
    /// The NV index of the counter against an older store, where there is to be one.
    pub counter_index: Option<u32>,
    /// How long an operation may take.
    pub deadline: Duration,
}

pub(super) type Connect = Arc<dyn Fn(&Address, Instant) -> Result<Box<dyn Channel>> + Send + Sync>;

/// A TPM 2.0.
pub struct TpmDevice {
    config: TpmConfig,
    entropy: Arc<dyn Entropy>,
    connect: Connect,
    /// What the TPM said of the configured PIN, where it was wrong: a TPM locks after a few, so it is not shown again
    /// before another device is made from the configuration.
    refused_pin: Option<DeviceError>,
}

impl TpmDevice {
    /// Nothing is asked of the TPM yet.
    #[must_use]
    pub fn new(config: TpmConfig, entropy: Arc<dyn Entropy>) -> Self {
        Self::over(
            config,
            entropy,
            Arc::new(|address, deadline| Ok(Box::new(Wire::open(address, deadline)?))),
        )
    }

    /// As [`TpmDevice::new`], over another way to the TPM.
    pub(super) fn over(config: TpmConfig, entropy: Arc<dyn Entropy>, connect: Connect) -> Self {
        Self { config, entropy, connect, refused_pin: None }
    }

    /// The name of its storage root key, to be pinned.
    ///
    /// # Errors
    /// Why the TPM could not.
    pub fn srk_name(&mut self) -> std::result::Result<Name, DeviceError> {
        let pinned = self.config.srk_name;
        self.operate(|tpm| Ok(Srk::find(tpm, pinned.as_ref())?.name))
    }

    /// Approves what was started: the registers as they are now, and the PIN where one is configured. With an owner password
    /// it makes the storage root key persistent, so that unsealing needs none.
    ///
    /// # Errors
    /// [`DeviceTrouble::Configuration`] where there are registers and the owner password is empty; why the TPM could not.
    pub fn approve(&mut self, owner: &OwnerPassword) -> std::result::Result<(), DeviceError> {
        let (pcrs, has_pin) = self.conditions()?;
        self.approve_for(owner, pcrs, has_pin)
    }

    fn approve_for(
        &mut self,
        owner: &OwnerPassword,
        pcrs: Option<PcrSelection>,
        has_pin: bool,
    ) -> std::result::Result<(), DeviceError> {
        if pcrs.is_some() && owner.is_empty() {
            return Err(DeviceError::new(
                DeviceTrouble::Configuration,
                "the TPM's owner password must not be empty where registers are looked at: whoever starts the machine could \
                 approve what they started; set one with tpm2_changeauth -c owner",
            ));
        }
        self.write_approval(owner, move |tpm, session| {
            let measured = pcrs
                .map(|pcrs| Ok::<_, TpmError>((pcrs, policy::read_pcrs(tpm, session, pcrs)?)))
                .transpose()?;
            Ok(Some(policy::digest(measured, has_pin)))
        })
    }

    /// Approves registers that are not there yet, by their hash, lowest first: those of an update, before the restart.
    ///
    /// # Errors
    /// As [`TpmDevice::approve`].
    pub fn approve_expected(
        &mut self,
        owner: &OwnerPassword,
        pcr_digest: [u8; 32],
    ) -> std::result::Result<(), DeviceError> {
        let (pcrs, has_pin) = self.conditions()?;
        let Some(pcrs) = pcrs.filter(|_| !owner.is_empty()) else {
            return Err(DeviceError::new(
                DeviceTrouble::Configuration,
                "registers can be approved only where they are configured, and with an owner password that is not empty",
            ));
        };
        self.write_approval(owner, move |_, _| Ok(Some(policy::digest(Some((pcrs, pcr_digest)), has_pin))))
    }

    /// Takes the approval back: nothing opens until there is another.
    ///
    /// # Errors
    /// [`DeviceTrouble::Policy`] where there is none; why the TPM could not.
    pub fn withdraw(&mut self, owner: &OwnerPassword) -> std::result::Result<(), DeviceError> {
        self.write_approval(owner, |_, _| Ok(None))
    }

    /// What the TPM says is approved. A man on the bus can change this answer, though not what it means for unsealing.
    ///
    /// # Errors
    /// Why the TPM could not.
    pub fn approval(&mut self) -> std::result::Result<Approval, DeviceError> {
        let index = self.config.approval_index;
        self.operate(|tpm| approval::read(tpm, index))
    }

    /// Defines a counter for rollback protection at this NV index, by the owner, and gives its first value.
    ///
    /// # Errors
    /// [`DeviceTrouble::NotAuthentic`] where something is there already; why the TPM could not.
    pub fn define_counter(
        &mut self,
        index: u32,
        owner: &OwnerPassword,
        auth: &Key32,
    ) -> std::result::Result<u64, DeviceError> {
        let pinned = self.config.srk_name;
        self.operate(|tpm| {
            let srk = Srk::provide(tpm, pinned.as_ref(), owner)?;
            Counter(index).define(tpm, &srk, owner, auth.expose())
        })
    }

    /// The value of a counter. `srk` is the key that it was defined beside, as [`TpmDevice::srk_name`] gave it.
    ///
    /// # Errors
    /// [`DeviceTrouble::NotAuthentic`] where it is not the one that was defined; why the TPM could not.
    pub fn read_counter(
        &mut self,
        index: u32,
        srk: &Name,
        auth: &Key32,
    ) -> std::result::Result<u64, DeviceError> {
        self.operate(|tpm| {
            let srk = Srk::find(tpm, Some(srk))?;
            Counter(index).read(tpm, &srk, auth.expose())
        })
    }

    /// Raises a counter by one where that gives `wanted`, and gives the value that it then has. After a lost connection it is
    /// asked again, and so is raised once.
    ///
    /// # Errors
    /// As [`TpmDevice::read_counter`].
    pub fn raise_counter(
        &mut self,
        index: u32,
        srk: &Name,
        auth: &Key32,
        wanted: u64,
    ) -> std::result::Result<u64, DeviceError> {
        self.operate(|tpm| {
            let srk = Srk::find(tpm, Some(srk))?;
            Counter(index).raise_to(tpm, &srk, auth.expose(), wanted)
        })
    }

    /// Registers and whether there is a PIN, for new wraps and approvals.
    fn conditions(&self) -> std::result::Result<(Option<PcrSelection>, bool), DeviceError> {
        match (self.config.pcrs, self.config.pin.is_some()) {
            (None, false) => Err(DeviceError::new(
                DeviceTrouble::Configuration,
                "a seal by TPM needs registers, a PIN or both: else whoever has the machine has the key",
            )),
            conditions => Ok(conditions),
        }
    }

    /// The authorisation value for the PIN; empty without one. Asked before the TPM is, since people take their time.
    fn auth(&self, is_needed: bool) -> std::result::Result<Zeroizing<Vec<u8>>, DeviceError> {
        let wanted = |sentence| Err(DeviceError::new(DeviceTrouble::Configuration, sentence));
        match (is_needed, &self.config.pin) {
            (false, _) => Ok(Zeroizing::new(Vec::new())),
            (true, None) => Err(needs_pin()),
            (true, Some(source)) => match object::auth_value(&source()?) {
                auth if auth.iter().all(|byte| *byte == 0) => wanted("the PIN is empty"),
                auth => Ok(auth),
            },
        }
    }

    /// Refuses where the configured PIN is needed and was wrong.
    fn check_pin(&self, is_needed: bool) -> std::result::Result<(), DeviceError> {
        match &self.refused_pin {
            Some(refused) if is_needed => Err(refused.clone()),
            _ => Ok(()),
        }
    }

    /// The same TPM under the conditions of one operation: of the wrap that is to be made anew, or that an operator gave,
    /// or else those that are configured.
    fn with(&self, older: Option<&Wrap>, given: &Given) -> std::result::Result<Self, DeviceError> {
        let mut config = self.config.clone();
        if let Some(pin) = &given.pin {
            let pin = Zeroizing::new(pin.as_bytes().to_vec());
            config.pin = Some(Arc::new(move || Ok(pin.clone())));
        }
        let wrong = |sentence| Err(DeviceError::new(DeviceTrouble::Configuration, sentence));
        match (older, &given.pcrs) {
            (None, None) => {}
            (None, Some(text)) => match policy::parse_pcrs(text) {
                Ok(pcrs) => config.pcrs = Some(pcrs),
                Err(sentence) => return wrong(sentence),
            },
            (Some(_), Some(_)) => {
                return wrong("a seal keeps its registers: remove it, and add it again with others");
            }
            (Some(older), None) => {
                let conditions = TpmParameters::decode(&older.parameters).map_err(|error| altered(&error))?;
                config.pcrs = conditions.pcrs;
                match (conditions.pin, &config.pin) {
                    (true, None) => return Err(needs_pin()),
                    (true, Some(_)) => {}
                    (false, _) => config.pin = None,
                }
            }
        }
        // A PIN that an operator gives is shown once for each time that it is given.
        let refused_pin = if given.pin.is_some() { None } else { self.refused_pin.clone() };
        let (entropy, connect) = (Arc::clone(&self.entropy), Arc::clone(&self.connect));
        Ok(Self { config, entropy, connect, refused_pin })
    }

    /// Sees to it that something is approved: what was started now, where nothing is or the owner asks for it.
    fn see_approved(&mut self, given: &Given) -> std::result::Result<(), DeviceError> {
        match &given.owner_password {
            Some(owner) => self.approve(&Zeroizing::new(owner.as_bytes().to_vec())),
            None if matches!(self.approval()?, Approval::Policy(_)) => Ok(()),
            None => self.approve(&OwnerPassword::default()),
        }
    }

    /// Opens a wrap, with one showing of the PIN.
    fn open(&mut self, wrap: &Wrap) -> std::result::Result<Key32, DeviceError> {
        let read =
            TpmParameters::decode(&wrap.parameters).and_then(|it| Ok((it, TpmBlob::decode(&wrap.blob)?)));
        let (parameters, blob) = read.map_err(|error| altered(&error))?;
        let pinned = self.config.srk_name.unwrap_or(parameters.srk_name);
        let TpmParameters { pin, pcrs, approval_index, .. } = parameters;
        self.check_pin(pin)?;
        let auth = self.auth(pin)?;
        self.operate(|tpm| {
            let srk = Srk::find(tpm, Some(&pinned))?;
            let object = object::load(tpm, &srk, &blob, &approval::object_policy(approval_index), pin)?;
            let session = Session::start(tpm, &srk, Kind::Policy)?;
            policy::satisfy(tpm, session.handle, pcrs, pin)?;
            approval::authorize(tpm, session.handle, approval_index)?;
            object::unseal(tpm, object, session, &auth)
        })
    }

    fn write_approval(
        &mut self,
        owner: &OwnerPassword,
        policy: impl Fn(&mut Tpm, &mut Session) -> Result<Option<[u8; 32]>>,
    ) -> std::result::Result<(), DeviceError> {
        let (pinned, index) = (self.config.srk_name, self.config.approval_index);
        self.operate(|tpm| {
            let srk = Srk::provide(tpm, pinned.as_ref(), owner)?;
            let mut session = Session::start(tpm, &srk, Kind::Hmac)?;
            let policy = policy(tpm, &mut session)?;
            approval::write(tpm, &mut session, index, owner, policy)
        })
    }

    /// Connects, does it and leaves nothing behind. A connection that ends in between, as by a restart of the TPM, is made
    /// once more, unless a PIN was shown.
    fn operate<T>(
        &mut self,
        operation: impl Fn(&mut Tpm) -> Result<T>,
    ) -> std::result::Result<T, DeviceError> {
        let deadline = Instant::now() + self.config.deadline;
        let mut once_more = true;
        loop {
            let done = (self.connect)(&self.config.address, deadline).and_then(|channel| {
                let mut tpm = Tpm::new(channel, self.entropy.clone(), deadline);
                let done = operation(&mut tpm).map_err(|error| explained(error, &mut tpm));
                tpm.finish();
                once_more &= !tpm.has_shown_pin;
                done
            });
            match done {
                Err(TpmError::Lost) if once_more => once_more = false,
                done => {
                    return done.map_err(|error| error.into_device_error(&self.config.address.to_string()));
                }
            }
        }
    }
}

impl Device for TpmDevice {
    fn wrap_type(&self) -> WrapType {
        WrapType::Tpm2
    }

    /// Binds to nothing: a TPM takes no associated data, and the root id proves the key.
    fn wrap(&mut self, root_key: &Key32, _binding: &Binding) -> std::result::Result<Wrapped, DeviceError> {
        let (pcrs, pin) = self.conditions()?;
        let auth = self.auth(pin)?;
        let (pinned, approval_index) = (self.config.srk_name, self.config.approval_index);
        self.operate(|tpm| {
            let srk = Srk::find(tpm, pinned.as_ref())?;
            let session = Session::start(tpm, &srk, Kind::Hmac)?;
            let policy = approval::object_policy(approval_index);
            let blob = object::create(tpm, &srk, session, root_key, &auth, &policy)?;
            let parameters = TpmParameters { srk_name: srk.name, pin, pcrs, approval_index };
            Ok(Wrapped { parameters: parameters.encode()?, blob: blob.encode()? })
        })
    }

    fn enroll(
        &mut self,
        root_key: &Key32,
        binding: &Binding,
        older: Option<&Wrap>,
        given: &Given,
    ) -> std::result::Result<Wrapped, DeviceError> {
        let mut device = self.with(older, given)?;
        if older.is_none() {
            device.see_approved(given)?;
        }
        device.wrap(root_key, binding)
    }

    fn unwrap_given(
        &mut self,
        wrap: &Wrap,
        binding: &Binding,
        given: &Given,
    ) -> std::result::Result<Key32, DeviceError> {
        match given.pin {
            Some(_) => self.with(None, given)?.open(wrap),
            None => self.unwrap(wrap, binding),
        }
    }

    fn unwrap(&mut self, wrap: &Wrap, _binding: &Binding) -> std::result::Result<Key32, DeviceError> {
        let opened = self.open(wrap);
        let Err(DeviceError { kind: DeviceTrouble::WrongPin, sentence }) = opened else { return opened };
        let refused = self.refused_pin.get_or_insert_with(|| {
            let sentence =
                format!("{sentence}, and is not tried again: put it in its place and restart the daemon");
            DeviceError::new(DeviceTrouble::WrongPin, sentence)
        });
        Err(refused.clone())
    }

    fn has_counter(&self) -> bool {
        self.config.counter_index.is_some()
    }

    fn counter(
        &mut self,
        wrap: &Wrap,
        auth: &Key32,
        count: &Count<'_>,
    ) -> std::result::Result<u64, DeviceError> {
        let Some(index) = self.config.counter_index else {
            return Err(DeviceError::new(
                DeviceTrouble::Configuration,
                "the configuration gives this TPM no `counter_index`",
            ));
        };
        let srk = TpmParameters::decode(&wrap.parameters).map_err(|error| altered(&error))?.srk_name;
        match count {
            Count::Define(owner) => {
                let defined = self.define_counter(index, &Zeroizing::new(owner.to_vec()), auth);
                // An answer may have been lost: then it is there, and ours.
                defined.or_else(|error| self.read_counter(index, &srk, auth).map_err(|_| error))
            }
            Count::Read => self.read_counter(index, &srk, auth),
            Count::RaiseTo(wanted) => self.raise_counter(index, &srk, auth, *wanted),
        }
    }

    /// For what the wrap looks at, which needs not be what is configured now. The PIN itself has no part in an approval.
    fn approve(
        &mut self,
        wrap: &Wrap,
        owner_password: &str,
        is_withdrawn: bool,
    ) -> std::result::Result<(), DeviceError> {
        let of = TpmParameters::decode(&wrap.parameters).map_err(|error| altered(&error))?;
        let mut device = self.with(None, &Given::default())?;
        device.config.approval_index = of.approval_index;
        let owner = Zeroizing::new(owner_password.as_bytes().to_vec());
        if is_withdrawn { device.withdraw(&owner) } else { device.approve_for(&owner, of.pcrs, of.pin) }
    }

    fn holds_pin(&self) -> bool {
        self.config.pin.is_some()
    }

    fn health(&mut self) -> std::result::Result<(), DeviceError> {
        let has_pin = self.config.pin.is_some();
        self.check_pin(has_pin)?;
        self.operate(|tpm| match capability::is_locked(tpm)? {
            true if has_pin => Err(TpmError::Locked(capability::tries(tpm).ok())),
            _ => Ok(()),
        })
    }
}

fn needs_pin() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::NeedsPin,
        "this seal needs its PIN, which the configuration does not have: give it with --pin",
    )
}

fn altered(error: &FormatError) -> DeviceError {
    DeviceError::new(DeviceTrouble::NotAuthentic, format!("the wrap by TPM was altered: its {error}"))
}

/// `TPM_RC_LOCKOUT`.
const LOCKOUT: u32 = 0x921;
/// `TPM_RC_AUTH_FAIL` and `TPM_RC_POLICY_FAIL`.
const AUTH_FAIL: u32 = 0x08e;
const POLICY_FAIL: u32 = 0x09d;

/// Codes that mean the same whatever was asked, with what the TPM says about them.
fn explained(error: TpmError, tpm: &mut Tpm) -> TpmError {
    match error.code() {
        Some(LOCKOUT) => TpmError::Locked(capability::tries(tpm).ok()),
        Some(AUTH_FAIL) if tpm.has_shown_pin => TpmError::WrongPin(capability::tries(tpm).ok()),
        Some(POLICY_FAIL) => TpmError::Policy(PolicyFault::OtherState),
        _ => error,
    }
}
