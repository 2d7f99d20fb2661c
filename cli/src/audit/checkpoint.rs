//! `audit checkpoint`: the newest promise of an environment's log, kept where the daemon's disk does not reach.
use crate::connect::Connection;
use crate::kept::{Kept, promised};
use crate::page::Page;
use crate::shapes::{counted, text};
use crate::words::{Exit, Failure};
use serde_json::json;

pub(super) async fn run(connection: &Connection) -> Result<Page, Failure> {
    let api = connection.api()?;
    let note = text(api.get("sys/audit/checkpoint").await?.data(), "checkpoint");
    let status = connection.node()?.client.sys().seal_status().await;
    let status = status.map_err(|error| Failure::at("sys/seal-status", error))?;
    let kept = Kept::of(&status.cluster_id);
    let place = kept.place();
    let leaves = |size| counted(size, "leaf", "leaves");
    let size = promised(&note).map(|new| new.size).unwrap_or_default();
    let page = Page::new(json!({ "checkpoint": note, "leaves": size, "kept": place }));
    Ok(match kept.add(&note) {
        Ok(Ok(())) => page
            .good(format!("Kept: the log of {} has {}.", api.environment(), leaves(size)))
            .line(format!("{place} goes along with each share that `coffer operator unseal` gives.")),
        Ok(Err(why)) => page.bad(why).exit(Exit::Failed),
        Err(larger) => page
            .bad(format!(
                "An older store serves: the log of {} has {}, and the checkpoint kept here covers {}.",
                api.environment(),
                leaves(size),
                leaves(larger.size)
            ))
            .note(format!("{place} proves it, and was left as it is. Seal the daemon, and tell an auditor."))
            .exit(Exit::Altered),
    })
}
