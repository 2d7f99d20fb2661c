//! Ceremonies of an open environment that take several holders of shares: a rekey, and a new root token.
//!
//! Their progress is in secret memory and nowhere else: a seal or a restart drops it, and nothing has changed then.
use coffer_barrier::read_seal_record;
use coffer_room::Fault;
use coffer_seal::rekey::{NewShares, SharedKek};
use coffer_seal::seals::NamedWrap;
use coffer_seal::{Holders, Joined, Offered, Seal, ShareError, Threshold, UnsealProgress};
use coffer_secmem::{Key32, SecretBytes};
use coffer_types::{Entropy, WrapId};
use coffer_wire::{Array, Object, Params};
use keystore_format::age::Randomness;
use keystore_format::share::Share;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// The ceremonies under way, one of each kind at most.
#[derive(Default)]
pub(crate) struct Ceremonies {
    rekey: Mutex<Option<Rekey>>,
    root_token: Mutex<Option<RootToken>>,
    seal_change: Mutex<Option<SealCeremony>>,
}

/// A change of the seals, prepared: it waits for the holders of the present shares.
pub(crate) struct SealChanging {
    pub(crate) nonce: String,
    /// The name of the seal that is added, or nothing.
    pub(crate) add: String,
    /// The name of the one that is removed, or nothing.
    pub(crate) remove: String,
    pub(crate) made: Vec<NamedWrap>,
    pub(crate) shares: Option<NewShares>,
    pub(crate) ends: Vec<WrapId>,
    /// The root key that was wrapped, and its public id.
    pub(crate) root_key: Key32,
    pub(crate) root_id: [u8; 32],
    /// The seal record's generation that this goes on from.
    pub(crate) generation: u64,
}

/// A change of the seals that waits for shares: of the present ones, or, where it adds some, of those.
pub(crate) struct SealCeremony {
    pub(crate) changing: Arc<SealChanging>,
    /// Present shares given so far.
    pub(crate) held: UnsealProgress,
    /// Numbers of the new shares shown so far.
    pub(crate) shown: BTreeSet<u8>,
}

/// A rekey: old shares are collected, then new ones made, then these shown to be held.
pub(crate) struct Rekey {
    pub(crate) nonce: String,
    pub(crate) threshold: Threshold,
    /// Who gets the new shares, encrypted; `None` where whoever gives the last share gets them all.
    pub(crate) holders: Option<Arc<Holders>>,
    /// Whether the old shares stay in force until the new ones have been shown.
    pub(crate) is_verified_first: bool,
    /// Whether records move to a new epoch too, whose key no old backup holds.
    pub(crate) revokes_holder: bool,
    pub(crate) old: UnsealProgress,
    /// The root key that is to take the present one's place; none where that stays.
    pub(crate) root: Option<NewRoot>,
    pub(crate) made: Option<Made>,
}

/// New shares, handed out or about to be.
pub(crate) struct Made {
    pub(crate) keys: Arc<NewKeys>,
    /// Names the showing of the new shares.
    pub(crate) nonce: String,
    /// Whether they are in force already, beside the way back of the old ones.
    pub(crate) is_in_force: bool,
    /// Numbers of the shares shown so far.
    pub(crate) shown: BTreeSet<u8>,
}

/// What a rekey puts in the place of what.
pub(crate) struct NewKeys {
    pub(crate) old: SharedKek,
    pub(crate) old_root: Key32,
    pub(crate) root: NewRoot,
    pub(crate) new: NewShares,
    pub(crate) revokes_holder: bool,
}

/// A root key, and what wraps it beside shares.
pub(crate) struct NewRoot {
    pub(crate) root: Key32,
    pub(crate) others: Arc<Vec<NamedWrap>>,
}

impl NewRoot {
    pub(crate) fn duplicate(&self) -> Self {
        Self { root: self.root.duplicate(), others: Arc::clone(&self.others) }
    }
}

/// A new root token: shares are collected, then it is made, and shown only under a one-time pad that its asker holds.
pub(crate) struct RootToken {
    pub(crate) nonce: String,
    pub(crate) pad: SecretBytes,
    pub(crate) progress: UnsealProgress,
}

/// How far the collecting of shares is.
pub(crate) enum Collected {
    /// More are needed.
    Progress,
    /// Enough.
    Joined(Joined),
}

impl Ceremonies {
    pub(crate) fn rekey(&self) -> MutexGuard<'_, Option<Rekey>> {
        self.rekey.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn root_token(&self) -> MutexGuard<'_, Option<RootToken>> {
        self.root_token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn seal_change(&self) -> MutexGuard<'_, Option<SealCeremony>> {
        self.seal_change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops all progress: the environment is sealed.
    pub(crate) fn forget(&self) {
        *self.rekey() = None;
        *self.root_token() = None;
        *self.seal_change() = None;
    }
}

impl Rekey {
    /// Whether it still waits for somebody; not once the new shares are in force.
    pub(crate) fn is_under_way(&self) -> bool {
        self.made.as_ref().is_none_or(|made| !made.is_in_force)
    }
}

/// Takes a share of an environment's present seal.
pub(crate) fn collect(
    progress: &mut UnsealProgress,
    share: &str,
    seal: &Seal,
    entropy: &dyn Entropy,
) -> Result<Collected, Fault> {
    match progress.offer(share, seal, entropy) {
        Ok(Offered::Complete(joined)) => Ok(Collected::Joined(joined)),
        Ok(Offered::Progress { .. }) => Ok(Collected::Progress),
        Err(ShareError::NotByShares) => Err(not_by_shares()),
        Err(refused) => Err(Fault::bad(refused.message())),
    }
}

/// Whether this is a share of an environment's present seal: its holder may cancel. Nothing is collected.
pub(crate) fn prove(share: &str, seal: &Seal, entropy: &dyn Entropy) -> Result<(), Fault> {
    collect(&mut UnsealProgress::default(), share, seal, entropy).map(drop)
}

/// The holders that a request names, one for each share; `None` where it names none.
pub(crate) fn holders(params: &Params, threshold: Threshold) -> Result<Option<Holders>, Fault> {
    let holders = recipients(params)?.map(|texts| Holders::parse(&texts, threshold));
    holders.transpose().map_err(|error| Fault::bad(error.message()))
}

/// Whether a request names holders.
pub(crate) fn names_holders(params: &Params) -> Result<bool, Fault> {
    Ok(recipients(params)?.is_some())
}

fn recipients(params: &Params) -> Result<Option<Vec<String>>, Fault> {
    Ok(params.list("recipients")?.filter(|texts| !texts.is_empty()))
}

/// How many shares a request asks for, and how many are to be needed: with recipients, one for each unless it says so.
pub(crate) fn threshold(
    params: &Params,
    shares: Option<u64>,
    needed: Option<u64>,
) -> Result<Threshold, Fault> {
    let recipients = recipients(params)?;
    let shares = shares.or(recipients.map(|texts| texts.len() as u64));
    Threshold::new(shares.unwrap_or(5), needed.unwrap_or(3)).map_err(|error| Fault::bad(error.message()))
}

/// New shares on their way out of the daemon.
pub(crate) enum HandedOut {
    /// Each encrypted to its holder, by name.
    Encrypted(Vec<(String, String)>),
    /// As people type them, in hexadecimal and in base64.
    Clear { texts: Vec<Zeroizing<String>>, hex: Vec<Zeroizing<String>>, base64: Vec<Zeroizing<String>> },
}

/// What encrypting to the holders takes, drawn before there are shares: afterwards nothing may fail.
pub(crate) struct Drawn<'a>(Option<(&'a Holders, Vec<Randomness>)>);

impl<'a> Drawn<'a> {
    /// For these holders; or for whoever asks, where there are none.
    pub(crate) fn new(holders: Option<&'a Holders>, entropy: &dyn Entropy) -> Result<Self, Fault> {
        let drawn = holders.map(|holders| Ok((holders, holders.draw(entropy)?))).transpose();
        drawn.map(Self).map_err(crate::sealing::unsealable)
    }

    /// Makes the shares ready to leave.
    pub(crate) fn hand_out(self, shares: &[Share]) -> Result<HandedOut, Fault> {
        if let Some((holders, drawn)) = self.0 {
            let encrypted = holders.encrypt(drawn, shares);
            return encrypted.map(HandedOut::Encrypted).ok_or(Fault::Internal("a share can't be encrypted"));
        }
        let texts = shares.iter().map(|share| share.to_text()).collect::<Result<_, _>>();
        Ok(HandedOut::Clear {
            texts: texts.map_err(|_| Fault::Internal("a share can't be written as text"))?,
            hex: shares.iter().map(Share::to_hex).collect(),
            base64: shares.iter().map(Share::to_base64).collect(),
        })
    }
}

impl HandedOut {
    /// As the API gives them; `hex` is what an answer calls the shares in hexadecimal.
    pub(crate) fn within(&self, answer: Object, hex: &str) -> Object {
        match self {
            Self::Encrypted(shares) => {
                let one =
                    |(name, age): &(String, String)| Object::new().string("name", name).string("age", age);
                let array = shares.iter().fold(Array::new(), |array, share| array.object(one(share)));
                answer.array("shares_encrypted", array)
            }
            Self::Clear { texts, hex: in_hex, base64 } => answer
                .strings(hex, in_hex.iter().map(|text| text.as_str()))
                .strings("keys_base64", base64.iter().map(|text| text.as_str()))
                .strings("shares", texts.iter().map(|text| text.as_str())),
        }
    }
}

/// An environment's present seal, which must be by shares of its own.
pub(crate) async fn seal_of(
    environment: &crate::Environment,
    store: &dyn coffer_store::Store,
) -> Result<Seal, Fault> {
    let context = environment.barrier().context();
    let copies = read_seal_record(store, context.environment).await?;
    let seal = Seal::found(context, copies).map_err(|error| Fault::Unavailable(error.message().into()))?;
    if seal.status().shares.is_none() { Err(not_by_shares()) } else { Ok(seal) }
}

fn not_by_shares() -> Fault {
    Fault::bad(
        "this environment has no shares of its own: it opens with the one above it, where its keys are changed",
    )
}
