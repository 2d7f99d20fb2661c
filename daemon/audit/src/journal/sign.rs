//! The key of one tree in one incarnation.
use crate::Unrecorded;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use coffer_secmem::{Key32, leaving_nothing};
use keystore_format::checkpoint::{self, Checkpoint};
use keystore_format::logcheck::LogId;
use keystore_format::merkle::Hash;
use keystore_format::note::VerifierKey;

/// Told of every durable checkpoint: size and root.
type Told = Box<dyn Fn(u64, Hash) + Send + Sync>;

/// Signs the checkpoints of one tree. The seed rests in secret memory; the key pair exists while it signs.
pub(crate) struct Signer {
    seed: Key32,
    pub(crate) key: VerifierKey,
    pub(crate) told: Told,
}

impl Signer {
    pub(crate) fn new(host: &str, log: LogId, seed: Key32, told: Told) -> Result<Self, Unrecorded> {
        let public = leaving_nothing(|| {
            pair(&seed)?.public_key().as_ref().try_into().map_err(|_| Unrecorded::Failed)
        })?;
        let origin = checkpoint::origin(host, log.0, &log.1);
        let key = VerifierKey::new(&origin, public).map_err(|_| Unrecorded::Failed)?;
        Ok(Self { seed, key, told })
    }

    /// The signed checkpoint's text.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> Result<String, Unrecorded> {
        leaving_nothing(|| {
            let pair = pair(&self.seed)?;
            let checkpoint = Checkpoint { origin: self.key.name().into(), size, root };
            let note = checkpoint.sign(&self.key, |text| {
                let mut signature = [0; 64];
                // An Ed25519 signature (RFC 8032) has 64 bytes.
                signature.copy_from_slice(pair.sign(text).as_ref());
                signature
            });
            note.map(|note| note.to_text()).map_err(|_| Unrecorded::Failed)
        })
    }
}

fn pair(seed: &Key32) -> Result<Ed25519KeyPair, Unrecorded> {
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| Unrecorded::Failed)
}
