//! Another root key in place of the present one: with new shares (rekey), or under the same (rotation of the root key).
//!
//! Rekeying replaces the root key too: with the shares alone replaced, old shares and an old backup would still give
//! today's root key. New shares are of no use before the commit that puts them in force, and the old ones after it.
//! Nobody can know whether an answer reached its client, so after a rekey that nobody has confirmed the old shares
//! keep a way back, a wrap that is *pending*: it ends with the first proof that the new shares are held, or it takes the
//! new ones' place where it is used first. See decision 0093.
use crate::{
    SealError, Threshold,
    init::random_key,
    seals::{NamedWrap, name, replaced},
    shamir,
};
use coffer_secmem::{Key32, leaving_nothing};
use coffer_types::{Entropy, WrapId};
use keystore_format::{
    kdf::Context,
    keyring::EscrowedKek,
    seal_record::{self, SealRecord, ShamirParameters, ShareDigest, Wrap, WrapState, WrapType},
    share::{self, Share},
};
use zeroize::Zeroizing;

/// The key that shares give when they are joined, and the wrap that it opens.
pub struct SharedKek {
    /// The wrap.
    pub wrap: WrapId,
    /// The key-encryption key.
    pub kek: Key32,
}

/// A set of shares that is made and not in force. It holds none of them: it may wait for days to be shown.
pub struct NewShares {
    shared: SharedKek,
    threshold: Threshold,
    set_id: [u8; 8],
    /// Of each share, as the seal record has them.
    digests: Vec<[u8; 32]>,
}

impl NewShares {
    /// Makes a KEK and splits it: the set, and its shares, for their holders.
    ///
    /// # Errors
    /// [`SealError::Entropy`].
    pub fn new(
        context: Context,
        threshold: Threshold,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Vec<Share>), SealError> {
        let kek = random_key(entropy)?;
        let wrap = WrapId(coffer_types::random(entropy)?);
        let set_id = share::set_id(kek.expose(), &context, wrap);
        let points = shamir::split(kek.expose(), threshold, &mut |bytes| entropy.fill(bytes))?;
        let k = threshold.threshold();
        let share =
            |point: shamir::Point| Share { set_id, x: point.x, k, y: Zeroizing::new(*point.y.expose()) };
        let shares: Vec<Share> = leaving_nothing(|| points.into_iter().map(share).collect());
        let digests = shares.iter().map(Share::digest).collect();
        Ok((Self { shared: SharedKek { wrap, kek }, threshold, set_id, digests }, shares))
    }

    /// How many there are, and how many are needed.
    #[must_use]
    pub const fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// The wrap that they open.
    #[must_use]
    pub const fn wrap(&self) -> WrapId {
        self.shared.wrap
    }

    /// Names the set.
    #[must_use]
    pub const fn set_id(&self) -> [u8; 8] {
        self.set_id
    }

    /// The KEK, for the keyring.
    pub(crate) fn escrowed(&self) -> EscrowedKek {
        escrowed(&self.shared)
    }

    fn parameters(&self) -> Vec<u8> {
        let (shares, threshold) = (self.threshold.shares(), self.threshold.threshold());
        ShamirParameters { shares, threshold, set_id: self.set_id }.encode()
    }

    /// What the seal record holds of each share.
    pub(crate) fn digests(&self) -> impl Iterator<Item = ShareDigest> {
        self.digests.iter().map(|digest| ShareDigest { set_id: self.set_id, digest: *digest })
    }

    /// Whether this is one of them, as it was handed out.
    #[must_use]
    pub fn holds(&self, share: &Share) -> bool {
        share.set_id == self.set_id && self.digests.contains(&share.digest())
    }
}

/// What rekeying leaves to the shares that it replaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OldShares {
    /// Nothing: the new ones have been shown to be held.
    End,
    /// A way back, until that has been shown.
    KeepAWayBack,
}

/// The seal record and escrow under `root_key` with `new` in place of `old`. Wraps that are not by shares stay where the
/// root key stays (a refresh of the shares); under another one, `others` holds what their devices have made anew.
///
/// # Errors
/// [`SealError::NoWrap`] where `old` is not in force; [`SealError::OtherWraps`] where a device's wrap is missing;
/// [`SealError::Entropy`].
pub fn rekeyed(
    record: SealRecord,
    escrow: &mut Vec<EscrowedKek>,
    root_key: &Key32,
    (old, new): (&SharedKek, &NewShares),
    old_shares: OldShares,
    others: &[NamedWrap],
    entropy: &dyn Entropy,
) -> Result<SealRecord, SealError> {
    let replaced = record.wraps.iter().find(|wrap| wrap.id == old.wrap && wrap.wrap_type == WrapType::Shamir);
    let replaced = replaced.ok_or(SealError::NoWrap)?;
    let mut wraps = vec![shared_wrap(&record, root_key, new, entropy)?];
    if old_shares == OldShares::KeepAWayBack {
        let parameters = replaced.parameters.clone();
        wraps.push(wrapped(&record, root_key, old, parameters, WrapState::Pending, entropy)?);
    }
    let mut digests = record.share_digests.clone();
    digests.extend(new.digests());
    *escrow = [Some(&new.shared), (old_shares == OldShares::KeepAWayBack).then_some(old)]
        .into_iter()
        .flatten()
        .map(escrowed)
        .collect();
    escrow.sort_by_key(|one| one.wrap);
    beside(record, root_key, wraps, digests, others)
}

/// The seal record under another root key with all its shares as they are, by the escrow of their KEKs, and with what
/// devices have made anew.
///
/// # Errors
/// [`SealError::OtherWraps`] where a device's wrap is missing; [`SealError::NoWrap`] where the escrow lacks a KEK;
/// [`SealError::Entropy`].
pub fn rotated(
    record: SealRecord,
    escrow: &[EscrowedKek],
    root_key: &Key32,
    others: &[NamedWrap],
    entropy: &dyn Entropy,
) -> Result<SealRecord, SealError> {
    let again = |wrap: &Wrap| {
        let kept = escrow.iter().find(|kept| kept.wrap == wrap.id).ok_or(SealError::NoWrap)?;
        let shared = SharedKek { wrap: wrap.id, kek: Key32::derive(|kek| kek.copy_from_slice(&*kept.kek)) };
        wrapped(&record, root_key, &shared, wrap.parameters.clone(), wrap.state, entropy)
    };
    let by_shares = record.wraps.iter().filter(|wrap| wrap.wrap_type == WrapType::Shamir);
    let wraps = by_shares.map(again).collect::<Result<_, _>>()?;
    let digests = record.share_digests.clone();
    beside(record, root_key, wraps, digests, others)
}

/// The next seal record: these wraps by shares, and beside them all others, under the root key.
fn beside(
    record: SealRecord,
    root_key: &Key32,
    mut wraps: Vec<Wrap>,
    digests: Vec<ShareDigest>,
    others: &[NamedWrap],
) -> Result<SealRecord, SealError> {
    let root_id = seal_record::root_id(root_key.expose(), &record.ctx);
    if root_id == record.root_id {
        wraps.extend(record.wraps.iter().filter(|wrap| wrap.wrap_type != WrapType::Shamir).cloned());
        return Ok(next(record, root_key, wraps, digests));
    }
    let again = replaced(&record, others)?;
    let named = again.iter().map(|new| (new.wrap.id, new.name.clone())).collect();
    wraps.extend(again.into_iter().map(|new| new.wrap));
    let mut record = next(record, root_key, wraps, digests);
    name(&mut record, named)?;
    Ok(record)
}

/// The seal record, under the same root key, once it is known which of two sets of shares is held: only that one stays.
/// `None` where there is nothing to settle, or `held` is no wrap of it.
#[must_use]
pub fn settled(
    record: SealRecord,
    escrow: &mut Vec<EscrowedKek>,
    root_key: &Key32,
    held: WrapId,
) -> Option<SealRecord> {
    if !is_unsettled(&record) {
        return None;
    }
    if !record.wraps.iter().any(|wrap| wrap.id == held) {
        return None;
    }
    escrow.retain(|kek| kek.wrap == held);
    let stays = record.wraps.iter().filter(|wrap| wrap.id == held || wrap.wrap_type != WrapType::Shamir);
    let wraps = stays.map(|wrap| Wrap { state: WrapState::Current, ..wrap.clone() }).collect();
    let digests = record.share_digests.clone();
    Some(next(record, root_key, wraps, digests))
}

/// Whether two sets of shares open the environment, so that the one which is held is to be found out.
#[must_use]
pub fn is_unsettled(record: &SealRecord) -> bool {
    record.wraps.iter().any(|wrap| wrap.state == WrapState::Pending)
}

fn escrowed(shared: &SharedKek) -> EscrowedKek {
    EscrowedKek { wrap: shared.wrap, kek: Zeroizing::new(*shared.kek.expose()) }
}

/// The wrap in force by new shares.
pub(crate) fn shared_wrap(
    record: &SealRecord,
    root_key: &Key32,
    new: &NewShares,
    entropy: &dyn Entropy,
) -> Result<Wrap, SealError> {
    wrapped(record, root_key, &new.shared, new.parameters(), WrapState::Current, entropy)
}

fn wrapped(
    record: &SealRecord,
    root_key: &Key32,
    shared: &SharedKek,
    parameters: Vec<u8>,
    state: WrapState,
    entropy: &dyn Entropy,
) -> Result<Wrap, SealError> {
    let root_id = seal_record::root_id(root_key.expose(), &record.ctx);
    let nonce = coffer_types::random(entropy)?;
    let (kek, root) = (shared.kek.expose(), root_key.expose());
    let blob = seal_record::wrap_root(kek, &record.ctx, shared.wrap, &root_id, &nonce, root);
    Ok(Wrap { id: shared.wrap, wrap_type: WrapType::Shamir, state, parameters, blob })
}

/// The record of the next generation.
pub(crate) fn next(
    record: SealRecord,
    root_key: &Key32,
    wraps: Vec<Wrap>,
    share_digests: Vec<ShareDigest>,
) -> SealRecord {
    let root_id = seal_record::root_id(root_key.expose(), &record.ctx);
    SealRecord { root_id, generation: record.generation + 1, wraps, share_digests, ..record }
}
