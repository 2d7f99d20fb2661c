//! Signing and checking with one version of a key, and the hash algorithms of the API.
//!
//! ECDSA takes the leftmost bits of a digest, as many as the curve has (FIPS 186-5 §6.4.1), so a digest of any hash can
//! be brought to the length of the curve's own hash without changing the signature: cut, or zeros put in front.
use super::{key_type::KeyType, records::Version, text::Sentence};
use aws_lc_rs::{
    digest::{self, Digest},
    rsa,
    signature::{
        self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING,
        ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING,
        ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, Ed25519KeyPair, RsaEncoding, RsaParameters,
        UnparsedPublicKey,
    },
};

const REFUSED: &str = "the key can't be used";

/// A hash of the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

impl Hash {
    pub(super) const ALL: [Self; 7] = [
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sha224 => "sha2-224",
            Self::Sha256 => "sha2-256",
            Self::Sha384 => "sha2-384",
            Self::Sha512 => "sha2-512",
            Self::Sha3_256 => "sha3-256",
            Self::Sha3_384 => "sha3-384",
            Self::Sha3_512 => "sha3-512",
        }
    }

    /// Reads a name; without one it is SHA-256. SHA-1 is broken and not supported.
    pub(super) fn parse(name: Option<&str>) -> Result<Self, Sentence> {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(Self::Sha256) };
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|known| known.name()).collect();
            format!("this hash algorithm is not supported; supported are {}", known.join(", ")).into()
        })
    }

    pub(super) const fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
            Self::Sha3_256 => &digest::SHA3_256,
            Self::Sha3_384 => &digest::SHA3_384,
            Self::Sha3_512 => &digest::SHA3_512,
        }
    }
}

/// How a request wants signatures made, or checked.
#[derive(Clone, Copy)]
pub(super) struct Scheme {
    pub(super) hash: Hash,
    /// The input is a digest already.
    pub(super) is_prehashed: bool,
    /// ECDSA as r ‖ s, and base64url (RFC 7515); otherwise ASN.1 and base64.
    pub(super) is_jws: bool,
    /// RSA by PKCS#1 v1.5 rather than PSS.
    pub(super) is_pkcs1: bool,
}

/// Signs `input`.
pub(super) fn sign(
    key_type: KeyType,
    version: &Version,
    scheme: Scheme,
    input: &[u8],
) -> Result<Vec<u8>, Sentence> {
    let secret = &version.material.secret;
    if key_type == KeyType::Ed25519 {
        no_digest(scheme)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(secret).map_err(|_| REFUSED)?;
        return Ok(pair.try_sign(input).map_err(|_| REFUSED)?.as_ref().to_vec());
    }
    if let Some((asn1, fixed)) = ecdsa_signing(key_type) {
        let pair = EcdsaKeyPair::from_pkcs8(if scheme.is_jws { fixed } else { asn1 }, secret)
            .map_err(|_| REFUSED)?;
        let digest = curve_digest(key_type, digest_of(scheme, input)?)?;
        return Ok(pair.sign_digest(&digest).map_err(|_| REFUSED)?.as_ref().to_vec());
    }
    if key_type.is_rsa() {
        let (encoding, _) = rsa_schemes(scheme)?;
        let pair = rsa::KeyPair::from_pkcs8(secret).map_err(|_| REFUSED)?;
        let mut out = vec![0; pair.public_modulus_len()];
        pair.sign_digest(encoding, &digest_of(scheme, input)?, &mut out).map_err(|_| REFUSED)?;
        return Ok(out);
    }
    Err(cannot_sign(key_type))
}

/// Whether `signature` is this version's over `input`.
pub(super) fn verify(
    key_type: KeyType,
    version: &Version,
    scheme: Scheme,
    input: &[u8],
    signature: &[u8],
) -> Result<bool, Sentence> {
    let public = &*version.material.public;
    if key_type == KeyType::Ed25519 {
        no_digest(scheme)?;
        return Ok(UnparsedPublicKey::new(&signature::ED25519, public).verify(input, signature).is_ok());
    }
    if let Some((asn1, fixed)) = ecdsa_verification(key_type) {
        let key = UnparsedPublicKey::new(if scheme.is_jws { fixed } else { asn1 }, public);
        let digest = curve_digest(key_type, digest_of(scheme, input)?)?;
        return Ok(key.verify_digest(&digest, signature).is_ok());
    }
    if key_type.is_rsa() {
        let (_, parameters) = rsa_schemes(scheme)?;
        let key = UnparsedPublicKey::new(parameters, public);
        return Ok(key.verify_digest(&digest_of(scheme, input)?, signature).is_ok());
    }
    Err(cannot_sign(key_type))
}

fn no_digest(scheme: Scheme) -> Result<(), Sentence> {
    if scheme.is_prehashed {
        return Err("'prehashed' is not for ed25519, which signs the message itself".into());
    }
    Ok(())
}

fn digest_of(scheme: Scheme, input: &[u8]) -> Result<Digest, Sentence> {
    let algorithm = scheme.hash.algorithm();
    if scheme.is_prehashed {
        return Digest::import_less_safe(input, algorithm).map_err(|_| {
            "'input' must be as long as a digest of the hash algorithm, because it is 'prehashed'".into()
        });
    }
    Ok(digest::digest(algorithm, input))
}

/// The same number for ECDSA, in the length of the curve's own hash.
fn curve_digest(key_type: KeyType, digest: Digest) -> Result<Digest, Sentence> {
    let (own, length) = match key_type {
        KeyType::EcdsaP256 => (&digest::SHA256, 32),
        KeyType::EcdsaP384 => (&digest::SHA384, 48),
        _ => (&digest::SHA512, 64),
    };
    let bytes = digest.as_ref();
    let mut brought = vec![0; length - bytes.len().min(length)];
    brought.extend(bytes.iter().take(length));
    Digest::import_less_safe(&brought, own).map_err(|_| REFUSED.into())
}

const fn ecdsa_signing(
    key_type: KeyType,
) -> Option<(&'static EcdsaSigningAlgorithm, &'static EcdsaSigningAlgorithm)> {
    match (key_type.ecdsa(), key_type) {
        (Some(asn1), KeyType::EcdsaP256) => Some((asn1, &ECDSA_P256_SHA256_FIXED_SIGNING)),
        (Some(asn1), KeyType::EcdsaP384) => Some((asn1, &ECDSA_P384_SHA384_FIXED_SIGNING)),
        (Some(asn1), KeyType::EcdsaP521) => Some((asn1, &ECDSA_P521_SHA512_FIXED_SIGNING)),
        _ => None,
    }
}

const fn ecdsa_verification(
    key_type: KeyType,
) -> Option<(&'static EcdsaVerificationAlgorithm, &'static EcdsaVerificationAlgorithm)> {
    match key_type {
        KeyType::EcdsaP256 => Some((&ECDSA_P256_SHA256_ASN1, &ECDSA_P256_SHA256_FIXED)),
        KeyType::EcdsaP384 => Some((&ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA384_FIXED)),
        KeyType::EcdsaP521 => Some((&ECDSA_P521_SHA512_ASN1, &ECDSA_P521_SHA512_FIXED)),
        _ => None,
    }
}

/// PSS has a salt as long as the digest.
fn rsa_schemes(scheme: Scheme) -> Result<(&'static dyn RsaEncoding, &'static RsaParameters), Sentence> {
    Ok(match (scheme.hash, scheme.is_pkcs1) {
        (Hash::Sha256, false) => (&signature::RSA_PSS_SHA256, &signature::RSA_PSS_2048_8192_SHA256),
        (Hash::Sha384, false) => (&signature::RSA_PSS_SHA384, &signature::RSA_PSS_2048_8192_SHA384),
        (Hash::Sha512, false) => (&signature::RSA_PSS_SHA512, &signature::RSA_PSS_2048_8192_SHA512),
        (Hash::Sha256, true) => (&signature::RSA_PKCS1_SHA256, &signature::RSA_PKCS1_2048_8192_SHA256),
        (Hash::Sha384, true) => (&signature::RSA_PKCS1_SHA384, &signature::RSA_PKCS1_2048_8192_SHA384),
        (Hash::Sha512, true) => (&signature::RSA_PKCS1_SHA512, &signature::RSA_PKCS1_2048_8192_SHA512),
        _ => return Err("RSA keys sign with sha2-256, sha2-384 or sha2-512".into()),
    })
}

/// A key of this type does not sign.
pub(super) fn cannot_sign(key_type: KeyType) -> Sentence {
    format!("a key of type {} encrypts; it does not sign", key_type.name()).into()
}
