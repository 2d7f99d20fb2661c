//! CAs and certificates as the stories need them. The clock of the stories begins on 14 November 2023.
use coffer_auth::cert::PeerChain;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

pub struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub der: CertificateDer<'static>,
    pub pem: String,
}

/// A leaf still to be signed: a client called `web`, valid in 2023 and 2024.
pub struct Leaf {
    pub params: CertificateParams,
    pub key: KeyPair,
}

pub fn ca(name: &str) -> Authority {
    ca_until(name, 2030)
}

pub fn ca_until(name: &str, year: i32) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = ca_params(name);
    params.not_after = date_time_ymd(year, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    Authority { der: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Every CA here claims the same key identifier: nothing may go by it.
    params.key_identifier_method = KeyIdMethod::PreSpecified(vec![7; 20]);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.serial_number = Some(SerialNumber::from(1));
    params
}

impl Authority {
    pub fn below(&self, name: &str, serial: u64) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = ca_params(name);
        params.not_after = date_time_ymd(2030, 1, 1);
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { der: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    pub fn sign(&self, leaf: &Leaf) -> CertificateDer<'static> {
        leaf.params.signed_by(&leaf.key, &self.issuer).unwrap().der().clone()
    }

    pub fn peer(&self, leaf: &Leaf) -> PeerChain {
        PeerChain::new(vec![self.sign(leaf)])
    }

    /// A list that revokes `serials`, as PEM; its next update is on 1 January of `until`.
    pub fn crl(&self, serials: &[u64], until: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2023, 2, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2022, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::PreSpecified(vec![7; 20]),
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

pub fn leaf() -> Leaf {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, "web");
    params.not_before = date_time_ymd(2023, 1, 1);
    params.not_after = date_time_ymd(2025, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from(1000));
    Leaf { params, key: KeyPair::generate().unwrap() }
}

impl Leaf {
    pub fn cn(mut self, name: &str) -> Self {
        self.params.distinguished_name.remove(DnType::CommonName);
        self.params.distinguished_name.push(DnType::CommonName, name);
        self
    }
    pub fn unit(mut self, name: &str) -> Self {
        self.params.distinguished_name.push(DnType::OrganizationalUnitName, name);
        self
    }
    pub fn dns(mut self, name: &str) -> Self {
        self.params.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
        self
    }
    pub fn uri(mut self, name: &str) -> Self {
        self.params.subject_alt_names.push(SanType::URI(name.try_into().unwrap()));
        self
    }
    pub fn email(mut self, name: &str) -> Self {
        self.params.subject_alt_names.push(SanType::Rfc822Name(name.try_into().unwrap()));
        self
    }
    pub fn serial(mut self, serial: u64) -> Self {
        self.params.serial_number = Some(SerialNumber::from(serial));
        self
    }
    pub fn usages(mut self, usages: Vec<ExtendedKeyUsagePurpose>) -> Self {
        self.params.extended_key_usages = usages;
        self
    }
    pub fn valid(mut self, from: i32, until: i32) -> Self {
        (self.params.not_before, self.params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        self
    }
    /// An extension 1.2.3.4.`last` that holds a UTF8String.
    pub fn text(mut self, last: u64, text: &str) -> Self {
        let content = [&[12, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        self.params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4, last], content));
        self
    }
    /// The same certificate over another key.
    pub fn rekeyed(&self) -> Self {
        Self { params: self.params.clone(), key: KeyPair::generate().unwrap() }
    }
    /// The same key, to change what is said about it.
    pub fn again(&self) -> Self {
        let key = KeyPair::from_pem(&self.key.serialize_pem()).unwrap();
        Self { params: self.params.clone(), key }
    }
    pub fn self_signed(&self) -> (CertificateDer<'static>, String) {
        let certificate = self.params.self_signed(&self.key).unwrap();
        (certificate.der().clone(), certificate.pem())
    }
}
