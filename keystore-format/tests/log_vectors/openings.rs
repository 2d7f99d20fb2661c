use super::{ENVIRONMENT, bytes, changed, refused};
use hex::encode as hex;
use keystore_format::{cbor::Writer, ids::EnvironmentId, openings::Openings, xaes};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const LEAF: u64 = 77;

fn made(values: &[(&str, &[u8])]) -> Openings {
    let mut openings = Openings::new(Zeroizing::new(bytes(0x10)));
    for (field, value) in values {
        openings.commit(field, value);
    }
    openings
}

fn sealed(openings: &Openings) -> Vec<u8> {
    openings.seal(&bytes(0x40), &bytes(0x50), &bytes(0x60), ENVIRONMENT, LEAF).unwrap()
}

fn vector(name: &str, sealed: &[u8], key: [u8; 32], environment: EnvironmentId, leaf_id: u64) -> Value {
    json!({
        "name": name, "key": hex(key), "key_id": hex(bytes::<16>(0x50)), "nonce": hex(bytes::<24>(0x60)),
        "environment": hex(environment.0), "leaf_id": leaf_id, "sealed": hex(sealed),
    })
}

fn opens(name: &str, openings: &Openings) -> Value {
    let mut vector = vector(name, &sealed(openings), bytes(0x40), ENVIRONMENT, LEAF);
    vector["salt"] = json!(hex(*openings.salt));
    vector["values"] =
        openings.values.iter().map(|(field, value)| (field.clone(), json!(hex(value)))).collect();
    vector
}

/// Seals what no writer of the format would.
fn sealed_raw(plain: &[u8]) -> Vec<u8> {
    let header = [&[1, 1][..], &bytes::<16>(0x50)].concat();
    let aad = [b"coffer/v1/openings\0", &header[..], &ENVIRONMENT.0, &LEAF.to_be_bytes()].concat();
    let mut body = plain.to_vec();
    let tag = xaes::encrypt(&bytes(0x40), &bytes(0x60), &aad, &mut body).unwrap();
    [&header[..], &bytes::<24>(0x60), &body, &tag].concat()
}

pub(crate) fn vectors() -> Vec<Value> {
    let good = sealed(&made(&[("path", b"db/prod"), ("ip", b"192.0.2.7"), ("empty", b"")]));
    let case = |name: &str, sealed: &[u8], key, environment, leaf, field, offset, fault| {
        let mut vector = vector(name, sealed, key, environment, leaf);
        vector["error"] = refused(Openings::open(sealed, &key, environment, leaf), field, offset, fault);
        vector
    };
    let altered = |name: &str, sealed: Vec<u8>, field, offset, fault| {
        case(name, &sealed, bytes(0x40), ENVIRONMENT, LEAF, field, offset, fault)
    };
    let mut salt_only = Writer::new();
    salt_only.uint(0);
    salt_only.bytes(&bytes::<32>(0x10));
    let salt_only = salt_only.finish();
    let plain = |head: u8, tail: &[u8]| sealed_raw(&[&[head][..], &salt_only, tail].concat());
    vec![
        opens(
            "openings_of_three_fields",
            &made(&[("path", b"db/prod"), ("ip", b"192.0.2.7"), ("empty", b"")]),
        ),
        opens("openings_of_a_salt_only", &made(&[])),
        case(
            "openings_under_another_key",
            &good,
            bytes(0x41),
            ENVIRONMENT,
            LEAF,
            "openings",
            42,
            "NotAuthentic",
        ),
        case(
            "openings_of_another_leaf",
            &good,
            bytes(0x40),
            ENVIRONMENT,
            LEAF + 1,
            "openings",
            42,
            "NotAuthentic",
        ),
        case(
            "openings_of_another_environment",
            &good,
            bytes(0x40),
            EnvironmentId(*b"environment id 2"),
            LEAF,
            "openings",
            42,
            "NotAuthentic",
        ),
        altered("openings_that_are_empty", vec![], "openings header", 0, "Truncated"),
        altered("openings_cut_in_the_key_id", good[..17].to_vec(), "openings header", 0, "Truncated"),
        altered("openings_cut_in_the_nonce", good[..41].to_vec(), "openings nonce", 18, "Truncated"),
        altered("openings_cut_in_the_tag", good[..57].to_vec(), "openings tag", 42, "Truncated"),
        altered("openings_cut_in_the_ciphertext", good[..60].to_vec(), "openings", 42, "NotAuthentic"),
        altered(
            "openings_of_an_unknown_version",
            changed(&good, |sealed| sealed[0] = 2),
            "openings version",
            0,
            "UnknownVersion",
        ),
        altered(
            "openings_of_an_unknown_algorithm",
            changed(&good, |sealed| sealed[1] = 2),
            "openings algorithm",
            1,
            "UnknownAlgorithm",
        ),
        altered(
            "openings_with_another_key_id",
            changed(&good, |sealed| sealed[2] ^= 1),
            "openings",
            42,
            "NotAuthentic",
        ),
        altered(
            "openings_with_a_flipped_bit",
            changed(&good, |sealed| sealed[70] ^= 0x80),
            "openings",
            42,
            "NotAuthentic",
        ),
        altered("openings_with_three_keys", plain(0xa3, &[]), "openings", 0, "Invalid"),
        altered(
            "openings_with_an_empty_map_of_values",
            plain(0xa2, &[1, 0xa0]),
            "openings values",
            37,
            "NotCanonical",
        ),
        altered(
            "openings_with_another_key_for_values",
            plain(0xa2, &[2, 0xa0]),
            "openings values",
            36,
            "Invalid",
        ),
        altered("openings_with_a_byte_too_many", plain(0xa1, &[0]), "openings", 36, "TrailingBytes"),
        altered("openings_without_a_salt", sealed_raw(&[0xa0]), "openings salt", 1, "Invalid"),
    ]
}
