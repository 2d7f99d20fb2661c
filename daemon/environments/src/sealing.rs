//! Changing what an open environment is sealed by: wraps are made before the commit that puts them in force, since a
//! device may take its time and a commit may not.
use crate::{Environment, Registry};
use coffer_barrier::{Batch, Context};
use coffer_room::{Answer, Fault};
use coffer_seal::device::{DeviceError, DeviceTrouble, Given};
use coffer_seal::seals::{INHERIT, ListedWrap, NamedWrap, listed};
use coffer_seal::{Inherited, SealError};
use coffer_secmem::Key32;
use coffer_types::EnvironmentPath;
use keystore_format::keyring::EscrowedKek;
use keystore_format::seal_record::{SealRecord, Wrap, WrapType, root_id};
use std::sync::Arc;

/// What wraps a root key beside shares, made anew under another root key: each seal in the place of the one of its name.
pub(crate) async fn wrapped_anew(
    registry: &Arc<Registry>,
    environment: &Environment,
    root_key: &Key32,
    given: &Given,
) -> Result<Vec<NamedWrap>, Fault> {
    let record = environment.barrier().seal_record().await?;
    if given.pin.is_some() && record.wraps.iter().all(|wrap| wrap.wrap_type != WrapType::Tpm2) {
        return Err(Fault::bad("'pin' is for a seal by TPM, and the environment has none"));
    }
    let mut made = Vec::new();
    for (older, wrap) in listed(&record).into_iter().zip(record.wraps) {
        match wrap.wrap_type {
            WrapType::Shamir => {}
            WrapType::Inherit => made.push(inherited(registry, environment, root_key)?),
            wrap_type => {
                // A PIN is for the TPM that asks for one.
                let given = if wrap_type == WrapType::Tpm2 { copy(given) } else { Given::default() };
                made.push(by_device(registry, environment, &older.name, root_key, Some(wrap), given).await?);
            }
        }
    }
    Ok(made)
}

/// A wrap by a configured device, proved to open.
pub(crate) async fn by_device(
    registry: &Arc<Registry>,
    environment: &Environment,
    name: &str,
    root_key: &Key32,
    older: Option<Wrap>,
    given: Given,
) -> Result<NamedWrap, Fault> {
    let context = environment.barrier().context();
    wrap_by(registry, &environment.path, context, name, root_key, older, given).await
}

/// A wrap by a configured device for an environment that may not be there yet.
pub(crate) async fn wrap_by(
    registry: &Arc<Registry>,
    path: &EnvironmentPath,
    context: Context,
    name: &str,
    root_key: &Key32,
    older: Option<Wrap>,
    given: Given,
) -> Result<NamedWrap, Fault> {
    // A name that the configuration doesn't have may be anything: it is not said again.
    registry.devices.find(name, path).map_err(|error| Fault::bad(error.sentence))?;
    let (registry, path, owned) = (Arc::clone(registry), path.clone(), name.to_owned());
    let root_key = root_key.duplicate();
    let made = tokio::task::spawn_blocking(move || {
        let device = registry.devices.find(&owned, &path)?;
        device.wrap(&root_key, context, older.as_ref(), &given, &*registry.entropy)
    });
    let made = made.await.map_err(|_| Fault::Internal("a device's thread did not come to its end"))?;
    made.map_err(|error| refused(name, &error))
}

/// A wrap by the environment above, which must be open.
pub(crate) fn inherited(
    registry: &Registry,
    environment: &Environment,
    root_key: &Key32,
) -> Result<NamedWrap, Fault> {
    let above = environment.path.parent();
    let Some(above) = above else {
        return Err(Fault::bad("the root environment has none above it that could open it"));
    };
    let above = registry.open().and_then(|open| open.at(&above).cloned()).ok_or(Fault::Sealed)?;
    inherited_from(&above, environment.barrier().context(), root_key)
}

/// A wrap by the open environment above.
pub(crate) fn inherited_from(
    above: &Environment,
    context: Context,
    root_key: &Key32,
) -> Result<NamedWrap, Fault> {
    let kek = above.barrier().child_kek(context.environment)?;
    let wrap = Inherited::wrap(context, &kek, root_key, above.entropy()).map_err(unsealable)?;
    Ok(NamedWrap { name: INHERIT.to_owned(), wrap })
}

/// One commit: another seal, and what the status says of it once that is durable. Gives the seals there are then.
pub(crate) fn reseal(
    batch: &mut Batch<'_>,
    registry: &Arc<Registry>,
    environment: &Arc<Environment>,
    make: impl FnOnce(SealRecord, &mut Vec<EscrowedKek>) -> Result<(Key32, SealRecord), Fault>,
) -> Result<Vec<ListedWrap>, Fault> {
    let mut wraps = Vec::new();
    batch.reseal(|record, escrow| {
        let (root_key, record) = make(record, escrow)?;
        wraps = listed(&record);
        Ok::<_, Fault>((root_key, record))
    })?;
    let (registry, environment, shown) = (Arc::clone(registry), Arc::clone(environment), wraps.clone());
    batch.after(Box::new(move || registry.seal_changed(&environment, shown)));
    Ok(wraps)
}

/// Says that seals which give out certain root keys only have to be told of a new one before the next start.
pub(crate) fn warn_of_pins(
    answer: Answer,
    registry: &Registry,
    environment: &Environment,
    (wraps, root_key): (&[ListedWrap], &Key32),
) -> Answer {
    let is_pinned = |wrap: &ListedWrap| {
        registry.devices.find(&wrap.name, &environment.path).is_ok_and(|device| device.is_pinned())
    };
    let root_id = root_id(root_key.expose(), &environment.barrier().context());
    let id: String = root_id.iter().map(|byte| format!("{byte:02x}")).collect();
    wraps.iter().filter(|wrap| is_pinned(wrap)).fold(answer, |answer, wrap| {
        answer.warn(format!(
            "seal \"{}\" gives out only the root keys of its `root_ids`: put {id} there before the next start",
            wrap.name
        ))
    })
}

/// Why a device did not do it, as an answer.
pub(crate) fn refused(name: &str, error: &DeviceError) -> Fault {
    fault(error, format!("seal \"{name}\": {}", error.sentence))
}

/// By the kind of trouble: something to wait for, or to put right.
pub(crate) fn fault(error: &DeviceError, sentence: String) -> Fault {
    match error.kind {
        DeviceTrouble::Unreachable | DeviceTrouble::Failed | DeviceTrouble::Locked => {
            Fault::Unavailable(sentence.into())
        }
        _ => Fault::bad(sentence),
    }
}

/// Why a seal can't be made or opened, as an answer.
pub(crate) fn unsealable(error: SealError) -> Fault {
    match error {
        SealError::Entropy => coffer_types::EntropyError.into(),
        SealError::OtherWraps => Fault::Conflict(error.message().into()),
        SealError::NoWrap | SealError::NameTaken | SealError::SharesThere | SealError::NoSealLeft => {
            Fault::bad(error.message())
        }
        SealError::NoRecord | SealError::NotAuthentic => Fault::Unavailable(error.message().into()),
    }
}

fn copy(given: &Given) -> Given {
    Given { pin: given.pin.clone(), ..Given::default() }
}
