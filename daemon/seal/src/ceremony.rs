//! Unsealing by shares: the holders come one after the other, in any order, over several requests.
//!
//! A share that is wrong is refused at once, by the digests in the seal record, and what was offered before it stays.
use crate::{
    Seal, SealError, ShareError,
    rekey::SharedKek,
    seal::shamir_wraps,
    shamir::{self, Point},
};
use coffer_secmem::{Key32, leaving_nothing};
use coffer_types::Entropy;
use keystore_format::{
    seal_record::{SealRecord, ShamirParameters, Wrap, WrapType},
    share::{self, Share},
};

/// The shares offered so far. Cleared when it completes, is reset or dropped.
#[derive(Default)]
pub struct UnsealProgress {
    held: Vec<Held>,
    nonce: Option<[u8; 16]>,
}

struct Held {
    set_id: [u8; 8],
    point: Point,
}

/// What a share has brought.
pub enum Offered {
    /// More are needed.
    Progress {
        /// Different shares offered so far.
        have: u8,
        /// Shares that are needed.
        need: u8,
        /// Whether this one had been offered before, so that nothing changed.
        repeated: bool,
    },
    /// The root key.
    Complete(Joined),
}

/// What enough shares give together.
pub struct Joined {
    /// The root key.
    pub root_key: Key32,
    /// The key that the shares are of, and the wrap that it opened.
    pub shared: SharedKek,
}

impl UnsealProgress {
    /// Takes a share in any of its three forms (Bech32m, hex, base64), and opens `seal` when it was the last needed.
    ///
    /// # Errors
    /// Why the share is refused; progress stays. Only with [`ShareError::Seal`] does the ceremony start over.
    pub fn offer(&mut self, text: &str, seal: &Seal, entropy: &dyn Entropy) -> Result<Offered, ShareError> {
        leaving_nothing(|| self.offered(text, seal, entropy))
    }

    fn offered(&mut self, text: &str, seal: &Seal, entropy: &dyn Entropy) -> Result<Offered, ShareError> {
        let share = Share::parse_any(text).map_err(|error| ShareError::of_text(text, error))?;
        let parameters = judge(&share, seal)?;
        let repeated = self.held.iter().any(|held| held.set_id == share.set_id && held.point.x == share.x);
        if !repeated {
            if self.nonce.is_none() {
                self.nonce = Some(coffer_types::random(entropy).map_err(SealError::from)?);
            }
            let y = Key32::derive(|y| y.copy_from_slice(&*share.y));
            self.held.push(Held { set_id: share.set_id, point: Point { x: share.x, y } });
        }
        let (have, need) = (self.of_set(share.set_id), parameters.threshold);
        if have < need {
            return Ok(Offered::Progress { have, need, repeated });
        }
        let held = std::mem::take(&mut self.held);
        self.reset();
        let points = held.into_iter().filter(|held| held.set_id == share.set_id).map(|held| held.point);
        let points: Vec<Point> = points.take(need.into()).collect();
        let kek = shamir::join(&points).ok_or(SealError::NotAuthentic)?;
        Ok(Offered::Complete(open(kek, share.set_id, seal)?))
    }

    /// How far it is: different shares offered, and shares needed; `None` where `seal` isn't by shares.
    #[must_use]
    pub fn progress(&self, seal: &Seal) -> Option<(u8, u8)> {
        let sets = || seal.copies().flat_map(|copy| current_sets(copy.claimed()));
        let furthest = sets().max_by_key(|set| self.of_set(set.set_id))?;
        Some((self.of_set(furthest.set_id), furthest.threshold))
    }

    /// Names this attempt, from its first share on.
    #[must_use]
    pub const fn nonce(&self) -> Option<[u8; 16]> {
        self.nonce
    }

    /// Different shares offered so far, of any set.
    #[must_use]
    pub fn count(&self) -> u8 {
        u8::try_from(self.held.len()).unwrap_or(u8::MAX)
    }

    /// Forgets all shares.
    pub fn reset(&mut self) {
        self.held.clear();
        self.nonce = None;
    }

    fn of_set(&self, set_id: [u8; 8]) -> u8 {
        let count = self.held.iter().filter(|held| held.set_id == set_id).count();
        u8::try_from(count).unwrap_or(u8::MAX)
    }
}

/// Whether the share is one that was handed out for a set in force, and if not, why.
fn judge(share: &Share, seal: &Seal) -> Result<ShamirParameters, ShareError> {
    let digest = share.digest();
    let (mut by_shares, mut in_force, mut known) = (false, false, false);
    for copy in seal.copies() {
        let record = copy.claimed();
        for set in current_sets(record) {
            by_shares = true;
            in_force |= set.set_id == share.set_id;
        }
        let digests = record.share_digests.iter().filter(|handed_out| handed_out.set_id == share.set_id);
        for handed_out in digests {
            known = true;
            let set = current_sets(record).find(|set| set.set_id == share.set_id);
            if handed_out.digest == digest
                && let Some(set) = set.filter(|set| set.threshold == share.k)
            {
                return Ok(set);
            }
        }
    }
    Err(match (by_shares, in_force, known) {
        (false, ..) => ShareError::NotByShares,
        (_, true, _) => ShareError::Typo,
        (_, _, true) => ShareError::OldSet,
        _ => ShareError::ForeignSet,
    })
}

fn open(kek: Key32, set_id: [u8; 8], seal: &Seal) -> Result<Joined, SealError> {
    let context = seal.context();
    let is_its = |wrap: &Wrap| {
        wrap.wrap_type == WrapType::Shamir && share::set_id(kek.expose(), &context, wrap.id) == set_id
    };
    let (wrap, root_key) = seal.open_any(&kek, is_its).map_err(|_| SealError::NotAuthentic)?;
    Ok(Joined { root_key, shared: SharedKek { wrap, kek } })
}

fn current_sets(record: &SealRecord) -> impl Iterator<Item = ShamirParameters> + use<> {
    shamir_wraps(record).map(|(_, parameters)| parameters).collect::<Vec<_>>().into_iter()
}
