//! Tokens and keys that are not there, not the one, or gone for a while.
use crate::hsm::{self, TOKEN, refused, root, run, with_hsm, works, wrap};
use coffer_seal::{
    device::{
        Device as _,
        DeviceTrouble::{Configuration, Unreachable},
    },
    pkcs11::TokenName,
};
use cryptoki::{context::Pkcs11, object::Attribute};
use keystore_format::device_wraps::{OaepHash, Pkcs11Mechanism};

#[test]
fn a_token_that_is_absent_blank_or_without_a_pin_is_named_and_used_when_it_is_ready() {
    with_hsm(|hsm| {
        let (key, binding) = root(1);
        let mut device = hsm.device(Pkcs11Mechanism::AesGcm);
        // SoftHSM always has one blank token.
        refused(device.wrap(&key, &binding), Unreachable, "initialise the token that is there and blank");
        refused(device.health(), Unreachable, "no slot has a token");
        hsm.token_without_pin(TOKEN);
        refused(device.wrap(&key, &binding), Configuration, "must set one");
        refused(device.health(), Configuration, "must set one");
        std::fs::remove_dir_all(hsm.folder.join("tokens")).unwrap();
        std::fs::create_dir(hsm.folder.join("tokens")).unwrap();
        hsm.token("another");
        refused(device.wrap(&key, &binding), Unreachable, "put it in");
        hsm.furnished(&[]);
        works(&mut device);
    });
}

#[test]
fn two_tokens_of_one_label_are_told_apart_by_serial_number() {
    with_hsm(|hsm| {
        hsm.furnished(&[]).token(TOKEN);
        let (key, binding) = root(1);
        let mut config = hsm.config(Pkcs11Mechanism::AesGcm);
        refused(hsm::device(config.clone()).wrap(&key, &binding), Configuration, "configure token_serial");
        let listed = run(hsm.tool().arg("--list-token-slots"));
        let serials =
            listed.lines().filter_map(|line| line.trim().strip_prefix("serial num")?.split(": ").nth(1));
        let mut found = 0;
        for serial in serials.filter(|serial| !serial.trim().is_empty()) {
            config.token = TokenName::Serial(serial.trim().to_owned());
            let mut device = hsm::device(config.clone());
            match device.wrap(&key, &binding) {
                Ok(_) => found += 1,
                without => refused(without, Configuration, "no key"),
            }
        }
        assert_eq!(found, 1, "{listed}");
    });
}

#[test]
fn a_key_that_is_absent_ambiguous_or_of_another_kind_is_named() {
    with_hsm(|hsm| {
        hsm.furnished(&[]);
        let (key, binding) = root(1);
        let refuse = |label: &str, id: Option<u8>, mechanism, says: &str| {
            let mut config = hsm.config(mechanism);
            (config.key_label, config.key_id) = (Some(label.to_owned()), id.map(|id| vec![id]));
            let mut device = hsm::device(config);
            refused(device.wrap(&key, &binding), Configuration, says);
            device.health().unwrap();
        };
        refuse("another", None, Pkcs11Mechanism::AesGcm, "no key");
        refuse("kek", Some(8), Pkcs11Mechanism::AesGcm, "no key");
        refuse("kek", None, Pkcs11Mechanism::RsaOaep(OaepHash::Sha1), "no key");
        hsm.key(TOKEN, &["--keygen", "--key-type", "GENERIC:32", "--label", "generic", "--id", "09"]);
        refuse("generic", None, Pkcs11Mechanism::AesGcm, "not of the configured mechanism's kind");
        hsm.key(TOKEN, &["--keygen", "--key-type", "AES:32", "--label", "kek", "--id", "0a"]);
        refuse("kek", None, Pkcs11Mechanism::AesGcm, "more than one");
        let mut config = hsm.config(Pkcs11Mechanism::AesGcm);
        config.key_id = Some(vec![10]);
        works(&mut hsm::device(config));
    });
}

#[test]
fn a_token_that_was_lost_is_used_again_when_it_is_back_with_one_login() {
    with_hsm(|hsm| {
        let hsm = hsm.furnished(&hsm::EACH).watched();
        for mechanism in hsm::EACH {
            let (key, binding) = root(1);
            let mut device = hsm.device(mechanism);
            let made = device.wrap(&key, &binding).unwrap();
            for round in 0..3 {
                hsm.pull();
                if round > 0 {
                    refused(device.wrap(&key, &binding), Unreachable, "put it in");
                    refused(device.unwrap(&wrap(&made, &binding), &binding), Unreachable, "put it in");
                }
                if round > 1 {
                    refused(device.health(), Unreachable, "put it in");
                }
                hsm.put_back();
                let before = hsm.logins();
                if round > 1 {
                    device.health().unwrap();
                }
                let opened = device.unwrap(&wrap(&made, &binding), &binding).unwrap();
                assert_eq!(opened.expose(), key.expose());
                works(&mut device);
                // In the first round nobody has noticed, and the session was never lost.
                assert_eq!(hsm.logins() - before, usize::from(round > 0), "{mechanism:?} {round}");
            }
        }
    });
}

#[test]
fn a_token_that_was_away_unnoticed_is_recovered_within_one_call() {
    with_hsm(|hsm| {
        let hsm = hsm.furnished(&[]).watched();
        let (key, binding) = root(1);
        let mut device = hsm.device(Pkcs11Mechanism::AesGcm);
        let made = device.wrap(&key, &binding).unwrap();
        // Somebody else in the process asks while it is away: SoftHSM forgets the key, and our session stays as it was.
        let module = Pkcs11::new(&hsm.module).unwrap();
        let slot = module.get_slots_with_initialized_token().unwrap()[0];
        let session = module.open_ro_session(slot).unwrap();
        hsm.pull();
        assert_eq!(session.find_objects(&[Attribute::Label(b"kek".to_vec())]).unwrap(), []);
        hsm.put_back();
        let before = hsm.logins();
        let opened = device.unwrap(&wrap(&made, &binding), &binding).unwrap();
        assert_eq!(opened.expose(), key.expose());
        assert_eq!(hsm.logins() - before, 1);
        // Or ends the whole module under us.
        module.finalize().unwrap();
        works(&mut device);
        assert_eq!(hsm.logins() - before, 2);
    });
}

#[test]
fn devices_of_one_module_do_not_disturb_one_another() {
    with_hsm(|hsm| {
        hsm.furnished(&hsm::EACH);
        let mut devices: Vec<_> = hsm::EACH.map(|mechanism| hsm.device(mechanism)).into();
        devices.iter_mut().for_each(works);
        hsm.pull();
        refused(devices[1].health(), Unreachable, "put it in");
        hsm.put_back();
        devices.iter_mut().for_each(works);
        drop(devices.remove(0));
        devices.iter_mut().for_each(works);
        std::thread::scope(|scope| {
            for device in &mut devices {
                scope.spawn(|| (0..20).for_each(|_| works(device)));
            }
        });
    });
}
