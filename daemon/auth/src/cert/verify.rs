//! Judging a connection's certificate by a mount's table, at a given time.
//!
//! The work is done once per connection, table and stretch of time in which no validity begins or ends; so a change of a
//! role, a new revocation list and an expiry all count from the next request on.
use crate::cert::facts::Facts;
use crate::cert::matched::Matched;
use crate::cert::role::{Anchor, Role};
use crate::cert::{CertMount, Table};
use crate::token::{Bound, Peer};
use coffer_types::{MountId, Timestamp};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage};

/// The longest chain that is looked at.
const MAX_CHAIN: usize = 10;

/// What a connection's client showed: made once, when the connection is accepted.
pub struct PeerChain {
    chain: Vec<CertificateDer<'static>>,
    /// Of every certificate in the chain, leaf first; none where any can't be read.
    facts: Vec<Arc<Facts>>,
    judged: Mutex<Vec<(MountId, Arc<Judgement>)>>,
}

/// Why a certificate is nobody. To the client all but one of these are the same: permission denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CertRefusal {
    /// The connection has no certificate.
    NoCertificate,
    /// The certificate or its chain can't be read.
    Malformed,
    /// The certificate is not valid at this time.
    NotValidNow,
    /// A role would take it, but it or a CA above it was revoked.
    Revoked,
    /// No role takes it.
    NoRole,
    /// A role takes it, and asks for a login.
    LoginRequired,
    /// Several roles take it and none was named: 400.
    Ambiguous,
}

/// What one table says of one chain.
pub(crate) struct Judgement {
    table: Weak<Table>,
    /// Seconds in which nothing that counted begins or ceases to be valid.
    stable: Range<u64>,
    matches: Vec<Arc<Matched>>,
    refusal: CertRefusal,
}

impl PeerChain {
    /// The chain as the client sent it, leaf first; empty for a connection without a certificate.
    #[must_use]
    pub fn new(chain: Vec<CertificateDer<'static>>) -> Self {
        let facts = match chain.len() {
            0..=MAX_CHAIN => chain.iter().map(|der| Facts::read(der).map(Arc::new)).collect(),
            _ => None,
        };
        Self { chain, facts: facts.unwrap_or_default(), judged: Mutex::default() }
    }

    /// A connection without a certificate.
    #[must_use]
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// SHA-256 of the leaf's SubjectPublicKeyInfo, for logs; `None` without a readable certificate.
    #[must_use]
    pub fn key_hash(&self) -> Option<[u8; 32]> {
        self.facts.first().map(|leaf| leaf.key)
    }

    fn judged_by(&self, mount: &CertMount, now: Timestamp) -> Arc<Judgement> {
        let table = mount.table();
        let seconds = now.seconds();
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let found = judged.iter().position(|(id, _)| *id == mount.id);
        if let Some((_, known)) = found.and_then(|at| judged.get(at))
            && std::ptr::eq(known.table.as_ptr(), Arc::as_ptr(&table))
            && known.stable.contains(&seconds)
        {
            return Arc::clone(known);
        }
        let judgement = Arc::new(self.judge(mount, &table, seconds));
        match found.and_then(|at| judged.get_mut(at)) {
            Some((_, known)) => *known = Arc::clone(&judgement),
            None => judged.push((mount.id, Arc::clone(&judgement))),
        }
        judgement
    }

    fn judge(&self, mount: &CertMount, table: &Arc<Table>, seconds: u64) -> Judgement {
        let mut judgement = Judgement {
            table: Arc::downgrade(table),
            stable: self.stable(table, seconds),
            matches: Vec::new(),
            refusal: CertRefusal::NoRole,
        };
        let Some(leaf) = self.facts.first() else {
            let is_missing = self.chain.is_empty();
            judgement.refusal = if is_missing { CertRefusal::NoCertificate } else { CertRefusal::Malformed };
            return judgement;
        };
        if !leaf.is_valid_at(seconds) {
            judgement.refusal = CertRefusal::NotValidNow;
            return judgement;
        }
        let mut paths = HashMap::new();
        for role in table.roles.values() {
            let is_pinned = role.pinned.contains(&leaf.hash);
            if !Role::takes_usage(leaf.usage, is_pinned) {
                continue;
            }
            let Some(names) = role.names_in(leaf) else { continue };
            let mut path = |anchor: &Arc<Anchor>| {
                let known = paths.entry(anchor.facts.hash);
                known
                    .or_insert_with(|| self.path_to(anchor, table, seconds))
                    .map(|path| (anchor.facts.key, path))
            };
            let found = match is_pinned {
                true => Some((leaf.key, Path { is_revoked: table.revokes(leaf) })),
                false => role.anchors.iter().find_map(&mut path),
            };
            match found {
                None => {}
                Some((_, Path { is_revoked: true })) => judgement.refusal = CertRefusal::Revoked,
                Some((anchor, _)) => {
                    judgement.matches.push(Arc::new(Matched::new(mount, role, leaf, &anchor, &names)));
                }
            }
        }
        judgement
    }

    /// A chain from the leaf to `anchor` (RFC 5280 §6), and whether any certificate in it is revoked.
    fn path_to(&self, anchor: &Anchor, table: &Table, seconds: u64) -> Option<Path> {
        let (leaf, rest) = self.chain.split_first()?;
        if !anchor.facts.is_valid_at(seconds) {
            return None;
        }
        let end = EndEntityCert::try_from(leaf).ok()?;
        let verified = end.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            std::slice::from_ref(&anchor.anchor),
            rest,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::client_auth(),
            None,
            None,
        );
        let verified = verified.ok()?;
        let between = verified.intermediate_certificates().map(|certificate| certificate.der());
        let mut facts = vec![self.facts.first()?];
        for der in between {
            facts.push(self.chain.iter().zip(&self.facts).find(|(known, _)| **known == der)?.1);
        }
        let is_revoked = table.revokes(&anchor.facts) || facts.into_iter().any(|facts| table.revokes(facts));
        Some(Path { is_revoked })
    }

    /// The stretch around `seconds` in which no certificate that could count begins or ceases to be valid.
    fn stable(&self, table: &Table, seconds: u64) -> Range<u64> {
        let anchors = table.roles.values().flat_map(|role| role.anchors.iter().map(|anchor| &anchor.facts));
        let mut stable = 0..u64::MAX;
        for facts in anchors.chain(self.facts.iter().map(|facts| &**facts)) {
            for edge in [facts.not_before, facts.not_after.saturating_add(1)] {
                if edge <= seconds {
                    stable.start = stable.start.max(edge);
                } else {
                    stable.end = stable.end.min(edge);
                }
            }
        }
        stable
    }
}

#[derive(Clone, Copy)]
struct Path {
    is_revoked: bool,
}

impl Judgement {
    /// The one match, or the one called `role`.
    fn one(&self, role: Option<&str>) -> Result<Arc<Matched>, CertRefusal> {
        let mut matches =
            self.matches.iter().filter(|matched| role.is_none_or(|role| role == matched.role()));
        match (matches.next(), matches.next()) {
            (Some(matched), None) => Ok(Arc::clone(matched)),
            (Some(_), Some(_)) => Err(CertRefusal::Ambiguous),
            (None, _) => Err(self.refusal),
        }
    }
}

impl CertMount {
    /// Whose certificate this is, for a login; `role` names one where several would take it.
    ///
    /// # Errors
    /// Why it is nobody's.
    pub fn matching(
        &self,
        peer: &PeerChain,
        role: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<Matched>, CertRefusal> {
        peer.judged_by(self, now).one(role)
    }
}

/// Who a connection is without a login, in an environment with these mounts. Roles with `login_required` are left out.
///
/// # Errors
/// Why it is nobody; [`CertRefusal::Ambiguous`] where roles of one or of several mounts take it.
pub fn identify(
    mounts: &[Arc<CertMount>],
    peer: &PeerChain,
    now: Timestamp,
) -> Result<Arc<Matched>, CertRefusal> {
    let mut found = None;
    let mut refusal = if peer.chain.is_empty() { CertRefusal::NoCertificate } else { CertRefusal::NoRole };
    for mount in mounts {
        let judgement = peer.judged_by(mount, now);
        if judgement.matches.is_empty() && judgement.refusal != CertRefusal::NoRole {
            refusal = judgement.refusal;
        }
        for matched in &judgement.matches {
            if matched.is_login_required() {
                refusal = CertRefusal::LoginRequired;
            } else if found.replace(Arc::clone(matched)).is_some() {
                return Err(CertRefusal::Ambiguous);
            }
        }
    }
    found.ok_or(refusal)
}

/// A connection as the owner of bound tokens.
pub struct PeerIdentity<'a> {
    /// The certificate mounts of the token's environment.
    pub mounts: &'a [Arc<CertMount>],
    /// What the client showed.
    pub chain: &'a PeerChain,
    /// The time.
    pub now: Timestamp,
}

impl Peer for PeerIdentity<'_> {
    fn hash_for(&self, bound: &Bound) -> Option<[u8; 32]> {
        let mount = self.mounts.iter().find(|mount| mount.id == bound.mount)?;
        let matched = mount.matching(self.chain, Some(&bound.role), self.now).ok()?;
        Some(matched.hash(bound.mode))
    }
}
