//! PINs: where they are read, and that a wrong one is never tried again.
use crate::hsm::{self, Hsm, PIN, private, refused, root, with_hsm, works, wrap};
use coffer_seal::{
    device::{Device as _, DeviceTrouble},
    pkcs11::{PinSource, Pkcs11Device},
};
use keystore_format::device_wraps::Pkcs11Mechanism;
use std::{fs, os::unix::fs::PermissionsExt as _};

fn device(hsm: &Hsm, pin: PinSource) -> Pkcs11Device {
    let mut config = hsm.config(Pkcs11Mechanism::AesGcm);
    config.pin = pin;
    hsm::device(config)
}

#[test]
fn a_wrong_pin_is_tried_once_until_the_device_is_configured_anew() {
    with_hsm(|hsm| {
        let hsm = hsm.furnished(&[]).watched();
        let (key, binding) = root(1);
        let made = hsm.device(Pkcs11Mechanism::AesGcm).wrap(&key, &binding).unwrap();
        for wrong in
            ["8172635446", "1", "a PIN that is much longer than any PIN that this token would ever take"]
        {
            private(&hsm.folder.join("pin"), wrong.as_bytes());
            let before = hsm.logins();
            let mut device = hsm.device(Pkcs11Mechanism::AesGcm);
            device.health().unwrap();
            refused(device.wrap(&key, &binding), DeviceTrouble::WrongPin, "which is not tried again");
            // Not even with the right one, which may have been put there for another token.
            private(&hsm.folder.join("pin"), PIN.as_bytes());
            for _ in 0..3 {
                refused(
                    device.unwrap(&wrap(&made, &binding), &binding),
                    DeviceTrouble::WrongPin,
                    "restart the daemon",
                );
                refused(device.wrap(&key, &binding), DeviceTrouble::WrongPin, "which is not tried again");
                refused(device.health(), DeviceTrouble::WrongPin, "which is not tried again");
            }
            assert_eq!(hsm.logins() - before, 1, "{wrong}");
            works(&mut hsm.device(Pkcs11Mechanism::AesGcm));
        }
    });
}

#[test]
fn a_locked_pin_is_named_and_not_tried_again() {
    with_hsm(|hsm| {
        let hsm = hsm.furnished(&[]).watched();
        let (key, binding) = root(1);
        hsm.demand("locked");
        let mut device = hsm.device(Pkcs11Mechanism::AesGcm);
        for _ in 0..3 {
            refused(device.wrap(&key, &binding), DeviceTrouble::Locked, "must set a new one");
        }
        refused(device.health(), DeviceTrouble::Locked, "must set a new one");
        assert_eq!(hsm.logins(), 1);
        hsm.relent("locked");
        // Where the token itself shows that it is locked, it is not even tried.
        hsm.demand("shown-locked");
        let mut device = hsm.device(Pkcs11Mechanism::AesGcm);
        refused(device.wrap(&key, &binding), DeviceTrouble::Locked, "must set a new one");
        refused(device.health(), DeviceTrouble::Locked, "must set a new one");
        assert_eq!(hsm.logins(), 1);
        hsm.relent("shown-locked");
        works(&mut device);
    });
}

#[test]
fn a_pin_comes_from_a_file_a_variable_or_a_credential() {
    with_hsm(|hsm| {
        hsm.furnished(&[]);
        works(&mut device(hsm, PinSource::Environment("COFFER_TEST_PIN".to_owned())));
        works(&mut device(hsm, PinSource::Credential("hsm-pin".to_owned())));
        let file = hsm.folder.join("pin");
        for text in [PIN.to_owned(), format!("{PIN}\n"), format!("{PIN}\r\n")] {
            private(&file, text.as_bytes());
            works(&mut device(hsm, PinSource::File(file.clone())));
        }
    });
}

#[test]
fn a_pin_that_cannot_be_read_is_named_and_read_again_when_it_can() {
    with_hsm(|hsm| {
        let hsm = hsm.furnished(&[]).watched();
        let (key, binding) = root(1);
        let file = hsm.folder.join("pin");
        let source = PinSource::File(file.clone());
        let mut one = device(&hsm, source);
        let mut refuse = |says: &str| refused(one.wrap(&key, &binding), DeviceTrouble::Configuration, says);
        for mode in [0o640, 0o604, 0o660, 0o620, 0o666] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            refuse("must be 0600 or 0400");
        }
        private(&file, b"\n");
        refuse("is empty");
        private(&file, &[b'1'; 2000]);
        refuse("longer than a PIN");
        fs::remove_file(&file).unwrap();
        refuse("is not there");
        fs::create_dir(&file).unwrap();
        refuse("is not a regular file");
        fs::remove_dir(&file).unwrap();
        for (pin, says) in [
            (PinSource::Environment("COFFER_TEST_NOT_SET".to_owned()), "is not set"),
            (PinSource::Credential("missing".to_owned()), "LoadCredential="),
            (PinSource::Credential("../pin".to_owned()), "without slashes"),
            (PinSource::Credential("..".to_owned()), "without slashes"),
            (PinSource::Credential("/etc/passwd".to_owned()), "without slashes"),
        ] {
            refused(device(&hsm, pin).wrap(&key, &binding), DeviceTrouble::Configuration, says);
        }
        assert_eq!(hsm.logins(), 0, "none of it is the token's business");
        private(&file, PIN.as_bytes());
        works(&mut one);
    });
}
