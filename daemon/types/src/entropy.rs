//! Randomness as an argument.

/// The generator gave no bytes; whatever wanted them must not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntropyError;

/// Where keys, nonces and ids come from: the operating system in the daemon, a seeded generator in tests only.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`, or fails and promises nothing about them.
    ///
    /// # Errors
    /// Where the generator fails.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// `N` random bytes.
///
/// # Errors
/// Where the generator fails.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}
