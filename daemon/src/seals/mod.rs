//! `[[seal]]` of the configuration: devices that wrap root keys, each with the keys of its own type.
#[cfg(test)]
mod tests;
mod types;

use crate::config::Wrong;
use coffer_seal::device::Device;
use coffer_seal::devices::{Configured, Devices};
use coffer_seal::file::KeyFile;
use coffer_types::{Entropy, EnvironmentPath};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

const TYPES: &str = "'type' must be \"pkcs11\", \"tpm2\", \"transit\" or \"file\"";

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
