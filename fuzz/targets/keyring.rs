//! Keyring and head, which the barrier opens at start: what is read is written back unchanged.
#![no_main]
use coffer_fuzz::{CONTEXT, KEY};
use keystore_format::{head::Head, keyring, keyring::Keyring, tables::Slot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(head) = Head::decode(data) {
        assert_eq!(head.encode().expect("was read"), data);
    }
    assert!(keyring::open_keyring(&KEY, &CONTEXT, Slot::A, data).is_err(), "made under no key");
    if let Ok(keyring) = Keyring::decode(data) {
        assert_eq!(*keyring.encode().expect("was read"), data);
        let sealed = keyring::seal_keyring(&KEY, &CONTEXT, Slot::A, &[3; 24], &keyring).expect("was read");
        let opened = keyring::open_keyring(&KEY, &CONTEXT, Slot::A, &sealed).expect("sealed here");
        assert_eq!(*opened.encode().expect("was read"), data);
        assert!(keyring::open_keyring(&KEY, &CONTEXT, Slot::B, &sealed).is_err(), "opened in the other slot");
    }
});
