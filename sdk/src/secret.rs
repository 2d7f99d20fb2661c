//! Values that are cleared when they are dropped and that nothing prints by accident.
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, Zeroizing};

/// A secret. No `Debug`, `Display`, `Clone` or `Serialize`; whoever reads it says [`Secret::expose`].
///
/// It can be a field of a type that [`crate::Kv::get`] gives. To send one, mark the field with
/// `#[serde(serialize_with = "coffer_sdk::exposed")]`.
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes a value into keeping.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value. Copies made of it are the caller's to clear.
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> From<Zeroizing<T>> for Secret<T> {
    fn from(value: Zeroizing<T>) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

/// Writes a secret's value: for `#[serde(serialize_with = "coffer_sdk::exposed")]` on a field that is to be stored.
///
/// # Errors
/// The serializer's.
pub fn exposed<T: Zeroize + Serialize, S: Serializer>(
    secret: &Secret<T>,
    serializer: S,
) -> core::result::Result<S::Ok, S::Error> {
    secret.expose().serialize(serializer)
}

/// `N` bytes of the operating system's generator.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}
