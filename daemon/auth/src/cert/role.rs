//! A role, ready to be asked: its anchors parsed, its policies in order.
use crate::cert::facts::{Facts, Name, NameKind, Usage};
use crate::cert::glob::matches;
use crate::cert::records::RoleRecord;
use coffer_room::Fault;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use std::sync::Arc;

/// The longest PEM text of a role, in bytes, and the most certificates in it.
const MAX_PEM_BYTES: usize = 256 * 1024;
const MAX_CERTIFICATES: usize = 64;

/// A role that can be matched.
pub(crate) struct Role {
    pub(crate) name: Arc<str>,
    pub(crate) record: RoleRecord,
    /// Its CA certificates.
    pub(crate) anchors: Vec<Arc<Anchor>>,
    /// SHA-256 of every certificate of the role: who shows one of them is trusted as itself.
    pub(crate) pinned: Vec<[u8; 32]>,
    /// With `default` unless left out; sorted, each once.
    pub(crate) policies: Arc<[String]>,
}

/// A CA certificate of a role.
pub(crate) struct Anchor {
    pub(crate) facts: Facts,
    pub(crate) anchor: TrustAnchor<'static>,
    pub(crate) der: CertificateDer<'static>,
}

impl Role {
    /// Reads what was written.
    ///
    /// # Errors
    /// 400 where the certificates can't be used.
    pub(crate) fn new(name: &str, record: RoleRecord) -> Result<Self, Fault> {
        if record.certificate.len() > MAX_PEM_BYTES {
            return Err(Fault::bad("'certificate' must have at most 256 KiB"));
        }
        let mut anchors = Vec::new();
        let mut pinned = Vec::new();
        for der in CertificateDer::pem_slice_iter(record.certificate.as_bytes()) {
            let der = der.map_err(|_| Fault::bad("'certificate' must be X.509 certificates in PEM"))?;
            let facts =
                Facts::read(&der).ok_or(Fault::bad("a certificate in 'certificate' can't be read"))?;
            pinned.push(facts.hash);
            if facts.is_ca {
                let anchor = webpki::anchor_from_trusted_cert(&der).map(|anchor| anchor.to_owned());
                let anchor =
                    anchor.map_err(|_| Fault::bad("a CA in 'certificate' can't be a trust anchor"))?;
                anchors.push(Arc::new(Anchor { facts, anchor, der: der.into_owned() }));
            }
        }
        if pinned.is_empty() {
            return Err(Fault::bad("'certificate' must hold at least one X.509 certificate in PEM"));
        }
        if pinned.len() > MAX_CERTIFICATES {
            return Err(Fault::bad("'certificate' must hold at most 64 certificates"));
        }
        let mut policies = record.token_policies.clone();
        if !record.token_no_default_policy {
            policies.push("default".to_owned());
        }
        policies.sort_unstable();
        policies.dedup();
        Ok(Self { name: name.into(), anchors, pinned, policies: policies.into(), record })
    }

    /// Whether the role lets this certificate's purposes pass. A CA's certificate must say clientAuth; one that an operator
    /// named itself may leave the purposes open, but must not have others only.
    pub(crate) fn takes_usage(usage: Usage, is_pinned: bool) -> bool {
        usage == Usage::Client || (is_pinned && usage == Usage::Unsaid)
    }

    /// The names by which this certificate is one of the role's, sorted; `None` where it is not. A role that looks at no
    /// names takes the certificate as a whole person: subject and all alternative names.
    pub(crate) fn names_in(&self, facts: &Facts) -> Option<Vec<Name>> {
        let record = &self.record;
        let any_unit = |pattern: &String| facts.units.iter().any(|unit| matches(pattern, unit));
        if !record.allowed_organizational_units.is_empty()
            && !record.allowed_organizational_units.iter().any(any_unit)
        {
            return None;
        }
        for required in &record.required_extensions {
            let (oid, pattern) = required.split_once(':')?;
            if !facts.texts.iter().any(|(known, text)| known == oid && matches(pattern, text)) {
                return None;
            }
        }
        let constraints: [(&[String], &[NameKind]); 5] = [
            (&record.allowed_names, &[NameKind::CommonName, NameKind::Dns, NameKind::Email]),
            (&record.allowed_common_names, &[NameKind::CommonName]),
            (&record.allowed_dns_sans, &[NameKind::Dns]),
            (&record.allowed_email_sans, &[NameKind::Email]),
            (&record.allowed_uri_sans, &[NameKind::Uri]),
        ];
        let mut found = Vec::new();
        let mut is_constrained = false;
        for (patterns, kinds) in constraints {
            if patterns.is_empty() {
                continue;
            }
            is_constrained = true;
            let before = found.len();
            let names = facts.names.iter().filter(|name| kinds.contains(&name.kind));
            // Of several common names none is the one.
            let names =
                names.filter(|name| name.kind != NameKind::CommonName || facts.common_name().is_some());
            found.extend(
                names.filter(|name| patterns.iter().any(|pattern| matches(pattern, &name.value))).cloned(),
            );
            if found.len() == before {
                return None;
            }
        }
        if !is_constrained {
            found = facts.names.clone();
            found.push(Name { kind: NameKind::Subject, value: facts.subject.clone() });
        }
        found.sort_unstable();
        found.dedup();
        Some(found)
    }
}
