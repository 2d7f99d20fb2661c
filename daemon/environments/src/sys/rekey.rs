//! `sys/rekey/*` and `sys/rotate/root/*`: new shares and a new root key; and a new root key under the same shares.
//!
//! Where the new shares are to be shown first (`require_verification`), nothing changes until they are. Otherwise they
//! are in force with the answer that hands them out, and the old ones keep a way back until somebody has shown the new
//! ones, here or by unsealing: an answer may be lost, and then nobody would hold any (decision 0093).
//!
//! Whoever begins may name the new shares' holders. They stand in the status that each present holder looks at, under the
//! nonce that each share is given for, and can't be changed under it; the new shares then leave encrypted to them and in
//! no other form (decision 0094).
use super::Desk;
use crate::ceremonies::{
    Collected, Drawn, HandedOut, Made, NewKeys, NewRoot, Rekey, collect, holders, prove, seal_of, threshold,
};
use crate::sealing::{reseal, unsealable, warn_of_pins, wrapped_anew};
use crate::{Environment, Registry};
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_seal::device::Given;
use coffer_seal::rekey::{NewShares, OldShares, rekeyed, rotated, settled};
use coffer_seal::seals::ListedWrap;
use coffer_seal::{Holders, Seal, UnsealProgress};
use coffer_secmem::Key32;
use coffer_wire::{Object, Params};
use keystore_format::share::Share;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) async fn begin(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    super::refuse_pgp(params)?;
    if params.boolean("backup")?.unwrap_or_default() {
        return Err(Fault::bad("'backup' is not supported: encrypt the shares for their holders instead"));
    }
    let threshold = threshold(params, params.number("secret_shares")?, params.number("secret_threshold")?)?;
    let holders = holders(params, threshold)?.map(Arc::new);
    let flag = |name| Ok::<_, Fault>(params.boolean(name)?.unwrap_or_default());
    let (is_refresh, revokes_holder) = (flag("refresh")?, flag("revoke_holder")?);
    let is_verified_first = flag("require_verification")?;
    if is_refresh && revokes_holder {
        return Err(Fault::bad("'refresh' keeps the root key, and 'revoke_holder' replaces it: choose one"));
    }
    if revokes_holder && !is_verified_first {
        return Err(Fault::bad(
            "'revoke_holder' needs 'require_verification': else the old shares keep a way back until the new ones are used",
        ));
    }
    let seal = seal_of(desk.environment, &*desk.registry.store).await?;
    // Devices are asked now, and not when the holders have given their shares.
    let root = if is_refresh { None } else { Some(new_root(desk, params).await?) };
    let nonce = desk.registry.request_id()?;
    let mut rekey = desk.environment.ceremonies.rekey();
    if rekey.as_ref().is_some_and(Rekey::is_under_way) {
        return Err(Fault::bad("a rekey is under way already: cancel it, or give it its shares"));
    }
    let old = UnsealProgress::default();
    let begun = Rekey {
        nonce: nonce.clone(),
        threshold,
        holders,
        is_verified_first,
        revokes_holder,
        old,
        root,
        made: None,
    };
    let mut answer = Answer::system(described(Some(&begun), required(&seal)));
    if let Some(holders) = &begun.holders {
        answer = answer.commit("recipients", holders.texts().collect::<Vec<_>>().join(",").as_bytes());
    }
    *rekey = Some(begun);
    Ok(Outcome::Answer(answer.commit("nonce", nonce.as_bytes())))
}

/// Another root key, wrapped by everything that wraps the present one beside shares.
async fn new_root(desk: &Desk<'_>, params: &Params) -> Result<NewRoot, Fault> {
    let root = Key32::generate(&mut |bytes| desk.environment.entropy().fill(bytes))?;
    let given = Given { pin: params.string("pin")?, ..Given::default() };
    let others = wrapped_anew(desk.registry, desk.environment, &root, &given).await?;
    Ok(NewRoot { root, others: Arc::new(others) })
}

pub(super) async fn status(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let seal = seal_of(desk.environment, &*desk.registry.store).await?;
    let rekey = desk.environment.ceremonies.rekey();
    let rekey = rekey.as_ref().filter(|rekey| rekey.is_under_way());
    Ok(Outcome::Answer(Answer::system(described(rekey, required(&seal)))))
}

fn required(seal: &Seal) -> u8 {
    seal.status().shares.map_or(0, |(_, need)| need)
}

fn described(rekey: Option<&Rekey>, required: u8) -> Object {
    let has = rekey.map_or(0, |rekey| rekey.old.count());
    let made = rekey.and_then(|rekey| rekey.made.as_ref());
    let holders = rekey.and_then(|rekey| rekey.holders.as_deref());
    Object::new()
        .boolean("started", rekey.is_some())
        .string("nonce", rekey.map_or("", |rekey| &rekey.nonce))
        .number("t", rekey.map_or(0, |rekey| rekey.threshold.threshold().into()))
        .number("n", rekey.map_or(0, |rekey| rekey.threshold.shares().into()))
        .number("progress", has.into())
        .number("required", required.into())
        .null("pgp_fingerprints")
        .boolean("backup", false)
        .boolean("verification_required", rekey.is_some_and(|rekey| rekey.is_verified_first))
        .string("verification_nonce", made.map_or("", |made| &made.nonce))
        .strings("recipients", holders.into_iter().flat_map(Holders::texts))
        .boolean("refresh", rekey.is_some_and(|rekey| rekey.root.is_none()))
        .boolean("revoke_holder", rekey.is_some_and(|rekey| rekey.revokes_holder))
}

/// Drops the rekey and all shares given so far. Nothing has changed.
pub(super) fn cancel(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let mut rekey = desk.environment.ceremonies.rekey();
    let nonce = rekey.as_ref().filter(|rekey| rekey.is_under_way()).map(|rekey| rekey.nonce.clone());
    let Some(nonce) = nonce else { return Ok(Outcome::Answer(Answer::empty())) };
    *rekey = None;
    Ok(Outcome::Answer(Answer::empty().commit("nonce", nonce.as_bytes())))
}

/// The same, for the holder of a present share who may do no more than give it: with the share and the nonce, so that
/// nobody cancels another rekey than the one they looked at.
pub(super) async fn cancel_by_share(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let (key, nonce) = (params.required("key")?, params.required("nonce")?);
    let seal = seal_of(desk.environment, &*desk.registry.store).await?;
    let mut rekey = desk.environment.ceremonies.rekey();
    let begun = rekey.as_ref().filter(|rekey| rekey.is_under_way()).ok_or_else(none_under_way)?;
    if begun.nonce != *nonce {
        return Err(other_nonce());
    }
    prove(&key, &seal, desk.environment.entropy())?;
    *rekey = None;
    Ok(Outcome::Answer(Answer::empty().commit("nonce", nonce.as_bytes())))
}

/// Takes one of the present shares. The last that is needed makes the new ones.
pub(super) async fn update(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let (key, nonce) = (params.required("key")?, params.required("nonce")?);
    let seal = seal_of(desk.environment, &*desk.registry.store).await?;
    let entropy = desk.environment.entropy();
    let context = desk.environment.barrier().context();
    let mut ceremony = desk.environment.ceremonies.rekey();
    let rekey = ceremony.as_mut().filter(|rekey| rekey.is_under_way()).ok_or_else(none_under_way)?;
    if rekey.nonce != *nonce {
        return Err(other_nonce());
    }
    if rekey.made.is_some() {
        return Err(Fault::bad("the new shares are handed out already: show them, or cancel"));
    }
    // Before the share that may be the last: after it nothing may fail that the holders would have to begin again for.
    let holders = rekey.holders.clone();
    let drawn = Drawn::new(holders.as_deref(), entropy)?;
    let joined = match collect(&mut rekey.old, &key, &seal, entropy)? {
        Collected::Progress => {
            let shown = described(Some(rekey), required(&seal));
            return Ok(Outcome::Answer(Answer::system(shown).commit("nonce", nonce.as_bytes())));
        }
        Collected::Joined(joined) => joined,
    };
    let (new, shares) = NewShares::new(context, rekey.threshold, entropy).map_err(unsealable)?;
    let shares = drawn.hand_out(&shares)?;
    let root = rekey.root.as_ref().map_or_else(
        || NewRoot { root: joined.root_key.duplicate(), others: Arc::default() },
        NewRoot::duplicate,
    );
    let keys = Arc::new(NewKeys {
        old: joined.shared,
        old_root: joined.root_key,
        root,
        new,
        revokes_holder: rekey.revokes_holder,
    });
    let proof = desk.registry.request_id()?;
    let (is_verified_first, own) = (rekey.is_verified_first, rekey.nonce.clone());
    let made = |is_in_force| Made {
        keys: Arc::clone(&keys),
        nonce: proof.clone(),
        is_in_force,
        shown: BTreeSet::new(),
    };
    if is_verified_first {
        rekey.made = Some(made(false));
    }
    // In force with the commit, and not before: where it fails, the holders give their shares again.
    let in_force = (!is_verified_first).then(|| made(true));
    drop(ceremony);
    // The shares go with the answer, and stay nowhere.
    let handed_out = move || {
        let answer = Answer::system(handed_out(&shares, &nonce, &proof, is_verified_first));
        answer.commit("nonce", nonce.as_bytes())
    };
    let Some(in_force) = in_force else { return Ok(Outcome::Answer(handed_out())) };
    let in_force = Arc::new(Mutex::new(Some(in_force)));
    let (environment, registry) = (Arc::clone(desk.environment), Arc::clone(desk.registry));
    Ok(Outcome::Change(Change::new(move |batch| {
        let wraps = put_in_force(batch, &registry, &environment, &keys, OldShares::KeepAWayBack)?;
        let (ended, in_force, own) = (Arc::clone(&environment), Arc::clone(&in_force), own.clone());
        batch.after(Box::new(move || {
            // Another may have been begun meanwhile: that one goes on.
            if let Some(rekey) = ended.ceremonies.rekey().as_mut().filter(|rekey| rekey.nonce == own) {
                rekey.made = in_force.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        }));
        let answer = handed_out();
        Ok(warn_of_pins(answer, &registry, &environment, (&wraps, &keys.root.root)))
    })))
}

fn handed_out(shares: &HandedOut, nonce: &str, proof: &str, is_verified_first: bool) -> Object {
    let answer = Object::new().boolean("complete", true).string("nonce", nonce);
    shares
        .within(answer, "keys")
        .null("pgp_fingerprints")
        .boolean("backup", false)
        .boolean("verification_required", is_verified_first)
        .string("verification_nonce", proof)
}

/// One commit: the keyring under the new root key, the seal record with the new shares, and the head.
fn put_in_force(
    batch: &mut coffer_barrier::Batch<'_>,
    registry: &Arc<Registry>,
    environment: &Arc<Environment>,
    keys: &NewKeys,
    old_shares: OldShares,
) -> Result<Vec<ListedWrap>, Fault> {
    if !batch.is_root_key(&keys.old_root)? {
        return Err(changed_meanwhile());
    }
    if keys.revokes_holder {
        batch.rotate()?;
        let registry = Arc::clone(registry);
        batch.after(Box::new(move || registry.wake_jobs()));
    }
    let NewRoot { root, others } = &keys.root;
    let shares = (&keys.old, &keys.new);
    reseal(batch, registry, environment, |record, escrow| {
        let record = rekeyed(record, escrow, root, shares, old_shares, others, environment.entropy());
        Ok((root.duplicate(), record.map_err(unsealable)?))
    })
}

pub(super) async fn verify_status(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let ceremony = desk.environment.ceremonies.rekey();
    let made = ceremony.as_ref().and_then(|rekey| rekey.made.as_ref());
    let made = made.ok_or_else(none_to_show)?;
    Ok(Outcome::Answer(Answer::system(shown(made))))
}

fn shown(made: &Made) -> Object {
    let threshold = made.keys.new.threshold();
    Object::new()
        .string("nonce", &made.nonce)
        .boolean("started", true)
        .number("t", threshold.threshold().into())
        .number("n", threshold.shares().into())
        .number("progress", made.shown.len() as u64)
}

/// Takes one of the new shares. With as many as are needed, they alone are in force.
pub(super) fn verify(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let (key, nonce) = (params.required("key")?, params.required("nonce")?);
    let share = Share::parse_any(&key)
        .map_err(|_| Fault::bad("the share is mistyped: some character of it is wrong or missing"))?;
    let mut ceremony = desk.environment.ceremonies.rekey();
    let made = ceremony.as_mut().and_then(|rekey| rekey.made.as_mut()).ok_or_else(none_to_show)?;
    if made.nonce != *nonce {
        return Err(other_nonce());
    }
    if !made.keys.new.holds(&share) {
        return Err(Fault::bad("this is none of the new shares"));
    }
    made.shown.insert(share.x);
    if made.shown.len() < usize::from(made.keys.new.threshold().threshold()) {
        return Ok(Outcome::Answer(Answer::system(shown(made)).commit("nonce", nonce.as_bytes())));
    }
    let (keys, is_in_force) = (Arc::clone(&made.keys), made.is_in_force);
    drop(ceremony);
    let (environment, registry) = (Arc::clone(desk.environment), Arc::clone(desk.registry));
    Ok(Outcome::Change(Change::new(move |batch| {
        let wraps = if is_in_force {
            settle(batch, &registry, &environment, &keys)?;
            Vec::new()
        } else {
            put_in_force(batch, &registry, &environment, &keys, OldShares::End)?
        };
        let (ended, shown) = (Arc::clone(&environment), nonce.to_string());
        batch.after(Box::new(move || {
            ended
                .ceremonies
                .rekey()
                .take_if(|rekey| rekey.made.as_ref().is_some_and(|made| made.nonce == shown));
        }));
        let answer = Object::new().string("nonce", &nonce).boolean("complete", true);
        let answer = Answer::system(answer).commit("nonce", nonce.as_bytes());
        Ok(warn_of_pins(answer, &registry, &environment, (&wraps, &keys.root.root)))
    })))
}

/// The new shares are held: the way back of the old ones ends.
fn settle(
    batch: &mut coffer_barrier::Batch<'_>,
    registry: &Arc<Registry>,
    environment: &Arc<Environment>,
    keys: &NewKeys,
) -> Result<(), Fault> {
    let root = &keys.root.root;
    if !batch.is_root_key(root)? {
        return Err(changed_meanwhile());
    }
    reseal(batch, registry, environment, |record, escrow| {
        let record = settled(record, escrow, root, keys.new.wrap());
        Ok((root.duplicate(), record.ok_or(Fault::bad("nothing is left to be shown"))?))
    })?;
    Ok(())
}

/// Drops the showing; without shares in force yet, the whole rekey.
pub(super) fn verify_cancel(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let mut ceremony = desk.environment.ceremonies.rekey();
    if let Some(rekey) = ceremony.as_mut() {
        match &mut rekey.made {
            Some(made) if made.is_in_force => made.shown.clear(),
            made => *made = None,
        }
    }
    Ok(Outcome::Answer(Answer::empty()))
}

/// A new root key under the same shares and seals, without calling the holders.
pub(super) async fn rotate_root(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let old_root = desk.environment.barrier().root_key()?;
    let NewRoot { root, others } = new_root(desk, params).await?;
    let (environment, registry) = (Arc::clone(desk.environment), Arc::clone(desk.registry));
    Ok(Outcome::Change(Change::new(move |batch| {
        if !batch.is_root_key(&old_root)? {
            return Err(changed_meanwhile());
        }
        let wraps = reseal(batch, &registry, &environment, |record, escrow| {
            let record = rotated(record, escrow, &root, &others, environment.entropy());
            Ok((root.duplicate(), record.map_err(unsealable)?))
        })?;
        Ok(warn_of_pins(Answer::empty(), &registry, &environment, (&wraps, &root)))
    })))
}

fn changed_meanwhile() -> Fault {
    Fault::Conflict("the root key was changed meanwhile: begin again".into())
}

fn none_under_way() -> Fault {
    Fault::bad("no rekey is under way: begin one first")
}

fn none_to_show() -> Fault {
    Fault::bad("no new shares wait to be shown")
}

pub(super) fn other_nonce() -> Fault {
    Fault::bad(
        "'nonce' is not that of the ceremony under way: look at its status, and whether it is the one you meant",
    )
}
