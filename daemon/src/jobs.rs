//! Background work. Each round looks at the state and does the same thing again; it may be killed anywhere.
use coffer_audit::{NodeEvent, NodeLog};
use coffer_environments::Registry;
use coffer_gateway::Tls;
use coffer_store::{RedbStore, Store};
use std::sync::Arc;
use std::time::Duration;

/// Between two rounds where nothing asks for one.
const ROUND: Duration = Duration::from_secs(5);

/// Runs until it is aborted.
pub(crate) async fn run(registry: Arc<Registry>, store: Arc<RedbStore>, tls: Arc<Tls>, node: NodeLog) {
    let mut files = tls.changed();
    let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else {
        tracing::error!("SIGHUP can't be received; certificates are reloaded when their files change");
        return;
    };
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
        if registry.work().await {
            // A deleted environment's bytes stay in free pages of the file until it is compacted.
            if let Err(error) = store.compact().await {
                tracing::error!(%error, "the store could not be compacted; it is tried again after the next deletion");
            }
        }
    }
}

fn reload(tls: &Tls, node: &NodeLog) {
    match tls.reload() {
        Ok(()) => tracing::info!("certificates and revocation lists are reloaded"),
        Err(error) => tracing::error!(%error, "not reloaded: what was in force stays in force"),
    }
    if let Err(error) = node.event(NodeEvent::Reloaded, &[]) {
        tracing::error!(%error, "the reload is not in the node log");
    }
}
