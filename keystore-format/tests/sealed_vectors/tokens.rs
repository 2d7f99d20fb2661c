use super::bytes;
use hex::encode as hex;
use keystore_format::token;
use serde_json::{Value, json};

pub(crate) fn vectors() -> Vec<Value> {
    let case = |name: &str, token_key: [u8; 32], shown: [u8; 32]| {
        let digest = token::digest(&shown);
        json!({
            "name": name, "token": hex(shown), "token_key": hex(token_key), "digest": hex(digest.as_slice()),
            "index": hex(token::index(&token_key, &digest)),
        })
    };
    vec![
        case("token", bytes(0x60), bytes(0x01)),
        case("the_same_token_under_the_next_token_key", bytes(0x61), bytes(0x01)),
        case("another_token", bytes(0x60), bytes(0x02)),
    ]
}
