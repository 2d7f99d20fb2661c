//! Certificates: an authority, those whom it knows, and lists of those whom it knows no more.
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// clientAuth.
    Client,
    /// serverAuth.
    Server,
    /// codeSigning.
    Other,
}

/// What a certificate shall say.
#[derive(Clone)]
pub struct Person {
    name: String,
    uris: Vec<String>,
    dns: Vec<String>,
    emails: Vec<String>,
    unit: Option<String>,
    usages: Vec<Usage>,
    from_seconds: i64,
    to_seconds: i64,
    serial: Vec<u8>,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    serial: Vec<u8>,
}

impl Person {
    /// A client certificate with this common name, valid for a month.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut serial = vec![0; 16];
        getrandom::fill(&mut serial).unwrap();
        serial[0] = serial[0] & 0x3f | 0x40;
        Self {
            name: name.to_owned(),
            uris: Vec::new(),
            dns: Vec::new(),
            emails: Vec::new(),
            unit: None,
            usages: vec![Usage::Client],
            from_seconds: -3600,
            to_seconds: 30 * 86_400,
            serial,
        }
    }

    /// With a URI among its names, such as a SPIFFE id.
    #[must_use]
    pub fn uri(mut self, uri: &str) -> Self {
        self.uris.push(uri.to_owned());
        self
    }

    /// With a DNS name.
    #[must_use]
    pub fn dns(mut self, name: &str) -> Self {
        self.dns.push(name.to_owned());
        self
    }

    /// With an e-mail address.
    #[must_use]
    pub fn email(mut self, address: &str) -> Self {
        self.emails.push(address.to_owned());
        self
    }

    /// With an organizational unit.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        self.unit = Some(unit.to_owned());
        self
    }

    /// For these purposes instead; none leaves them open.
    #[must_use]
    pub fn usages(mut self, usages: &[Usage]) -> Self {
        self.usages = usages.to_vec();
        self
    }

    /// Valid between these moments, in seconds from now.
    #[must_use]
    pub fn valid(mut self, from_seconds: i64, to_seconds: i64) -> Self {
        (self.from_seconds, self.to_seconds) = (from_seconds, to_seconds);
        self
    }

    /// With this serial number.
    #[must_use]
    pub fn serial(mut self, serial: &[u8]) -> Self {
        self.serial = serial.to_vec();
        self
    }

    fn params(&self) -> CertificateParams {
        let mut params = named(&self.name);
        if let Some(unit) = &self.unit {
            params.distinguished_name.push(DnType::OrganizationalUnitName, unit.as_str());
        }
        let sans = &mut params.subject_alt_names;
        sans.extend(self.dns.iter().map(|name| SanType::DnsName(name.as_str().try_into().unwrap())));
        sans.extend(self.uris.iter().map(|uri| SanType::URI(uri.as_str().try_into().unwrap())));
        sans.extend(
            self.emails.iter().map(|address| SanType::Rfc822Name(address.as_str().try_into().unwrap())),
        );
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.usages.iter().map(|usage| usage.purpose()).collect();
        params.not_before = OffsetDateTime::now_utc() + Duration::seconds(self.from_seconds);
        params.not_after = OffsetDateTime::now_utc() + Duration::seconds(self.to_seconds);
        params.serial_number = Some(SerialNumber::from_slice(&self.serial));
        params.use_authority_key_identifier_extension = true;
        params
    }
}

impl Usage {
    fn purpose(self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Self::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Self::Other => ExtendedKeyUsagePurpose::CodeSigning,
        }
    }
}

impl Identity {
    /// The serial number, as `aa:bb:…`.
    #[must_use]
    pub fn serial_text(&self) -> String {
        self.serial.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
    }

    /// The serial number.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
}

impl Authority {
    /// A new one, with a key of its own.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self { issuer: CertifiedIssuer::self_signed(params, key()).unwrap() }
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate with a new key.
    #[must_use]
    pub fn issue(&self, person: &Person) -> Identity {
        self.sign(person, &key())
    }

    /// A certificate over the key of another one.
    #[must_use]
    pub fn issue_for_key_of(&self, person: &Person, other: &Identity) -> Identity {
        self.sign(person, &KeyPair::from_pem(&other.key).unwrap())
    }

    fn sign(&self, person: &Person, key: &KeyPair) -> Identity {
        let certificate = person.params().signed_by(key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem(), serial: person.serial.clone() }
    }

    /// A certificate that nobody signed but its own key.
    #[must_use]
    pub fn self_signed(person: &Person) -> Identity {
        let key = key();
        let certificate = person.params().self_signed(&key).unwrap().pem();
        Identity { certificate, key: key.serialize_pem(), serial: person.serial.clone() }
    }

    /// The server's certificate.
    #[must_use]
    pub fn server(&self) -> Identity {
        let mut params = Person::named("localhost").dns("localhost").usages(&[Usage::Server]).params();
        params.subject_alt_names.push(SanType::IpAddress(std::net::IpAddr::from([127, 0, 0, 1])));
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem(), serial: Vec::new() }
    }

    /// A list of revoked certificates, as PEM.
    #[must_use]
    pub fn revocation_list(&self, number: u64, revoked: &[&Identity]) -> String {
        let now = OffsetDateTime::now_utc();
        let entry = |identity: &&Identity| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&identity.serial),
            revocation_time: now - Duration::minutes(5),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now - Duration::minutes(5),
            next_update: now + Duration::days(7),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}
