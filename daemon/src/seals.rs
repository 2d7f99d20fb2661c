//! `[[seal]]` of the configuration: devices that wrap root keys, each with the keys of its own type.
use crate::config::Wrong;
use coffer_seal::device::Device;
use coffer_seal::devices::{Configured, Devices};
use coffer_seal::file::KeyFile;
use coffer_seal::pkcs11::{DEADLINE, Pkcs11Config, Pkcs11Device, TokenName, mechanism};
use coffer_seal::secret_source::{SecretSource, Words};
use coffer_seal::tpm::{APPROVAL_INDEX, TpmConfig, TpmDevice, parse_pcrs};
use coffer_seal::transit::{Identity, TransitConfig, TransitDevice};
use coffer_types::{Entropy, EnvironmentPath};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;

/// One section. Which keys a type takes is said by [`Seal::KEYS`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seal {
    name: Spanned<String>,
    #[serde(rename = "type")]
    kind: Spanned<String>,
    environments: Option<Spanned<Vec<String>>>,
    root_ids: Option<Spanned<Vec<String>>>,
    timeout_seconds: Option<Spanned<u64>>,
    module: Option<Spanned<PathBuf>>,
    token_label: Option<Spanned<String>>,
    token_serial: Option<Spanned<String>>,
    key_label: Option<Spanned<String>>,
    key_id: Option<Spanned<String>>,
    mechanism: Option<Spanned<String>>,
    oaep_hash: Option<Spanned<String>>,
    pin_file: Option<Spanned<PathBuf>>,
    pin_env: Option<Spanned<String>>,
    pin_credential: Option<Spanned<String>>,
    address: Option<Spanned<String>>,
    pcrs: Option<Spanned<String>>,
    approval_index: Option<Spanned<u32>>,
    srk_name: Option<Spanned<String>>,
    counter_index: Option<Spanned<u32>>,
    path: Option<Spanned<PathBuf>>,
    server_name: Option<Spanned<String>>,
    ca: Option<Spanned<PathBuf>>,
    certificate: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
    token_file: Option<Spanned<PathBuf>>,
    token_env: Option<Spanned<String>>,
    token_credential: Option<Spanned<String>>,
    namespace: Option<Spanned<String>>,
    mount: Option<Spanned<String>>,
    key_name: Option<Spanned<String>>,
    associated_data: Option<Spanned<bool>>,
}

/// Where a secret may lie: in a file, an environment variable or a credential.
type Places<'a> = (&'a Option<Spanned<PathBuf>>, &'a Option<Spanned<String>>, &'a Option<Spanned<String>>);

const TYPES: &str = "'type' must be \"pkcs11\", \"tpm2\", \"transit\" or \"file\"";
const PIN: Words = Words { it: "the PIN", whose: "the PIN", any: "a PIN" };

impl Seal {
    /// Names of keys that belong to one type or two, where each stands, and to which they belong.
    fn own_keys(&self) -> [(&'static str, Option<usize>, &'static [&'static str]); 27] {
        const PKCS11: &[&str] = &["pkcs11"];
        const TPM: &[&str] = &["tpm2"];
        const TRANSIT: &[&str] = &["transit"];
        const BOTH: &[&str] = &["pkcs11", "tpm2"];
        [
            ("module", at(&self.module), PKCS11),
            ("token_label", at(&self.token_label), PKCS11),
            ("token_serial", at(&self.token_serial), PKCS11),
            ("key_label", at(&self.key_label), PKCS11),
            ("key_id", at(&self.key_id), PKCS11),
            ("mechanism", at(&self.mechanism), PKCS11),
            ("oaep_hash", at(&self.oaep_hash), PKCS11),
            ("pin_file", at(&self.pin_file), BOTH),
            ("pin_env", at(&self.pin_env), BOTH),
            ("pin_credential", at(&self.pin_credential), BOTH),
            ("address", at(&self.address), &["tpm2", "transit"]),
            ("pcrs", at(&self.pcrs), TPM),
            ("approval_index", at(&self.approval_index), TPM),
            ("srk_name", at(&self.srk_name), TPM),
            ("counter_index", at(&self.counter_index), TPM),
            ("path", at(&self.path), &["file"]),
            ("server_name", at(&self.server_name), TRANSIT),
            ("ca", at(&self.ca), TRANSIT),
            ("certificate", at(&self.certificate), TRANSIT),
            ("key", at(&self.key), TRANSIT),
            ("token_file", at(&self.token_file), TRANSIT),
            ("token_env", at(&self.token_env), TRANSIT),
            ("token_credential", at(&self.token_credential), TRANSIT),
            ("namespace", at(&self.namespace), TRANSIT),
            ("mount", at(&self.mount), TRANSIT),
            ("key_name", at(&self.key_name), TRANSIT),
            ("associated_data", at(&self.associated_data), TRANSIT),
        ]
    }

    /// The device. Nothing is asked of it: one that is not there yet is no reason not to start.
    fn configured(&self, folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Configured, Wrong> {
        let kind = self.kind.get_ref().as_str();
        // Of an unknown type every key is one of another's.
        if !["pkcs11", "tpm2", "transit", "file"].contains(&kind) {
            return Err(self.wrong(TYPES));
        }
        for (key, at, types) in self.own_keys() {
            if let Some(at) = at.filter(|_| !types.contains(&kind)) {
                return Err((
                    at,
                    format!("'{key}' belongs to seals of type \"{}\"", types.join("\" and \"")),
                ));
            }
        }
        let device: Box<dyn Device> = match kind {
            "pkcs11" => self.pkcs11(folder, entropy)?,
            "tpm2" => self.tpm(folder, entropy)?,
            "transit" => self.transit(folder)?,
            "file" => {
                let path = self.need(&self.path, "path")?;
                Box::new(KeyFile::new(folder.join(path), Arc::clone(entropy)))
            }
            _ => return Err(self.wrong(TYPES)),
        };
        let environments = match &self.environments {
            None => vec![EnvironmentPath::root()],
            Some(paths) => {
                let wrong = "'environments' are paths as [\"root\", \"acme/prod\"]".to_owned();
                let path = |path: &String| {
                    EnvironmentPath::parse(if path == "root" { "" } else { path }).map_err(|_| wrong.clone())
                };
                let parsed: Result<_, _> = paths.get_ref().iter().map(path).collect();
                parsed.map_err(|wrong| (paths.span().start, wrong))?
            }
        };
        let root_ids = match &self.root_ids {
            None => Vec::new(),
            Some(ids) => {
                let id = |id: &String| unhex(id).and_then(|id| <[u8; 32]>::try_from(id).ok());
                let parsed: Option<_> = ids.get_ref().iter().map(id).collect();
                parsed.ok_or_else(|| {
                    (
                        ids.span().start,
                        "'root_ids' are of 64 hexadecimal digits, as `coffer operator seal list` shows them"
                            .to_owned(),
                    )
                })?
            }
        };
        Ok(Configured { name: self.name.get_ref().clone(), environments, root_ids, device })
    }

    fn pkcs11(&self, folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Box<dyn Device>, Wrong> {
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

    fn tpm(&self, folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Box<dyn Device>, Wrong> {
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

    fn transit(&self, folder: &Path) -> Result<Box<dyn Device>, Wrong> {
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

    fn need<'a, T>(&self, value: &'a Option<Spanned<T>>, key: &str) -> Result<&'a T, Wrong> {
        let missing = || self.wrong(&format!("a seal of type \"{}\" needs '{key}'", self.kind.get_ref()));
        value.as_ref().map(Spanned::get_ref).ok_or_else(missing)
    }

    fn wrong(&self, sentence: &str) -> Wrong {
        (self.kind.span().start, sentence.to_owned())
    }
}

/// The devices of all sections. Relative paths are taken from `folder`.
///
/// # Errors
/// The place in the file, and what would be right there.
pub(crate) fn devices(seals: &[Seal], folder: &Path, entropy: &Arc<dyn Entropy>) -> Result<Devices, Wrong> {
    let mut configured = Vec::new();
    for (index, seal) in seals.iter().enumerate() {
        configured.push(seal.configured(folder, entropy)?);
        let name = seal.name.get_ref();
        let is_twice = seals.iter().take(index).any(|other| other.name.get_ref() == name);
        let wrong = match is_twice {
            true => Some("two seals can't have one name".to_owned()),
            false => Devices::check_name(name).err(),
        };
        if let Some(wrong) = wrong {
            return Err((seal.name.span().start, wrong));
        }
    }
    Devices::new(configured).map_err(|wrong| (0, wrong))
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

fn at<T>(value: &Option<Spanned<T>>) -> Option<usize> {
    value.as_ref().map(|value| value.span().start)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let is_hex = text.bytes().all(|digit| digit.is_ascii_hexdigit());
    text.as_bytes().chunks_exact(2).map(byte).collect::<Option<Vec<_>>>().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const SMALLEST: &str = "data_dir = \"data\"\n[listener]\naddress = \"127.0.0.1:8200\"\ncertificate = \"c\"\nkey = \"k\"\nclient_ca = \"a\"\n";
    const HSM: &str = "name = \"hsm\"\ntype = \"pkcs11\"\nmodule = \"/usr/lib/hsm.so\"\ntoken_label = \"coffer\"\nkey_label = \"root\"\npin_file = \"pin\"\n";
    const TPM: &str = "name = \"tpm2\"\ntype = \"tpm2\"\npcrs = \"sha256:7,11\"\n";

    const FAR: &str = "name = \"far\"\ntype = \"transit\"\naddress = \"https://keys.example.com:8200\"\nca = \"ca\"\nkey_name = \"root\"\ntoken_file = \"t\"\n";

    fn read(sections: &[&str]) -> Result<Config, (usize, String)> {
        Config::parse(
            &sections.iter().fold(SMALLEST.to_owned(), |all, keys| format!("{all}[[seal]]\n{keys}")),
        )
    }

    /// The line within the section whose first key stands in line 1, and what is said.
    #[track_caller]
    fn refused(keys: &str) -> (usize, String) {
        let (line, what) = read(&[keys]).err().unwrap_or_else(|| panic!("taken: {keys}"));
        (line - SMALLEST.lines().count() - 1, what)
    }

    #[test]
    fn each_type_is_taken_with_the_keys_of_its_own() {
        let disk = "name = \"disk\"\ntype = \"file\"\npath = \"key\"\n";
        assert!(read(&[HSM, TPM, FAR, disk]).is_ok());
        let id = "9d2f5c0a8b3e7461f0a9c8d7b6e5f4030211223344556677889900aabbccddee";
        let more = format!(
            "{TPM}root_ids = [\"{id}\"]\nenvironments = [\"root\", \"acme/prod\"]\napproval_index = 0x01c0ff02\ntimeout_seconds = 120\n"
        );
        assert!(read(&[&more]).is_ok());
    }

    #[test]
    fn a_seal_that_can_not_be_is_refused_with_its_line_and_what_would_be_right() {
        let without = |key: &str| -> String {
            HSM.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect()
        };
        let cases: &[(String, usize, &str)] = &[
            (HSM.replace("pkcs11", "hsm"), 2, "'type' must be \"pkcs11\", \"tpm2\", \"transit\" or \"file\""),
            (HSM.replace("\"hsm\"", "\"Hsm\""), 1, "a to z, 0 to 9 and '-'"),
            (HSM.replace("\"hsm\"", "\"shares\""), 1, "neither \"inherit\" nor \"shares\""),
            (HSM.replace("\"hsm\"", "\"-hsm\""), 1, "not at its ends"),
            (without("module"), 2, "a seal of type \"pkcs11\" needs 'module'"),
            (without("token_label"), 2, "needs one of 'token_label' and 'token_serial'"),
            (format!("{HSM}token_serial = \"01\"\n"), 2, "needs one of 'token_label' and 'token_serial'"),
            (without("key_label"), 2, "key"),
            (format!("{HSM}key_id = \"xyz\"\n"), 7, "'key_id' is in hexadecimal"),
            (without("pin_file"), 2, "needs one of 'pin_file', 'pin_env' and 'pin_credential'"),
            (
                format!("{HSM}pin_env = \"PIN\"\n"),
                2,
                "only one of 'pin_file', 'pin_env' and 'pin_credential'",
            ),
            (format!("{TPM}pin_file = \"a\"\npin_credential = \"b\"\n"), 2, "only one of 'pin_file'"),
            (format!("{HSM}mechanism = \"des\"\n"), 7, "aes-gcm"),
            (format!("{HSM}mechanism = \"aes-gcm\"\noaep_hash = \"sha256\"\n"), 8, "rsa-oaep"),
            (format!("{HSM}path = \"key\"\n"), 7, "'path' belongs to seals of type \"file\""),
            (format!("{TPM}module = \"m\"\n"), 4, "'module' belongs to seals of type \"pkcs11\""),
            (format!("{HSM}pcrs = \"sha256:7\"\n"), 7, "'pcrs' belongs to seals of type \"tpm2\""),
            (
                "name = \"disk\"\ntype = \"file\"\npath = \"key\"\npin_file = \"p\"\n".into(),
                4,
                "'pin_file' belongs to seals of type \"pkcs11\" and \"tpm2\"",
            ),
            (FAR.replace("key_name", "# key_name"), 2, "a seal of type \"transit\" needs 'key_name'"),
            (FAR.replace("ca =", "# ca ="), 2, "a seal of type \"transit\" needs 'ca'"),
            (FAR.replace("https", "http"), 2, "https://"),
            (format!("{FAR}certificate = \"c\"\n"), 2, "'certificate' and 'key' belong together"),
            (
                format!("{FAR}token_env = \"T\"\n"),
                2,
                "only one of 'token_file', 'token_env' and 'token_credential'",
            ),
            (format!("{FAR}pin_file = \"p\"\n"), 7, "'pin_file' belongs to seals of type"),
            (format!("{HSM}key_name = \"k\"\n"), 7, "'key_name' belongs to seals of type \"transit\""),
            ("name = \"disk\"\ntype = \"file\"\n".into(), 2, "a seal of type \"file\" needs 'path'"),
            (TPM.replace("sha256:7,11", "7,11"), 3, "sha256:7,11"),
            (TPM.replace("sha256:7,11", "sha256:24"), 3, "23"),
            (TPM.replace("sha256:7,11", "sha256:"), 3, "sha256:7,11"),
            (format!("{TPM}approval_index = 5\n"), 4, "from 0x01000000 to 0x01ffffff"),
            (format!("{TPM}srk_name = \"000b\"\n"), 4, "68 hexadecimal digits"),
            (format!("{TPM}address = \"\"\n"), 4, "/dev/tpmrm0"),
            (format!("{TPM}timeout_seconds = 0\n"), 4, "'timeout_seconds' must be from 1 to 120"),
            (format!("{HSM}timeout_seconds = 121\n"), 7, "'timeout_seconds' must be from 1 to 120"),
            (format!("{HSM}root_ids = [\"9d2f\"]\n"), 7, "64 hexadecimal digits"),
            (format!("{HSM}root_ids = [\"{}\"]\n", "é".repeat(32)), 7, "64 hexadecimal digits"),
            (format!("{HSM}environments = [\"a//b\"]\n"), 7, "paths as [\"root\", \"acme/prod\"]"),
            (format!("{HSM}label = \"x\"\n"), 7, "unknown field"),
            ("type = \"tpm2\"\n".into(), 0, "missing field `name`"),
        ];
        for (keys, line, what) in cases {
            let (at, said) = refused(keys);
            assert_eq!(at, *line, "{keys}: {said}");
            assert!(said.contains(what), "{keys}: {said}");
        }
    }

    #[test]
    fn two_seals_of_one_name_are_refused_at_the_second() {
        let (line, what) = read(&[HSM, &TPM.replace("\"tpm2\"\nt", "\"hsm\"\nt")]).err().unwrap();
        assert_eq!((line, what.as_str()), (6 + 7 + 2, "two seals can't have one name"));
    }
}
