use super::{bytes, changed, refused};
use hex::encode as hex;
use keystore_format::envelope::{Header, open, seal};
use serde_json::{Value, json};

fn header(environment: &str) -> Header {
    Header {
        environment: environment.into(),
        mount: "transit".into(),
        key: "orders".into(),
        wrapped: "vault:v1:c2VhbGVk".into(),
    }
}

fn inputs(name: &str, message: &[u8], associated: &[u8]) -> Value {
    json!({
        "name": name, "data_key": hex(bytes::<32>(0x10)), "salt": hex(bytes::<24>(0x30)),
        "associated": hex(associated), "message": hex(message),
    })
}

fn sealed(header: &Header, associated: &[u8], plain: &[u8]) -> Vec<u8> {
    seal(header, &bytes(0x10), &bytes(0x30), associated, plain).unwrap()
}

fn opens(name: &str, header: &Header, associated: &[u8], plain: &[u8]) -> Value {
    let mut vector = inputs(name, &sealed(header, associated, plain), associated);
    vector["header"] = json!([header.environment, header.mount, header.key, header.wrapped]);
    vector["plain"] = json!(hex(plain));
    vector
}

pub(crate) fn vectors() -> Vec<Value> {
    let good = sealed(&header("acme/prod"), b"order 7", b"plain");
    let broken = |name: &str, message: &[u8], associated: &[u8], field, offset, fault| {
        let mut vector = inputs(name, message, associated);
        vector["error"] = refused(open(message, &bytes(0x10), associated), field, offset, fault);
        vector
    };
    let altered = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        broken(name, &changed(&good, change), b"order 7", field, offset, fault)
    };
    vec![
        opens("message_with_associated_data", &header("acme/prod"), b"order 7", b"plain"),
        opens("message_of_the_root_environment", &header(""), b"", b"plain"),
        opens("message_that_is_empty", &header("prod"), b"", b""),
        opens("message_with_names_beyond_ascii", &header("équipe/δ"), b"", b"plain"),
        broken(
            "message_with_other_associated_data",
            &good,
            b"order 8",
            "stream commitment",
            77,
            "NotAuthentic",
        ),
        altered("message_of_no_bytes", &|m| m.clear(), "envelope magic", 0, "Truncated"),
        altered("message_with_another_magic", &|m| m[3] = b'w', "envelope magic", 0, "Invalid"),
        altered("message_cut_before_the_version", &|m| m.truncate(4), "envelope version", 4, "Truncated"),
        altered("message_of_an_unknown_version", &|m| m[4] = 2, "envelope version", 4, "UnknownVersion"),
        altered(
            "message_of_an_unknown_algorithm",
            &|m| m[5] = 2,
            "envelope algorithm",
            5,
            "UnknownAlgorithm",
        ),
        altered(
            "message_with_an_environment_of_64_kib",
            &|m| m[6..8].fill(0xff),
            "envelope environment",
            6,
            "TooLong",
        ),
        altered(
            "message_with_an_environment_that_is_not_utf_8",
            &|m| m[8] = 0xff,
            "envelope environment",
            6,
            "Invalid",
        ),
        altered("message_cut_in_the_mount", &|m| m.truncate(20), "envelope mount", 19, "Truncated"),
        altered(
            "message_cut_in_the_length_of_the_mount",
            &|m| m.truncate(18),
            "envelope mount",
            17,
            "Truncated",
        ),
        altered(
            "message_with_its_environment_altered",
            &|m| m[8] = b'b',
            "stream commitment",
            77,
            "NotAuthentic",
        ),
        altered(
            "message_with_a_byte_moved_from_mount_to_key",
            &|m| {
                m[18] -= 1;
                m[25..28].copy_from_slice(&[0, 7, b't']);
            },
            "stream commitment",
            77,
            "NotAuthentic",
        ),
        altered("message_with_a_flipped_bit", &|m| m[109] ^= 1, "stream chunk", 109, "NotAuthentic"),
        altered("message_without_chunks", &|m| m.truncate(109), "stream final chunk", 109, "Truncated"),
    ]
}
