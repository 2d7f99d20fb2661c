//! The seal of a closed environment, as it lies in the store: read before there is a key to check it with.
use crate::{
    SealError,
    devices::is_by_device,
    seals::{ListedWrap, listed},
};
use coffer_secmem::Key32;
use keystore_format::{
    ids::WrapId,
    kdf::Context,
    seal_record::{self, SealRecord, ShamirParameters, Unverified, Wrap, WrapState, WrapType},
};

/// The copies of a seal record, of which one is enough.
#[derive(Clone)]
pub struct Seal {
    context: Context,
    copies: Vec<Vec<u8>>,
}

/// What a seal says of itself; claimed, not proved, while the environment is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealStatus {
    /// Counts changes of the seal.
    pub generation: u64,
    /// The kinds of wrap in force. Any one opens the environment.
    pub wraps: Vec<WrapType>,
    /// Shares handed out, and how many are needed; `None` where it isn't sealed by shares.
    pub shares: Option<(u8, u8)>,
    /// Whether a rekey waits to be settled: see [`crate::rekey`].
    pub has_pending: bool,
}

impl Seal {
    /// Takes the copies found in the store, the newer first, for the environment that was looked for.
    ///
    /// # Errors
    /// [`SealError::NoRecord`] where none can be read, or none is of that place.
    pub fn found(context: Context, mut copies: Vec<Vec<u8>>) -> Result<Self, SealError> {
        copies.retain(|copy| Unverified::decode(copy).is_ok_and(|record| record.claimed().ctx == context));
        if copies.is_empty() { Err(SealError::NoRecord) } else { Ok(Self { context, copies }) }
    }

    /// The store and environment.
    #[must_use]
    pub const fn context(&self) -> Context {
        self.context
    }

    /// What the newer copy says.
    #[must_use]
    pub fn status(&self) -> SealStatus {
        let newest = self.copies().next();
        let (generation, wraps, shares, has_pending) = newest.map_or((0, Vec::new(), None, false), |copy| {
            let record = copy.claimed();
            let shares =
                shamir_wraps(record).next().map(|(_, parameters)| (parameters.shares, parameters.threshold));
            let has_pending = record.wraps.iter().any(|wrap| wrap.state == WrapState::Pending);
            (record.generation, current(record).map(|wrap| wrap.wrap_type).collect(), shares, has_pending)
        });
        SealStatus { generation, wraps, shares, has_pending }
    }

    /// Opens the wrap of a child by the KEK that its open parent derives for it.
    ///
    /// # Errors
    /// [`SealError::NoWrap`] where the environment has seals of its own only; [`SealError::NotAuthentic`].
    pub fn open_inherited(&self, child_kek: &Key32) -> Result<Key32, SealError> {
        self.open(child_kek, |wrap| wrap.wrap_type == WrapType::Inherit)
    }

    /// Opens the first wrap that `fits` and that `kek` opens, in a record that is authentic under what it held.
    pub(crate) fn open(&self, kek: &Key32, fits: impl Fn(&Wrap) -> bool) -> Result<Key32, SealError> {
        self.open_any(kek, |wrap| wrap.state == WrapState::Current && fits(wrap))
            .map(|(_, root_key)| root_key)
    }

    /// As [`Seal::open`], a wrap that is pending too; says which it was.
    pub(crate) fn open_any(
        &self,
        kek: &Key32,
        fits: impl Fn(&Wrap) -> bool,
    ) -> Result<(WrapId, Key32), SealError> {
        let mut failed = SealError::NoWrap;
        for bytes in &self.copies {
            let Ok(copy) = Unverified::decode(bytes) else { continue };
            for wrap in copy.claimed().wraps.iter().filter(|wrap| fits(wrap)) {
                failed = SealError::NotAuthentic;
                let root_key = unwrap(copy.claimed(), wrap, kek);
                if let Some(root_key) = root_key.filter(|root_key| is_authentic(bytes, root_key)) {
                    return Ok((wrap.id, root_key));
                }
            }
        }
        Err(failed)
    }

    /// Whether a copy of the seal record is authentic under this root key.
    pub(crate) fn is_authentic(&self, root_key: &Key32) -> bool {
        self.copies.iter().any(|copy| is_authentic(copy, root_key))
    }

    /// Whether shares open it, as any copy says: one of them may have been altered.
    #[must_use]
    pub fn is_by_shares(&self) -> bool {
        self.copies().any(|copy| shamir_wraps(copy.claimed()).next().is_some())
    }

    /// Whether a device opens it, as any copy says.
    #[must_use]
    pub fn is_by_devices(&self) -> bool {
        self.copies().any(|copy| current(copy.claimed()).any(|wrap| is_by_device(wrap.wrap_type)))
    }

    /// The wraps of the newer copy.
    #[must_use]
    pub fn wraps(&self) -> Vec<ListedWrap> {
        self.copies().next().map(|copy| listed(copy.claimed())).unwrap_or_default()
    }

    pub(crate) fn copies(&self) -> impl Iterator<Item = Unverified<'_>> {
        self.copies.iter().filter_map(|copy| Unverified::decode(copy).ok())
    }
}

fn unwrap(record: &SealRecord, wrap: &Wrap, kek: &Key32) -> Option<Key32> {
    seal_record::unwrap_root(kek.expose(), &record.ctx, wrap.id, &record.root_id, &wrap.blob)
        .ok()
        .map(|mut root_key| Key32::from_bytes(&mut root_key))
}

/// Whether the whole record was written under this root key.
fn is_authentic(copy: &[u8], root_key: &Key32) -> bool {
    Unverified::decode(copy).and_then(|copy| copy.verify(root_key.expose())).is_ok()
}

fn current(record: &SealRecord) -> impl Iterator<Item = &Wrap> {
    record.wraps.iter().filter(|wrap| wrap.state == WrapState::Current)
}

/// The wraps by shares that open the environment: those in force first, then the way back that a rekey has left.
pub(crate) fn shamir_wraps(record: &SealRecord) -> impl Iterator<Item = (&Wrap, ShamirParameters)> {
    let pending = record.wraps.iter().filter(|wrap| wrap.state == WrapState::Pending);
    let by_shares = current(record).chain(pending).filter(|wrap| wrap.wrap_type == WrapType::Shamir);
    by_shares.filter_map(|wrap| Some((wrap, ShamirParameters::decode(&wrap.parameters).ok()?)))
}
