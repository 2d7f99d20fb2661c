use super::{bytes, changed, refused};
use hex::encode as hex;
use keystore_format::{
    ids::{EnvironmentId, MountId},
    leaf::{
        Leaf, LeafKind, Plain, StateChange, actor_pseudonym, commitment, field_salt, hash, month_of,
        request_digest,
    },
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub(crate) fn full() -> Leaf {
    let mut leaf = Leaf::new(LeafKind::Result, 7_000_000_001, 1_785_000_000_123, "kv2/data", "read", 200);
    leaf.intent = Some(7_000_000_000);
    leaf.actor = Some(bytes(0x10));
    leaf.caller_environment = Some(EnvironmentId(bytes(0x20)));
    leaf.mount = Some(MountId(bytes(0x30)));
    for (field, first) in [("path", 0x40), ("ip", 0x60), ("role", 0x80)] {
        leaf.commitments.insert(field.into(), bytes(first));
    }
    leaf.request_digest = Some(bytes(0xa0));
    leaf.state = Some(StateChange { generation: 1 << 40, root_before: bytes(0xb0), root_after: bytes(0xc0) });
    leaf.plain.insert("version".into(), Plain::Uint(u64::MAX));
    leaf.plain.insert("engine".into(), Plain::Text("kv2 – données".into()));
    leaf
}

fn fields(leaf: &Leaf) -> Value {
    let mut fields = json!({
        "type": leaf.kind as u8, "id": leaf.id.to_string(), "time": leaf.time_ms.to_string(),
        "route": leaf.route, "operation": leaf.operation, "status": leaf.status,
    });
    let named = |map: Map<String, Value>| (!map.is_empty()).then_some(Value::Object(map));
    let commitments = leaf.commitments.iter().map(|(name, value)| (name.clone(), json!(hex(value))));
    let plain = leaf.plain.iter().map(|(name, value)| {
        let value = match value {
            Plain::Text(text) => json!(text),
            Plain::Uint(number) => json!(number),
        };
        (name.clone(), value)
    });
    let optional = [
        ("intent", leaf.intent.map(|id| json!(id.to_string()))),
        ("actor", leaf.actor.map(|id| json!(hex(id)))),
        ("caller environment", leaf.caller_environment.map(|id| json!(hex(id.0)))),
        ("mount", leaf.mount.map(|id| json!(hex(id.0)))),
        ("commitments", named(commitments.collect())),
        ("request digest", leaf.request_digest.map(|digest| json!(hex(digest)))),
        (
            "state",
            leaf.state.map(|state| {
                json!([state.generation.to_string(), hex(state.root_before), hex(state.root_after)])
            }),
        ),
        ("plain", named(plain.collect())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            fields[name] = value;
        }
    }
    fields
}

fn encoded(name: &str, leaf: &Leaf) -> Value {
    let bytes = leaf.encode().unwrap();
    assert_eq!(Leaf::decode(&bytes).as_ref(), Ok(leaf));
    json!({ "name": name, "fields": fields(leaf), "leaf": hex(&bytes), "hash": hex(hash(&bytes)) })
}

fn committed(name: &str, field: &str, value: &[u8]) -> Value {
    let salt = field_salt(&bytes(0x10), field);
    json!({
        "name": name, "salt": hex(bytes::<32>(0x10)), "field": field, "value": hex(value),
        "field_salt": hex(*salt), "commitment": hex(commitment(&salt, field, value)),
    })
}

fn pseudonym(name: &str, time_ms: u64, subject: &[u8]) -> Value {
    let month = month_of(time_ms);
    json!({
        "name": name, "commitment_key": hex(bytes::<32>(0x20)), "time": time_ms, "month": month,
        "subject": hex(subject), "pseudonym": hex(actor_pseudonym(&bytes(0x20), month, subject)),
    })
}

fn digested(name: &str, method: &str, path: &str, body: &[u8]) -> Value {
    let body_hash = Sha256::digest(body).into();
    json!({
        "name": name, "nonce": hex(bytes::<32>(0x30)), "method": method, "path": path, "body": hex(body),
        "digest": hex(request_digest(&bytes(0x30), method, path, &body_hash)),
    })
}

pub(crate) fn vectors() -> Vec<Value> {
    let small = Leaf::new(LeafKind::Request, 1, 2, "r", "o", 3);
    let small_bytes = small.encode().unwrap();
    let full_bytes = full().encode().unwrap();
    let case = |name: &str, bytes: Vec<u8>, field, offset, fault| json!({ "name": name, "leaf": hex(&bytes), "error": refused(Leaf::decode(&bytes), field, offset, fault) });
    let on_small = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        case(name, changed(&small_bytes, change), field, offset, fault)
    };
    // What follows the seven required pairs, in a map of eight.
    let eighth = |name: &str, pair: &[u8], field, offset, fault| {
        let bytes = changed(&small_bytes, |leaf| {
            leaf[0] = 0xa8;
            leaf.extend_from_slice(pair);
        });
        case(name, bytes, field, offset, fault)
    };
    let after_actor = full_bytes.len();
    vec![
        encoded("leaf_with_every_field", &full()),
        encoded("leaf_with_required_fields_only", &small),
        encoded(
            "leaf_with_the_largest_numbers",
            &Leaf::new(LeafKind::NodeEvent, u64::MAX, u64::MAX, "", "", u16::MAX),
        ),
        encoded(
            "leaf_with_numbers_at_the_borders_of_their_forms",
            &Leaf::new(LeafKind::State, 24, 65_536, "x", "y", 256),
        ),
        committed("commitment_to_a_path", "path", b"db/prod"),
        committed("commitment_to_an_empty_value", "path", b""),
        committed("commitment_under_another_field", "ip", b"db/prod"),
        pseudonym("pseudonym_in_july", 1_785_000_000_000, b"cert/app@acme"),
        pseudonym("pseudonym_on_the_last_millisecond_of_a_year", 1_798_761_599_999, b"cert/app@acme"),
        pseudonym("pseudonym_on_a_leap_day", 1_709_164_800_000, b""),
        digested("request_digest_of_a_read", "GET", "/v1/secret/data/db", b""),
        digested("request_digest_of_a_write", "POST", "/v1/secret/data/db", b"{\"data\":{}}"),
        on_small("leaf_that_is_empty", &|leaf| leaf.clear(), "leaf", 0, "Truncated"),
        on_small("leaf_that_is_an_array", &|leaf| leaf[0] = 0x87, "leaf", 0, "Invalid"),
        on_small("leaf_of_an_unknown_version", &|leaf| leaf[2] = 2, "leaf version", 2, "UnknownVersion"),
        on_small("leaf_without_a_version", &|leaf| leaf[1] = 1, "leaf version", 1, "Invalid"),
        on_small("leaf_of_type_0", &|leaf| leaf[4] = 0, "leaf type", 4, "UnknownAlgorithm"),
        on_small("leaf_of_type_8", &|leaf| leaf[4] = 8, "leaf type", 4, "UnknownAlgorithm"),
        on_small(
            "leaf_with_id_and_time_swapped",
            &|leaf| leaf[5..9].copy_from_slice(&[3, 2, 2, 1]),
            "leaf id",
            5,
            "Invalid",
        ),
        on_small("leaf_with_a_key_twice", &|leaf| leaf[5] = 1, "leaf id", 5, "NotCanonical"),
        on_small("leaf_with_a_negative_id", &|leaf| leaf[6] = 0x20, "leaf id", 6, "Invalid"),
        on_small(
            "leaf_with_an_id_in_two_bytes_for_one",
            &|leaf| {
                leaf.splice(6..7, [0x18, 1]);
            },
            "leaf id",
            6,
            "NotCanonical",
        ),
        on_small("leaf_with_a_route_that_is_bytes", &|leaf| leaf[10] = 0x41, "leaf route", 10, "Invalid"),
        on_small("leaf_with_a_route_that_is_not_utf_8", &|leaf| leaf[11] = 0xff, "leaf route", 10, "Invalid"),
        on_small(
            "leaf_with_a_route_of_4_gib",
            &|leaf| {
                leaf.splice(10..11, [0x7a, 0xff, 0xff, 0xff, 0xff]);
            },
            "leaf route",
            10,
            "TooLong",
        ),
        on_small(
            "leaf_with_a_route_of_2_to_the_64",
            &|leaf| {
                leaf.splice(10..11, [0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
            },
            "leaf route",
            10,
            "TooLong",
        ),
        on_small("leaf_with_an_indefinite_route", &|leaf| leaf[10] = 0x7f, "leaf route", 10, "NotCanonical"),
        on_small(
            "leaf_with_a_status_of_65536",
            &|leaf| {
                leaf.splice(16..17, [0x1a, 0, 1, 0, 0]);
            },
            "leaf status",
            16,
            "TooLong",
        ),
        on_small(
            "leaf_that_is_cut_in_its_last_number",
            &|leaf| {
                leaf.splice(16..17, [0x19, 1]);
            },
            "leaf status",
            17,
            "Truncated",
        ),
        on_small("leaf_with_six_pairs", &|leaf| leaf[0] = 0xa6, "leaf status", 15, "Invalid"),
        on_small("leaf_with_eight_pairs_announced", &|leaf| leaf[0] = 0xa8, "leaf key", 17, "Truncated"),
        on_small(
            "leaf_with_2_to_the_64_pairs_announced",
            &|leaf| {
                leaf.splice(0..1, [0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
            },
            "leaf key",
            25,
            "Truncated",
        ),
        on_small("leaf_with_a_byte_too_many", &|leaf| leaf.push(0), "leaf", 17, "TrailingBytes"),
        on_small("leaf_beyond_8_kib", &|leaf| leaf.resize(8193, 0), "leaf", 0, "TooLong"),
        eighth("leaf_with_an_unknown_field", &[15, 0], "leaf key", 17, "Invalid"),
        eighth("leaf_with_a_text_key", &[0x61, b'x'], "leaf key", 17, "Invalid"),
        eighth("leaf_with_a_required_key_again", &[6, 0], "leaf key", 17, "NotCanonical"),
        eighth(
            "leaf_with_an_actor_of_15_bytes",
            &[&[8, 0x4f][..], &[0; 15]].concat(),
            "leaf actor",
            18,
            "Invalid",
        ),
        eighth(
            "leaf_with_an_actor_of_17_bytes",
            &[&[8, 0x51][..], &[0; 17]].concat(),
            "leaf actor",
            18,
            "TooLong",
        ),
        eighth("leaf_with_a_mount_cut", &[&[10, 0x50][..], &[0; 15]].concat(), "leaf mount", 19, "Truncated"),
        eighth("leaf_with_an_empty_map_of_commitments", &[11, 0xa0], "leaf commitments", 18, "NotCanonical"),
        eighth(
            "leaf_with_commitments_out_of_order",
            &[&[11, 0xa2, 0x62, b'a', b'b', 0x58, 32][..], &[0; 32], &[0x61, b'z']].concat(),
            "leaf commitments",
            56,
            "NotCanonical",
        ),
        eighth("leaf_with_a_nameless_commitment", &[11, 0xa1, 0x60], "leaf commitments", 19, "Invalid"),
        eighth(
            "leaf_with_a_newline_in_a_field_name",
            &[11, 0xa1, 0x61, b'\n'],
            "leaf commitments",
            19,
            "Invalid",
        ),
        eighth(
            "leaf_with_a_field_name_of_65_bytes",
            &[&[11, 0xa1, 0x78, 65][..], &[b'n'; 65]].concat(),
            "leaf commitments",
            19,
            "TooLong",
        ),
        eighth(
            "leaf_with_a_commitment_that_is_a_number",
            &[11, 0xa1, 0x61, b'a', 0],
            "leaf commitment",
            21,
            "Invalid",
        ),
        eighth("leaf_with_a_state_of_two", &[13, 0xa2], "leaf state", 18, "Invalid"),
        eighth("leaf_with_a_state_that_begins_with_1", &[13, 0xa3, 1], "leaf state", 19, "Invalid"),
        eighth(
            "leaf_with_a_generation_that_is_text",
            &[13, 0xa3, 0, 0x60],
            "leaf state generation",
            20,
            "Invalid",
        ),
        eighth(
            "leaf_with_a_root_before_of_31_bytes",
            &[&[13, 0xa3, 0, 0, 1, 0x58, 31][..], &[0; 31]].concat(),
            "leaf state root before",
            22,
            "Invalid",
        ),
        eighth("leaf_with_plain_bytes", &[14, 0xa1, 0x61, b'a', 0x40], "leaf plain", 21, "Invalid"),
        eighth("leaf_with_a_plain_map_in_a_map", &[14, 0xa1, 0x61, b'a', 0xa1], "leaf plain", 21, "Invalid"),
        eighth(
            "leaf_with_plain_text_of_2049",
            &[&[14, 0xa1, 0x61, b'a', 0x79, 8, 1][..], &[b'x'; 2049]].concat(),
            "leaf plain",
            21,
            "TooLong",
        ),
        case(
            "leaf_with_every_field_and_a_byte_too_many",
            changed(&full_bytes, |leaf| leaf.push(0xf6)),
            "leaf",
            after_actor,
            "TrailingBytes",
        ),
    ]
}
