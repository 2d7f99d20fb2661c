//! Wraps that are not what was made: altered at any byte, another's, or for another place.
use crate::hsm::{self, EACH, refused, root, with_hsm, works, wrap};
use coffer_seal::device::{Binding, Device as _, DeviceTrouble};
use coffer_types::WrapId;
use keystore_format::{
    device_wraps::Pkcs11Mechanism,
    seal_record::{WrapType, root_id},
};

#[test]
fn a_blob_altered_at_any_byte_or_cut_or_longer_is_refused() {
    with_hsm(|hsm| {
        hsm.furnished(&EACH);
        let (key, binding) = root(1);
        for mechanism in EACH {
            let mut device = hsm.device(mechanism);
            let made = wrap(&device.wrap(&key, &binding).unwrap(), &binding);
            let mut refuse = |blob: Vec<u8>| {
                let altered = keystore_format::seal_record::Wrap { blob, ..made.clone() };
                refused(device.unwrap(&altered, &binding), DeviceTrouble::NotAuthentic, "was altered");
            };
            for at in 0..made.blob.len() {
                let mut blob = made.blob.clone();
                blob[at] ^= 1 << (at % 8);
                refuse(blob);
            }
            for length in [0, 1, 13, made.blob.len() - 1] {
                refuse(made.blob[..length].to_vec());
            }
            refuse([&made.blob[..], &[0]].concat());
            assert_eq!(device.unwrap(&made, &binding).unwrap().expose(), key.expose());
            works(&mut device);
        }
    });
}

#[test]
fn parameters_altered_at_any_byte_are_refused() {
    with_hsm(|hsm| {
        hsm.furnished(&EACH);
        let (key, binding) = root(1);
        for mechanism in EACH {
            let mut device = hsm.device(mechanism);
            let made = wrap(&device.wrap(&key, &binding).unwrap(), &binding);
            for at in 0..made.parameters.len() {
                for bit in 0..8 {
                    let mut altered = made.clone();
                    altered.parameters[at] ^= 1 << bit;
                    let error = device.unwrap(&altered, &binding).map(drop).unwrap_err();
                    refused::<()>(Err(error.clone()), error.kind, "altered");
                    assert!(matches!(error.kind, DeviceTrouble::NotAuthentic | DeviceTrouble::Configuration));
                }
            }
            assert_eq!(device.unwrap(&made, &binding).unwrap().expose(), key.expose());
        }
    });
}

#[test]
fn a_wrap_of_another_root_key_place_or_device_is_refused() {
    with_hsm(|hsm| {
        hsm.furnished(&EACH);
        let ((one, here), (two, there)) = (root(1), root(2));
        for mechanism in EACH {
            let mut device = hsm.device(mechanism);
            let ours = wrap(&device.wrap(&one, &here).unwrap(), &here);
            let theirs = wrap(&device.wrap(&two, &there).unwrap(), &there);
            let mut refuse = |wrap: &_, binding: &_| {
                refused(device.unwrap(wrap, binding), DeviceTrouble::NotAuthentic, "of another place");
            };
            refuse(&theirs, &here);
            refuse(&ours, &there);
            let mut elsewhere = here.context;
            elsewhere.environment.0[0] ^= 1;
            refuse(&ours, &Binding { context: elsewhere, ..here });
            let mut of_a_file = ours.clone();
            of_a_file.wrap_type = WrapType::File;
            refuse(&of_a_file, &here);
            if mechanism == Pkcs11Mechanism::AesGcm {
                // The same key under another wrap's id: only associated data can tell.
                refuse(&ours, &Binding { wrap: WrapId([7; 16]), ..here });
                let moved = root_id(one.expose(), &elsewhere);
                refuse(&ours, &Binding { context: elsewhere, root_id: moved, ..here });
            }
            assert_eq!(device.unwrap(&ours, &here).unwrap().expose(), one.expose());
        }
    });
}

#[test]
fn a_wrap_of_another_key_or_mechanism_says_which_to_configure() {
    with_hsm(|hsm| {
        hsm.furnished(&[])
            .key(hsm::TOKEN, &["--keygen", "--key-type", "AES:32", "--label", "newer", "--id", "07"]);
        hsm.key(hsm::TOKEN, &["--keygen", "--key-type", "AES:32", "--label", "newest", "--id", "0b"]);
        let (key, binding) = root(1);
        let made = wrap(&hsm.device(Pkcs11Mechanism::AesGcm).wrap(&key, &binding).unwrap(), &binding);
        let by = |label: &str, mechanism, kind, says| {
            let mut config = hsm.config(mechanism);
            config.key_label = Some(label.to_owned());
            let mut device = hsm::device(config);
            refused(device.unwrap(&made, &binding), kind, says);
            works(&mut device);
        };
        by(
            "newest",
            Pkcs11Mechanism::AesGcm,
            DeviceTrouble::Configuration,
            "configure the key that it was made with",
        );
        by("newer", Pkcs11Mechanism::AesGcm, DeviceTrouble::NotAuthentic, "another key");
        by(
            "kek",
            Pkcs11Mechanism::AesKeyWrap,
            DeviceTrouble::Configuration,
            "configure the ones that it was made with",
        );
    });
}
