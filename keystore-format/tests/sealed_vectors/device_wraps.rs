use super::{CTX, ENVIRONMENT, STORE, WRAP, bytes, changed, refused};
use aws_lc_rs::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey},
    key_wrap::{AES_256, AesKek, KeyWrap, KeyWrapPadded},
};
use hex::encode as hex;
use keystore_format::{
    device_wraps::{
        OaepHash::{Sha1, Sha256, Sha384, Sha512},
        Pkcs11Blob,
        Pkcs11Mechanism::{self, AesGcm, AesKeyWrap, AesKeyWrapPad, RsaOaep},
        Pkcs11Parameters,
    },
    seal_record::root_id,
};
use serde_json::{Value, json};

pub(crate) fn vectors() -> Vec<Value> {
    let mut vectors = vec![
        parameters("pkcs11_parameters_of_aes_gcm", AesGcm, &[7]),
        parameters("pkcs11_parameters_of_key_wrap_with_padding", AesKeyWrapPad, b"kek 2026"),
        parameters("pkcs11_parameters_of_key_wrap_without_a_key_id", AesKeyWrap, b""),
        parameters("pkcs11_parameters_of_oaep_with_sha_1", RsaOaep(Sha1), &[7]),
        parameters("pkcs11_parameters_of_oaep_with_sha_256", RsaOaep(Sha256), &[7]),
        parameters("pkcs11_parameters_of_oaep_with_sha_384", RsaOaep(Sha384), &[7]),
        parameters(
            "pkcs11_parameters_of_oaep_with_sha_512_and_the_longest_key_id",
            RsaOaep(Sha512),
            &[9; 255],
        ),
    ];
    vectors.extend(refused_parameters());
    let iv: [u8; 12] = bytes(0xc0);
    vectors.extend([
        blob("pkcs11_blob_of_aes_gcm", AesGcm, &iv, &by_gcm(&iv)),
        blob("pkcs11_blob_of_key_wrap_with_padding", AesKeyWrapPad, &[], &by_key_wrap_pad()),
        blob("pkcs11_blob_of_key_wrap", AesKeyWrap, &[], &by_key_wrap()),
        blob("pkcs11_blob_of_oaep_under_the_shortest_modulus", RsaOaep(Sha256), &[], &bytes::<256>(1)),
        blob("pkcs11_blob_of_oaep_under_the_longest_modulus", RsaOaep(Sha256), &[], &bytes::<2048>(1)),
    ]);
    vectors.extend(refused_blobs());
    vectors
}

fn token_key() -> [u8; 32] {
    bytes(0x40)
}

fn root_key() -> [u8; 32] {
    bytes(0x20)
}

fn by_gcm(iv: &[u8; 12]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&aead::AES_256_GCM, &token_key()).unwrap());
    let place = [&[1][..], &CTX.bytes(), &WRAP.0, &root_id(&root_key(), &CTX)].concat();
    let mut sealed = root_key().to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(*iv), Aad::from(place), &mut sealed).unwrap();
    sealed
}

fn by_key_wrap() -> Vec<u8> {
    let mut wrapped = [0; 40];
    AesKek::new(&AES_256, &token_key()).unwrap().wrap(&root_key(), &mut wrapped).unwrap();
    wrapped.to_vec()
}

fn by_key_wrap_pad() -> Vec<u8> {
    let mut wrapped = [0; 48];
    let kek = AesKek::new(&AES_256, &token_key()).unwrap();
    kek.wrap_with_padding(&root_key(), &mut wrapped).unwrap().to_vec()
}

fn numbers(mechanism: Pkcs11Mechanism) -> (u8, u8) {
    match mechanism {
        AesGcm => (1, 0),
        AesKeyWrapPad => (2, 0),
        AesKeyWrap => (3, 0),
        RsaOaep(hash) => (4, hash as u8),
    }
}

fn parameters(name: &str, mechanism: Pkcs11Mechanism, key_id: &[u8]) -> Value {
    let parameters = Pkcs11Parameters { mechanism, key_id: key_id.to_vec() };
    let bytes = parameters.encode().unwrap();
    assert_eq!(Pkcs11Parameters::decode(&bytes), Ok(parameters));
    let (number, hash) = numbers(mechanism);
    json!({ "name": name, "mechanism": number, "hash": hash, "key_id": hex(key_id), "pkcs11_parameters": hex(bytes) })
}

fn refused_parameters() -> Vec<Value> {
    let right = Pkcs11Parameters { mechanism: RsaOaep(Sha256), key_id: b"key".to_vec() }.encode().unwrap();
    let case = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        let bytes = changed(&right, change);
        let error = refused(Pkcs11Parameters::decode(&bytes), field, offset, fault);
        json!({ "name": name, "pkcs11_parameters": hex(bytes), "error": error })
    };
    let aes = |p: &mut Vec<u8>, hash| p[1..3].copy_from_slice(&[1, hash]);
    vec![
        case("pkcs11_parameters_that_are_empty", &|p| p.clear(), "version", 0, "Truncated"),
        case("pkcs11_parameters_of_an_unknown_version", &|p| p[0] = 2, "version", 0, "UnknownVersion"),
        case("pkcs11_parameters_cut_before_the_mechanism", &|p| p.truncate(1), "mechanism", 1, "Truncated"),
        case("pkcs11_parameters_of_mechanism_0", &|p| p[1] = 0, "mechanism", 1, "UnknownAlgorithm"),
        case("pkcs11_parameters_of_mechanism_5", &|p| p[1] = 5, "mechanism", 1, "UnknownAlgorithm"),
        case("pkcs11_parameters_cut_before_the_hash", &|p| p.truncate(2), "hash", 2, "Truncated"),
        case("pkcs11_parameters_of_oaep_without_a_hash", &|p| p[2] = 0, "hash", 2, "UnknownAlgorithm"),
        case("pkcs11_parameters_of_oaep_with_hash_5", &|p| p[2] = 5, "hash", 2, "UnknownAlgorithm"),
        case("pkcs11_parameters_of_aes_gcm_with_a_hash", &|p| aes(p, 2), "hash", 2, "Invalid"),
        case(
            "pkcs11_parameters_cut_before_the_key_id_length",
            &|p| p.truncate(3),
            "key id length",
            3,
            "Truncated",
        ),
        case("pkcs11_parameters_cut_in_the_key_id", &|p| p.truncate(6), "key id", 4, "Truncated"),
        case("pkcs11_parameters_with_a_byte_too_many", &|p| p.push(0), "wrap parameters", 7, "TrailingBytes"),
    ]
}

fn blob(name: &str, mechanism: Pkcs11Mechanism, iv: &[u8], wrapped: &[u8]) -> Value {
    let blob = Pkcs11Blob { iv, wrapped };
    let bytes = blob.encode(mechanism).unwrap();
    assert_eq!(Pkcs11Blob::decode(mechanism, &bytes), Ok(blob));
    let (number, _) = numbers(mechanism);
    let mut vector = json!({
        "name": name, "mechanism": number, "iv": hex(iv), "wrapped": hex(wrapped), "pkcs11_blob": hex(bytes),
    });
    // OAEP is random, so only its place is shown.
    if !matches!(mechanism, RsaOaep(_)) {
        let opens = [
            ("token_key", hex(token_key())),
            ("root_key", hex(root_key())),
            ("root_id", hex(root_id(&root_key(), &CTX))),
            ("store", hex(STORE.0)),
            ("environment", hex(ENVIRONMENT.0)),
            ("wrap", hex(WRAP.0)),
        ];
        opens.into_iter().for_each(|(field, value)| vector[field] = value.into());
    }
    vector
}

fn refused_blobs() -> Vec<Value> {
    let iv: [u8; 12] = bytes(0xc0);
    let gcm = Pkcs11Blob { iv: &iv, wrapped: &by_gcm(&iv) }.encode(AesGcm).unwrap();
    let padded = Pkcs11Blob { iv: &[], wrapped: &by_key_wrap_pad() }.encode(AesKeyWrapPad).unwrap();
    let oaep = Pkcs11Blob { iv: &[], wrapped: &bytes::<256>(1) }.encode(RsaOaep(Sha1)).unwrap();
    let case = |name: &str, mechanism, blob: &[u8], field, offset, fault| {
        let error = refused(Pkcs11Blob::decode(mechanism, blob), field, offset, fault);
        let (number, _) = numbers(mechanism);
        json!({ "name": name, "mechanism": number, "pkcs11_blob": hex(blob), "error": error })
    };
    let wrapped = "wrapped root key";
    vec![
        case("pkcs11_blob_that_is_empty", AesGcm, &[], "version", 0, "Truncated"),
        case(
            "pkcs11_blob_of_an_unknown_version",
            AesGcm,
            &changed(&gcm, |b| b[0] = 2),
            "version",
            0,
            "UnknownVersion",
        ),
        case("pkcs11_blob_cut_in_the_iv", AesGcm, &gcm[..12], "iv", 1, "Truncated"),
        case("pkcs11_blob_cut_in_the_tag", AesGcm, &gcm[..60], wrapped, 13, "Truncated"),
        case(
            "pkcs11_blob_with_a_byte_too_many",
            AesGcm,
            &[&gcm[..], &[0]].concat(),
            "wrap blob",
            61,
            "TrailingBytes",
        ),
        case("pkcs11_blob_of_key_wrap_read_as_aes_gcm", AesGcm, &padded, wrapped, 13, "Truncated"),
        case("pkcs11_blob_of_aes_gcm_read_as_key_wrap", AesKeyWrap, &gcm, "wrap blob", 41, "TrailingBytes"),
        case("pkcs11_blob_of_key_wrap_cut", AesKeyWrapPad, &padded[..40], wrapped, 1, "Truncated"),
        case("pkcs11_blob_of_oaep_under_2047_bits", RsaOaep(Sha1), &oaep[..256], wrapped, 1, "Truncated"),
        case("pkcs11_blob_of_oaep_beyond_16384_bits", RsaOaep(Sha1), &[1; 2050], wrapped, 1, "TooLong"),
    ]
}

#[test]
fn a_device_wrap_that_could_not_be_read_back_is_not_written() {
    let long = Pkcs11Parameters { mechanism: AesGcm, key_id: vec![0; 256] };
    refused(long.encode(), "key id length", 3, "TooLong");
    refused(Pkcs11Blob { iv: &[0; 11], wrapped: &[0; 49] }.encode(AesGcm), "iv", 1, "Invalid");
    refused(Pkcs11Blob { iv: &[0; 12], wrapped: &[0; 256] }.encode(RsaOaep(Sha1)), "iv", 1, "Invalid");
    refused(Pkcs11Blob { iv: &[], wrapped: &[0; 41] }.encode(AesKeyWrap), "wrap blob", 41, "TrailingBytes");
}
