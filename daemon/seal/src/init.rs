//! The seal of a new environment: by shares, or inherited from the environment above.
use crate::{SealError, shamir, shamir::Threshold};
use coffer_secmem::{Key32, leaving_nothing};
use coffer_types::{Entropy, WrapId};
use keystore_format::{
    kdf::Context,
    keyring::EscrowedKek,
    seal_record::{self, SealRecord, ShamirParameters, ShareDigest, Wrap, WrapState, WrapType},
    share::{self, Share},
    tail::Tail,
};
use zeroize::Zeroizing;

/// A new environment's root key, sealed by shares. Nothing of it is anywhere else: the shares are handed out once.
pub struct Initialised {
    /// For the barrier.
    pub root_key: Key32,
    /// For the store, written by the barrier.
    pub seal: SealRecord,
    /// For their holders.
    pub shares: Vec<Share>,
    /// For the keyring, so that the root key can be rotated without the holders.
    pub escrow: Vec<EscrowedKek>,
}

/// A new child's root key, sealed by its parent.
pub struct Inherited {
    /// For the barrier.
    pub root_key: Key32,
    /// For the store, written by the barrier.
    pub seal: SealRecord,
}

impl Initialised {
    /// Makes a root key, wraps it under a KEK and splits that.
    ///
    /// # Errors
    /// [`SealError::Entropy`].
    pub fn new(context: Context, threshold: Threshold, entropy: &dyn Entropy) -> Result<Self, SealError> {
        leaving_nothing(|| Self::made(context, threshold, entropy))
    }

    /// Keys that are moved leave copies, so what is given back holds none itself: they lie behind a pointer.
    fn made(context: Context, threshold: Threshold, entropy: &dyn Entropy) -> Result<Self, SealError> {
        let (root_key, kek) = (random_key(entropy)?, random_key(entropy)?);
        let id = WrapId(coffer_types::random(entropy)?);
        let set_id = share::set_id(kek.expose(), &context, id);
        let points = shamir::split(kek.expose(), threshold, &mut |bytes| entropy.fill(bytes))?;
        let k = threshold.threshold();
        let shares: Vec<Share> = points
            .into_iter()
            .map(|point| Share { set_id, x: point.x, k, y: Zeroizing::new(*point.y.expose()) })
            .collect();
        let parameters = ShamirParameters { shares: threshold.shares(), threshold: k, set_id }.encode();
        let mut seal = seal_of(context, &root_key, WrapType::Shamir, id, parameters, &kek, entropy)?;
        seal.share_digests =
            shares.iter().map(|share| ShareDigest { set_id, digest: share.digest() }).collect();
        let escrow = vec![EscrowedKek { wrap: id, kek: Zeroizing::new(*kek.expose()) }];
        Ok(Self { root_key, seal, shares, escrow })
    }
}

impl Inherited {
    /// Makes a root key and wraps it under the KEK that the open parent derives for this child.
    ///
    /// # Errors
    /// [`SealError::Entropy`].
    pub fn new(context: Context, child_kek: &Key32, entropy: &dyn Entropy) -> Result<Self, SealError> {
        let root_key = random_key(entropy)?;
        let id = WrapId(coffer_types::random(entropy)?);
        let seal = seal_of(context, &root_key, WrapType::Inherit, id, Vec::new(), child_kek, entropy)?;
        Ok(Self { root_key, seal })
    }

    /// Wraps a root key that is there under the KEK that the open parent derives for this child.
    ///
    /// # Errors
    /// [`SealError::Entropy`].
    pub fn wrap(
        context: Context,
        child_kek: &Key32,
        root_key: &Key32,
        entropy: &dyn Entropy,
    ) -> Result<Wrap, SealError> {
        let id = WrapId(coffer_types::random(entropy)?);
        let root_id = seal_record::root_id(root_key.expose(), &context);
        let nonce = coffer_types::random(entropy)?;
        let blob =
            seal_record::wrap_root(child_kek.expose(), &context, id, &root_id, &nonce, root_key.expose());
        let (wrap_type, state) = (WrapType::Inherit, WrapState::Current);
        Ok(Wrap { id, wrap_type, state, parameters: Vec::new(), blob })
    }
}

fn seal_of(
    ctx: Context,
    root_key: &Key32,
    wrap_type: WrapType,
    id: WrapId,
    parameters: Vec<u8>,
    kek: &Key32,
    entropy: &dyn Entropy,
) -> Result<SealRecord, SealError> {
    let root_id = seal_record::root_id(root_key.expose(), &ctx);
    let nonce = coffer_types::random(entropy)?;
    let blob = seal_record::wrap_root(kek.expose(), &ctx, id, &root_id, &nonce, root_key.expose());
    let wraps = vec![Wrap { id, wrap_type, state: WrapState::Current, parameters, blob }];
    Ok(SealRecord { ctx, root_id, generation: 1, wraps, share_digests: Vec::new(), tail: Tail::new() })
}

pub(crate) fn random_key(entropy: &dyn Entropy) -> Result<Key32, SealError> {
    Ok(Key32::generate(&mut |bytes| entropy.fill(bytes))?)
}
