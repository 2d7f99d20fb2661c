//! A CA for the folder, the server's certificate, and one for each person of the stories.
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use time::{Duration, OffsetDateTime};

/// Those who hold a client certificate: file name and URI.
pub(super) const CLIENTS: [(&str, &str); 4] = [
    ("operator", "spiffe://coffer.dev/operator"),
    ("app-prod", "spiffe://coffer.dev/prod/app"),
    ("app-dev", "spiffe://coffer.dev/dev/app"),
    ("rotation", "spiffe://coffer.dev/rotation"),
];

/// Writes `ca.pem`, `server.pem`, and `NAME.pem` with `NAME-key.pem` for each client.
pub(super) fn make(folder: &Path) -> Result<(), String> {
    let mut authority = named("Coffer development CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = CertifiedIssuer::self_signed(authority, key()?).map_err(text)?;
    write(folder, "ca.pem", &issuer.pem())?;
    let mut server = named("localhost");
    let loopback = |address: [u8; 4]| SanType::IpAddress(std::net::IpAddr::from(address));
    server.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into().map_err(text)?),
        loopback([127, 0, 0, 1]),
        SanType::IpAddress(std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)),
    ];
    issue(folder, "server", server, ExtendedKeyUsagePurpose::ServerAuth, &issuer)?;
    for (name, uri) in CLIENTS {
        let mut client = named(name);
        client.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(text)?)];
        issue(folder, name, client, ExtendedKeyUsagePurpose::ClientAuth, &issuer)?;
    }
    Ok(())
}

fn issue(
    folder: &Path,
    name: &str,
    mut wanted: CertificateParams,
    usage: ExtendedKeyUsagePurpose,
    issuer: &CertifiedIssuer<'_, KeyPair>,
) -> Result<(), String> {
    wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    wanted.extended_key_usages = vec![usage];
    wanted.use_authority_key_identifier_extension = true;
    let key = key()?;
    let certificate = wanted.signed_by(&key, issuer).map_err(text)?;
    write(folder, &format!("{name}.pem"), &certificate.pem())?;
    write(folder, &format!("{name}-key.pem"), &key.serialize_pem())
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(30);
    params
}

fn key() -> Result<KeyPair, String> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(text)
}

/// A new file that only its owner can read.
pub(super) fn write(folder: &Path, name: &str, content: &str) -> Result<(), String> {
    let path = folder.join(name);
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    opened
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn text(error: impl Display) -> String {
    error.to_string()
}
