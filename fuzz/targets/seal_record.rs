//! The seal record and what its wraps hold, which is read before there is a key. Root id and MAC are put right, so that the fuzzer gets past them.
#![no_main]
use coffer_fuzz::{CONTEXT, KEY};
use hmac::{Hmac, KeyInit, Mac};
use keystore_format::device_wraps::{OaepHash, Pkcs11Blob, Pkcs11Mechanism, Pkcs11Parameters};
use keystore_format::ids::WrapId;
use keystore_format::seal_record::{ShamirParameters, Unverified, root_id, seal_mac_key, unwrap_root};
use keystore_format::tpm_wrap::{TpmBlob, TpmParameters};
use keystore_format::transit_wrap::{TransitBlob, TransitParameters};
use libfuzzer_sys::fuzz_target;

const MECHANISMS: [Pkcs11Mechanism; 4] = [
    Pkcs11Mechanism::AesGcm,
    Pkcs11Mechanism::AesKeyWrapPad,
    Pkcs11Mechanism::AesKeyWrap,
    Pkcs11Mechanism::RsaOaep(OaepHash::Sha256),
];

fuzz_target!(|data: &[u8]| {
    assert!(unwrap_root(&KEY, &CONTEXT, WrapId([1; 16]), &[2; 32], data).is_err(), "made under no key");
    if let Ok(parameters) = ShamirParameters::decode(data) {
        assert!(parameters.threshold >= 1 && parameters.threshold <= parameters.shares);
        assert_eq!(parameters.encode(), data);
    }
    if let Ok(parameters) = Pkcs11Parameters::decode(data) {
        assert_eq!(parameters.encode().as_deref(), Ok(data));
    }
    for mechanism in MECHANISMS {
        if let Ok(blob) = Pkcs11Blob::decode(mechanism, data) {
            assert!(blob.wrapped.len() >= 40 && blob.wrapped.len() <= 2048);
            assert_eq!(blob.encode(mechanism).as_deref(), Ok(data));
        }
    }
    if let Ok(parameters) = TpmParameters::decode(data) {
        assert!(parameters.pin || parameters.pcrs.is_some_and(|pcrs| pcrs.mask != [0; 3]));
        assert_eq!(parameters.encode().expect("was read"), data);
    }
    if let Ok(blob) = TpmBlob::decode(data) {
        assert_eq!(blob.encode().expect("was read"), data);
    }
    if let Ok(parameters) = TransitParameters::decode(data) {
        assert!(!parameters.key.is_empty() && !parameters.key.contains('/'));
        assert_eq!(parameters.encode().expect("was read"), data);
    }
    if let Ok(blob) = TransitBlob::decode(data) {
        assert!(blob.ciphertext().starts_with(&format!("vault:v{}:", blob.key_version())));
        assert_eq!(blob.encode(), data);
    }

    if let Ok(names) = keystore_format::wrap_names::decode(data) {
        assert_eq!(keystore_format::wrap_names::encode(&names).as_deref(), Ok(data));
    }

    let Ok(unverified) = Unverified::decode(data) else { return };
    let context = unverified.claimed().ctx;
    assert!(unverified.verify(&KEY).is_err(), "made under no key");
    let mut valid = data.to_vec();
    valid[33..65].copy_from_slice(&root_id(&KEY, &context));
    let (signed, mac) = valid.split_last_chunk_mut::<32>().expect("has a MAC");
    let hmac = Hmac::<sha2::Sha256>::new_from_slice(&*seal_mac_key(&KEY, &context)).expect("any length");
    *mac = hmac.chain_update(&*signed).finalize().into_bytes().into();
    let record = Unverified::decode(&valid).expect("same shape").verify(&KEY).expect("signed here");
    assert_eq!(record.encode(&KEY).expect("was read"), valid);
});
