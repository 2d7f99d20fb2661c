//! The keyring of an environment: data keys by epoch, and the stable keys that do not follow epochs,
//! because a rotation must neither move store keys nor kill tokens. Sealed under the root key.
use crate::{
    error::{Fault, FormatError},
    ids::WrapId,
    kdf::{self, Context},
    reader::Reader,
    record::{self, Header, Record},
    tables::{self, MetaItem, Slot},
    tail::Tail,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The only version.
pub const VERSION: u8 = 1;
/// The kind of a keyring's record.
pub const KIND: u16 = 1;

const EPOCH_LEN: usize = 4 + 1 + 8 + 32 + 8;
const ESCROW_LEN: usize = 16 + 32;
const STABLE_LEN: usize = (4 + 64) + 4 * (4 + 32);

/// Whether an epoch seals, or only opens what it once sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EpochState {
    /// Seals and opens; the newest epoch, and only it.
    Active = 1,
    /// Opens, until re-encryption has emptied it and it is deleted.
    Retired = 2,
}

/// One data key and its age.
pub struct Epoch {
    /// From 1, ascending, never reused.
    pub number: u32,
    /// Active or retired.
    pub state: EpochState,
    /// When it was made: seconds since 1970-01-01 UTC.
    pub created_unix_seconds: u64,
    /// The data key; see [`record::record_key`].
    pub data_key: Zeroizing<[u8; 32]>,
    /// Encryptions so far, rounded up to the block that was reserved last.
    pub encryptions: u64,
}

/// A key outside the epochs, with a version of its own.
pub struct StableKey<const N: usize> {
    /// From 1.
    pub version: u32,
    /// The key.
    pub key: Zeroizing<[u8; N]>,
}

/// The KEK of a Shamir wrap, kept so that the root key can rotate without the holders of shares.
pub struct EscrowedKek {
    /// The wrap that it opens.
    pub wrap: WrapId,
    /// The key-encryption key.
    pub kek: Zeroizing<[u8; 32]>,
}

/// All keys of an environment below its root key. Cleared when dropped; no `Debug`, no `Clone`.
pub struct Keyring {
    /// Counts changes; the revision of the record.
    pub generation: u64,
    /// Ascending by number; the last one is active, all others are retired.
    pub epochs: Vec<Epoch>,
    /// Seals names: both keys of AEAD_AES_SIV_CMAC_512.
    pub name_key: StableKey<64>,
    /// Indexes tokens.
    pub token_key: StableKey<32>,
    /// Keys commitments outside the audit leaves.
    pub commitment_key: StableKey<32>,
    /// Wraps the root keys of inheriting children.
    pub child_kek: StableKey<32>,
    /// Seeds the signing keys of the audit log.
    pub log_seed: StableKey<32>,
    /// Ascending by wrap id.
    pub escrow: Vec<EscrowedKek>,
    /// What later versions add.
    pub tail: Tail,
}

impl Keyring {
    /// The bytes that [`seal_keyring`] seals, in one allocation of exactly their length.
    ///
    /// # Errors
    /// [`Fault::Invalid`], [`Fault::NotCanonical`] or [`Fault::TooLong`] where [`Keyring::decode`] would
    /// not read it back: nothing is sealed that could not be opened.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.encoded_len()));
        out.push(VERSION);
        out.extend_from_slice(&self.generation.to_be_bytes());

        let too_many = FormatError::new("epoch count", out.len(), Fault::TooLong);
        out.extend_from_slice(&u16::try_from(self.epochs.len()).map_err(|_| too_many)?.to_be_bytes());
        check_epochs(&self.epochs, out.len())?;
        for epoch in &self.epochs {
            out.extend_from_slice(&epoch.number.to_be_bytes());
            out.push(epoch.state as u8);
            out.extend_from_slice(&epoch.created_unix_seconds.to_be_bytes());
            out.extend_from_slice(&*epoch.data_key);
            out.extend_from_slice(&epoch.encryptions.to_be_bytes());
        }

        put_stable(&mut out, &self.name_key);
        put_stable(&mut out, &self.token_key);
        put_stable(&mut out, &self.commitment_key);
        put_stable(&mut out, &self.child_kek);
        put_stable(&mut out, &self.log_seed);

        let too_many = FormatError::new("escrow count", out.len(), Fault::TooLong);
        out.extend_from_slice(&u16::try_from(self.escrow.len()).map_err(|_| too_many)?.to_be_bytes());
        check_escrow(&self.escrow, out.len())?;
        for escrowed in &self.escrow {
            out.extend_from_slice(escrowed.wrap.as_bytes());
            out.extend_from_slice(&*escrowed.kek);
        }
        self.tail.encode(&mut out)?;
        Ok(out)
    }

    /// Reads what [`Keyring::encode`] wrote.
    ///
    /// # Errors
    /// [`Fault::UnknownVersion`], [`Fault::Truncated`], [`Fault::Invalid`] or [`Fault::NotCanonical`] where
    /// epochs or escrow are not as [`Keyring`] says, or as the tail says.
    pub fn decode(input: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(input);
        reader.version(VERSION)?;
        let generation = reader.u64("generation")?;

        let count = reader.u16("epoch count")?;
        let at = reader.offset();
        // One more than there are: a rotation adds one, and must not leave copies behind by moving them.
        let mut epochs = Vec::with_capacity(usize::from(count).min(reader.rest().len() / EPOCH_LEN) + 1);
        for _ in 0..count {
            epochs.push(read_epoch(&mut reader)?);
        }
        check_epochs(&epochs, at)?;

        let name_key = read_stable(&mut reader, "name key version", "name key")?;
        let token_key = read_stable(&mut reader, "token key version", "token key")?;
        let commitment_key = read_stable(&mut reader, "commitment key version", "commitment key")?;
        let child_kek = read_stable(&mut reader, "child KEK version", "child KEK")?;
        let log_seed = read_stable(&mut reader, "log seed version", "log seed")?;

        let count = reader.u16("escrow count")?;
        let at = reader.offset();
        let mut escrow = Vec::with_capacity(usize::from(count).min(reader.rest().len() / ESCROW_LEN) + 1);
        for _ in 0..count {
            let wrap = WrapId(*reader.array("escrow wrap id")?);
            escrow.push(EscrowedKek { wrap, kek: Zeroizing::new(*reader.array("escrow KEK")?) });
        }
        check_escrow(&escrow, at)?;

        let tail = Tail::decode(reader, &[])?;
        Ok(Self {
            generation,
            epochs,
            name_key,
            token_key,
            commitment_key,
            child_kek,
            log_seed,
            escrow,
            tail,
        })
    }

    fn encoded_len(&self) -> usize {
        let epochs = 2 + self.epochs.len() * EPOCH_LEN;
        let escrow = 2 + self.escrow.len() * ESCROW_LEN;
        1 + 8 + epochs + STABLE_LEN + escrow + self.tail.encoded_len()
    }
}

/// `KDF(root key, "keyring", ctx, 32)`.
#[must_use]
pub fn keyring_key(root_key: &[u8; 32], ctx: &Context) -> Zeroizing<[u8; 32]> {
    kdf::derive(root_key, "keyring", &[&ctx.bytes()])
}

/// Seals the keyring as a record of kind [`KIND`], epoch 0 and its generation as revision, for one of the
/// two places where it is kept: the store key, which names the slot, is associated data.
///
/// # Errors
/// As [`Keyring::encode`]; [`Fault::TooLong`].
pub fn seal_keyring(
    root_key: &[u8; 32],
    ctx: &Context,
    slot: Slot,
    nonce: &[u8; 24],
    keyring: &Keyring,
) -> Result<Vec<u8>, FormatError> {
    let header = Header { kind: KIND, epoch: 0, rev: keyring.generation };
    let store_key = tables::meta_key(ctx.environment, MetaItem::Keyring, slot);
    record::seal(&keyring_key(root_key, ctx), header, ctx, &store_key, nonce, &keyring.encode()?)
}

/// Opens one copy of the keyring.
///
/// # Errors
/// As [`Record::parse`] and [`Record::open`], or as [`Keyring::decode`] with offsets in the plaintext;
/// [`Fault::Invalid`] where kind, epoch or revision are not those of this keyring.
pub fn open_keyring(
    root_key: &[u8; 32],
    ctx: &Context,
    slot: Slot,
    sealed: &[u8],
) -> Result<Keyring, FormatError> {
    let record = Record::parse(sealed)?;
    let Header { kind, epoch, rev } = record.header();
    if kind != KIND {
        return Err(FormatError::new("kind", 2, Fault::Invalid));
    }
    if epoch != 0 {
        return Err(FormatError::new("epoch", 4, Fault::Invalid));
    }
    let store_key = tables::meta_key(ctx.environment, MetaItem::Keyring, slot);
    let keyring = Keyring::decode(&record.open(&keyring_key(root_key, ctx), ctx, &store_key)?)?;
    if keyring.generation != rev {
        return Err(FormatError::new("generation", 1, Fault::Invalid));
    }
    Ok(keyring)
}

fn put_stable<const N: usize>(out: &mut Vec<u8>, stable: &StableKey<N>) {
    out.extend_from_slice(&stable.version.to_be_bytes());
    out.extend_from_slice(&*stable.key);
}

fn read_stable<const N: usize>(
    reader: &mut Reader<'_>,
    version: &'static str,
    key: &'static str,
) -> Result<StableKey<N>, FormatError> {
    let version = reader.u32(version)?;
    Ok(StableKey { version, key: Zeroizing::new(*reader.array(key)?) })
}

fn read_epoch(reader: &mut Reader<'_>) -> Result<Epoch, FormatError> {
    let number = reader.u32("epoch number")?;
    let invalid = reader.fault("epoch state", Fault::Invalid);
    let state = match reader.u8("epoch state")? {
        1 => EpochState::Active,
        2 => EpochState::Retired,
        _ => return Err(invalid),
    };
    Ok(Epoch {
        number,
        state,
        created_unix_seconds: reader.u64("epoch creation time")?,
        data_key: Zeroizing::new(*reader.array("epoch data key")?),
        encryptions: reader.u64("epoch encryptions")?,
    })
}

/// Numbers ascend from 1 or more; the last epoch is active and no other.
fn check_epochs(epochs: &[Epoch], at: usize) -> Result<(), FormatError> {
    if epochs.is_empty() {
        return Err(FormatError::new("epoch count", at - 2, Fault::Invalid));
    }
    let mut last = 0;
    for (index, epoch) in epochs.iter().enumerate() {
        let offset = at + index * EPOCH_LEN;
        if epoch.number <= last {
            return Err(FormatError::new("epoch number", offset, Fault::NotCanonical));
        }
        last = epoch.number;
        if (epoch.state == EpochState::Active) != (index + 1 == epochs.len()) {
            return Err(FormatError::new("epoch state", offset + 4, Fault::Invalid));
        }
    }
    Ok(())
}

fn check_escrow(escrow: &[EscrowedKek], at: usize) -> Result<(), FormatError> {
    let ascends = |pair: &[EscrowedKek]| matches!(pair, [one, two] if one.wrap < two.wrap);
    match escrow.windows(2).position(|pair| !ascends(pair)) {
        Some(index) => {
            Err(FormatError::new("escrow wrap id", at + (index + 1) * ESCROW_LEN, Fault::NotCanonical))
        }
        None => Ok(()),
    }
}
