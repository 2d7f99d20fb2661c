//! Files of the age format. The `age` crate, another's work, opens each of them here; its command does in the tests of
//! the whole.
use super::{bytes, refused};
use age::secrecy::ExposeSecret;
use hex::encode as hex;
use keystore_format::age::{MAX_PLAINTEXT, Randomness, Recipient, armored};
use keystore_format::error::Fault;
use serde_json::{Value, json};
use std::io::Read;
use zeroize::Zeroizing;

/// Made once by `age-keygen`, for these vectors alone.
const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

pub(crate) fn vectors() -> Vec<Value> {
    let mut vectors = vec![
        encrypted(
            "a_share",
            b"coffer1qxfrqezqajq25zcf2lfydnqxfrqezqajq25zcf2lfydnqxfrqezqajq25zcf2lfydnqq\n",
        ),
        encrypted("an_empty_file", b""),
        encrypted("a_file_of_two_lines_of_armor", &bytes::<96>(7)),
    ];
    vectors.extend(refusals());
    vectors
}

fn encrypted(name: &str, plaintext: &[u8]) -> Value {
    let identity: age::x25519::Identity = IDENTITY.parse().unwrap();
    assert_eq!(identity.to_public().to_string(), RECIPIENT);
    assert_eq!(identity.to_string().expose_secret(), IDENTITY);
    let recipient = Recipient::parse(RECIPIENT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(recipient.to_text().unwrap(), RECIPIENT);
    let (ephemeral, file_key, nonce) = (bytes::<32>(1), bytes::<16>(0x41), bytes::<16>(0xa1));
    let randomness =
        Randomness { ephemeral: Zeroizing::new(ephemeral), file_key: Zeroizing::new(file_key), nonce };
    let file = recipient.encrypt(randomness, plaintext).unwrap();
    let armor = armored(&file);
    for input in [&file[..], armor.as_bytes()] {
        let reader = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(input)).unwrap();
        let mut opened = Vec::new();
        let own = std::iter::once(&identity as &dyn age::Identity);
        reader.decrypt(own).unwrap().read_to_end(&mut opened).unwrap();
        assert_eq!(opened, plaintext);
    }
    json!({
        "name": name, "recipient": RECIPIENT, "ephemeral": hex(ephemeral),
        "file_key": hex(file_key), "nonce": hex(nonce), "plaintext": hex(plaintext),
        "file": hex(file), "armor": armor,
    })
}

fn refusals() -> Vec<Value> {
    let case = |name: &str, recipient: &str, field, offset, fault| json!({ "name": name, "recipient": recipient, "error": refused(Recipient::parse(recipient).map(|_| ()), field, offset, fault) });
    let mut mistyped = RECIPIENT.to_owned();
    mistyped.replace_range(20..21, "q");
    let mut all = vec![
        case("recipient_with_one_character_mistyped", &mistyped, "checksum", 56, "NotAuthentic"),
        case("recipient_in_upper_case", &RECIPIENT.to_ascii_uppercase(), "recipient", 0, "NotCanonical"),
        case("recipient_that_is_an_identity", IDENTITY, "prefix", 0, "Invalid"),
        case("recipient_that_is_empty", "", "prefix", 0, "Invalid"),
        // BIP-350's checksum is not BIP-173's.
        case(
            "recipient_in_bech32m",
            &keystore_format::bech32m::encode("age", &bytes::<32>(1)).unwrap(),
            "checksum",
            56,
            "NotAuthentic",
        ),
        case("recipient_of_31_bytes", SHORT, "recipient", 0, "Truncated"),
        case("recipient_of_33_bytes", LONG, "recipient", 0, "TrailingBytes"),
    ];
    for (at, recipient) in LOW_ORDER.iter().enumerate() {
        all.push(case(&format!("recipient_of_low_order_{at}"), recipient, "recipient", 0, "Invalid"));
    }
    all
}

const SHORT: &str = "age1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5z5tpwxqergd3c8g7ru28p0lr";
const LONG: &str = "age1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5z5tpwxqergd3c8g7ruszzxrc4t3";
/// The points of RFC 7748's curve and its twist whose order divides 8, in all their encodings below 2^255.
const LOW_ORDER: [&str; 7] = [
    "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
    "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
    "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhqqqzyt4v9",
    "age1t7wft09r2zxzfvwsk92eeql0tvzyghxytqwgapkcyf8dm5ylz9ts6wm9s8",
    "age1anlllllllllllllllllllllllllllllllllllllllllllllllals4n2t7m",
    "age1ahlllllllllllllllllllllllllllllllllllllllllllllllalsn46ayy",
    "age1amlllllllllllllllllllllllllllllllllllllllllllllllalselrwrv",
];

#[test]
fn a_file_is_one_chunk_and_no_longer() {
    let recipient = Recipient::parse(RECIPIENT).unwrap_or_else(|error| panic!("{error}"));
    let randomness = || Randomness {
        ephemeral: Zeroizing::new(bytes(1)),
        file_key: Zeroizing::new(bytes(2)),
        nonce: bytes(3),
    };
    assert!(recipient.encrypt(randomness(), &vec![7; MAX_PLAINTEXT]).is_ok());
    let refused = recipient.encrypt(randomness(), &vec![7; MAX_PLAINTEXT + 1]);
    assert_eq!(refused.unwrap_err().fault, Fault::TooLong);
}
