//! Several seals on one root key: adding and removing wraps, with the root key as it is.
//!
//! Any one wrap opens the environment, so it is as strong as its weakest; and whoever loses all of them has lost
//! everything. A wrap by a device is proved to open before it is in force.
use crate::{
    SealError,
    rekey::{NewShares, next, shared_wrap},
};
use coffer_secmem::{Key32, leaving_nothing};
use coffer_types::Entropy;
use keystore_format::{
    ids::WrapId,
    kdf::Context,
    keyring::EscrowedKek,
    seal_record::{self, SealRecord, ShamirParameters, Wrap, WrapState, WrapType},
    tail::Tail,
    tpm_wrap::TpmParameters,
    wrap_names,
};
use zeroize::Zeroizing;

/// The name of the wrap that the parent opens. No device can have it.
pub const INHERIT: &str = "inherit";
/// The name of the wrap that shares open.
pub const SHARES: &str = "shares";

/// A wrap made by a device or the parent, and by whom.
pub struct NamedWrap {
    /// The device's name in the configuration, or [`INHERIT`].
    pub name: String,
    /// The wrap, in force with the commit that writes it.
    pub wrap: Wrap,
}

impl NamedWrap {
    /// The same again: a commit may be run more than once.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { name: self.name.clone(), wrap: self.wrap.clone() }
    }
}

/// The kind of a wrap, as a word.
#[must_use]
pub const fn word(wrap_type: WrapType) -> &'static str {
    match wrap_type {
        WrapType::Shamir => "shamir",
        WrapType::Pkcs11 => "pkcs11",
        WrapType::Tpm2 => "tpm2",
        WrapType::Transit => "transit",
        WrapType::Inherit => "inherit",
        WrapType::File => "file",
    }
}

/// One wrap of a seal record, as people see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedWrap {
    /// Its id.
    pub id: WrapId,
    /// By what it is opened: a device's name, [`INHERIT`] or [`SHARES`]; empty where the record has no name for it.
    pub name: String,
    /// Its kind.
    pub wrap_type: WrapType,
    /// False for the way back that a rekey has left.
    pub is_current: bool,
    /// Shares handed out, and how many are needed.
    pub shares: Option<(u8, u8)>,
    /// Whether opening it takes a PIN beside the device: a TPM's wrap says so.
    pub takes_pin: bool,
}

/// What a change of the seal does, in one commit.
#[derive(Default)]
pub struct SealChange<'a> {
    /// Wraps by devices or the parent.
    pub add: Vec<NamedWrap>,
    /// Shares, where there are none.
    pub shares: Option<&'a NewShares>,
    /// The wraps that end.
    pub remove: Vec<WrapId>,
}

/// All wraps of a record.
#[must_use]
pub fn listed(record: &SealRecord) -> Vec<ListedWrap> {
    let names = names(record);
    let list = |wrap: &Wrap| {
        let shares = match wrap.wrap_type {
            WrapType::Shamir => ShamirParameters::decode(&wrap.parameters).ok(),
            _ => None,
        };
        let own = names.iter().find(|(id, _)| *id == wrap.id).map(|(_, name)| name.clone());
        let fallback = match wrap.wrap_type {
            WrapType::Shamir => SHARES,
            WrapType::Inherit => INHERIT,
            _ => "",
        };
        ListedWrap {
            id: wrap.id,
            name: own.unwrap_or_else(|| fallback.to_owned()),
            wrap_type: wrap.wrap_type,
            is_current: wrap.state == WrapState::Current,
            shares: shares.map(|set| (set.shares, set.threshold)),
            takes_pin: wrap.wrap_type == WrapType::Tpm2
                && TpmParameters::decode(&wrap.parameters).is_ok_and(|parameters| parameters.pin),
        }
    };
    record.wraps.iter().map(list).collect()
}

/// How much it takes to open a wrap, the weakest first. Of several wraps of one kind the order is that of the record.
#[must_use]
pub fn strength(wrap: &ListedWrap) -> u8 {
    match (wrap.wrap_type, wrap.shares) {
        // Who has a copy of two files.
        (WrapType::File, _) => 0,
        // Who has one share.
        (WrapType::Shamir, Some((_, 0 | 1))) => 1,
        // Who runs the machine as it was approved; who may use the other daemon's key; who opens the parent.
        (WrapType::Transit, _) => 2,
        (WrapType::Inherit, _) => 3,
        (WrapType::Tpm2, _) => 4,
        (WrapType::Pkcs11, _) => 5,
        // Several people together.
        (WrapType::Shamir, _) => 6,
    }
}

/// The wrap that is the easiest to open, of those in force.
#[must_use]
pub fn weakest(wraps: &[ListedWrap]) -> Option<&ListedWrap> {
    wraps.iter().filter(|wrap| wrap.is_current).min_by_key(|wrap| strength(wrap))
}

/// The seal record and escrow under the same root key, with what `change` says.
///
/// # Errors
/// [`SealError::NameTaken`], [`SealError::SharesThere`], [`SealError::NoWrap`] where one that ends isn't there,
/// [`SealError::NoSealLeft`], [`SealError::Entropy`].
pub fn changed(
    record: SealRecord,
    escrow: &mut Vec<EscrowedKek>,
    root_key: &Key32,
    change: &SealChange<'_>,
    entropy: &dyn Entropy,
) -> Result<SealRecord, SealError> {
    if change.remove.iter().any(|id| record.wraps.iter().all(|wrap| wrap.id != *id)) {
        return Err(SealError::NoWrap);
    }
    let mut names = names(&record);
    let mut wraps: Vec<Wrap> =
        record.wraps.iter().filter(|wrap| !change.remove.contains(&wrap.id)).cloned().collect();
    names.retain(|(id, _)| wraps.iter().any(|wrap| wrap.id == *id));
    escrow.retain(|kek| wraps.iter().any(|wrap| wrap.id == kek.wrap));
    let mut digests = record.share_digests.clone();
    for NamedWrap { name, wrap } in &change.add {
        let is_inherited = |wrap: &Wrap| wrap.wrap_type == WrapType::Inherit;
        if names.iter().any(|(_, taken)| taken == name)
            || (is_inherited(wrap) && wraps.iter().any(is_inherited))
        {
            return Err(SealError::NameTaken);
        }
        names.push((wrap.id, name.clone()));
        wraps.push(wrap.clone());
    }
    if let Some(shares) = change.shares {
        if wraps.iter().any(|wrap| wrap.wrap_type == WrapType::Shamir) {
            return Err(SealError::SharesThere);
        }
        wraps.push(shared_wrap(&record, root_key, shares, entropy)?);
        digests.extend(shares.digests());
        escrow.push(shares.escrowed());
        escrow.sort_by_key(|one| one.wrap);
    }
    if !wraps.iter().any(|wrap| wrap.state == WrapState::Current) {
        return Err(SealError::NoSealLeft);
    }
    let mut record = next(record, root_key, wraps, digests);
    name(&mut record, names)?;
    Ok(record)
}

/// The first seal record of an environment, and the escrow of its shares.
///
/// # Errors
/// As [`changed`].
pub fn first(
    ctx: Context,
    root_key: &Key32,
    add: Vec<NamedWrap>,
    shares: Option<&NewShares>,
    entropy: &dyn Entropy,
) -> Result<(SealRecord, Vec<EscrowedKek>), SealError> {
    let root_id = seal_record::root_id(root_key.expose(), &ctx);
    let (wraps, share_digests, tail) = (Vec::new(), Vec::new(), Tail::new());
    let none = SealRecord { ctx, root_id, generation: 0, wraps, share_digests, tail };
    let mut escrow = Vec::new();
    let change = SealChange { add, shares, remove: Vec::new() };
    let record = leaving_nothing(|| changed(none, &mut escrow, root_key, &change, entropy))?;
    Ok((record, escrow))
}

/// The other wraps of a record under another root key, each in the place of the one of its name.
///
/// # Errors
/// [`SealError::OtherWraps`] where one is missing.
pub(crate) fn replaced(record: &SealRecord, others: &[NamedWrap]) -> Result<Vec<NamedWrap>, SealError> {
    let others = |old: &ListedWrap| {
        let new = others.iter().find(|new| new.name == old.name && new.wrap.wrap_type == old.wrap_type);
        let new = new.ok_or(SealError::OtherWraps)?;
        Ok(new.duplicate())
    };
    listed(record).iter().filter(|wrap| wrap.wrap_type != WrapType::Shamir).map(others).collect()
}

/// The names that a record has for its wraps. What can't be read names nothing.
pub(crate) fn names(record: &SealRecord) -> Vec<(WrapId, String)> {
    record.tail.get(wrap_names::TAG).and_then(|bytes| wrap_names::decode(bytes).ok()).unwrap_or_default()
}

/// Writes the names of a record's wraps into its tail.
pub(crate) fn name(record: &mut SealRecord, mut names: Vec<(WrapId, String)>) -> Result<(), SealError> {
    if names.is_empty() && record.tail.get(wrap_names::TAG).is_none() {
        return Ok(());
    }
    names.sort_by_key(|(id, _)| id.0);
    let encoded = wrap_names::encode(&names).map_err(|_| SealError::NameTaken)?;
    record.tail.set(wrap_names::TAG, Zeroizing::new(encoded));
    Ok(())
}
