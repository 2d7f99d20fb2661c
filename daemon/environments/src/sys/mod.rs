//! `sys/`: what an environment says about itself and lets be changed.
//!
//! [`Route`] is the whole list. A route that is not in it does not exist; one that `handle` has no arm for does not
//! build; one that takes no operation there, or has no row in the authorisation matrix, fails the test of the matrix.
mod audit;
mod auth;
mod capabilities;
mod fsck;
mod keys;
mod mounts;
mod namespaces;
mod policies;
mod rekey;
mod root_token;
mod route;
mod seal_text;
mod sealed;
mod seals;
mod snapshot;
mod ui;

pub(crate) use namespaces::describe as describe_child;
pub use route::{Route, routes};

use crate::{Environment, Registry};
use coffer_auth::Caller;
use coffer_room::{Fault, Outcome, Request};
use coffer_types::{Operation as Op, WriteMode};
use std::sync::Arc;

/// What a handler of `sys/` works with.
pub(crate) struct Desk<'a> {
    pub(crate) registry: &'a Arc<Registry>,
    pub(crate) environment: &'a Arc<Environment>,
    pub(crate) caller: &'a Caller,
    /// Whether the caller may do here what takes `sudo`.
    pub(crate) has_sudo: bool,
    /// What the route's `:path` or `:name` stands for.
    pub(crate) argument: &'a str,
}

/// Does what `route` says.
pub(crate) async fn handle(route: Route, desk: &Desk<'_>, request: Request) -> Result<Outcome, Fault> {
    // None of these can tell creating from updating, so leave to create alone is not enough.
    if request.operation == Op::Write && request.write_mode == WriteMode::CreateOnly {
        return Err(Fault::PermissionDenied);
    }
    match (route, request.operation) {
        (Route::Mounts, Op::Read) => mounts::list(desk),
        (Route::Mount, Op::Read) => mounts::read(desk),
        (Route::Mount, Op::Write) => mounts::enable(desk, &request.params),
        (Route::Mount, Op::Delete) => mounts::disable(desk),
        (Route::MountTune, Op::Read) => mounts::read_tune(desk),
        (Route::MountTune, Op::Write) => mounts::tune(desk, &request.params),
        (Route::Auths, Op::Read) => auth::list(desk),
        (Route::Auth, Op::Read) => auth::read(desk),
        (Route::Auth, Op::Write) => auth::enable(desk, &request.params),
        (Route::Auth, Op::Delete) => auth::disable(desk),
        (Route::AuthTune, Op::Read) => auth::read_tune(desk),
        (Route::AuthTune, Op::Write) => auth::tune(desk, &request.params),
        (Route::Policies | Route::LegacyPolicies, Op::List | Op::Read) => policies::list(desk),
        (Route::Policy | Route::LegacyPolicy, Op::Read) => policies::read(desk, route).await,
        (Route::Policy | Route::LegacyPolicy, Op::Write) => policies::write(desk, &request.params),
        (Route::Policy | Route::LegacyPolicy, Op::Delete) => policies::delete(desk),
        (Route::Capabilities, Op::Write) => capabilities::of_token(desk, &request.params).await,
        (Route::CapabilitiesAccessor, Op::Write) => capabilities::of_accessor(desk, &request.params).await,
        (Route::CapabilitiesSelf, Op::Write) => capabilities::of_caller(desk, &request.params),
        (Route::Namespaces, Op::List | Op::Read) => namespaces::list(desk),
        (Route::Namespace, Op::Read) => namespaces::read(desk),
        (Route::Namespace, Op::Write) => namespaces::create(desk, &request.params).await,
        (Route::Namespace, Op::Patch) => namespaces::patch(desk, &request.params),
        (Route::Namespace, Op::Delete) => namespaces::delete(desk).await,
        (Route::NamespaceSeal, Op::Write) => sealed::seal(desk),
        (Route::NamespaceSealStatus, Op::Read) => sealed::status(desk).await,
        (Route::NamespaceUnseal, Op::Write) => sealed::unseal(desk, &request.params).await,
        (Route::NamespaceDeleteSealed, Op::Delete) => namespaces::delete_sealed(desk).await,
        (Route::Seal, Op::Write) => keys::seal(desk),
        (Route::KeyStatus, Op::Read) => keys::status(desk),
        (Route::Rotate | Route::RotateKeyring, Op::Write) => keys::rotate(desk),
        (Route::RotateRoot, Op::Write) => rekey::rotate_root(desk, &request.params).await,
        (Route::Rekey | Route::RotateRootInit, Op::Read) => rekey::status(desk).await,
        (Route::Rekey | Route::RotateRootInit, Op::Write) => rekey::begin(desk, &request.params).await,
        (Route::Rekey | Route::RotateRootInit, Op::Delete) => rekey::cancel(desk),
        (Route::RekeyUpdate | Route::RotateRootUpdate, Op::Write) => {
            rekey::update(desk, &request.params).await
        }
        (Route::RekeyVerify | Route::RotateRootVerify, Op::Read) => rekey::verify_status(desk).await,
        (Route::RekeyVerify | Route::RotateRootVerify, Op::Write) => rekey::verify(desk, &request.params),
        (Route::RekeyVerify | Route::RotateRootVerify, Op::Delete) => rekey::verify_cancel(desk),
        (Route::RekeyCancel | Route::RotateRootCancel, Op::Write) => {
            rekey::cancel_by_share(desk, &request.params).await
        }
        (Route::RootTokenCancel | Route::RootTokenAttemptCancel, Op::Write) => {
            root_token::cancel_by_share(desk, &request.params).await
        }
        (Route::RootToken | Route::RootTokenAttempt, Op::Read) => root_token::status(desk).await,
        (Route::RootToken | Route::RootTokenAttempt, Op::Write) => {
            root_token::begin(desk, &request.params).await
        }
        (Route::RootToken | Route::RootTokenAttempt, Op::Delete) => root_token::cancel(desk),
        (Route::RootTokenUpdate | Route::RootTokenAttemptUpdate, Op::Write) => {
            root_token::update(desk, &request.params).await
        }
        (Route::Seals, Op::Read) => seals::list(desk).await,
        (Route::SealChange, Op::Read) => seals::status(desk).await,
        (Route::SealChange, Op::Write) => seals::begin(desk, &request.params).await,
        (Route::SealChange, Op::Delete) => seals::cancel(desk),
        (Route::SealUpdate, Op::Write) => seals::update(desk, &request.params).await,
        (Route::SealCounter, Op::Write) => seals::begin_counting(desk, &request.params).await,
        (Route::SealCounter, Op::Delete) => seals::end_counting(desk),
        (Route::SealVerify, Op::Write) => seals::verify(desk, &request.params).await,
        (Route::SealApprove, Op::Write) => seals::approve(desk, &request.params).await,
        (Route::UiMounts, Op::Read) => ui::mounts(desk),
        (Route::UiMount, Op::Read) => ui::mount(desk),
        (Route::AuditReceipt, Op::Read) => audit::receipt(desk).await,
        (Route::AuditCheckpoint, Op::Read) => audit::checkpoint(desk).await,
        (Route::AuditConsistency, Op::Read) => audit::consistency(desk, &request.params).await,
        (Route::AuditDisclose, Op::Write) => audit::disclose(desk, &request.params).await,
        (Route::Fsck, Op::Read) => fsck::look(desk),
        (Route::Snapshot, Op::Read) => snapshot::save(desk, &request.params).await,
        (Route::Snapshot, Op::Write) => {
            Err(Fault::bad("restore into a new, uninitialised daemon: coffer operator snapshot restore"))
        }
        // By name, not `_`: so that a new route has to be thought of here.
        (
            Route::Mounts
            | Route::Mount
            | Route::MountTune
            | Route::Auths
            | Route::Auth
            | Route::AuthTune
            | Route::Policies
            | Route::Policy
            | Route::LegacyPolicies
            | Route::LegacyPolicy
            | Route::Capabilities
            | Route::CapabilitiesAccessor
            | Route::CapabilitiesSelf
            | Route::Namespaces
            | Route::Namespace
            | Route::NamespaceSeal
            | Route::NamespaceSealStatus
            | Route::NamespaceUnseal
            | Route::NamespaceDeleteSealed
            | Route::Seal
            | Route::KeyStatus
            | Route::Rotate
            | Route::RotateKeyring
            | Route::RotateRoot
            | Route::Rekey
            | Route::RekeyUpdate
            | Route::RekeyVerify
            | Route::RekeyCancel
            | Route::RotateRootInit
            | Route::RotateRootUpdate
            | Route::RotateRootVerify
            | Route::RotateRootCancel
            | Route::RootToken
            | Route::RootTokenUpdate
            | Route::RootTokenCancel
            | Route::RootTokenAttempt
            | Route::RootTokenAttemptUpdate
            | Route::RootTokenAttemptCancel
            | Route::Seals
            | Route::SealChange
            | Route::SealUpdate
            | Route::SealVerify
            | Route::SealCounter
            | Route::SealApprove
            | Route::UiMounts
            | Route::UiMount
            | Route::AuditReceipt
            | Route::AuditCheckpoint
            | Route::AuditConsistency
            | Route::AuditDisclose
            | Route::Fsck
            | Route::Snapshot,
            _,
        ) => Err(Fault::UnsupportedOperation),
    }
}

/// Shares and tokens under an OpenPGP key would need an RSA crate with an open timing flaw.
fn refuse_pgp(params: &coffer_wire::Params) -> Result<(), Fault> {
    let keys = params.list("pgp_keys")?.is_some_and(|keys| !keys.is_empty());
    if keys || params.string("pgp_key")?.is_some_and(|key| !key.is_empty()) {
        return Err(Fault::bad(
            "'pgp_keys' and 'pgp_key' are not supported: the OpenPGP libraries rest on an RSA crate with an open timing flaw",
        ));
    }
    Ok(())
}
