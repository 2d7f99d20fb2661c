//! What a module reports, as one sentence for an operator. Modules disagree about codes, so few are told apart.
use crate::device::{DeviceError, DeviceTrouble};
use cryptoki::{
    context::Function,
    error::{Error, RvError},
    mechanism::MechanismType,
};
use keystore_format::device_wraps::Pkcs11Mechanism;
use std::path::Path;

/// Why something with a key failed.
pub(super) enum Failure {
    /// The module says so.
    Module(Error),
    /// We say so.
    Ours(DeviceError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Module(error)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::Ours(error)
    }
}

impl Failure {
    /// For the operator. The token still shows the key, so the trouble is with the wrap, the mechanism or the module.
    pub(super) fn told(self) -> DeviceError {
        use RvError as Rv;
        let error = match self {
            Self::Ours(error) => return error,
            Self::Module(error) => error,
        };
        match error {
            Error::Pkcs11(
                Rv::MechanismInvalid | Rv::MechanismParamInvalid | Rv::FunctionNotSupported,
                _,
            )
            | Error::NullFunctionPointer
            // SoftHSM's word for a hash of OAEP that it does not have.
            | Error::Pkcs11(Rv::ArgumentsBad, Function::EncryptInit | Function::DecryptInit) => DeviceError::new(
                DeviceTrouble::Configuration,
                "the PKCS#11 module does not have the configured mechanism, or not with this oaep_hash: configure one that it has",
            ),
            Error::Pkcs11(
                Rv::KeyTypeInconsistent
                | Rv::KeySizeRange
                | Rv::KeyFunctionNotPermitted
                | Rv::WrappingKeyTypeInconsistent
                | Rv::WrappingKeySizeRange
                | Rv::UnwrappingKeyTypeInconsistent
                | Rv::UnwrappingKeySizeRange,
                _,
            ) => DeviceError::new(
                DeviceTrouble::Configuration,
                "the token's key is not of the configured mechanism's kind, or may not be used for it: an AES key needs \
                 CKA_ENCRYPT and CKA_DECRYPT (aes-gcm) or CKA_WRAP and CKA_UNWRAP (key wrap), an RSA pair CKA_ENCRYPT and CKA_DECRYPT",
            ),
            Error::Pkcs11(
                Rv::AttributeValueInvalid | Rv::TemplateInconsistent | Rv::KeyNotWrappable | Rv::KeyUnextractable,
                _,
            ) => DeviceError::new(
                DeviceTrouble::Configuration,
                "the PKCS#11 module does not let a root key in or out by key wrap: configure aes-gcm or rsa-oaep",
            ),
            // What does not open: modules say it in many ways, SoftHSM by a general error.
            Error::Pkcs11(code, Function::Decrypt | Function::UnwrapKey) if says_altered(code) => not_authentic(),
            Error::Pkcs11(..) => DeviceError::new(
                DeviceTrouble::Failed,
                "the PKCS#11 module reports a failure of its own: its log or the HSM's should say why",
            ),
            _ => DeviceError::new(
                DeviceTrouble::Failed,
                "the PKCS#11 module gave an answer that the standard does not allow: try again, or another version of it",
            ),
        }
    }
}

const fn says_altered(code: RvError) -> bool {
    use RvError as Rv;
    matches!(
        code,
        Rv::GeneralError
            | Rv::FunctionFailed
            | Rv::ArgumentsBad
            | Rv::DataInvalid
            | Rv::DataLenRange
            | Rv::EncryptedDataInvalid
            | Rv::EncryptedDataLenRange
            | Rv::WrappedKeyInvalid
            | Rv::WrappedKeyLenRange
    )
}

/// What a login's failure means, and whether the PIN may have been counted: then the device says so from then on.
pub(super) fn of_login(error: &Error) -> (DeviceError, bool) {
    use RvError as Rv;
    let Error::Pkcs11(code, _) = error else {
        return (unanswering(), false);
    };
    match code {
        Rv::PinIncorrect | Rv::PinInvalid | Rv::PinLenRange => {
            let sentence = "the token refuses the PIN, which is not tried again: put the right one in its place and restart the daemon";
            (DeviceError::new(DeviceTrouble::WrongPin, sentence), true)
        }
        Rv::PinLocked | Rv::PinExpired => (locked(), true),
        Rv::UserPinNotInitialized => (no_pin_set(), false),
        _ => (unanswering(), false),
    }
}

pub(super) fn locked() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Locked,
        "the PIN of the token's user is locked or has expired: its security officer must set a new one; then restart the daemon",
    )
}

pub(super) fn no_pin_set() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "the token's user has no PIN yet: its security officer must set one (softhsm2-util or pkcs11-tool --init-pin)",
    )
}

/// A token that can't be talked to.
pub(super) fn of_session(_: Error) -> DeviceError {
    unanswering()
}

fn unanswering() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Unreachable,
        "the token does not answer as it should: it must be in its slot, powered and reachable",
    )
}

pub(super) fn lost() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Unreachable,
        "the token was lost while it was used: it must be in its slot, powered and reachable",
    )
}

pub(super) fn no_token(blank: bool) -> DeviceError {
    let sentence = if blank {
        "no slot has a token with the configured token_label or token_serial: put it in, correct the name, or initialise \
         the token that is there and blank"
    } else {
        "no slot has a token with the configured token_label or token_serial: put it in, or correct the name"
    };
    DeviceError::new(DeviceTrouble::Unreachable, sentence)
}

pub(super) fn of_loading(error: &Error, path: &Path) -> DeviceError {
    let sentence = match error {
        Error::MissingSymbol(_) => {
            "the file that module names is a library but no PKCS#11 module: it must be the vendor's, which exports C_GetFunctionList"
        }
        _ if !path.exists() => {
            "there is no file where module says: it must be the path of the vendor's PKCS#11 library"
        }
        _ => {
            "the file that module names can't be loaded: it must be a PKCS#11 library for this machine, with the libraries that it needs"
        }
    };
    DeviceError::new(DeviceTrouble::Configuration, sentence)
}

pub(super) fn of_initialising() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Unreachable,
        "the PKCS#11 module can't be initialised: its own configuration must be there, and the HSM reachable",
    )
}

pub(super) fn not_authentic() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::NotAuthentic,
        "the wrap was altered, or is of another place or another key: the token must hold the key that it was made with",
    )
}

/// Parameters that can't be read.
pub(super) fn unknown() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::NotAuthentic,
        "the wrap's parameters can't be read: they were altered, or a later version of Coffer made them and must open them",
    )
}

pub(super) fn other_mechanism() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "the wrap was made with another mechanism or oaep_hash than those configured, or was altered: configure the ones that it was made with",
    )
}

pub(super) fn other_key() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "the wrap names another CKA_ID than the configured key has, or was altered: configure the key that it was made with",
    )
}

pub(super) fn of_key_id() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "CKA_ID of the key is too long: it must have at most 255 bytes",
    )
}

pub(super) fn of_size() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "the token's key makes wraps of an unusual size: an AES key must be used as configured, an RSA key must have 2,048 to 16,384 bits",
    )
}

pub(super) const fn mechanism_type(mechanism: Pkcs11Mechanism) -> MechanismType {
    match mechanism {
        Pkcs11Mechanism::AesGcm => MechanismType::AES_GCM,
        Pkcs11Mechanism::AesKeyWrapPad => MechanismType::AES_KEY_WRAP_PAD,
        Pkcs11Mechanism::AesKeyWrap => MechanismType::AES_KEY_WRAP,
        Pkcs11Mechanism::RsaOaep(_) => MechanismType::RSA_PKCS_OAEP,
    }
}
