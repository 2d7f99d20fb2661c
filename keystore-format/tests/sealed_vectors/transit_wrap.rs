use super::{changed, refused};
use hex::encode as hex;
use keystore_format::transit_wrap::{TransitBlob, TransitParameters};
use serde_json::{Value, json};

const CIPHERTEXT: &str =
    "vault:v1:7gjffICaH+5BG134ExfwvY69UffnzVYOjqua/3Z9648HgSc91oLDRBlxGJgbE3bYedX7MkyGYtFqPiYG";

fn small() -> TransitParameters {
    TransitParameters { associated_data: true, key: "coffer-seal".to_owned() }
}

pub(crate) fn vectors() -> Vec<Value> {
    let without = TransitParameters { associated_data: false, ..small() };
    let mut vectors = vec![
        parameters("parameters_with_associated_data", &small()),
        parameters("parameters_without_associated_data", &without),
        parameters("parameters_with_a_name_that_is_not_ascii", &named("Schlüssel für prod")),
        parameters("parameters_with_the_shortest_name", &named("k")),
        parameters("parameters_with_the_longest_name", &named(&"k".repeat(255))),
    ];
    vectors.extend(refused_parameters());
    vectors.extend([
        blob("blob_of_an_aes_key", CIPHERTEXT, 1),
        blob("blob_of_the_highest_key_version", "vault:v4294967295:AAAA", u32::MAX),
        blob("blob_with_the_longest_ciphertext", &format!("vault:v12:{}", "A".repeat(4086)), 12),
    ]);
    vectors.extend(refused_blobs());
    vectors
}

fn named(key: &str) -> TransitParameters {
    TransitParameters { key: key.to_owned(), ..small() }
}

fn parameters(name: &str, parameters: &TransitParameters) -> Value {
    let bytes = parameters.encode().unwrap();
    assert_eq!(&TransitParameters::decode(&bytes).unwrap(), parameters);
    json!({
        "name": name, "associated_data": parameters.associated_data, "key": parameters.key, "parameters": hex(bytes),
    })
}

fn blob(name: &str, ciphertext: &str, key_version: u32) -> Value {
    let blob = TransitBlob::parse(ciphertext).unwrap();
    assert_eq!((blob.ciphertext(), blob.key_version()), (ciphertext, key_version));
    let bytes = blob.encode();
    assert_eq!(TransitBlob::decode(&bytes).unwrap(), blob);
    json!({ "name": name, "ciphertext": ciphertext, "key_version": key_version, "blob": hex(bytes) })
}

fn refused_parameters() -> Vec<Value> {
    let right = small().encode().unwrap();
    let case = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        let bytes = changed(&right, change);
        let error = refused(TransitParameters::decode(&bytes), field, offset, fault);
        json!({ "name": name, "parameters": hex(bytes), "error": error })
    };
    let too_long = named(&"k".repeat(256)).encode();
    refused(too_long, "key name length", 2, "TooLong");
    vec![
        case("parameters_that_are_empty", &|p| p.clear(), "version", 0, "Truncated"),
        case("parameters_of_an_unknown_version", &|p| p[0] = 2, "version", 0, "UnknownVersion"),
        case("parameters_cut_before_associated_data", &|p| p.truncate(1), "associated data", 1, "Truncated"),
        case("parameters_with_associated_data_of_2", &|p| p[1] = 2, "associated data", 1, "Invalid"),
        case("parameters_cut_before_the_length", &|p| p.truncate(2), "key name length", 2, "Truncated"),
        case("parameters_with_an_empty_name", &|p| p[2] = 0, "key name length", 2, "Invalid"),
        case("parameters_cut_in_the_name", &|p| p.truncate(13), "key name", 3, "Truncated"),
        case("parameters_with_a_slash_in_the_name", &|p| p[5] = b'/', "key name", 3, "Invalid"),
        case("parameters_with_a_zero_in_the_name", &|p| p[5] = 0, "key name", 3, "Invalid"),
        case("parameters_with_a_delete_in_the_name", &|p| p[5] = 0x7f, "key name", 3, "Invalid"),
        case(
            "parameters_with_a_control_character_of_two_bytes",
            &|p| p[5..7].copy_from_slice(&[0xc2, 0x85]),
            "key name",
            3,
            "Invalid",
        ),
        case("parameters_with_a_name_that_is_not_utf8", &|p| p[5] = 0xff, "key name", 3, "Invalid"),
        case("parameters_with_a_byte_too_many", &|p| p.push(b'l'), "wrap parameters", 14, "TrailingBytes"),
    ]
}

fn refused_blobs() -> Vec<Value> {
    let case = |name: &str, bytes: &[u8], field, offset, fault| {
        let error = refused(TransitBlob::decode(bytes), field, offset, fault);
        json!({ "name": name, "blob": hex(bytes), "error": error })
    };
    let text = |name: &str, ciphertext: &str, fault| {
        refused(TransitBlob::parse(ciphertext), "ciphertext", 1, fault);
        case(name, &[&[1], ciphertext.as_bytes()].concat(), "ciphertext", 1, fault)
    };
    vec![
        case("blob_that_is_empty", &[], "version", 0, "Truncated"),
        case("blob_of_an_unknown_version", b"\x02vault:v1:AAAA", "version", 0, "UnknownVersion"),
        text("blob_without_a_ciphertext", "", "Invalid"),
        text("blob_without_a_prefix", "v1:AAAA", "Invalid"),
        text("blob_with_another_prefix", "Vault:v1:AAAA", "Invalid"),
        text("blob_without_a_key_version", "vault:v:AAAA", "Invalid"),
        text("blob_of_key_version_0", "vault:v0:AAAA", "Invalid"),
        text("blob_of_a_key_version_with_a_leading_zero", "vault:v01:AAAA", "Invalid"),
        text("blob_of_a_key_version_with_a_sign", "vault:v+1:AAAA", "Invalid"),
        text("blob_of_a_key_version_above_32_bits", "vault:v4294967296:AAAA", "Invalid"),
        text("blob_without_a_second_colon", "vault:v1AAAA", "Invalid"),
        text("blob_without_a_body", "vault:v1:", "Invalid"),
        text("blob_in_the_alphabet_of_base64url", "vault:v1:AA-_", "Invalid"),
        text("blob_with_a_newline_at_its_end", "vault:v1:AAAA\n", "Invalid"),
        case("blob_that_is_not_ascii", b"\x01vault:v1:AA\xff", "ciphertext", 1, "Invalid"),
        text("blob_with_a_ciphertext_of_4097_bytes", &format!("vault:v12:{}", "A".repeat(4087)), "TooLong"),
    ]
}
