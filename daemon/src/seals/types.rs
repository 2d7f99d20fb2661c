//! A device of each type, from the keys of its section.
use super::{Seal, unhex};
use crate::config::Wrong;
use coffer_seal::device::Device;
use coffer_seal::pkcs11::{DEADLINE, Pkcs11Config, Pkcs11Device, TokenName, mechanism};
use coffer_seal::secret_source::{SecretSource, Words};
use coffer_seal::tpm::{APPROVAL_INDEX, TpmConfig, TpmDevice, parse_pcrs};
use coffer_seal::transit::{Identity, TransitConfig, TransitDevice};
use coffer_types::Entropy;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;

/// Where a secret may lie: in a file, an environment variable or a credential.
type Places<'a> = (&'a Option<Spanned<PathBuf>>, &'a Option<Spanned<String>>, &'a Option<Spanned<String>>);

const PIN: Words = Words { it: "the PIN", whose: "the PIN", any: "a PIN" };

impl Seal {
    pub(super) fn pkcs11(&self, folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Box<dyn Device>, Wrong> {
        let token = match (&self.token_label, &self.token_serial) {
            (Some(label), None) => TokenName::Label(label.get_ref().clone()),
            (None, Some(serial)) => TokenName::Serial(serial.get_ref().clone()),
            _ => {
                return Err(
                    self.wrong("a seal of type \"pkcs11\" needs one of 'token_label' and 'token_serial'")
                );
            }
        };
        let key_id = self.key_id.as_ref().map(|id| {
            unhex(id.get_ref()).ok_or_else(|| (id.span().start, "'key_id' is in hexadecimal".to_owned()))
        });
        let hash = self.oaep_hash.as_ref();
        let name = self.mechanism.as_ref().map_or("aes-gcm", |name| name.get_ref());
        let place = hash.or(self.mechanism.as_ref()).unwrap_or(&self.kind).span().start;
        let config = Pkcs11Config {
            module: folder.join(self.need(&self.module, "module")?),
            token,
            key_label: self.key_label.as_ref().map(|label| label.get_ref().clone()),
            key_id: key_id.transpose()?,
            mechanism: mechanism(name, hash.map(|hash| hash.get_ref().as_str()))
                .map_err(|wrong| (place, wrong.to_owned()))?,
            pin: self.pin(folder)?.ok_or_else(|| {
                self.wrong(
                    "a seal of type \"pkcs11\" needs one of 'pin_file', 'pin_env' and 'pin_credential'",
                )
            })?,
            deadline: self.deadline(DEADLINE)?,
        };
        let device = Pkcs11Device::new(config, Arc::clone(entropy));
        Ok(Box::new(device.map_err(|error| self.wrong(&error.sentence))?))
    }

    pub(super) fn tpm(&self, folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Box<dyn Device>, Wrong> {
        fn parsed<T, E: ToString>(
            value: &Spanned<String>,
            parse: impl FnOnce(&str) -> Result<T, E>,
        ) -> Result<T, Wrong> {
            parse(value.get_ref()).map_err(|wrong| (value.span().start, wrong.to_string()))
        }
        let pin = self.pin(folder)?;
        let name = |text: &str| {
            let name = unhex(text).and_then(|name| name.try_into().ok());
            name.ok_or("'srk_name' is of 68 hexadecimal digits, as tpm2_readpublic shows it")
        };
        let config = TpmConfig {
            address: match &self.address {
                Some(address) => parsed(address, str::parse)?,
                None => "/dev/tpmrm0".parse().map_err(|wrong: &str| self.wrong(wrong))?,
            },
            pcrs: self.pcrs.as_ref().map(|pcrs| parsed(pcrs, parse_pcrs)).transpose()?,
            pin: pin.map(|source| Arc::new(move || source.read(&PIN)) as _),
            approval_index: nv_index(&self.approval_index, "approval_index")?.unwrap_or(APPROVAL_INDEX),
            counter_index: nv_index(&self.counter_index, "counter_index")?,
            srk_name: self.srk_name.as_ref().map(|text| parsed(text, name)).transpose()?,
            deadline: self.deadline(Duration::from_secs(20))?,
        };
        Ok(Box::new(TpmDevice::new(config, Arc::clone(entropy))))
    }

    pub(super) fn transit(&self, folder: &Path) -> Result<Box<dyn Device>, Wrong> {
        let text = |value: &Option<Spanned<String>>| value.as_ref().map(|text| text.get_ref().clone());
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(Identity {
                certificate: folder.join(certificate.get_ref()),
                key: folder.join(key.get_ref()),
            }),
            (None, None) => None,
            _ => return Err(self.wrong("'certificate' and 'key' belong together")),
        };
        let token = (&self.token_file, &self.token_env, &self.token_credential);
        let config = TransitConfig {
            address: self.need(&self.address, "address")?.clone(),
            server_name: text(&self.server_name),
            ca: folder.join(self.need(&self.ca, "ca")?),
            identity,
            token: self.secret(
                folder,
                token,
                "only one of 'token_file', 'token_env' and 'token_credential' can be",
            )?,
            namespace: text(&self.namespace),
            mount: text(&self.mount).unwrap_or_else(|| "transit".to_owned()),
            key: self.need(&self.key_name, "key_name")?.clone(),
            associated_data: self.associated_data.as_ref().is_none_or(|it| *it.get_ref()),
            deadline: self.deadline(coffer_seal::transit::DEADLINE)?,
        };
        let device = TransitDevice::new(config);
        Ok(Box::new(device.map_err(|error| self.wrong(&error.sentence))?))
    }

    /// Where the PIN lies, in one place at most.
    fn pin(&self, folder: &Path) -> Result<Option<SecretSource>, Wrong> {
        let places = (&self.pin_file, &self.pin_env, &self.pin_credential);
        self.secret(folder, places, "only one of 'pin_file', 'pin_env' and 'pin_credential' can be")
    }

    fn secret(&self, folder: &Path, places: Places<'_>, wrong: &str) -> Result<Option<SecretSource>, Wrong> {
        match places {
            (None, None, None) => Ok(None),
            (Some(file), None, None) => Ok(Some(SecretSource::File(folder.join(file.get_ref())))),
            (None, Some(name), None) => Ok(Some(SecretSource::Environment(name.get_ref().clone()))),
            (None, None, Some(name)) => Ok(Some(SecretSource::Credential(name.get_ref().clone()))),
            _ => Err(self.wrong(wrong)),
        }
    }

    fn deadline(&self, default: Duration) -> Result<Duration, Wrong> {
        match &self.timeout_seconds {
            None => Ok(default),
            Some(seconds) if (1..=120).contains(seconds.get_ref()) => {
                Ok(Duration::from_secs(*seconds.get_ref()))
            }
            Some(seconds) => Err((seconds.span().start, "'timeout_seconds' must be from 1 to 120".into())),
        }
    }

    pub(super) fn need<'a, T>(&self, value: &'a Option<Spanned<T>>, key: &str) -> Result<&'a T, Wrong> {
        let missing = || self.wrong(&format!("a seal of type \"{}\" needs '{key}'", self.kind.get_ref()));
        value.as_ref().map(Spanned::get_ref).ok_or_else(missing)
    }
}

/// An NV index of a TPM, of those that its owner may define.
fn nv_index(value: &Option<Spanned<u32>>, key: &str) -> Result<Option<u32>, Wrong> {
    match value {
        Some(index) if !(0x0100_0000..=0x01ff_ffff).contains(index.get_ref()) => {
            Err((index.span().start, format!("'{key}' must be from 0x01000000 to 0x01ffffff")))
        }
        value => Ok(value.as_ref().map(|index| *index.get_ref())),
    }
}
