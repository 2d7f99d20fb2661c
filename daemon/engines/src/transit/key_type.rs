//! The types of keys: their names on the wire, what each can do, and how a version of each is made.
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    error::Unspecified,
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use coffer_room::Fault;
use coffer_types::{Entropy, EntropyError};
use zeroize::Zeroizing;

/// The type of a key. The numbers are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum KeyType {
    Aes128Gcm = 1,
    Aes256Gcm = 2,
    ChaCha20Poly1305 = 3,
    Ed25519 = 16,
    EcdsaP256 = 17,
    EcdsaP384 = 18,
    EcdsaP521 = 19,
    Rsa2048 = 32,
    Rsa3072 = 33,
    Rsa4096 = 34,
}

/// What makes a version of a key.
pub(super) struct Material {
    /// The key itself, the seed of an Ed25519 key, else PKCS#8 (RFC 5208).
    pub(super) secret: Zeroizing<Vec<u8>>,
    /// SubjectPublicKeyInfo (RFC 5280 §4.1) in DER; the 32 bytes themselves for Ed25519; empty for AEAD keys.
    pub(super) public: Vec<u8>,
}

impl Material {
    fn of(secret: &[u8], public: &[u8]) -> Self {
        Self { secret: Zeroizing::new(secret.to_vec()), public: public.to_vec() }
    }
}

enum Failed {
    Entropy(EntropyError),
    Library,
}

impl From<Unspecified> for Failed {
    fn from(_: Unspecified) -> Self {
        Self::Library
    }
}

impl KeyType {
    pub(super) const ALL: [Self; 10] = [
        Self::Aes128Gcm,
        Self::Aes256Gcm,
        Self::ChaCha20Poly1305,
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
    ];

    /// The name on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "aes128-gcm96",
            Self::Aes256Gcm => "aes256-gcm96",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::EcdsaP521 => "ecdsa-p521",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// Reads a name; without one it is aes256-gcm96.
    pub(super) fn parse(name: Option<&str>) -> Result<Self, Fault> {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(Self::Aes256Gcm) };
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|known| known.name()).collect();
            Fault::bad(format!("this key type is not supported; supported are {}", known.join(", ")))
        })
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as u8 == number)
    }

    /// Whether it encrypts under 96-bit nonces, which are counted.
    pub(super) const fn is_aead(self) -> bool {
        matches!(self, Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305)
    }

    pub(super) const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    pub(super) const fn can_encrypt(self) -> bool {
        self.is_aead() || self.is_rsa()
    }

    pub(super) const fn can_sign(self) -> bool {
        !self.is_aead()
    }

    /// Makes a new key. Takes up to seconds for RSA.
    pub(super) fn generate(self, entropy: &dyn Entropy) -> Result<Material, Fault> {
        self.make(entropy).map_err(|error| match error {
            Failed::Entropy(error) => error.into(),
            Failed::Library => Fault::Internal("the cryptographic library made no key"),
        })
    }

    fn make(self, entropy: &dyn Entropy) -> Result<Material, Failed> {
        if let Some(algorithm) = self.ecdsa() {
            let pair = EcdsaKeyPair::generate(algorithm)?;
            let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
            return Ok(Material::of(pair.to_pkcs8v1()?.as_ref(), public.as_ref()));
        }
        if let Some(size) = self.rsa() {
            let pair = rsa::KeyPair::generate(size)?;
            let (secret, public): (Pkcs8V1Der<'_>, PublicKeyX509Der<'_>) =
                (pair.as_der()?, pair.public_key().as_der()?);
            return Ok(Material::of(secret.as_ref(), public.as_ref()));
        }
        let mut secret = Zeroizing::new(vec![0; if self == Self::Aes128Gcm { 16 } else { 32 }]);
        entropy.fill(&mut secret).map_err(Failed::Entropy)?;
        let public = match self {
            Self::Ed25519 => {
                let pair = Ed25519KeyPair::from_seed_unchecked(&secret).map_err(|_| Failed::Library)?;
                pair.public_key().as_ref().to_vec()
            }
            _ => Vec::new(),
        };
        Ok(Material { secret, public })
    }

    /// A public key as the API shows it: PEM (RFC 7468), or base64 of the 32 bytes for Ed25519.
    pub(super) fn public_text(self, public: &[u8]) -> String {
        if self == Self::Ed25519 { STANDARD.encode(public) } else { pem(public) }
    }

    /// What the API calls the curve of a key.
    pub(super) const fn curve(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "P-256",
            Self::EcdsaP384 => "P-384",
            Self::EcdsaP521 => "P-521",
            other => other.name(),
        }
    }

    /// The curve, as aws-lc names it together with the curve's own hash.
    pub(super) const fn ecdsa(self) -> Option<&'static EcdsaSigningAlgorithm> {
        match self {
            Self::EcdsaP256 => Some(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Self::EcdsaP384 => Some(&ECDSA_P384_SHA384_ASN1_SIGNING),
            Self::EcdsaP521 => Some(&ECDSA_P521_SHA512_ASN1_SIGNING),
            _ => None,
        }
    }

    const fn rsa(self) -> Option<rsa::KeySize> {
        match self {
            Self::Rsa2048 => Some(rsa::KeySize::Rsa2048),
            Self::Rsa3072 => Some(rsa::KeySize::Rsa3072),
            Self::Rsa4096 => Some(rsa::KeySize::Rsa4096),
            _ => None,
        }
    }
}

/// SubjectPublicKeyInfo in PEM, lines of 64.
fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = STANDARD.encode(der);
    while !rest.is_empty() {
        let tail = rest.split_off(rest.len().min(64));
        text.push_str(&rest);
        text.push('\n');
        rest = tail;
    }
    text + "-----END PUBLIC KEY-----\n"
}
