//! `lookup`, `lookup-self`, `lookup-accessor`.
use super::{Asker, no_such_accessor};
use crate::token::TokenStore;
use crate::token::issue::{object_of, unix};
use crate::token::records::TokenRecord;
use coffer_room::{Answer, Fault, Outcome};
use coffer_types::Timestamp;
use coffer_wire::Object;

pub(super) async fn own(store: &TokenStore, asker: Asker<'_>, now: Timestamp) -> Result<Outcome, Fault> {
    let index = asker.own_index(store).ok_or(Fault::PermissionDenied)?;
    let record = store.live(&index, now).await?.ok_or(Fault::PermissionDenied)?;
    Ok(answer(&record, asker.shown.unwrap_or_default(), now))
}

pub(super) async fn by_token(store: &TokenStore, token: &str, now: Timestamp) -> Result<Outcome, Fault> {
    let index = store.index_of(token)?.ok_or(Fault::PermissionDenied)?;
    let record = store.live(&index, now).await?.ok_or(Fault::PermissionDenied)?;
    Ok(answer(&record, token, now))
}

pub(super) async fn by_accessor(
    store: &TokenStore,
    accessor: &str,
    now: Timestamp,
) -> Result<Outcome, Fault> {
    let index = store.by_accessor(accessor).await?.ok_or_else(no_such_accessor)?;
    let record = store.live(&index, now).await?.ok_or_else(no_such_accessor)?;
    Ok(answer(&record, "", now))
}

fn answer(record: &TokenRecord, token: &str, now: Timestamp) -> Outcome {
    let data = Object::new()
        .string("accessor", &record.accessor)
        .number("creation_time", unix(record.created))
        .number("creation_ttl", record.ttl_seconds)
        .string("display_name", &record.display_name)
        .string("entity_id", "");
    let data = match record.expires {
        Some(expires) => data.string("expire_time", &expires.rfc3339()),
        None => data.null("expire_time"),
    };
    let data = data
        .number("explicit_max_ttl", record.explicit_max_seconds)
        .string("id", token)
        .string("issue_time", &record.created.rfc3339());
    let data = match record.renewed {
        Some(renewed) => {
            data.string("last_renewal", &renewed.rfc3339()).number("last_renewal_time", unix(renewed))
        }
        None => data,
    };
    let data =
        if record.meta.is_empty() { data.null("meta") } else { data.object("meta", object_of(&record.meta)) };
    let data = data
        .number("num_uses", record.uses_left.unwrap_or(0))
        .boolean("orphan", record.parent.is_none())
        .string("path", &record.path);
    let data = if record.period_seconds > 0 { data.number("period", record.period_seconds) } else { data };
    let data = data.strings("policies", &record.policies).boolean("renewable", record.is_renewable);
    let data = if record.role.is_empty() { data } else { data.string("role", &record.role) };
    let data = data.number("ttl", record.seconds_left(now)).string("type", "service");
    Outcome::Answer(Answer::data(data).commit("accessor", record.accessor.as_bytes()))
}
