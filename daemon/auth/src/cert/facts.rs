//! What a certificate says, read once: nothing here is believed before a chain was verified.
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

/// A name in a certificate, with its kind, so that a DNS name never passes for an e-mail address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) kind: NameKind,
    pub(crate) value: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum NameKind {
    CommonName = 0,
    Email = 1,
    Dns = 2,
    Uri = 3,
    /// The whole subject, where a role does not look at names.
    Subject = 4,
    /// An alternative name of another kind, in hexadecimal.
    Other = 5,
}

/// A certificate's contents. Times are seconds since 1970, both ends included.
pub(crate) struct Facts {
    pub(crate) issuer: String,
    pub(crate) serial: Box<[u8]>,
    pub(crate) serial_decimal: String,
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(crate) subject: String,
    /// Common names and alternative names.
    pub(crate) names: Vec<Name>,
    pub(crate) units: Vec<String>,
    /// Extensions whose value is an ASN.1 string: dotted OID and text.
    pub(crate) texts: Vec<(String, String)>,
    pub(crate) usage: Usage,
    pub(crate) is_ca: bool,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub(crate) key: [u8; 32],
    /// SHA-256 of the whole certificate.
    pub(crate) hash: [u8; 32],
    /// As `ab:cd:…`; empty where the extension is missing.
    pub(crate) subject_key_id: String,
    pub(crate) authority_key_id: String,
}

/// What the extended key usage says (RFC 5280 §4.2.1.12).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    /// clientAuth is among the purposes.
    Client,
    /// There are purposes, and clientAuth is not among them.
    Other,
    /// The extension is missing.
    Unsaid,
}

impl Facts {
    /// Reads a certificate; `None` for whatever is not one, or could be read in two ways.
    pub(crate) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        // Refuses extensions that stand twice.
        certificate.extensions_map().ok()?;
        let usage = match certificate.extended_key_usage().ok()? {
            None => Usage::Unsaid,
            Some(usage) if usage.value.client_auth => Usage::Client,
            Some(_) => Usage::Other,
        };
        let is_ca = certificate.basic_constraints().ok()?.is_some_and(|constraints| constraints.value.ca);
        let validity = certificate.validity();
        let facts = Self {
            issuer: canonical(certificate.issuer()),
            serial: trimmed(certificate.raw_serial()).into(),
            serial_decimal: certificate.serial.to_string(),
            not_before: u64::try_from(validity.not_before.timestamp()).unwrap_or(0),
            not_after: u64::try_from(validity.not_after.timestamp()).ok()?,
            subject: canonical(certificate.subject()),
            names: names(&certificate)?,
            units: texts_of(certificate.subject().iter_organizational_unit())?,
            texts: extension_texts(&certificate),
            usage,
            is_ca,
            key: Sha256::digest(certificate.public_key().raw).into(),
            hash: Sha256::digest(der).into(),
            subject_key_id: subject_key_id(&certificate),
            authority_key_id: authority_key_id(&certificate),
        };
        let is_unambiguous =
            rest.is_empty() && facts.names.iter().all(|name| !name.value.contains(char::is_control));
        is_unambiguous.then_some(facts)
    }

    /// Whether it is valid at this second.
    pub(crate) fn is_valid_at(&self, seconds: u64) -> bool {
        self.not_before <= seconds && seconds <= self.not_after
    }

    /// The common name, where there is exactly one.
    pub(crate) fn common_name(&self) -> Option<&Name> {
        let mut names = self.names.iter().filter(|name| name.kind == NameKind::CommonName);
        let first = names.next()?;
        names.next().is_none().then_some(first)
    }
}

/// A serial number without the zeroes that its encoding may begin with.
pub(crate) fn trimmed(serial: &[u8]) -> &[u8] {
    let zeroes = serial.iter().take_while(|byte| **byte == 0).count();
    serial.get(zeroes..).unwrap_or_default()
}

/// A name in one spelling whatever its string types, case and spacing: compared to find revocations, where two that
/// are taken for one refuse too much rather than too little.
pub(crate) fn canonical(name: &X509Name<'_>) -> String {
    let attributes = name.iter_attributes().map(|attribute| {
        let value = attribute.as_str().map_or_else(
            |_| format!("#{}", hex::encode(attribute.as_slice())),
            |text| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase(),
        );
        format!("{}={value}", attribute.attr_type())
    });
    attributes.collect::<Vec<_>>().join("\u{0}")
}

fn names(certificate: &X509Certificate<'_>) -> Option<Vec<Name>> {
    let common = texts_of(certificate.subject().iter_common_name())?;
    let mut names: Vec<Name> =
        common.into_iter().map(|value| Name { kind: NameKind::CommonName, value }).collect();
    if let Some(alternative) = certificate.subject_alternative_name().ok()? {
        for name in &alternative.value.general_names {
            let (kind, value) = match name {
                GeneralName::RFC822Name(text) => (NameKind::Email, (*text).to_owned()),
                GeneralName::DNSName(text) => (NameKind::Dns, (*text).to_owned()),
                GeneralName::URI(text) => (NameKind::Uri, (*text).to_owned()),
                GeneralName::IPAddress(bytes) => (NameKind::Other, format!("ip:{}", hex::encode(bytes))),
                GeneralName::DirectoryName(name) => {
                    (NameKind::Other, format!("dn:{}", hex::encode(name.as_raw())))
                }
                GeneralName::OtherName(oid, bytes) => {
                    (NameKind::Other, format!("{oid}:{}", hex::encode(bytes)))
                }
                GeneralName::RegisteredID(oid) => (NameKind::Other, format!("oid:{oid}")),
                GeneralName::X400Address(any) | GeneralName::EDIPartyName(any) => {
                    (NameKind::Other, format!("other:{}", hex::encode(any.data)))
                }
                GeneralName::Invalid(..) => return None,
            };
            names.push(Name { kind, value });
        }
    }
    Some(names)
}

fn texts_of<'a, 'b: 'a>(
    attributes: impl Iterator<Item = &'a x509_parser::x509::AttributeTypeAndValue<'b>>,
) -> Option<Vec<String>> {
    attributes.map(|attribute| attribute.as_str().ok().map(str::to_owned)).collect()
}

/// UTF8String, PrintableString and IA5String values, as Vault's `required_extensions` takes them.
fn extension_texts(certificate: &X509Certificate<'_>) -> Vec<(String, String)> {
    const STRING_TAGS: [u8; 3] = [12, 19, 22];
    let text = |value: &[u8]| match value {
        [tag, length @ 0..=127, text @ ..]
            if STRING_TAGS.contains(tag) && text.len() == usize::from(*length) =>
        {
            std::str::from_utf8(text).ok().map(str::to_owned)
        }
        [tag, 0x81, length, text @ ..] if STRING_TAGS.contains(tag) && text.len() == usize::from(*length) => {
            std::str::from_utf8(text).ok().map(str::to_owned)
        }
        _ => None,
    };
    let extensions = certificate.iter_extensions();
    extensions.filter_map(|extension| Some((extension.oid.to_id_string(), text(extension.value)?))).collect()
}

fn subject_key_id(certificate: &X509Certificate<'_>) -> String {
    let id = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(colons(id.0)),
        _ => None,
    });
    id.unwrap_or_default()
}

fn authority_key_id(certificate: &X509Certificate<'_>) -> String {
    let id = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| colons(id.0)),
        _ => None,
    });
    id.unwrap_or_default()
}

fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
