//! A module as its thread has it: loaded, initialised, with one open token for each device that uses it.
use super::{
    Pkcs11Config, TokenName,
    config::PIN,
    trouble::{self, Failure},
};
use crate::device::{DeviceError, DeviceTrouble};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::RawAuthPin,
};
use keystore_format::device_wraps::Pkcs11Mechanism;
use std::{collections::BTreeMap, path::PathBuf};

/// Which device asks; a number is never given twice.
pub(super) type Client = u64;

pub(super) struct Module {
    path: PathBuf,
    library: Option<Pkcs11>,
    initialised: bool,
    open: BTreeMap<Client, Open>,
    /// Devices whose PIN was refused, with what they were told. It ends with the device.
    refused: BTreeMap<Client, DeviceError>,
}

/// A session that is logged in, and the key in it.
pub(super) struct Open {
    pub(super) session: Session,
    pub(super) key: ObjectHandle,
    pub(super) key_id: Vec<u8>,
    template: Vec<Attribute>,
}

impl Module {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, library: None, initialised: false, open: BTreeMap::new(), refused: BTreeMap::new() }
    }

    /// Does something with the device's key. Where the token was lost since it was opened, the module is initialised
    /// anew and the thing is tried once more: so there is at most one login in one call.
    pub(super) fn with_key<T>(
        &mut self,
        client: Client,
        config: &Pkcs11Config,
        mut act: impl FnMut(&Open) -> Result<T, Failure>,
    ) -> Result<T, DeviceError> {
        let was_open = self.open.contains_key(&client);
        let open = self.opened(client, config)?;
        let failure = match act(open) {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if !open.is_lost(&failure) {
            return Err(failure.told());
        }
        self.renew();
        if !was_open {
            return Err(trouble::lost());
        }
        act(self.opened(client, config)?).map_err(Failure::told)
    }

    /// Whether the token is there and as it should be. Neither logs in nor uses the key.
    pub(super) fn look(&mut self, client: Client, config: &Pkcs11Config) -> Result<(), DeviceError> {
        if let Some(refused) = self.refused.get(&client) {
            return Err(refused.clone());
        }
        if let Some(open) = self.open.get(&client) {
            if open.shows_its_key() {
                return Ok(());
            }
            self.renew();
        }
        let (library, slot) = self.token(&config.token)?;
        let supported = library.get_mechanism_info(slot, trouble::mechanism_type(config.mechanism));
        supported.map(drop).map_err(|error| Failure::Module(error).told())
    }

    /// Ends what a device had open, and forgets it.
    pub(super) fn forget(&mut self, client: Client) {
        self.open.remove(&client);
        self.refused.remove(&client);
    }

    fn opened(&mut self, client: Client, config: &Pkcs11Config) -> Result<&Open, DeviceError> {
        if let Some(refused) = self.refused.get(&client) {
            return Err(refused.clone());
        }
        if !self.open.contains_key(&client) {
            let (library, slot) = self.token(&config.token)?;
            let session = library.open_ro_session(slot).map_err(trouble::of_session)?;
            self.log_in(client, config, &session)?;
            let template = template(config);
            let key = only(find(&session, &template)?, "key")?;
            let key_id = key_id(&session, key)?;
            self.open.insert(client, Open { session, key, key_id, template });
        }
        self.open.get(&client).ok_or_else(trouble::lost)
    }

    /// One login, with the PIN as it is now. One that was refused is not tried again by this device.
    fn log_in(
        &mut self,
        client: Client,
        config: &Pkcs11Config,
        session: &Session,
    ) -> Result<(), DeviceError> {
        let mut pin = config.pin.read(&PIN)?;
        let pin = RawAuthPin::new(Box::new(std::mem::take(&mut *pin)));
        match session.login_with_raw(UserType::User, &pin) {
            // Login belongs to process and token: another device was here before.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => {
                let (refused, is_final) = trouble::of_login(&error);
                if is_final {
                    self.refused.insert(client, refused.clone());
                }
                Err(refused)
            }
        }
    }

    /// The slot of a token. Modules learn of tokens when they are initialised, so it is looked for twice.
    fn token(&mut self, name: &TokenName) -> Result<(Pkcs11, Slot), DeviceError> {
        let fresh = !self.initialised;
        let library = self.library()?;
        match find_token(&library, name) {
            Err(error) if error.kind == DeviceTrouble::Unreachable && !fresh => {
                self.renew();
                let library = self.library()?;
                find_token(&library, name).map(|slot| (library, slot))
            }
            found => found.map(|slot| (library, slot)),
        }
    }

    /// The module, loaded and initialised.
    fn library(&mut self) -> Result<Pkcs11, DeviceError> {
        let library = match &self.library {
            Some(library) => library.clone(),
            None => Pkcs11::new(&self.path).map_err(|error| trouble::of_loading(&error, &self.path))?,
        };
        if !self.initialised {
            match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
                Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {
                    self.initialised = true
                }
                Err(_) => return Err(trouble::of_initialising()),
            }
        }
        self.library = Some(library.clone());
        Ok(library)
    }

    /// Drops every session and ends the module's state: after a loss nothing less brings a token back.
    fn renew(&mut self) {
        self.open.clear();
        if let Some(library) = self.library.clone() {
            // A module that can't even end can't be helped; initialising it says whether it is of use.
            let _ = library.finalize();
        }
        self.initialised = false;
    }
}

impl Open {
    /// Whether a failure comes from the token's being lost: then it does not show the same key any more.
    fn is_lost(&self, failure: &Failure) -> bool {
        // An operation that hangs in the session is of no use either.
        matches!(failure, Failure::Module(Error::Pkcs11(RvError::OperationActive, _)))
            || !self.shows_its_key()
    }

    fn shows_its_key(&self) -> bool {
        self.session.find_objects(&self.template).is_ok_and(|found| found == [self.key])
    }

    /// The public half of a key pair.
    pub(super) fn public_key(&self) -> Result<ObjectHandle, DeviceError> {
        let mut template = self.template.clone();
        if let Some(class) = template.first_mut() {
            *class = Attribute::Class(ObjectClass::PUBLIC_KEY);
        }
        only(find(&self.session, &template)?, "public key")
    }
}

/// What the key is found by. The class comes first.
fn template(config: &Pkcs11Config) -> Vec<Attribute> {
    let class = match config.mechanism {
        Pkcs11Mechanism::RsaOaep(_) => ObjectClass::PRIVATE_KEY,
        _ => ObjectClass::SECRET_KEY,
    };
    let label = config.key_label.as_ref().map(|label| Attribute::Label(label.clone().into_bytes()));
    let id = config.key_id.as_ref().map(|id| Attribute::Id(id.clone()));
    [Some(Attribute::Class(class)), label, id].into_iter().flatten().collect()
}

fn find(session: &Session, template: &[Attribute]) -> Result<Vec<ObjectHandle>, DeviceError> {
    session.find_objects(template).map_err(trouble::of_session)
}

fn only(found: Vec<ObjectHandle>, what: &str) -> Result<ObjectHandle, DeviceError> {
    let wrong = match found.as_slice() {
        [key] => return Ok(*key),
        [] => format!(
            "the token has no {what} of the configured mechanism's kind with this key_label and key_id"
        ),
        _ => format!("the token has more than one {what} with this key_label and key_id"),
    };
    let sentence = format!("{wrong}: configure key_label and key_id so that they name exactly one");
    Err(DeviceError::new(DeviceTrouble::Configuration, sentence))
}

fn key_id(session: &Session, key: ObjectHandle) -> Result<Vec<u8>, DeviceError> {
    let attributes = session.get_attributes(key, &[AttributeType::Id]).map_err(trouble::of_session)?;
    Ok(attributes
        .into_iter()
        .find_map(|one| if let Attribute::Id(id) = one { Some(id) } else { None })
        .unwrap_or_default())
}

fn find_token(library: &Pkcs11, name: &TokenName) -> Result<Slot, DeviceError> {
    let (mut found, mut blank) = (Vec::new(), false);
    for slot in library.get_slots_with_token().map_err(trouble::of_session)? {
        // A slot whose token can't even say its name is not the one.
        let Ok(token) = library.get_token_info(slot) else { continue };
        blank |= !token.token_initialized();
        let is_it = match name {
            TokenName::Label(label) => token.label() == label,
            TokenName::Serial(serial) => token.serial_number() == serial,
        };
        if is_it && token.token_initialized() {
            found.push((slot, token));
        }
    }
    match found.as_slice() {
        [(_, token)] if token.user_pin_locked() => Err(trouble::locked()),
        [(_, token)] if !token.user_pin_initialized() => Err(trouble::no_pin_set()),
        [(slot, _)] => Ok(*slot),
        [] => Err(trouble::no_token(blank)),
        _ => Err(DeviceError::new(
            DeviceTrouble::Configuration,
            "several tokens have the configured token_label: configure token_serial instead",
        )),
    }
}
