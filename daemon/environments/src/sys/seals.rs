//! `sys/seals`: the seals of an environment, any one of which opens it; adding, removing and replacing them.
//!
//! It takes the quorum of the present seal: where there are shares, as many holders as open the environment; where there
//! are none, a caller with sudo, since a device has no people. What a device is to open is wrapped, and proved to open,
//! before anybody is asked for a share.
use super::Desk;
use super::rekey::other_nonce;
use crate::ceremonies::{Collected, Drawn, SealCeremony, SealChanging, collect, holders, threshold};
use crate::sealing::{by_device, inherited, refused, reseal, unsealable};
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_seal::device::Given;
use coffer_seal::devices::is_by_device;
use coffer_seal::rekey::NewShares;
use coffer_seal::seals::{INHERIT, ListedWrap, SHARES, SealChange, changed, listed, weakest, word};
use coffer_seal::{Seal, UnsealProgress};
use coffer_wire::{Array, Object, Params};
use keystore_format::ids::WrapId;
use keystore_format::seal_record::{SealRecord, Wrap, WrapType, root_id};
use keystore_format::share::Share;
use std::collections::BTreeSet;
use std::sync::Arc;
use zeroize::Zeroizing;

pub(super) async fn list(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let record = desk.environment.barrier().seal_record().await?;
    let wraps = listed(&record);
    let seals =
        wraps.iter().fold(Array::new(), |all, wrap| all.object(described(desk, wrap, &record.root_id)));
    let unused = desk.registry.devices.iter().filter(|device| {
        device.may_seal(&desk.environment.path) && wraps.iter().all(|wrap| wrap.name != device.name())
    });
    let available: Vec<_> = unused.map(|device| device.name().to_owned()).collect();
    Ok(Outcome::Answer(Answer::system(
        Object::new()
            .array("seals", seals)
            .string("weakest", weakest(&wraps).map_or("", |wrap| &wrap.name))
            .strings("available", &available)
            .string("root_id", &hex(&record.root_id))
            .number("generation", record.generation)
            .number("counter", desk.environment.barrier().tpm_counter()),
    )))
}

/// One seal, with what its device said when it was last asked.
fn described(desk: &Desk<'_>, wrap: &ListedWrap, root_id: &[u8; 32]) -> Object {
    let (shares, threshold) = wrap.shares.unwrap_or_default();
    let object = Object::new()
        .string("name", &wrap.name)
        .string("type", word(wrap.wrap_type))
        .string("state", if wrap.is_current { "current" } else { "pending" });
    let object = match wrap.wrap_type {
        WrapType::Shamir => object.number("shares", shares.into()).number("threshold", threshold.into()),
        _ => object,
    };
    if !is_by_device(wrap.wrap_type) {
        return object;
    }
    match desk.registry.devices.find(&wrap.name, &desk.environment.path) {
        Err(error) => object.boolean("healthy", false).string("trouble", &error.sentence),
        Ok(device) => {
            let trouble = match device.health_for(wrap.id) {
                _ if !device.gives_out(root_id) => format!(
                    "`root_ids` in its [[seal]] section lack the present root key: write \"{}\" there, and start cofferd again when it suits you",
                    hex(root_id)
                ),
                None => "it has not been asked yet".to_owned(),
                Some(Ok(())) => String::new(),
                Some(Err(error)) => error.sentence,
            };
            let object = object.boolean("healthy", trouble.is_empty()).boolean("pinned", device.is_pinned());
            let object = object.boolean("waits_for_pin", device.waits_for_pin(wrap));
            object.string("trouble", &trouble)
        }
    }
}

/// Begins to add a seal, to remove one, or both in one commit.
pub(super) async fn begin(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let name = |field| {
        Ok::<_, Fault>(params.string(field)?.map(|name| name.to_lowercase()).filter(|it| !it.is_empty()))
    };
    let (add, remove) = (name("add")?, name("remove")?);
    if add.is_none() && remove.is_none() {
        return Err(Fault::bad("'add' or 'remove' must name a seal: `coffer operator seal list` shows them"));
    }
    if desk.environment.ceremonies.seal_change().is_some() {
        return Err(Fault::bad(
            "a change of the seals is under way already: cancel it, or give it its shares",
        ));
    }
    let record = desk.environment.barrier().seal_record().await?;
    let wraps = listed(&record);
    let ends = match &remove {
        Some(remove) => ending(&wraps, remove, add.as_deref(), params)?,
        None => Vec::new(),
    };
    let root_key = desk.environment.barrier().root_key()?;
    let (mut made, mut shares, mut handed_out) = (Vec::new(), None, None);
    match add.as_deref() {
        None => {}
        Some(taken) if wraps.iter().any(|wrap| wrap.name == taken) => {
            return Err(unsealable(coffer_seal::SealError::NameTaken));
        }
        Some(SHARES) => {
            let (count, need) = (params.number("secret_shares")?, params.number("secret_threshold")?);
            let threshold = threshold(params, count, need)?;
            let entropy = desk.environment.entropy();
            let holders = holders(params, threshold)?;
            let drawn = Drawn::new(holders.as_ref(), entropy)?;
            let (new, made) = NewShares::new(record.ctx, threshold, entropy).map_err(unsealable)?;
            handed_out = Some(drawn.hand_out(&made)?);
            shares = Some(new);
        }
        Some(INHERIT) => made.push(inherited(desk.registry, desk.environment, &root_key)?),
        Some(device) => {
            let given = Given {
                pin: params.string("pin")?,
                pcrs: params.string("pcrs")?.map(|pcrs| pcrs.to_string()),
                owner_password: params.string("owner_password")?,
            };
            made.push(by_device(desk.registry, desk.environment, device, &root_key, None, given).await?);
        }
    }
    let changing = SealChanging {
        nonce: desk.registry.request_id()?,
        add: add.unwrap_or_default(),
        remove: remove.unwrap_or_default(),
        made,
        shares,
        ends,
        root_key,
        root_id: record.root_id,
        generation: record.generation,
    };
    let nonce = changing.nonce.clone();
    let required =
        changing.shares.as_ref().map_or_else(|| required(&wraps), |new| new.threshold().threshold());
    let changing = Arc::new(changing);
    if required == 0 {
        return commit(desk, changing);
    }
    let mut ceremony = desk.environment.ceremonies.seal_change();
    if ceremony.is_some() {
        return Err(Fault::bad(
            "a change of the seals is under way already: cancel it, or give it its shares",
        ));
    }
    let (held, shown) = (UnsealProgress::default(), BTreeSet::new());
    let begun = SealCeremony { changing, held, shown };
    let answer = progress(Some(&begun), required);
    // New shares are in force when as many have been shown as they take: nobody knows whether this answer arrives.
    let answer = match &handed_out {
        Some(shares) => shares.within(answer, "keys"),
        None => answer,
    };
    *ceremony = Some(begun);
    Ok(Outcome::Answer(Answer::system(answer).commit("nonce", nonce.as_bytes())))
}

/// The wraps that end, where they may.
fn ending(
    wraps: &[ListedWrap],
    remove: &str,
    add: Option<&str>,
    params: &Params,
) -> Result<Vec<WrapId>, Fault> {
    let ends: Vec<_> = wraps.iter().filter(|wrap| wrap.name == remove).collect();
    if ends.is_empty() {
        return Err(Fault::bad(
            "the environment has no seal of this name: `coffer operator seal list` shows them",
        ));
    }
    if add == Some(SHARES) {
        return Err(Fault::bad(
            "new shares are added first, and the other seal removed when their holders have them: that takes the shares",
        ));
    }
    let is_shares = ends.iter().any(|wrap| wrap.wrap_type == WrapType::Shamir);
    if is_shares && !params.boolean("accept_loss")?.unwrap_or_default() {
        return Err(Fault::bad(
            "without shares nobody can open the environment once its devices are lost, and all that it holds is lost with them: 'accept_loss' says that you want that",
        ));
    }
    Ok(ends.into_iter().map(|wrap| wrap.id).collect())
}

fn required(wraps: &[ListedWrap]) -> u8 {
    wraps.iter().filter(|wrap| wrap.is_current).find_map(|wrap| wrap.shares).map_or(0, |(_, need)| need)
}

fn progress(ceremony: Option<&SealCeremony>, required: u8) -> Object {
    let changing = ceremony.map(|ceremony| &ceremony.changing);
    let given = |ceremony: &SealCeremony| ceremony.shown.len() as u64 + u64::from(ceremony.held.count());
    Object::new()
        .boolean("started", ceremony.is_some())
        .boolean("complete", false)
        .string("nonce", changing.map_or("", |changing| &changing.nonce))
        .string("add", changing.map_or("", |changing| &changing.add))
        .string("remove", changing.map_or("", |changing| &changing.remove))
        .number("progress", ceremony.map_or(0, given))
        .number("required", required.into())
}

pub(super) async fn status(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let record = desk.environment.barrier().seal_record().await?;
    let ceremony = desk.environment.ceremonies.seal_change();
    let new = ceremony.as_ref().and_then(|ceremony| ceremony.changing.shares.as_ref());
    let required = new.map_or_else(|| required(&listed(&record)), |new| new.threshold().threshold());
    Ok(Outcome::Answer(Answer::system(progress(ceremony.as_ref(), required))))
}

pub(super) fn cancel(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let ended = desk.environment.ceremonies.seal_change().take();
    Ok(Outcome::Answer(match ended {
        Some(ended) => Answer::empty().commit("nonce", ended.changing.nonce.as_bytes()),
        None => Answer::empty(),
    }))
}

/// Takes a share. The last that is needed puts the change in force.
pub(super) async fn update(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let (key, nonce) = (params.required("key")?, params.required("nonce")?);
    let context = desk.environment.barrier().context();
    let copies = coffer_barrier::read_seal_record(&*desk.registry.store, context.environment).await?;
    let seal = Seal::found(context, copies).map_err(unsealable)?;
    let mut ceremony = desk.environment.ceremonies.seal_change();
    let begun = ceremony.as_mut();
    let begun = begun.ok_or_else(|| Fault::bad("no change of the seals is under way: begin one first"))?;
    if begun.changing.nonce != *nonce {
        return Err(other_nonce());
    }
    let (is_enough, required) = match &begun.changing.shares {
        Some(new) => (shown(&mut begun.shown, new, &key)?, new.threshold().threshold()),
        None => {
            let is_enough = match collect(&mut begun.held, &key, &seal, desk.environment.entropy())? {
                Collected::Progress => false,
                Collected::Joined(joined) => {
                    if root_id(joined.root_key.expose(), &context) != begun.changing.root_id {
                        return Err(changed_meanwhile());
                    }
                    true
                }
            };
            (is_enough, required(&seal.wraps()))
        }
    };
    if !is_enough {
        let shown = progress(ceremony.as_ref(), required);
        return Ok(Outcome::Answer(Answer::system(shown).commit("nonce", nonce.as_bytes())));
    }
    let Some(SealCeremony { changing, .. }) = ceremony.take() else {
        return Err(Fault::Internal("a ceremony is gone"));
    };
    drop(ceremony);
    commit(desk, changing)
}

/// Takes one of the new shares; says whether they are enough.
fn shown(shown: &mut BTreeSet<u8>, new: &NewShares, key: &str) -> Result<bool, Fault> {
    let share = Share::parse_any(key)
        .map_err(|_| Fault::bad("the share is mistyped: some character of it is wrong or missing"))?;
    if !new.holds(&share) {
        return Err(Fault::bad("this is none of the new shares"));
    }
    shown.insert(share.x);
    Ok(shown.len() >= usize::from(new.threshold().threshold()))
}

fn commit(desk: &Desk<'_>, changing: Arc<SealChanging>) -> Result<Outcome, Fault> {
    let (registry, environment) = (Arc::clone(desk.registry), Arc::clone(desk.environment));
    Ok(Outcome::Change(Change::new(move |batch| {
        if !batch.is_root_key(&changing.root_key)? {
            return Err(changed_meanwhile());
        }
        let wraps = reseal(batch, &registry, &environment, |record, escrow| {
            if record.generation != changing.generation {
                return Err(changed_meanwhile());
            }
            let add = changing.made.iter().map(|made| made.duplicate()).collect();
            let change = SealChange { add, shares: changing.shares.as_ref(), remove: changing.ends.clone() };
            let record = changed(record, escrow, &changing.root_key, &change, environment.entropy());
            Ok((changing.root_key.duplicate(), record.map_err(unsealable)?))
        })?;
        let answer = Object::new()
            .boolean("complete", true)
            .string("nonce", &changing.nonce)
            .string("add", &changing.add)
            .string("remove", &changing.remove)
            .string("weakest", weakest(&wraps).map_or("", |wrap| &wrap.name));
        let answer = Answer::system(answer).commit("nonce", changing.nonce.as_bytes());
        Ok(match changing.ends.is_empty() {
            true => answer,
            false => answer.warn(
                "with an old backup the seal that is gone still gives today's root key: rotate it (sys/rotate/root, `coffer operator rotate-root`)",
            ),
        })
    })))
}

/// Opens one seal's wrap, now: the key that it gives is compared and forgotten.
pub(super) async fn verify(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let name = params.required("seal")?.to_lowercase();
    let record = desk.environment.barrier().seal_record().await?;
    let (of, wrap) = named(&record, &name)?;
    match of.wrap_type {
        WrapType::Shamir => {
            return Err(Fault::bad(
                "shares are verified by their holders: `coffer operator rekey` makes new ones and has them shown",
            ));
        }
        WrapType::Inherit => {
            drop(inherited(desk.registry, desk.environment, &desk.environment.barrier().root_key()?)?)
        }
        _ => by_its_device(desk, &name, &record, wrap, params.string("pin")?).await?,
    }
    let answer =
        Object::new().string("seal", &name).string("type", word(of.wrap_type)).boolean("opens", true);
    Ok(Outcome::Answer(Answer::system(answer)))
}

/// Approves how the machine was started, for a seal by TPM: after an update of its firmware, once somebody has looked that
/// the update was meant. `withdraw` takes it back.
pub(super) async fn approve(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let name = params.required("seal")?.to_lowercase();
    let is_withdrawn = params.boolean("withdraw")?.unwrap_or_default();
    let owner_password = params.string("owner_password")?.unwrap_or_default();
    let record = desk.environment.barrier().seal_record().await?;
    let (_, wrap) = named(&record, &name)?;
    let (registry, path) = (Arc::clone(desk.registry), desk.environment.path.clone());
    let (owned, wrap) = (name.to_string(), wrap.clone());
    let done = tokio::task::spawn_blocking(move || {
        registry.devices.find(&owned, &path)?.approve(&wrap, &owner_password, is_withdrawn)
    });
    let done = done.await.map_err(|_| Fault::Internal("a device's thread did not come to its end"))?;
    done.map_err(|error| refused(&name, &error))?;
    let answer = Object::new().string("seal", &name).boolean("approved", !is_withdrawn);
    Ok(Outcome::Answer(Answer::system(answer)))
}

/// The seal of this name, and its wrap.
fn named<'a>(record: &'a SealRecord, name: &str) -> Result<(ListedWrap, &'a Wrap), Fault> {
    let found = listed(record).into_iter().zip(&record.wraps).find(|(listed, _)| listed.name == name);
    found.ok_or_else(|| {
        Fault::bad("the environment has no seal of this name: `coffer operator seal list` shows them")
    })
}

async fn by_its_device(
    desk: &Desk<'_>,
    name: &str,
    record: &SealRecord,
    wrap: &Wrap,
    pin: Option<Zeroizing<String>>,
) -> Result<(), Fault> {
    let (registry, path) = (Arc::clone(desk.registry), desk.environment.path.clone());
    let (owned, context, root_id, wrap) = (name.to_owned(), record.ctx, record.root_id, wrap.clone());
    let proved = tokio::task::spawn_blocking(move || {
        let given = Given { pin, ..Given::default() };
        registry.devices.find(&owned, &path)?.prove(context, root_id, &wrap, &given)
    });
    let proved = proved.await.map_err(|_| Fault::Internal("a device's thread did not come to its end"))?;
    proved.map_err(|error| refused(name, &error))
}

/// From now on the store's age is held against the TPM's counter.
pub(super) async fn begin_counting(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    of_the_root(desk)?;
    let owner = params.string("owner_password")?.unwrap_or_default();
    let defined = desk.registry.define_counter(desk.environment, owner).await;
    Ok(Outcome::Change(defined.map_err(|error| crate::sealing::fault(&error, error.sentence.clone()))?))
}

/// The store's age is no longer held against a counter: where the TPM is gone.
pub(super) fn end_counting(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    of_the_root(desk)?;
    Ok(Outcome::Change(Change::new(|batch| {
        batch.set_tpm_counter(0);
        Ok(Answer::empty())
    })))
}

fn of_the_root(desk: &Desk<'_>) -> Result<(), Fault> {
    match desk.environment.path.is_root() {
        true => Ok(()),
        false => Err(Fault::bad("the counter is of the whole store: ask in the root environment")),
    }
}

fn changed_meanwhile() -> Fault {
    Fault::Conflict("the seals were changed meanwhile: begin again".into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
