//! Certificate revocation lists (RFC 5280 §5): who revoked which serial numbers.
//!
//! A list here can only refuse. It is judged by its issuer's name and the serial number together, is checked against the
//! roles' own CAs when it is written, and still counts when it is past its next update: what was revoked stays revoked.
use crate::cert::facts::{Facts, canonical, trimmed};
use crate::cert::role::Anchor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_types::Timestamp;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use std::collections::HashSet;
use webpki::EndEntityCert;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

/// The largest list, in bytes.
const MAX_BYTES: usize = 8 << 20;

/// A list that was read.
pub(crate) struct Crl {
    pub(crate) issuer: String,
    pub(crate) this_update: u64,
    /// 0 where the list does not say.
    pub(crate) next_update: u64,
    serials: HashSet<Box<[u8]>>,
    /// In decimal, for people.
    pub(crate) shown: Vec<String>,
}

/// Why a list is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CrlError {
    /// Not a list, damaged, or larger than 8 MiB.
    Malformed,
    /// A delta or indirect list: it would say less, or about others, than it seems to.
    Partial,
}

/// Whether one of the roles' CAs signed a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signed {
    /// By a CA of that name.
    Yes,
    /// There are CAs of that name, and none of them signed it.
    No,
    /// No role has a CA of that name.
    Unknown,
}

/// The bytes of a list given as PEM, or as DER in base64.
pub(crate) fn der_of(text: &str) -> Result<Vec<u8>, CrlError> {
    if text.len() > 2 * MAX_BYTES {
        return Err(CrlError::Malformed);
    }
    if text.contains("-----BEGIN") {
        let der = CertificateRevocationListDer::from_pem_slice(text.as_bytes());
        return der.map(|der| der.as_ref().to_vec()).map_err(|_| CrlError::Malformed);
    }
    let compact: String = text.split_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| CrlError::Malformed)
}

impl Crl {
    /// Reads a list.
    pub(crate) fn read(der: &[u8]) -> Result<Self, CrlError> {
        let crl = parse(der)?;
        for extension in crl.extensions() {
            match extension.oid.to_id_string().as_str() {
                DELTA_INDICATOR => return Err(CrlError::Partial),
                ISSUING_DISTRIBUTION_POINT if is_indirect(extension.value) => return Err(CrlError::Partial),
                _ => {}
            }
        }
        let revoked = || crl.iter_revoked_certificates();
        let names_another = |oid: String| oid == CERTIFICATE_ISSUER;
        if revoked().any(|entry| {
            entry.extensions().iter().any(|extension| names_another(extension.oid.to_id_string()))
        }) {
            return Err(CrlError::Partial);
        }
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        Ok(Self {
            issuer: canonical(crl.issuer()),
            this_update: seconds(crl.last_update()),
            next_update: crl.next_update().map_or(0, seconds),
            serials: revoked().map(|entry| trimmed(entry.raw_serial()).into()).collect(),
            shown: revoked().map(|entry| entry.serial().to_string()).collect(),
        })
    }

    /// Whether the list should have been replaced by now.
    pub(crate) fn is_past(&self, now: Timestamp) -> bool {
        self.next_update > 0 && self.next_update < now.seconds()
    }

    /// Whether this list revokes the certificate.
    pub(crate) fn revokes(&self, facts: &Facts) -> bool {
        self.issuer == facts.issuer && self.serials.contains(&facts.serial)
    }
}

/// Whether one of `anchors` signed the list.
pub(crate) fn signed_by<'a>(der: &[u8], issuer: &str, anchors: impl Iterator<Item = &'a Anchor>) -> Signed {
    let Ok(crl) = parse(der) else { return Signed::No };
    let oid = crl.signature_algorithm.algorithm.as_bytes();
    let Ok(oid_length) = u8::try_from(oid.len()) else { return Signed::No };
    let algorithm = [&[0x06, oid_length], oid].concat();
    let mut found = Signed::Unknown;
    for anchor in anchors.filter(|anchor| anchor.facts.subject == issuer) {
        found = Signed::No;
        let Ok(certificate) = EndEntityCert::try_from(&anchor.der) else { continue };
        let is_signer = webpki::ALL_VERIFICATION_ALGS.iter().any(|candidate| {
            candidate.signature_alg_id().as_ref().starts_with(&algorithm)
                && certificate
                    .verify_signature(*candidate, crl.tbs_cert_list.as_ref(), &crl.signature_value.data)
                    .is_ok()
        });
        if is_signer {
            return Signed::Yes;
        }
    }
    found
}

const DELTA_INDICATOR: &str = "2.5.29.27";
const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";
const CERTIFICATE_ISSUER: &str = "2.5.29.29";

fn parse(der: &[u8]) -> Result<CertificateRevocationList<'_>, CrlError> {
    if der.len() > MAX_BYTES {
        return Err(CrlError::Malformed);
    }
    let (rest, crl) = CertificateRevocationList::from_der(der).map_err(|_| CrlError::Malformed)?;
    // What signs and what is signed must name one algorithm (RFC 5280 §5.1.1.2).
    let is_consistent = crl.tbs_cert_list.signature == crl.signature_algorithm;
    if rest.is_empty() && is_consistent { Ok(crl) } else { Err(CrlError::Malformed) }
}

/// Whether an issuingDistributionPoint sets indirectCRL, the implicit boolean [4]. One that can't be walked counts as such.
fn is_indirect(value: &[u8]) -> bool {
    let Some((0x30, mut rest, [])) = element(value) else { return true };
    while !rest.is_empty() {
        let Some((tag, content, behind)) = element(rest) else { return true };
        if tag == 0x84 && content != [0] {
            return true;
        }
        rest = behind;
    }
    false
}

/// Tag, content and what stands behind one DER element with a short or one-to-two-byte length.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, length, rest) = match der {
        [tag, length @ 0..=127, rest @ ..] => (*tag, usize::from(*length), rest),
        [tag, 0x81, length, rest @ ..] => (*tag, usize::from(*length), rest),
        [tag, 0x82, high, low, rest @ ..] => (*tag, usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}
