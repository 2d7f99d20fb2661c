//! Certificate roles: who a client certificate is.
//!
//! A role names CAs (or certificates themselves) and what a certificate must say; chains are verified against the role's
//! own anchors, never the listener's. Roles and revocation lists of a mount are in memory as one immutable [`Table`],
//! loaded before the environment opens and replaced after each commit, so every request is judged by what is committed.
//! Not here: OCSP, fetching lists from a URL, client addresses; a role that asks for them is refused, not weakened.
mod asked;
mod crl;
mod facts;
mod glob;
mod handlers;
mod matched;
mod records;
mod role;
mod verify;

pub use handlers::{Visitor, handle, route, routes};
pub use matched::Matched;
pub use verify::{CertRefusal, PeerChain, PeerIdentity, identify};

use arc_swap::ArcSwap;
use coffer_barrier::{BarrierError, View};
use coffer_room::Fault;
use coffer_types::{CanonicalPath, Kind, MountId, Timestamp};
use crl::Crl;
use facts::Facts;
use records::{ConfigRecord, RoleRecord};
use role::Role;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A certificate auth mount of an open environment.
pub struct CertMount {
    id: MountId,
    path: Arc<str>,
    table: ArcSwap<Table>,
}

/// Everything that a certificate is judged by.
#[derive(Clone, Default)]
pub(crate) struct Table {
    pub(crate) roles: BTreeMap<String, Arc<Role>>,
    pub(crate) crls: BTreeMap<String, Arc<Crl>>,
    pub(crate) config: ConfigRecord,
}

impl CertMount {
    /// Reads the roles and revocation lists of the mount at `path` below `auth/` (without slashes at its ends).
    /// The environment must not open where this fails.
    ///
    /// # Errors
    /// Where a record can't be read or does not mean anything any more.
    pub async fn load(view: &View, path: &str, now: Timestamp) -> Result<Self, BarrierError> {
        let top = CanonicalPath::default();
        let mut table = Table::default();
        for listed in view.list(Kind::CertRole, &top).await? {
            let name = CanonicalPath::parse(&listed.name).map_err(BarrierError::Path)?;
            let Some(plain) = view.get(Kind::CertRole, &name, None).await? else { continue };
            let role = Role::new(&listed.name, RoleRecord::decode(&plain.bytes)?);
            let role = role.map_err(|_| BarrierError::Damaged(Kind::CertRole))?;
            table.roles.insert(listed.name, Arc::new(role));
        }
        for listed in view.list(Kind::CertRevocation, &top).await? {
            let name = CanonicalPath::parse(&listed.name).map_err(BarrierError::Path)?;
            let Some(plain) = view.get(Kind::CertRevocation, &name, None).await? else { continue };
            let crl = Crl::read(&plain.bytes).map_err(|_| BarrierError::Damaged(Kind::CertRevocation))?;
            if crl.is_past(now) {
                tracing::warn!(
                    mount = path,
                    list = listed.name,
                    "a revocation list is past its next update; it still counts"
                );
            }
            table.crls.insert(listed.name, Arc::new(crl));
        }
        if let Some(plain) = view.get(Kind::AuthConfig, &config_path()?, None).await? {
            table.config = ConfigRecord::decode(&plain.bytes)?;
        }
        Ok(Self { id: view.mount(), path: path.into(), table: ArcSwap::from_pointee(table) })
    }

    /// A mount that was just made: without roles, so that nobody's certificate matches.
    #[must_use]
    pub fn new(id: MountId, path: &str) -> Self {
        Self { id, path: path.into(), table: ArcSwap::default() }
    }

    /// The mount's id.
    #[must_use]
    pub fn id(&self) -> MountId {
        self.id
    }

    /// The mount's path below `auth/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Replaces the table by a changed copy. Called in the order of commits, by one at a time.
    pub(crate) fn change(&self, change: impl Fn(&mut Table)) {
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            change(&mut table);
            table
        });
    }
}

impl Table {
    pub(crate) fn revokes(&self, facts: &Facts) -> bool {
        self.crls.values().any(|crl| crl.revokes(facts))
    }
}

pub(crate) fn config_path() -> Result<CanonicalPath, BarrierError> {
    CanonicalPath::parse("config").map_err(BarrierError::Path)
}

impl From<CertRefusal> for Fault {
    fn from(refusal: CertRefusal) -> Self {
        match refusal {
            CertRefusal::Ambiguous => Self::bad("the certificate matches several roles; name one of them"),
            _ => Self::PermissionDenied,
        }
    }
}

/// Reads `bytes` as a certificate, a revocation list and each record of a mount, and writes back what was read. For the
/// fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let facts = Facts::read(&bytes.into());
    let crl = Crl::read(bytes);
    if let (Some(facts), Ok(crl)) = (&facts, &crl) {
        let _ = crl.revokes(facts);
    }
    if let Ok(record) = ConfigRecord::decode(bytes) {
        let own = record.encode().unwrap_or_default();
        assert!(ConfigRecord::decode(&own).and_then(ConfigRecord::encode).is_ok_and(|again| again == own));
    }
    if let Ok(record) = RoleRecord::decode(bytes)
        && let Ok(own) = record.encode()
    {
        assert!(RoleRecord::decode(&own).and_then(|again| again.encode()).is_ok_and(|again| again == own));
        let Ok(role) = Role::new("role", record) else { return };
        let _ = role.anchors.iter().filter_map(|anchor| role.names_in(&anchor.facts)).count();
    }
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(der) = crl::der_of(text) {
        let _ = Crl::read(&der).map(|crl| crl::signed_by(&der, &crl.issuer, core::iter::empty()));
    }
    if let Some((pattern, name)) = text.split_once('\n') {
        let _ = glob::matches(pattern, name);
    }
}
