//! sign, verify, hmac.
use super::{
    batch::{Batch, Failures, key_version, refuse_foreign, sentence},
    encrypt::about,
    key_type::KeyType,
    keys,
    records::{Key, Version},
    signature::{self, Hash, Scheme},
    text::{Sentence, Tagged, parse_tagged, tagged},
};
use aws_lc_rs::hmac;
use coffer_room::{Fault, Outcome, Request, Room};
use coffer_wire::{Object, Params};
use zeroize::Zeroizing;

pub(super) async fn sign(
    room: &Room,
    request: &Request,
    name: &str,
    hash: Option<&str>,
) -> Result<Outcome, Fault> {
    let params = &request.params;
    refuse_foreign(params).map_err(Fault::bad)?;
    let scheme = scheme(params, hash).map_err(Fault::bad)?;
    let number = key_version(params).map_err(Fault::bad)?;
    let batch = Batch::read(params, input)?;
    let key = keys::existing(room, name, request.write_mode).await?;
    if !key.key_type.can_sign() {
        return Err(Fault::bad(signature::cannot_sign(key.key_type)));
    }
    keys::apart(key.key_type, move || {
        let (number, version) = making(&key, number).map_err(Fault::bad)?;
        let answer = batch.answer(Failures::Tell, |input| {
            let signature = signature::sign(key.key_type, version, scheme, input)?;
            Ok(Object::new()
                .string("signature", &tagged(number, &signature, scheme.is_jws))
                .number("key_version", number.into()))
        });
        answer.map(Outcome::Answer)
    })
    .await
}

/// What is to be checked against an input.
enum Claim {
    Signature(Zeroizing<String>),
    Mac(Zeroizing<String>),
}

pub(super) async fn verify(
    room: &Room,
    request: &Request,
    name: &str,
    hash: Option<&str>,
) -> Result<Outcome, Fault> {
    let params = &request.params;
    refuse_foreign(params).map_err(Fault::bad)?;
    let scheme = scheme(params, hash).map_err(Fault::bad)?;
    let batch = Batch::read(params, |item| {
        let claim =
            match (item.string("signature").map_err(sentence)?, item.string("hmac").map_err(sentence)?) {
                (Some(signature), None) => Claim::Signature(signature),
                (None, Some(mac)) => Claim::Mac(mac),
                _ => return Err(Sentence::from("exactly one of 'signature' and 'hmac' must be given")),
            };
        Ok((input(item)?, claim))
    })?;
    let key = keys::existing(room, name, request.write_mode).await?;
    keys::apart(key.key_type, move || {
        let answer = batch.answer(Failures::Tell, |(input, claim)| {
            let is_valid = match claim {
                Claim::Signature(_) if !key.key_type.can_sign() => {
                    return Err(signature::cannot_sign(key.key_type));
                }
                Claim::Signature(text) => {
                    let (version, claimed) = claimed(&key, "signature", text, scheme.is_jws)?;
                    signature::verify(key.key_type, version, scheme, input, &claimed)?
                }
                Claim::Mac(text) => {
                    let (version, claimed) = claimed(&key, "hmac", text, false)?;
                    hmac::verify(&mac_key(version, scheme.hash)?, input, &claimed).is_ok()
                }
            };
            Ok(Object::new().boolean("valid", is_valid))
        });
        answer.map(Outcome::Answer)
    })
    .await
}

pub(super) async fn hmac(
    room: &Room,
    request: &Request,
    name: &str,
    hash: Option<&str>,
) -> Result<Outcome, Fault> {
    let params = &request.params;
    let hash = wanted_hash(params, hash).map_err(Fault::bad)?;
    let number = key_version(params).map_err(Fault::bad)?;
    let batch = Batch::read(params, input)?;
    let key = keys::existing(room, name, request.write_mode).await?;
    let (number, version) = making(&key, number).map_err(Fault::bad)?;
    let answer = batch.answer(Failures::Tell, |input| {
        let mac = hmac::sign(&mac_key(version, hash)?, input);
        Ok(Object::new().string("hmac", &tagged(number, mac.as_ref(), false)))
    });
    answer.map(Outcome::Answer)
}

fn input(item: &Params) -> Result<Zeroizing<Vec<u8>>, Sentence> {
    refuse_foreign(item)?;
    item.base64("input").map_err(sentence)?.ok_or("'input' must be given, in base64".into())
}

/// The hash comes from the path, or from either name that clients use for it.
fn wanted_hash(params: &Params, in_path: Option<&str>) -> Result<Hash, Sentence> {
    if in_path.is_some() {
        return Hash::parse(in_path);
    }
    let named = match params.string("hash_algorithm").map_err(sentence)? {
        Some(name) if !name.is_empty() => Some(name),
        _ => params.string("algorithm").map_err(sentence)?,
    };
    Hash::parse(named.as_ref().map(|name| name.as_str()))
}

fn scheme(params: &Params, hash: Option<&str>) -> Result<Scheme, Sentence> {
    let choice =
        |name: &'static str, first: &str, second: &str| match params.string(name).map_err(sentence)? {
            None => Ok(false),
            Some(text) if text.is_empty() || *text == first => Ok(false),
            Some(text) if *text == second => Ok(true),
            Some(_) => Err(Sentence::from(format!("'{name}' must be {first} or {second}"))),
        };
    let scheme = Scheme {
        hash: wanted_hash(params, hash)?,
        is_prehashed: params.boolean("prehashed").map_err(sentence)?.unwrap_or(false),
        is_jws: choice("marshaling_algorithm", "asn1", "jws")?,
        is_pkcs1: choice("signature_algorithm", "pss", "pkcs1v15")?,
    };
    let digest_bytes = scheme.hash.algorithm().output_len().to_string();
    match params.string("salt_length").map_err(sentence)? {
        Some(salt) if !["", "auto", "hash", &*digest_bytes].contains(&salt.as_str()) => {
            Err("'salt_length' must be auto or hash: the salt is as long as the digest".into())
        }
        _ => Ok(scheme),
    }
}

fn making(key: &Key, number: u32) -> Result<(u32, &Version), Sentence> {
    let number = key.for_making(number)?;
    Ok((number, key.version(number).ok_or("this version of the key is gone")?))
}

fn claimed<'k>(
    key: &'k Key,
    field: &'static str,
    text: &str,
    is_jws: bool,
) -> Result<(&'k Version, Zeroizing<Vec<u8>>), Sentence> {
    let Tagged { version, bytes } = parse_tagged(text, is_jws).map_err(|why| about(field, &why))?;
    Ok((key.for_opening(version).map_err(|why| about(field, &why))?, bytes))
}

fn mac_key(version: &Version, hash: Hash) -> Result<hmac::Key, Sentence> {
    let algorithm = match hash {
        Hash::Sha224 => hmac::HMAC_SHA224,
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
        _ => return Err("an HMAC is made with sha2-224, sha2-256, sha2-384 or sha2-512".into()),
    };
    Ok(hmac::Key::new(algorithm, &version.mac_key))
}

/// Reads `text` as the name of a key type and of a hash, and as the query of a signature: what is read has that name,
/// and a refusal says what may be asked for and nothing of what was.
pub(super) fn fuzz(text: &str) {
    if let Ok(hash) = Hash::parse(Some(text)) {
        assert!(hash.name() == text || text.is_empty());
    }
    if let Ok(key_type) = KeyType::parse(Some(text)) {
        assert!(key_type.name() == text || text.is_empty());
    }
    let mut params = Params::none();
    if params.add_query(text).is_err() {
        return;
    }
    for hash in [None, text.split('&').next()] {
        match scheme(&params, hash) {
            Ok(scheme) => {
                assert!(hash.is_none_or(|name| name.is_empty() || name == scheme.hash.name()));
                // A query may spell each letter by its number.
                let says = |word| text.contains(word) || text.contains('%');
                assert!(!scheme.is_jws || says("jws"));
                assert!(!scheme.is_pkcs1 || says("pkcs1v15"));
            }
            Err(sentence) => assert!(sentence.len() < 200 && !sentence.contains("hunter2"), "{sentence}"),
        }
    }
    let _ = (key_version(&params), refuse_foreign(&params));
}
