//! Reading a PIN, when it is needed and not before, into memory that is cleared.
use super::PinSource;
use crate::{
    device::{DeviceError, DeviceTrouble},
    private_file,
};
use std::{
    ffi::OsStr,
    fs::File,
    os::unix::ffi::OsStringExt as _,
    path::{Component, Path},
};
use zeroize::Zeroizing;

/// Longer than any token's PIN.
const LIMIT: usize = 1024;

pub(super) fn read(source: &PinSource) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
    let (pin, source) = match source {
        PinSource::File(path) => {
            let file = private_file::open(path).map_err(|wrong| {
                trouble(format!("the PIN's file {}: {}", wrong.what(), wrong.would_be_right()))
            })?;
            (private_file::read(&file, LIMIT).map_err(|_| too_long("the PIN's file"))?, "the PIN's file")
        }
        PinSource::Environment(name) => {
            let value = std::env::var_os(name).ok_or_else(|| {
                trouble("the PIN's environment variable is not set: it must be in the daemon's environment")
            })?;
            (Zeroizing::new(value.into_vec()), "the PIN's environment variable")
        }
        PinSource::Credential(name) => (credential(name)?, "the PIN's systemd credential"),
    };
    let end =
        pin.strip_suffix(b"\n").map_or(pin.len(), |line| line.strip_suffix(b"\r").unwrap_or(line).len());
    let pin = Zeroizing::new(pin.get(..end).unwrap_or_default().to_vec());
    match pin.len() {
        0 => Err(trouble(format!("{source} is empty: it must hold the PIN of the token's user"))),
        1..=LIMIT => Ok(pin),
        _ => Err(too_long(source)),
    }
}

/// systemd has seen to it that only the service can read its credentials; their mode may show an access list's mask.
fn credential(name: &str) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == OsStr::new(name))
    {
        return Err(trouble("the PIN's credential must be a name, without slashes"));
    }
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        trouble("CREDENTIALS_DIRECTORY is not set: give the PIN by LoadCredential= in the systemd unit")
    })?;
    let file = File::open(Path::new(&folder).join(name)).map_err(|_| {
        trouble("the PIN's credential can't be read: give it by LoadCredential= in the systemd unit")
    })?;
    private_file::read(&file, LIMIT).map_err(|_| too_long("the PIN's systemd credential"))
}

fn too_long(source: &str) -> DeviceError {
    trouble(format!("{source} can't be read, or is longer than a PIN: it must hold the PIN alone"))
}

fn trouble(sentence: impl Into<String>) -> DeviceError {
    DeviceError::new(DeviceTrouble::Configuration, sentence)
}
