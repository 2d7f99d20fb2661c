//! Background work. Each round looks at the state and does the same thing again; it may be killed anywhere.
use coffer_audit::{NodeEvent, NodeField, NodeLog};
use coffer_environments::Registry;
use coffer_gateway::Tls;
use coffer_store::{RedbStore, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;

/// Between two rounds where nothing asks for one.
const ROUND: Duration = Duration::from_secs(5);

/// Between two questions to the devices how they are.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until it is aborted.
pub(crate) async fn run(
    registry: Arc<Registry>,
    store: Arc<RedbStore>,
    tls: Arc<Tls>,
    node: NodeLog,
    mut hangup: Signal,
) {
    let mut files = tls.changed();
    let seals = tokio::spawn(watch_seals(Arc::clone(&registry)));
    let _with_us = AbortOnDrop(seals.abort_handle());
    loop {
        let is_hangup = tokio::select! {
            () = tokio::time::sleep(ROUND) => false,
            () = registry.jobs_wanted() => false,
            _ = hangup.recv() => true,
        };
        let now = tls.changed();
        if is_hangup || now != files {
            files = now;
            reload(&tls, &node);
        }
        if store.failed() && !registry.seal_status().is_sealed {
            tracing::error!("the store failed: nothing is acknowledged any more; sealing");
            registry.seal().await;
        }
        registry.work().await;
    }
}

/// Opens the store and the environments below by their devices after the start, and asks these how they are.
async fn watch_seals(registry: Arc<Registry>) {
    let mut is_settled = false;
    loop {
        let begun = tokio::time::Instant::now();
        registry.look_at_devices().await;
        registry.count_if_due().await;
        while begun.elapsed() < LOOK {
            is_settled = is_settled || registry.unseal_by_devices().await;
            registry.unseal_awaited().await;
            tokio::time::sleep(ROUND).await;
        }
    }
}

/// Ends a task with its owner.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn reload(tls: &Tls, node: &NodeLog) {
    let result = match tls.reload() {
        Ok(()) => {
            tracing::info!("certificates and revocation lists are reloaded");
            "done"
        }
        Err(error) => {
            tracing::error!(%error, "not reloaded: what was in force stays in force");
            "refused"
        }
    };
    if let Err(error) = node.event(NodeEvent::Reloaded, &[(NodeField::Result, result)]) {
        tracing::error!(%error, "the reload is not in the node log");
    }
}
