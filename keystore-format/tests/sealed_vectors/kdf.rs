use super::{CTX, ENVIRONMENT, STORE, WRAP, bytes};
use hex::encode as hex;
use keystore_format::{kdf, keyring, record, seal_record, share};
use serde_json::{Value, json};

pub(crate) fn vectors() -> Vec<Value> {
    let key = bytes(0x10);
    let common = json!({
        "key": hex(key), "store": hex(STORE.0), "environment": hex(ENVIRONMENT.0), "wrap": hex(WRAP.0),
        "kind": 66, "epoch": 3,
    });
    let derived = [
        ("root_id", hex(seal_record::root_id(&key, &CTX))),
        ("seal_mac_key", hex(seal_record::seal_mac_key(&key, &CTX).as_slice())),
        ("keyring_key", hex(keyring::keyring_key(&key, &CTX).as_slice())),
        ("record_key_of_kind_66_in_epoch_3", hex(record::record_key(&key, &CTX, 66, 3).as_slice())),
        ("share_set_id", hex(share::set_id(&key, &CTX, WRAP))),
        ("kek_of_an_inheriting_child", hex(seal_record::child_kek(&key, ENVIRONMENT).as_slice())),
    ];
    let mut vectors: Vec<Value> = derived
        .into_iter()
        .map(|(name, out)| {
            let mut vector = common.clone();
            vector["name"] = json!(name);
            vector["out"] = json!(out);
            vector
        })
        .collect();
    vectors.push(json!({
        "name": "any_label_and_three_blocks_of_output",
        "key": hex(key), "label": "some label", "info": hex(b"info"),
        "out": hex(kdf::derive::<96>(&key, "some label", &[b"in", b"fo"]).as_slice()),
    }));
    vectors
}
