//! Recipients, as whoever names the holders of shares types them: what reads as one is written back as the same, and
//! encrypting to it gives a file.
#![no_main]
use keystore_format::age::{Randomness, Recipient, armored};
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(recipient) = Recipient::parse(text) else { return };
    assert_eq!(recipient.to_text().expect("was read"), text);
    let randomness =
        Randomness { ephemeral: Zeroizing::new([7; 32]), file_key: Zeroizing::new([8; 16]), nonce: [9; 16] };
    let file = recipient.encrypt(randomness, data).expect("is short");
    assert!(armored(&file).ends_with("-----END AGE ENCRYPTED FILE-----\n"));
});
