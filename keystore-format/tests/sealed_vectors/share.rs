use super::{bytes, changed, refused};
use hex::encode as hex;
use keystore_format::{bech32m, share::Share};
use serde_json::{Value, json};
use zeroize::Zeroizing;

fn share(x: u8, k: u8) -> Share {
    Share { set_id: bytes(0xe0), x, k, y: Zeroizing::new(bytes(0x70)) }
}

pub(crate) fn vectors() -> Vec<Value> {
    let mut vectors = vec![
        encoded("share_1_of_a_set_that_needs_3", &share(1, 3)),
        encoded("share_255_of_a_set_that_needs_255", &share(255, 255)),
    ];
    vectors.extend(accepted());
    vectors.extend(refusals());
    vectors
}

fn encoded(name: &str, share: &Share) -> Value {
    let text = share.to_text().unwrap();
    assert_eq!((text.len(), share.to_hex().len(), share.to_base64().len()), (82, 86, 60));
    json!({
        "name": name, "set_id": hex(share.set_id), "x": share.x, "k": share.k, "y": hex(share.y.as_slice()),
        "payload": hex(share.payload().as_slice()), "text": *text, "hex": *share.to_hex(),
        "base64": *share.to_base64(), "digest": hex(share.digest()),
    })
}

fn accepted() -> Vec<Value> {
    let share = share(1, 3);
    let case = |name: &str, input: &str| {
        assert_eq!(*Share::parse_any(input).unwrap().payload(), *share.payload());
        json!({ "name": name, "input": input, "payload": hex(share.payload().as_slice()) })
    };
    vec![
        case("share_in_lower_case", &share.to_text().unwrap()),
        case("share_in_upper_case", &share.to_text().unwrap().to_ascii_uppercase()),
        case("share_with_white_space_around_it", &format!(" \t{}\r\n", *share.to_text().unwrap())),
        case("share_in_hex", &share.to_hex()),
        case("share_in_upper_case_hex", &share.to_hex().to_ascii_uppercase()),
        case("share_in_base64", &share.to_base64()),
    ]
}

fn refusals() -> Vec<Value> {
    let share = share(1, 3);
    let text = share.to_text().unwrap();
    let case = |name: &str, input: &str, field, offset, fault| json!({ "name": name, "input": input, "error": refused(Share::parse_any(input), field, offset, fault) });
    let with = |at: usize, c: u8| String::from_utf8(changed(text.as_bytes(), |text| text[at] = c)).unwrap();
    let payload =
        |change: &dyn Fn(&mut Vec<u8>)| hex(changed(share.payload().as_slice(), |payload| change(payload)));
    let swapped = String::from_utf8(changed(text.as_bytes(), |text| text.swap(20, 21))).unwrap();
    let longer = bech32m::encode("coffer", &changed(share.payload().as_slice(), |p| p.push(0))).unwrap();
    let foreign = bech32m::encode("cofter", share.payload().as_slice()).unwrap();
    let (hex_text, base64) = (share.to_hex(), share.to_base64());
    assert_ne!(text.as_bytes()[20], text.as_bytes()[21]);
    vec![
        case("share_that_is_empty", "", "prefix", 0, "Invalid"),
        case("share_that_is_no_share", "hunter2", "prefix", 0, "Invalid"),
        case("share_with_one_character_mistyped", &with(30, b'q'), "checksum", 76, "NotAuthentic"),
        case("share_with_two_characters_swapped", &swapped, "checksum", 76, "NotAuthentic"),
        case("share_with_a_character_of_no_alphabet", &with(30, b'b'), "character", 30, "Invalid"),
        case("share_with_a_space_in_it", &with(30, b' '), "character", 30, "Invalid"),
        case("share_in_mixed_case", &with(81, b'Q'), "case", 81, "NotCanonical"),
        case("share_with_a_character_missing", &text[..81], "checksum", 75, "NotAuthentic"),
        case("share_with_nothing_but_a_prefix", "coffer1", "checksum", 7, "Truncated"),
        case("share_of_91_characters", &format!("{}{}", *text, "q".repeat(9)), "text", 90, "TooLong"),
        case("share_under_another_prefix", &foreign, "prefix", 0, "Invalid"),
        case("share_with_a_byte_too_many", &longer, "share", 43, "TrailingBytes"),
        case(
            "share_in_hex_with_a_wrong_digit",
            &format!("{}g", &hex_text[..85]),
            "share text",
            85,
            "Invalid",
        ),
        case("share_in_base64_with_a_wrong_digit", &format!("!{}", &base64[1..]), "share text", 0, "Invalid"),
        case(
            "share_in_base64_without_padding",
            &format!("{}AA", &base64[..58]),
            "share",
            43,
            "TrailingBytes",
        ),
        case(
            "share_in_base64_with_spare_bits",
            &format!("{}D==", &base64[..57]),
            "share text",
            58,
            "NotCanonical",
        ),
        case(
            "share_in_base64_with_three_paddings",
            &format!("{}===", &base64[..57]),
            "share text",
            57,
            "NotCanonical",
        ),
        case(
            "share_in_base64_with_three_paddings_and_no_spare_bits",
            &format!("{}A===", &base64[..56]),
            "share text",
            57,
            "NotCanonical",
        ),
        case("share_of_an_unknown_version", &payload(&|p| p[0] = 2), "version", 0, "UnknownVersion"),
        case("share_at_x_zero", &payload(&|p| p[9] = 0), "share x", 9, "Invalid"),
        case("share_that_needs_none", &payload(&|p| p[10] = 0), "share k", 10, "Invalid"),
    ]
}
