//! Wrapping and opening by each mechanism, with the key of an open token.
use super::{
    module::Open,
    trouble::{self, Failure},
};
use coffer_secmem::Key32;
use cryptoki::{
    error::Error,
    mechanism::{
        Mechanism, MechanismType,
        aead::GcmParams,
        rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
};
use keystore_format::device_wraps::{GCM_IV_LEN, OaepHash, Pkcs11Blob, Pkcs11Mechanism};
use zeroize::{Zeroize as _, Zeroizing};

const TAG_BITS: u64 = 128;

/// The blob of a root key. `data` is authenticated where the mechanism can.
pub(super) fn wrap(
    open: &Open,
    mechanism: Pkcs11Mechanism,
    root_key: &Key32,
    mut iv: [u8; GCM_IV_LEN],
    data: &[u8],
) -> Result<Vec<u8>, Failure> {
    let with_iv = mechanism == Pkcs11Mechanism::AesGcm;
    let wrapped = match mechanism {
        Pkcs11Mechanism::AesGcm => {
            let by = Mechanism::AesGcm(GcmParams::new(&mut iv, data, TAG_BITS.into())?);
            open.session.encrypt(&by, open.key, root_key.expose())?
        }
        Pkcs11Mechanism::AesKeyWrapPad => by_key_wrap(open, &Mechanism::AesKeyWrapPad, root_key)?,
        Pkcs11Mechanism::AesKeyWrap => by_key_wrap(open, &Mechanism::AesKeyWrap, root_key)?,
        Pkcs11Mechanism::RsaOaep(hash) => open.session.encrypt(
            &Mechanism::RsaPkcsOaep(oaep(hash)),
            open.public_key()?,
            root_key.expose(),
        )?,
    };
    // Some modules choose the IV themselves and write it in the place of ours.
    let blob = Pkcs11Blob { iv: if with_iv { &iv } else { &[] }, wrapped: &wrapped };
    blob.encode(mechanism).map_err(|_| Failure::from(trouble::of_size()))
}

/// The key in a blob, as the module gives it.
pub(super) fn unwrap(
    open: &Open,
    mechanism: Pkcs11Mechanism,
    blob: &Pkcs11Blob<'_>,
    data: &[u8],
) -> Result<Key32, Failure> {
    let key = match mechanism {
        Pkcs11Mechanism::AesGcm => {
            let mut iv = blob.iv.to_vec();
            let by = Mechanism::AesGcm(GcmParams::new(&mut iv, data, TAG_BITS.into())?);
            Zeroizing::new(open.session.decrypt(&by, open.key, blob.wrapped)?)
        }
        Pkcs11Mechanism::AesKeyWrapPad => by_key_unwrap(open, &Mechanism::AesKeyWrapPad, blob.wrapped)?,
        Pkcs11Mechanism::AesKeyWrap => by_key_unwrap(open, &Mechanism::AesKeyWrap, blob.wrapped)?,
        Pkcs11Mechanism::RsaOaep(hash) => Zeroizing::new(open.session.decrypt(
            &Mechanism::RsaPkcsOaep(oaep(hash)),
            open.key,
            blob.wrapped,
        )?),
    };
    let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| Failure::from(trouble::not_authentic()))?;
    Ok(Key32::derive(|into| into.copy_from_slice(key)))
}

/// Key wrap works on objects: the root key becomes one of the session, for a moment.
fn by_key_wrap(open: &Open, by: &Mechanism<'_>, root_key: &Key32) -> Result<Vec<u8>, Failure> {
    let mut template = object().to_vec();
    template.push(Attribute::Value(root_key.expose().to_vec()));
    let made = open.session.create_object(&template);
    clear(template);
    let object = made?;
    let wrapped = open.session.wrap_key(by, open.key, object);
    destroyed(open, object, wrapped)
}

fn by_key_unwrap(open: &Open, by: &Mechanism<'_>, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let object = open.session.unwrap_key(by, open.key, wrapped, &object())?;
    let value = open.session.get_attributes(object, &[AttributeType::Value]);
    let value = destroyed(open, object, value)?;
    let value =
        value.into_iter().find_map(|one| if let Attribute::Value(value) = one { Some(value) } else { None });
    Ok(Zeroizing::new(value.unwrap_or_default()))
}

/// Ends a session's object, whatever came of it. One that stays is not to be passed over: it holds a root key.
fn destroyed<T>(open: &Open, object: ObjectHandle, result: Result<T, Error>) -> Result<T, Failure> {
    let destroyed = open.session.destroy_object(object);
    let result = result?;
    destroyed?;
    Ok(result)
}

fn object() -> [Attribute; 6] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}

fn clear(template: Vec<Attribute>) {
    for attribute in template {
        if let Attribute::Value(mut value) = attribute {
            value.zeroize();
        }
    }
}

fn oaep(hash: OaepHash) -> PkcsOaepParams<'static> {
    let (hash, mgf) = match hash {
        OaepHash::Sha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
        OaepHash::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
        OaepHash::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
        OaepHash::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
    };
    PkcsOaepParams::new(hash, mgf, PkcsOaepSource::empty())
}
