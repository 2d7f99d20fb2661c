//! Arbitrary bytes and text: no reader panics, and what one reads it writes back unchanged.
use crate::fixtures::{CTX, ENVIRONMENT, KEK, MOUNT, NAME_KEY, ROOT_KEY, WRAP};
use keystore_format::{
    bech32m,
    device_wraps::{OaepHash, Pkcs11Blob, Pkcs11Mechanism, Pkcs11Parameters},
    head::Head,
    keyring::{Keyring, open_keyring},
    name::{SealedPath, StoreKey, first_segment, open_segment},
    record::{Header, Record, seal},
    seal_record::{ShamirParameters, Unverified, unwrap_root},
    share::Share,
    tables::Slot,
    tpm_wrap::{TpmBlob, TpmParameters},
    transit_wrap::{TransitBlob, TransitParameters},
};
use proptest::{collection::vec, prelude::*};

proptest! {
    #[test]
    fn no_reader_panics(mut bytes in vec(any::<u8>(), 0..700), versioned in any::<bool>()) {
        if versioned && let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let _ = Record::parse(&bytes).and_then(|record| record.open(&KEK, &CTX, b"").map(drop));
        let _ = open_keyring(&ROOT_KEY, &CTX, Slot::A, &bytes);
        let _ = Unverified::decode(&bytes).and_then(|unverified| unverified.verify(&ROOT_KEY).map(drop));
        let _ = unwrap_root(&KEK, &CTX, WRAP, &[0; 32], &bytes);
        let _ = ShamirParameters::decode(&bytes);
        if let Ok(parameters) = Pkcs11Parameters::decode(&bytes) {
            prop_assert_eq!(&parameters.encode().unwrap(), &bytes);
        }
        for mechanism in [Pkcs11Mechanism::AesGcm, Pkcs11Mechanism::RsaOaep(OaepHash::Sha256)] {
            if let Ok(blob) = Pkcs11Blob::decode(mechanism, &bytes) {
                prop_assert_eq!(&blob.encode(mechanism).unwrap(), &bytes);
            }
        }
        if let Ok(parameters) = TpmParameters::decode(&bytes) {
            prop_assert_eq!(&parameters.encode().unwrap(), &bytes);
        }
        if let Ok(blob) = TpmBlob::decode(&bytes) {
            prop_assert_eq!(&blob.encode().unwrap(), &bytes);
        }
        if let Ok(parameters) = TransitParameters::decode(&bytes) {
            prop_assert_eq!(&parameters.encode().unwrap(), &bytes);
        }
        if let Ok(blob) = TransitBlob::decode(&bytes) {
            prop_assert_eq!(&blob.encode(), &bytes);
        }
        let _ = Share::from_payload(&bytes);
        let _ = SealedPath::from_bytes(&bytes);
        let _ = StoreKey::parse(&bytes);
        let _ = first_segment(&bytes);
        let _ = open_segment(&NAME_KEY, ENVIRONMENT, MOUNT, b"", &bytes);
        if let Ok(keyring) = Keyring::decode(&bytes) {
            prop_assert_eq!(&*keyring.encode().unwrap(), &bytes);
        }
        if let Ok(head) = Head::decode(&bytes) {
            prop_assert_eq!(&head.encode().unwrap(), &bytes);
        }
    }

    #[test]
    fn no_text_makes_a_share_reader_panic(text in "\\PC{0,100}", shares in "[Cc][Oo][fF]{2}[eE][rR]1[ac-z02-9]{0,80}") {
        let _ = Share::parse_any(&text);
        let _ = Share::parse_any(&shares);
        let _ = bech32m::decode("", &text);
    }

    #[test]
    fn texts_of_the_lengths_of_hex_and_base64_do_not_make_it_panic(hex in "\\PC{86}|[0-9a-f]{86}", base64 in "\\PC{60}|[0-9A-Za-z+/=]{60}") {
        let _ = Share::parse_any(&hex);
        let _ = Share::parse_any(&base64);
    }

    #[test]
    fn what_names_a_transit_key_and_its_ciphertext_is_read_back(
        text in "vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/=]{1,200}", key in "[^/\\p{Cc}]{1,60}", associated_data in any::<bool>(),
    ) {
        let blob = TransitBlob::parse(&text).unwrap();
        prop_assert_eq!(&TransitBlob::decode(&blob.encode()).unwrap(), &blob);
        let begins = format!("vault:v{}:", blob.key_version());
        prop_assert!(text.starts_with(&begins));
        let parameters = TransitParameters { associated_data, key };
        prop_assert_eq!(&TransitParameters::decode(&parameters.encode().unwrap()).unwrap(), &parameters);
    }

    #[test]
    fn what_bech32m_writes_it_reads(prefix in "[!-@\\[-~]{1,20}", bytes in vec(any::<u8>(), 0..38)) {
        let text = bech32m::encode(&prefix, &bytes).unwrap();
        prop_assert_eq!(&*bech32m::decode(&prefix, &text).unwrap(), &bytes);
        prop_assert_eq!(&*bech32m::decode(&prefix, &text.to_ascii_uppercase()).unwrap(), &bytes);
    }

    #[test]
    fn what_is_sealed_opens(
        key in any::<[u8; 32]>(), nonce in any::<[u8; 24]>(), kind in any::<u16>(), epoch in any::<u32>(),
        rev in any::<u64>(), place in vec(any::<u8>(), 0..200), plaintext in vec(any::<u8>(), 0..2000),
    ) {
        let header = Header { kind, epoch, rev };
        let record = seal(&key, header, &CTX, &place, &nonce, &plaintext).unwrap();
        let parsed = Record::parse(&record).unwrap();
        prop_assert_eq!(parsed.header(), header);
        prop_assert_eq!(&*parsed.open(&key, &CTX, &place).unwrap(), &plaintext);
    }

    #[test]
    fn a_path_opens_segment_by_segment(path in vec("[^/]{1,60}", 1..8)) {
        let sealed = SealedPath::of(&NAME_KEY, ENVIRONMENT, MOUNT, &path.join("/")).unwrap();
        let mut rest = sealed.as_bytes();
        for segment in &path {
            let parent = &sealed.as_bytes()[..sealed.as_bytes().len() - rest.len()];
            let (first, after) = first_segment(rest).unwrap();
            prop_assert_eq!(&*open_segment(&NAME_KEY, ENVIRONMENT, MOUNT, parent, first).unwrap(), segment);
            rest = after;
        }
        prop_assert!(rest.is_empty());
    }
}
