//! Where a device's PIN, password or token lies. Read when it is needed and not before, into memory that is cleared.
use crate::{
    device::{DeviceError, DeviceTrouble},
    private_file,
};
use std::{
    ffi::OsStr,
    fs::File,
    os::unix::ffi::OsStringExt as _,
    path::{Component, Path, PathBuf},
};
use zeroize::Zeroizing;

/// Longer than any PIN or token, in bytes.
const LIMIT: usize = 1024;

/// Where a secret lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretSource {
    /// A file that only its owner can read; a newline at its end is not of the secret.
    File(PathBuf),
    /// An environment variable. Whoever may look into the process's environment can read it.
    Environment(String),
    /// A systemd credential, by its name: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// How sentences name a secret.
pub struct Words {
    /// Such as `the PIN`.
    pub it: &'static str,
    /// Such as `the PIN of the token's user`.
    pub whose: &'static str,
    /// Such as `a PIN`.
    pub any: &'static str,
}

impl SecretSource {
    /// The secret, without a newline at its end: 1 to 1,024 bytes.
    ///
    /// # Errors
    /// [`DeviceTrouble::Configuration`] says what is wrong with where it lies.
    pub fn read(&self, words: &Words) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let it = words.it;
        let (secret, source) = match self {
            Self::File(path) => {
                let source = format!("{it}'s file");
                let file = private_file::open(path).map_err(|wrong| {
                    trouble(format!("{source} {}: {}", wrong.what(), wrong.would_be_right()))
                })?;
                (private_file::read(&file, LIMIT).map_err(|_| words.too_long(&source))?, source)
            }
            Self::Environment(name) => {
                let source = format!("{it}'s environment variable");
                let value = std::env::var_os(name).ok_or_else(|| {
                    trouble(format!("{source} is not set: it must be in the daemon's environment"))
                })?;
                (Zeroizing::new(value.into_vec()), source)
            }
            Self::Credential(name) => (words.credential(name)?, format!("{it}'s systemd credential")),
        };
        let end = secret
            .strip_suffix(b"\n")
            .map_or(secret.len(), |line| line.strip_suffix(b"\r").unwrap_or(line).len());
        let secret = Zeroizing::new(secret.get(..end).unwrap_or_default().to_vec());
        match secret.len() {
            0 => Err(trouble(format!("{source} is empty: it must hold {}", words.whose))),
            1..=LIMIT => Ok(secret),
            _ => Err(words.too_long(&source)),
        }
    }
}

impl Words {
    /// systemd has seen to it that only the service can read its credentials; their mode may show an access list's mask.
    fn credential(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let it = self.it;
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == OsStr::new(name))
        {
            return Err(trouble(format!("{it}'s credential must be a name, without slashes")));
        }
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
            trouble(format!(
                "CREDENTIALS_DIRECTORY is not set: give {it} by LoadCredential= in the systemd unit"
            ))
        })?;
        let file = File::open(Path::new(&folder).join(name)).map_err(|_| {
            trouble(format!(
                "{it}'s credential can't be read: give it by LoadCredential= in the systemd unit"
            ))
        })?;
        private_file::read(&file, LIMIT).map_err(|_| self.too_long(&format!("{it}'s systemd credential")))
    }

    fn too_long(&self, source: &str) -> DeviceError {
        let Self { it, any, .. } = self;
        trouble(format!("{source} can't be read, or is longer than {any}: it must hold {it} alone"))
    }
}

fn trouble(sentence: impl Into<String>) -> DeviceError {
    DeviceError::new(DeviceTrouble::Configuration, sentence)
}
