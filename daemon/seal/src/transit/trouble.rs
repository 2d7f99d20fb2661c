//! What the server, or the way to it, has to be told about, as one sentence for an operator. Nothing that the server says
//! is repeated.
use super::config::TransitConfig;
use crate::{
    device::{DeviceError, DeviceTrouble},
    private_file::Wrong,
};
use coffer_sdk::{Error, KeyInfo};
use keystore_format::transit_wrap::{TransitBlob, TransitParameters};

/// Trouble with any request.
pub(super) fn of(error: &Error, config: &TransitConfig) -> DeviceError {
    use DeviceTrouble::{Configuration, Failed, Unreachable, WrongPin};
    if error.is_server_untrusted() {
        return DeviceError::new(
            Configuration,
            "the transit server's certificate is not trusted: it must be signed by the configured ca, be valid now, and \
             carry the host of address or server_name",
        );
    }
    if error.is_certificate_refused() {
        return DeviceError::new(
            WrongPin,
            "the transit server does not take the client certificate: it must be valid now and signed by an authority that \
             the server's listener knows",
        );
    }
    match error {
        Error::Configuration(sentence) => DeviceError::new(
            Configuration,
            format!("the transit server can't be asked as configured: {sentence}"),
        ),
        Error::Connect(_) => DeviceError::new(
            Unreachable,
            "the transit server can't be reached: it must run, at the configured address, and the network lead there",
        ),
        Error::Interrupted(_) => DeviceError::new(
            Unreachable,
            "the transit server broke off the connection: its log should say why; where it does not take the client \
             certificate, this may be all that it says",
        ),
        Error::TimedOut => slow(),
        Error::Unexpected(_) => garbage(),
        Error::Refused(refusal) => match refusal.status {
            401 | 403 => refused(config),
            404 => no_key(),
            429 | 502..=504 | 472 | 473 => sealed(),
            _ => DeviceError::new(
                Failed,
                "the transit server reports a failure of its own: its log should say why",
            ),
        },
        _ => DeviceError::new(Failed, "the transit server could not be asked"),
    }
}

/// Trouble with an encryption.
pub(super) fn of_encryption(error: &Error, config: &TransitConfig) -> DeviceError {
    if error.status() != Some(400) {
        return of(error, config);
    }
    let sentence = if config.associated_data {
        "the transit key does not encrypt with associated data: it must be an AEAD key such as aes256-gcm96; with an RSA \
         key, set associated_data to false"
    } else {
        "the transit key does not encrypt: it must be of a type that does, such as aes256-gcm96, and not be deleted"
    };
    DeviceError::new(DeviceTrouble::Configuration, sentence)
}

/// Trouble with a decryption that the server refused or failed in, told by what can be seen of the key.
pub(super) fn of_decryption(
    error: &Error,
    key: Result<KeyInfo, Error>,
    parameters: &TransitParameters,
    blob: &TransitBlob,
    config: &TransitConfig,
) -> DeviceError {
    let version = u64::from(blob.key_version());
    match key {
        Err(error) if error.is_not_found() => no_key(),
        Ok(key) if key.soft_deleted => soft_deleted(),
        _ if parameters.key != config.key => DeviceError::new(
            DeviceTrouble::Configuration,
            "the wrap was made by a transit key of another name than the configured one, or was altered: configure the key \
             that made it",
        ),
        Ok(key) if version < key.min_decryption_version => DeviceError::new(
            DeviceTrouble::Configuration,
            "the version of the transit key that made the wrap may not decrypt any more, or was that of a deleted key of the \
             same name: lower min_decryption_version where the key is still the one that made it",
        ),
        Ok(key) if version > key.latest_version => DeviceError::new(
            DeviceTrouble::NotAuthentic,
            "the transit key has no version as new as the one that made the wrap: the server must have the key that made it, \
             and not an older copy",
        ),
        // A wrong padding is a failure of the server's own to some.
        Ok(key) if error.status() == Some(500) && !key.key_type.starts_with("rsa") => of(error, config),
        Err(_) if error.status() == Some(500) => of(error, config),
        _ => not_authentic(),
    }
}

pub(super) fn not_authentic() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::NotAuthentic,
        "the wrap was altered, or is of another place or another transit key: the server must have the key that made it, with \
         the version that did, allowed to decrypt",
    )
}

/// Parameters or a blob that can't be read.
pub(super) fn unknown() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::NotAuthentic,
        "the wrap by a transit key can't be read: it was altered, or a later version of Coffer made it and must open it",
    )
}

pub(super) fn other_binding() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "the wrap was made with another setting of associated_data than the configured one, or was altered: configure the \
         one that it was made with",
    )
}

pub(super) fn no_key() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "the transit server has no key of the configured name at the configured mount and namespace: it was never made, is \
         elsewhere, or was deleted, and then only a backup of that server opens what it wrapped",
    )
}

pub(super) fn soft_deleted() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "the transit key was put out of use by a soft deletion: bring it back on its server (soft-delete-restore)",
    )
}

pub(super) fn refused(config: &TransitConfig) -> DeviceError {
    let sentence = if config.token.is_some() {
        "the transit server refuses the token: it is wrong, has expired or was revoked, or its policy does not allow update on \
         encrypt and decrypt of the key, or lacks the default policy's rights"
    } else {
        "the transit server does not let this client certificate use the key: a role for it must allow update on encrypt and \
         decrypt of the key; a server that takes no certificate for an identity needs a token"
    };
    DeviceError::new(DeviceTrouble::WrongPin, sentence)
}

pub(super) fn not_renewed() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::WrongPin,
        "the token for the transit server has less than half of its life left and can't be renewed: its policy must allow \
         auth/token/renew-self, or another token be put in its place",
    )
}

pub(super) fn sealed() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Unreachable,
        "the transit server is sealed or can't serve now: it must be unsealed, and not be overloaded or on standby",
    )
}

pub(super) fn slow() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Unreachable,
        "the transit server has not answered within its deadline: it must be reachable and not busy",
    )
}

pub(super) fn garbage() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Failed,
        "the transit server gave an answer that is not one of the Vault API: address must be that of a Coffer, OpenBao or \
         Vault, and nothing between change what it says",
    )
}

pub(super) fn unreadable(what: &str) -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        format!(
            "the client's {what} for the transit server can't be read: its path must be that of a PEM file"
        ),
    )
}

pub(super) fn of_key_file(wrong: Wrong) -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        format!(
            "the client's private key for the transit server {}: {}",
            wrong.what(),
            wrong.would_be_right()
        ),
    )
}
