//! `revoke`, `revoke-self`, `revoke-accessor`, `revoke-orphan`.
use super::{Asker, no_such_accessor};
use crate::token::TokenStore;
use crate::token::revoke::{revoke_orphaning, revoke_tree};
use crate::token::roles::change;
use coffer_room::{Answer, Fault, Outcome};
use zeroize::Zeroizing;

/// A token that is not there is revoked already.
pub(super) fn by_token(store: &TokenStore, token: Zeroizing<String>) -> Result<Outcome, Fault> {
    match store.index_of(&token)? {
        Some(index) => Ok(tree(index)),
        None => Ok(Outcome::Answer(Answer::empty())),
    }
}

pub(super) fn own(store: &TokenStore, asker: Asker<'_>) -> Result<Outcome, Fault> {
    asker.own_index(store).map(tree).ok_or(Fault::PermissionDenied)
}

pub(super) async fn by_accessor(store: &TokenStore, accessor: &str) -> Result<Outcome, Fault> {
    store.by_accessor(accessor).await?.map(tree).ok_or_else(no_such_accessor)
}

pub(super) fn orphaning(
    store: &TokenStore,
    asker: Asker<'_>,
    token: Zeroizing<String>,
) -> Result<Outcome, Fault> {
    const ABSENT: &str = "token to revoke not found";
    if !asker.has_sudo() {
        return Err(Fault::PermissionDenied);
    }
    let index = store.index_of(&token)?.ok_or(Fault::bad(ABSENT))?;
    Ok(change(move |tx| match revoke_orphaning(tx, &index)? {
        true => Ok(Answer::empty()),
        false => Err(Fault::bad(ABSENT)),
    }))
}

fn tree(index: [u8; 32]) -> Outcome {
    change(move |tx| revoke_tree(tx, &index).map(|_| Answer::empty()))
}
