//! The strings of BIP-350's "Test vectors" section. Some valid ones hold values of five bits that are no whole
//! bytes; their checksum is right and only their padding is refused, which is how they are kept here.
use super::refused;
use hex::encode as hex;
use keystore_format::bech32m;
use serde_json::{Value, json};

const VALID: [(&str, &str); 7] = [
    ("bip350_valid_upper_case", "A1LQFN3A"),
    ("bip350_valid_lower_case", "a1lqfn3a"),
    (
        "bip350_valid_prefix_of_83_characters",
        "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    ),
    ("bip350_valid_whole_alphabet", "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx"),
    (
        "bip350_valid_prefix_is_a_separator",
        "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
    ),
    ("bip350_valid_words", "split1checkupstagehandshakeupstreamerranterredcaperredlc445v"),
    ("bip350_valid_prefix_is_punctuation", "?1v759aa"),
];

const INVALID: [(&str, &str, &str, usize, &str); 13] = [
    ("bip350_invalid_space_in_prefix", "\u{20}1xj0phk", "character", 0, "Invalid"),
    ("bip350_invalid_delete_in_prefix", "\u{7f}1g6xzxy", "character", 0, "Invalid"),
    (
        "bip350_invalid_too_long",
        "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4",
        "text",
        90,
        "TooLong",
    ),
    ("bip350_invalid_no_separator", "qyrz8wqd2c9m", "prefix", 0, "Invalid"),
    ("bip350_invalid_empty_prefix", "1qyrz8wqd2c9m", "prefix", 0, "Invalid"),
    ("bip350_invalid_b_in_data", "y1b0jsk6g", "character", 2, "Invalid"),
    ("bip350_invalid_i_in_data", "lt1igcx5c0", "character", 3, "Invalid"),
    ("bip350_invalid_checksum_too_short", "in1muywd", "checksum", 8, "Truncated"),
    ("bip350_invalid_i_in_checksum", "mm1crxm3i", "character", 8, "Invalid"),
    ("bip350_invalid_o_in_checksum", "au1s5cgom", "character", 7, "Invalid"),
    ("bip350_invalid_checksum_of_upper_case_prefix", "M1VUXWEZ", "checksum", 2, "NotAuthentic"),
    ("bip350_invalid_empty_prefix_and_data", "16plkw9", "prefix", 0, "Invalid"),
    ("bip350_invalid_empty_prefix_again", "1p2gdwpf", "prefix", 0, "Invalid"),
];

pub(crate) fn vectors() -> Vec<Value> {
    let valid = VALID.into_iter().map(|(name, text)| {
        let prefix = text.rsplit_once('1').unwrap().0.to_ascii_lowercase();
        match bech32m::decode(&prefix, text) {
            Ok(bytes) => {
                assert_eq!(*bech32m::encode(&prefix, &bytes).unwrap(), text.to_ascii_lowercase());
                json!({ "name": name, "prefix": prefix, "text": text, "bytes": hex(bytes.as_slice()) })
            }
            Err(error) => {
                let error = refused::<()>(Err(error), "padding", text.len() - 7, "NotCanonical");
                json!({ "name": name, "prefix": prefix, "text": text, "error": error })
            }
        }
    });
    let invalid = INVALID.into_iter().map(|(name, text, field, offset, fault)| {
        let prefix = text.rsplit_once('1').map_or("", |(prefix, _)| prefix).to_ascii_lowercase();
        let error = refused(bech32m::decode(&prefix, text), field, offset, fault);
        json!({ "name": name, "prefix": prefix, "text": text, "error": error })
    });
    // Nine values of zero: five bytes, and five spare bits that say nothing.
    let text = "coffer1qqqqqqqqqn5fnym";
    let error = refused(bech32m::decode("coffer", text), "padding", text.len() - 7, "NotCanonical");
    let spare = json!({ "name": "five_spare_bits", "prefix": "coffer", "text": text, "error": error });
    valid.chain(invalid).chain([spare]).collect()
}
