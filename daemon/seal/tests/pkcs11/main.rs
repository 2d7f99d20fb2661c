//! Root keys under a real PKCS#11 module, SoftHSM 2, and all that can be wrong with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]
mod damage;
mod hsm;
mod pins;
mod speed;
mod tokens;

use coffer_seal::{
    device::Device as _,
    device::DeviceTrouble,
    pkcs11::{Pkcs11Config, Pkcs11Device, TokenName, mechanism},
};
use hsm::{EACH, Os, device, refused, root, run, with_hsm, works, wrap};
use keystore_format::device_wraps::{OaepHash, Pkcs11Mechanism, Pkcs11Parameters};
use std::{fs, process::Command, sync::Arc};

type Change = fn(&mut Pkcs11Config);

#[test]
fn each_mechanism_wraps_a_root_key_and_opens_it_again() {
    with_hsm(|hsm| {
        hsm.furnished(&EACH);
        for (mechanism, blob_len, id) in
            EACH.iter().zip([61, 41, 41, 257]).zip([7, 7, 7, 8]).map(|((m, l), i)| (*m, l, i))
        {
            let (key, binding) = root(1);
            let mut maker = hsm.device(mechanism);
            maker.health().unwrap();
            let made = maker.wrap(&key, &binding).unwrap();
            assert_eq!(made.blob.len(), blob_len, "{mechanism:?}");
            assert_eq!(
                Pkcs11Parameters::decode(&made.parameters).unwrap(),
                Pkcs11Parameters { mechanism, key_id: vec![id] }
            );
            drop(maker);
            // Another device, by the key's id instead of its label.
            let mut config = hsm.config(mechanism);
            (config.key_label, config.key_id) = (None, Some(vec![id]));
            let mut opener = device(config);
            let opened = opener.unwrap(&wrap(&made, &binding), &binding).unwrap();
            assert_eq!(opened.expose(), key.expose(), "{mechanism:?}");
            works(&mut opener);
        }
        let gcm = |device: &mut Pkcs11Device| device.wrap(&root(1).0, &root(1).1).unwrap().blob;
        let mut device = hsm.device(Pkcs11Mechanism::AesGcm);
        assert_ne!(gcm(&mut device)[..13], gcm(&mut device)[..13], "a nonce was used twice");
    });
}

#[test]
fn a_hash_that_the_module_does_not_have_is_named_and_another_can_be_configured() {
    with_hsm(|hsm| {
        hsm.furnished(&EACH);
        let (key, binding) = root(1);
        for hash in [OaepHash::Sha256, OaepHash::Sha384, OaepHash::Sha512] {
            let mut device = hsm.device(Pkcs11Mechanism::RsaOaep(hash));
            refused(device.wrap(&key, &binding), DeviceTrouble::Configuration, "configure one that it has");
            device.health().unwrap();
        }
        works(&mut hsm.device(Pkcs11Mechanism::RsaOaep(OaepHash::Sha1)));
    });
}

#[test]
fn a_module_that_is_none_is_named_for_what_it_is() {
    with_hsm(|hsm| {
        hsm.furnished(&[]);
        let (missing, text, foreign) =
            (hsm.folder.join("missing.so"), hsm.folder.join("text.so"), hsm.folder.join("foreign.so"));
        fs::write(&text, "no library").unwrap();
        fs::write(hsm.folder.join("foreign.c"), "int nothing;").unwrap();
        run(Command::new("cc").args(["-shared", "-o"]).arg(&foreign).arg(hsm.folder.join("foreign.c")));
        let (key, binding) = root(1);
        let device_of = |module: &std::path::Path, says: &str| {
            let mut config = hsm.config(Pkcs11Mechanism::AesGcm);
            config.module = module.to_owned();
            let mut device = device(config);
            refused(device.wrap(&key, &binding), DeviceTrouble::Configuration, says);
            refused(device.health(), DeviceTrouble::Configuration, says);
            device
        };
        device_of(&text, "can't be loaded");
        device_of(&foreign, "no PKCS#11 module");
        // It is looked for each time, so that installing it is enough.
        let mut later = device_of(&missing, "no file where module says");
        std::os::unix::fs::symlink(&hsm.module, &missing).unwrap();
        works(&mut later);
        works(&mut hsm.device(Pkcs11Mechanism::AesGcm));
    });
}

#[test]
fn a_configuration_that_names_too_little_is_refused_before_the_module_is_asked() {
    with_hsm(|hsm| {
        let cases: [(&str, Change); 5] = [
            ("absolute path", |config| config.module = "libsofthsm2.so".into()),
            ("token_label or token_serial", |config| config.token = TokenName::Serial(String::new())),
            ("key_label or key_id", |config| config.key_label = None),
            ("1 to 255 bytes", |config| config.key_id = Some(Vec::new())),
            ("1 to 255 bytes", |config| config.key_id = Some(vec![0; 256])),
        ];
        for (says, change) in cases {
            let mut config = hsm.config(Pkcs11Mechanism::AesGcm);
            change(&mut config);
            refused(Pkcs11Device::new(config, Arc::new(Os)), DeviceTrouble::Configuration, says);
        }
    });
    assert_eq!(mechanism("aes-key-wrap-pad", None), Ok(Pkcs11Mechanism::AesKeyWrapPad));
    assert_eq!(mechanism("rsa-oaep", Some("sha384")), Ok(Pkcs11Mechanism::RsaOaep(OaepHash::Sha384)));
    assert!(mechanism("rsa-oaep", None).unwrap_err().contains("oaep_hash must be"));
    assert!(mechanism("aes-gcm", Some("sha1")).unwrap_err().contains("only"));
    assert!(mechanism("rsa-pkcs", None).unwrap_err().contains("mechanism must be"));
}

#[test]
fn a_module_that_hangs_is_given_up_at_its_deadline_and_used_again_when_it_answers() {
    with_hsm(|hsm| {
        let hsm = hsm.furnished(&[]).watched();
        let mut config = hsm.config(Pkcs11Mechanism::AesGcm);
        let (key, binding) = root(1);
        let mut patient = device(config.clone());
        let made = patient.wrap(&key, &binding).unwrap();
        config.deadline = std::time::Duration::from_millis(150);
        let mut hasty = device(config);
        hsm.demand("hanging");
        refused(
            hasty.unwrap(&wrap(&made, &binding), &binding),
            DeviceTrouble::Unreachable,
            "has not answered",
        );
        refused(hasty.health(), DeviceTrouble::Unreachable, "has not answered");
        hsm.relent("hanging");
        assert_eq!(patient.unwrap(&wrap(&made, &binding), &binding).unwrap().expose(), key.expose());
        works(&mut patient);
    });
}
