//! `renew`, `renew-self`, `renew-accessor`.
use super::{Asker, no_such_accessor};
use crate::token::TokenStore;
use crate::token::issue::auth;
use crate::token::roles::change;
use crate::token::store::{live_in, put};
use coffer_barrier::Tx;
use coffer_room::{Answer, Fault, Outcome};
use coffer_wire::{Params, seconds_text};
use zeroize::Zeroizing;

pub(super) fn by_token(
    store: &TokenStore,
    token: Zeroizing<String>,
    params: &Params,
) -> Result<Outcome, Fault> {
    let index = store.index_of(&token)?.ok_or_else(not_found)?;
    renewal(index, token, params)
}

pub(super) fn own(store: &TokenStore, asker: Asker<'_>, params: &Params) -> Result<Outcome, Fault> {
    let index = asker.own_index(store).ok_or(Fault::PermissionDenied)?;
    renewal(index, Zeroizing::new(asker.shown.unwrap_or_default().to_owned()), params)
}

pub(super) async fn by_accessor(
    store: &TokenStore,
    accessor: &str,
    params: &Params,
) -> Result<Outcome, Fault> {
    let index = store.by_accessor(accessor).await?.ok_or_else(no_such_accessor)?;
    renewal(index, Zeroizing::default(), params)
}

fn renewal(index: [u8; 32], token: Zeroizing<String>, params: &Params) -> Result<Outcome, Fault> {
    let increment = params.seconds("increment")?.unwrap_or(0);
    Ok(change(move |tx| renew(tx, &index, &token, increment)))
}

/// Moves the expiry, within the token's walls; see [`crate::token::lifetime`].
fn renew(tx: &mut Tx<'_, '_>, index: &[u8; 32], token: &str, increment: u64) -> Result<Answer, Fault> {
    let now = tx.now();
    let mut record = live_in(tx, index)?.ok_or_else(not_found)?;
    if !record.is_renewable || record.expires.is_none() {
        return Err(Fault::bad("lease is not renewable"));
    }
    let wished = if increment > 0 { increment } else { record.ttl_seconds };
    let expires = record.expiry_after(now, wished);
    let is_capped = record.period_seconds == 0 && expires < now.plus_seconds(wished);
    record.expires = Some(expires);
    record.renewed = Some(now);
    put(tx, index, &record)?;
    let seconds = record.seconds_left(now);
    let answer = Answer::auth(auth(&record, token, seconds)).commit("accessor", record.accessor.as_bytes());
    Ok(match is_capped {
        true => {
            answer.warn(format!("the ttl was capped to {} by the token's maximum", seconds_text(seconds)))
        }
        false => answer,
    })
}

fn not_found() -> Fault {
    Fault::bad("token not found")
}
