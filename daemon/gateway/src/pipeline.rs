//! One request, one path: read it from top to bottom.
//!
//! Each step gives a value whose type only its own room can make, so there is no other way in: no effect without a
//! recorded intent, no answer without a recorded result.
use crate::peer::Peer;
use crate::received::Received;
use crate::reply::{self, Refused, Reply};
use crate::{Limits, Metrics, public};
use coffer_audit::{Facts, NodeCount, NodeLog, PlainField, Unrecorded};
use coffer_environments::{Addressed, Credentials, Registry};
use coffer_room::Fault;
use coffer_types::Clock;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Semaphore, watch};

/// What the door needs of the house.
pub struct Gateway {
    /// Which environments are open.
    pub registry: Arc<Registry>,
    /// What can't be recorded in an environment.
    pub node: NodeLog,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Limits of the door.
    pub limits: Limits,
    /// Counters.
    pub metrics: Metrics,
    memory: Semaphore,
}

impl Gateway {
    /// The door of a house.
    #[must_use]
    pub fn new(registry: Arc<Registry>, node: NodeLog, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let memory = Semaphore::new(limits.large_bodies_bytes.max(limits.body_bytes) / 1024);
        Self { registry, node, clock, limits, metrics: Metrics::default(), memory }
    }
}

/// Answers one request of a connection; `seals` has seen what there was when that was made.
pub(crate) async fn serve(
    gateway: &Gateway,
    peer: &Peer,
    request: http::Request<Incoming>,
    seals: watch::Receiver<u64>,
) -> Reply {
    let begun = Instant::now();
    let is_head = request.method() == http::Method::HEAD;
    let reply = receive(gateway, peer, request, seals).await.unwrap_or_else(|stop| stop.reply(gateway));
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    gateway.metrics.answered(reply.status().as_u16(), micros);
    // Without a length either: clients that send HEAD as a method of their own wait for what it announces.
    if is_head { reply::without_body(reply) } else { reply }
}

async fn receive(
    gateway: &Gateway,
    peer: &Peer,
    request: http::Request<Incoming>,
    mut seals: watch::Receiver<u64>,
) -> Result<Reply, Stop> {
    let (head, body) = request.into_parts();
    let mut received = Received::of(head)?;
    if public::takes_upload(&received) {
        return Ok(public::restore(gateway, body).await);
    }
    tokio::select! {
        biased;
        read = received.read_body(body, &gateway.limits, &gateway.memory) => read?,
        // A body that takes its time does not outlive a seal.
        _sealed = seals.changed() => return Err(Fault::Sealed.into()),
    }
    match public::answer(gateway, &received).await {
        Some(reply) => Ok(reply),
        None => walk(gateway, peer, received).await,
    }
}

async fn walk(gateway: &Gateway, peer: &Peer, mut received: Received<'_>) -> Result<Reply, Stop> {
    let registry = &gateway.registry;
    let addressed = registry.address(received.namespace.as_deref(), &received.path, received.operation)?;
    let book = addressed.environment.book();
    let request_id = registry.request_id()?;
    let mut facts = facts(&addressed, &received, &request_id);
    let credentials = Credentials { token: received.token.take(), chain: peer.chain() };
    let wants_receipt = received.nonce.is_some();

    let who = registry.authenticate(&addressed, &credentials, &mut facts).await;
    let spend = who.as_ref().ok().and_then(|who| registry.spend(who));
    let permitted = match who {
        Ok(who) => received
            .take_params(&gateway.limits)
            .and_then(|params| registry.authorise(&addressed, who, params)),
        Err(fault) => Err(fault),
    };
    let intent = book.intend(facts);
    let outcome = match permitted {
        Ok((permit, request)) => registry.act(&addressed, &permit, &intent, &credentials, request).await,
        Err(refusal) => Err(refusal),
    };
    let recorded = book.record(intent, outcome, spend).await?;
    registry.settle().await;
    if addressed.is_counted() {
        registry.count();
    }
    Ok(reply::recorded(recorded, &request_id, wants_receipt))
}

/// What the leaf says of the request before anything is known of its caller.
fn facts(addressed: &Addressed, received: &Received<'_>, request_id: &str) -> Facts {
    Facts {
        route: addressed.route_name(),
        operation: received.operation.name(),
        mount: addressed.mount_id(),
        committed: vec![("path", addressed.path.as_str().as_bytes().to_vec().into())],
        plain: vec![
            (PlainField::RequestId, request_id.to_owned()),
            (PlainField::Method, received.method.as_str().to_owned()),
        ],
        request_digest: received.digest(),
        is_urgent: addressed.is_urgent(),
        ..Facts::default()
    }
}

/// Why the walk ends without a leaf in an environment's book.
enum Stop {
    Refused(Refused),
    /// Sealed, or not addressed to an environment: counted in the node log.
    Unaddressed(Fault),
    /// The log can't be written: nothing is answered but this.
    Unrecorded(Unrecorded),
}

impl Stop {
    fn reply(self, gateway: &Gateway) -> Reply {
        let (count, reply) = match self {
            Self::Refused(refused) => (NodeCount::Unreadable, reply::refused(refused, &gateway.limits)),
            Self::Unaddressed(Fault::Sealed) => (NodeCount::WhileSealed, reply::fault(Fault::Sealed)),
            Self::Unaddressed(fault) => (NodeCount::Unaddressed, reply::fault(fault)),
            // Sealed between the address and the record.
            Self::Unrecorded(Unrecorded::Closed) => (NodeCount::WhileSealed, reply::fault(Fault::Sealed)),
            Self::Unrecorded(why) => {
                gateway.metrics.unrecorded.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                return reply::fault(Fault::Unavailable(why.message().into()));
            }
        };
        match gateway.node.count(count) {
            Ok(()) => reply,
            Err(why) => reply::fault(Fault::Unavailable(why.message().into())),
        }
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Unaddressed(fault)
    }
}

impl From<Unrecorded> for Stop {
    fn from(why: Unrecorded) -> Self {
        Self::Unrecorded(why)
    }
}
