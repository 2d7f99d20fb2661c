use super::{ENVIRONMENT, changed, refused};
use hex::encode as hex;
use keystore_format::frame::{Frame, encode, parse};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn framed(leaf: &[u8], openings: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&Frame { environment: ENVIRONMENT, leaf_id: 1 << 40, leaf, openings }, &mut out).unwrap();
    out
}

fn parsed(name: &str, journal: &[u8]) -> Value {
    let (frame, consumed) = parse(journal).unwrap();
    json!({
        "name": name, "journal": hex(journal), "environment": hex(frame.environment.0),
        "leaf_id": frame.leaf_id, "leaf": hex(frame.leaf), "openings": hex(frame.openings), "consumed": consumed,
    })
}

/// A frame whose header was altered and has a right checksum again.
fn header(at: usize, to: &[u8]) -> Vec<u8> {
    changed(&framed(b"leaf", b"openings"), |frame| {
        frame[at..at + to.len()].copy_from_slice(to);
        let check = Sha256::digest(&frame[..35]);
        frame[35..39].copy_from_slice(&check[..4]);
    })
}

pub(crate) fn vectors() -> Vec<Value> {
    let good = framed(b"leaf", b"openings");
    let case = |name: &str, journal: &[u8], field, offset, fault| json!({ "name": name, "journal": hex(journal), "error": refused(parse(journal), field, offset, fault) });
    vec![
        parsed("frame_with_openings", &good),
        parsed("frame_without_openings", &framed(b"leaf", b"")),
        parsed("frame_of_nothing", &framed(b"", b"")),
        parsed("frame_before_another", &[&good[..], &framed(b"next", b"")].concat()),
        parsed("frame_before_a_torn_one", &[&good[..], &good[..20]].concat()),
        case("frame_torn_before_its_first_byte", &[], "frame header", 0, "Truncated"),
        case("frame_torn_in_the_magic", &good[..3], "frame header", 0, "Truncated"),
        case("frame_torn_in_the_header", &good[..38], "frame header", 0, "Truncated"),
        case("frame_torn_after_the_header", &good[..39], "frame body", 39, "Truncated"),
        case("frame_torn_in_the_leaf", &good[..41], "frame body", 39, "Truncated"),
        case("frame_torn_before_its_last_byte", &good[..good.len() - 1], "frame body", 39, "Truncated"),
        case("frame_of_zeroes", &[0; 64], "frame magic", 0, "Invalid"),
        case("frame_with_its_magic_altered", &changed(&good, |f| f[3] ^= 1), "frame magic", 0, "Invalid"),
        case(
            "frame_with_its_leaf_length_altered",
            &changed(&good, |f| f[30] ^= 1),
            "frame header",
            0,
            "NotAuthentic",
        ),
        case(
            "frame_with_its_environment_altered",
            &changed(&good, |f| f[5] ^= 1),
            "frame header",
            0,
            "NotAuthentic",
        ),
        case(
            "frame_with_its_leaf_altered",
            &changed(&good, |f| f[40] ^= 1),
            "frame body",
            39,
            "NotAuthentic",
        ),
        case(
            "frame_with_its_last_bit_altered",
            &changed(&good, |f| *f.last_mut().unwrap() ^= 1),
            "frame body",
            39,
            "NotAuthentic",
        ),
        case("frame_of_an_unknown_version", &header(4, &[2]), "frame version", 4, "UnknownVersion"),
        case(
            "frame_with_a_leaf_beyond_8_kib",
            &header(29, &8193u16.to_be_bytes()),
            "frame leaf",
            29,
            "TooLong",
        ),
        case("frame_with_openings_of_4_gib", &header(31, &[0xff; 4]), "frame openings", 31, "TooLong"),
        case(
            "frame_with_a_byte_moved_from_openings_to_leaf",
            &header(29, &[0, 5, 0, 0, 0, 7]),
            "frame body",
            39,
            "NotAuthentic",
        ),
    ]
}
