//! What the node answers about itself, to anyone who passed the handshake: the only requests that do not take the walk.
//!
//! Health, seal status and metrics leave no record: a load balancer asks every second. Initialising and unsealing are
//! ceremonies, one leaf each in the node log; other questions about the node are counted there. What is answered here is what
//! [`PublicRoute`] declares with a path of the node, and nothing else.
use crate::pipeline::Gateway;
use crate::received::Received;
use crate::reply::{self, Reply};
use coffer_audit::NodeCount;
use coffer_environments::{NodeFault, Terms, Unsealed};
use coffer_policy::PublicRoute;
use coffer_room::Fault;
use coffer_seal::device::Given;
use coffer_seal::devices::{NamedDevice, is_by_device};
use coffer_seal::seals::{ListedWrap, weakest, word};
use coffer_types::Operation as Op;
use coffer_wire::{Array, Object, Params};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::future::Future;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The answer, where the request asks for one of these paths.
pub(crate) async fn answer(gateway: &Gateway, received: &Received<'_>) -> Option<Reply> {
    if !is_root(received.namespace.as_deref()) {
        return None;
    }
    let route = PublicRoute::of_node(&received.path)?;
    if !route.operations().contains(&received.operation) {
        return Some(reply::fault(Fault::UnsupportedOperation));
    }
    let reply = match route {
        PublicRoute::Health => health(gateway, received),
        PublicRoute::SealStatus => reply::json(200, seal_status(gateway).finish()),
        PublicRoute::Metrics => metrics(gateway),
        PublicRoute::Leader => counted(gateway, leader),
        PublicRoute::Init if received.operation == Op::Read => counted(gateway, initialized),
        PublicRoute::Init => ceremony(gateway, init(gateway, received).await),
        PublicRoute::Unseal => ceremony(gateway, unseal(gateway, received).await),
        // Answered before its body is read, see `takes_upload`; asked of an environment, not of the node.
        PublicRoute::Restore | PublicRoute::Login => return None,
    };
    Some(reply)
}

/// Whether a request brings a snapshot that is to be restored: then its body is not held in memory.
pub(crate) fn takes_upload(received: &Received<'_>) -> bool {
    received.operation == Op::Write
        && is_root(received.namespace.as_deref())
        && PublicRoute::of_node(&received.path) == Some(PublicRoute::Restore)
}

/// In other environments these paths are like any that is not there.
fn is_root(namespace: Option<&str>) -> bool {
    namespace.is_none_or(|name| matches!(name.trim_matches('/'), "" | "root"))
}

fn health(gateway: &Gateway, received: &Received<'_>) -> Reply {
    let status = gateway.registry.seal_status();
    let code = match (status.is_initialized, status.is_sealed) {
        (false, _) => 501,
        (true, true) => 503,
        (true, false) => 200,
    };
    let code = wished_code(code, received.query.as_deref().unwrap_or_default());
    let text = Object::new()
        .boolean("initialized", status.is_initialized)
        .boolean("sealed", status.is_sealed)
        .boolean("standby", false)
        .boolean("performance_standby", false)
        .string("replication_performance_mode", "disabled")
        .string("replication_dr_mode", "disabled")
        .number("server_time_utc", gateway.clock.now().seconds())
        .string("version", env!("CARGO_PKG_VERSION"))
        .string("cluster_name", &status.cluster_name)
        .string("cluster_id", &status.cluster_id)
        .finish();
    reply::json(code, text)
}

/// The status that a load balancer wants instead of `code`, by the query; without a wish it can have, `code` itself.
pub(crate) fn wished_code(code: u16, query: &str) -> u16 {
    let wanted = match code {
        501 => "uninitcode",
        503 => "sealedcode",
        _ => "activecode",
    };
    // The last one that can be had counts.
    let mut pairs = query.rsplit('&').filter_map(|pair| pair.split_once('='));
    let wish = pairs.find_map(|(name, value)| match value.parse() {
        Ok(wish @ 200..=599) if name == wanted => Some(wish),
        _ => None,
    });
    wish.unwrap_or(code)
}

fn seal_status(gateway: &Gateway) -> Object {
    let status = gateway.registry.seal_status();
    let by_device = status.wraps.iter().find(|wrap| wrap.is_current && is_by_device(wrap.wrap_type));
    let seals = status.wraps.iter().filter(|wrap| wrap.is_current);
    let seals = seals.fold(Array::new(), |all, wrap| all.object(seal(gateway, wrap)));
    Object::new()
        .string("type", by_device.map_or("shamir", |wrap| word(wrap.wrap_type)))
        .boolean("initialized", status.is_initialized)
        .boolean("sealed", status.is_sealed)
        .number("t", status.threshold.into())
        .number("n", status.shares.into())
        .number("progress", status.progress.into())
        .string("nonce", &status.nonce)
        .string("version", env!("CARGO_PKG_VERSION"))
        .string("build_date", "")
        .boolean("migration", false)
        .string("cluster_name", &status.cluster_name)
        .string("cluster_id", &status.cluster_id)
        .boolean("recovery_seal", false)
        .string("storage_type", "redb")
        .array("seals", seals)
        .string("weakest_seal", weakest(&status.wraps).map_or("", |wrap| &wrap.name))
}

/// A seal to anybody who asks: what it is, and whether it is well. Why it is not, those learn who may ask `sys/seals`.
fn seal(gateway: &Gateway, wrap: &ListedWrap) -> Object {
    let object = Object::new().string("name", &wrap.name).string("type", word(wrap.wrap_type));
    if let Some((shares, threshold)) = wrap.shares {
        return object.number("shares", shares.into()).number("threshold", threshold.into());
    }
    if !is_by_device(wrap.wrap_type) {
        return object;
    }
    let device = gateway.registry.devices().iter().find(|device| device.name() == wrap.name);
    object
        .boolean("configured", device.is_some())
        .boolean("healthy", device.is_some_and(|device| is_well(device, Some(wrap))))
        .boolean("waits_for_pin", device.is_some_and(|device| device.waits_for_pin(wrap)))
}

/// Whether it would open the store by this wrap of it, as far as is known.
fn is_well(device: &NamedDevice, wrap: Option<&ListedWrap>) -> bool {
    let health = wrap.map_or_else(|| device.health(), |wrap| device.health_for(wrap.id));
    matches!(health, Some(Ok(())))
}

fn metrics(gateway: &Gateway) -> Reply {
    let status = gateway.registry.seal_status();
    let seals: Vec<_> = gateway
        .registry
        .devices()
        .iter()
        .map(|device| {
            let wrap = status.wraps.iter().find(|wrap| wrap.name == device.name());
            (device.name(), word(device.wrap_type()), is_well(device, wrap))
        })
        .collect();
    let text = gateway.metrics.text(status.is_initialized, status.is_sealed, &seals);
    reply::whole(200, Some("text/plain; version=0.0.4"), text.into())
}

fn counted(gateway: &Gateway, answer: impl Fn(&Gateway) -> Reply) -> Reply {
    match gateway.node.count(NodeCount::Unaddressed) {
        Ok(()) => answer(gateway),
        Err(why) => reply::fault(Fault::Unavailable(why.message().into())),
    }
}

fn initialized(gateway: &Gateway) -> Reply {
    reply::json(
        200,
        Object::new().boolean("initialized", gateway.registry.seal_status().is_initialized).finish(),
    )
}

fn leader(_: &Gateway) -> Reply {
    let text = Object::new()
        .boolean("ha_enabled", false)
        .boolean("is_self", false)
        .string("active_time", "0001-01-01T00:00:00Z")
        .string("leader_address", "")
        .string("leader_cluster_address", "")
        .boolean("performance_standby", false)
        .number("performance_standby_last_remote_wal", 0);
    reply::json(200, text.finish())
}

async fn init(gateway: &Gateway, received: &Received<'_>) -> Result<Reply, NodeFault> {
    let params = params(gateway, received)?;
    for unsupported in ["pgp_keys", "root_token_pgp_key"] {
        if params.list(unsupported)?.is_some_and(|keys| !keys.is_empty()) {
            return Err(NodeFault::bad(
                "'pgp_keys' and 'root_token_pgp_key' are not supported: the OpenPGP libraries rest on an RSA crate with an open timing flaw",
            ));
        }
    }
    let registry = Arc::clone(&gateway.registry);
    let answer = whole(async move { registry.init_by(&params).await }).await?;
    Ok(reply::json(200, answer.finish()))
}

async fn unseal(gateway: &Gateway, received: &Received<'_>) -> Result<Reply, NodeFault> {
    let params = params(gateway, received)?;
    let (registry, said) = (Arc::clone(&gateway.registry), Terms::of(&params)?);
    let mut unsealed = None;
    if params.boolean("reset")?.unwrap_or_default() {
        registry.reset_unseal()?;
    } else if let Some(name) = params.string("seal")? {
        let given = Given { pin: params.string("pin")?, ..Given::default() };
        unsealed = whole(async move { registry.unseal_by(&name, given, said).await }).await?;
    } else {
        let key = params.required("key")?;
        unsealed = whole(async move { registry.unseal(&key, said).await }).await?;
    }
    let status = seal_status(gateway);
    let status = match unsealed {
        Some(Unsealed { checkpoints, compared }) => {
            status.strings("checkpoints", checkpoints).number("checkpoints_compared", compared as u64)
        }
        None => status,
    };
    Ok(reply::json(200, status.finish()))
}

/// Takes an uploaded snapshot, piece by piece: it may be larger than a body may otherwise be.
pub(crate) async fn restore(gateway: &Gateway, mut body: Incoming) -> Reply {
    let result = upload(gateway, &mut body).await;
    if result.is_err() {
        // Whoever is still sending when the connection closes sees that it closed, and not why.
        let _late =
            tokio::time::timeout(gateway.limits.body, drain(&mut body, gateway.limits.body_bytes)).await;
    }
    ceremony(gateway, result)
}

/// Drops what is left of a body, as far as this many bytes.
async fn drain(body: &mut Incoming, mut bytes: usize) {
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.data_ref().map_or(0, bytes::Bytes::len);
        let Some(left) = bytes.checked_sub(read) else { return };
        bytes = left;
    }
}

async fn upload(gateway: &Gateway, body: &mut Incoming) -> Result<Reply, NodeFault> {
    let mut upload = gateway.registry.begin_upload(gateway.limits.snapshot_bytes).await?;
    loop {
        let frame = tokio::time::timeout(gateway.limits.body, body.frame()).await;
        match frame.map_err(|_| NodeFault::bad("the snapshot did not arrive in time"))? {
            Some(Ok(frame)) => upload.push(frame.data_ref().map_or(&[], |data| data.as_ref()))?,
            Some(Err(_)) => return Err(NodeFault::bad("the snapshot broke off")),
            None => break,
        }
    }
    gateway.registry.staged(upload).await?;
    Ok(reply::json(200, seal_status(gateway).finish()))
}

fn params(gateway: &Gateway, received: &Received<'_>) -> Result<Params, NodeFault> {
    Ok(Params::parse(Zeroizing::new(received.body.to_vec()), gateway.limits.json).map_err(Fault::from)?)
}

/// A ceremony goes to its end, whether or not the client is still there.
async fn whole<T: Send + 'static>(
    ceremony: impl Future<Output = Result<T, NodeFault>> + Send + 'static,
) -> Result<T, NodeFault> {
    let done = tokio::spawn(ceremony).await;
    done.unwrap_or_else(|_| Err(Fault::Internal("a ceremony did not come to its end").into()))
}

/// A ceremony that was done has its own leaf; one that was refused is counted.
fn ceremony(gateway: &Gateway, result: Result<Reply, NodeFault>) -> Reply {
    result.unwrap_or_else(|fault| match gateway.node.count(NodeCount::Unaddressed) {
        Ok(()) => reply::fault(fault.into()),
        Err(why) => reply::fault(Fault::Unavailable(why.message().into())),
    })
}
