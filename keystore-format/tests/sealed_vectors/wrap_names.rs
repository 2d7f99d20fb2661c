use super::{changed, refused};
use hex::encode as hex;
use keystore_format::{
    ids::WrapId,
    wrap_names::{MAX_LEN, decode, encode},
};
use serde_json::{Value, json};

pub(crate) fn vectors() -> Vec<Value> {
    let longest = "n".repeat(MAX_LEN);
    let mut vectors = vec![
        named("wrap_names_of_no_wrap", &[]),
        named("wrap_names_of_an_hsm_and_a_tpm", &[(1, "hsm-2026"), (2, "tpm2")]),
        named("wrap_names_of_the_shortest_and_the_longest", &[(1, "a"), (0xff, &longest)]),
    ];
    vectors.extend(refused_names());
    vectors
}

fn names(of: &[(u8, &str)]) -> Vec<(WrapId, String)> {
    of.iter().map(|(id, name)| (WrapId([*id; 16]), (*name).to_owned())).collect()
}

fn named(name: &str, of: &[(u8, &str)]) -> Value {
    let names = names(of);
    let bytes = encode(&names).unwrap();
    assert_eq!(decode(&bytes).as_ref(), Ok(&names));
    let named = names.iter().map(|(wrap, name)| json!({ "wrap": hex(wrap.0), "is": name }));
    json!({ "name": name, "names": named.collect::<Vec<_>>(), "wrap_names": hex(bytes) })
}

fn refused_names() -> Vec<Value> {
    let right = encode(&names(&[(1, "hsm"), (2, "tpm")])).unwrap();
    let case = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        let bytes = changed(&right, change);
        let error = refused(decode(&bytes), field, offset, fault);
        json!({ "name": name, "wrap_names": hex(bytes), "error": error })
    };
    let put = |letters: &'static [u8; 3]| move |b: &mut Vec<u8>| b[17..20].copy_from_slice(letters);
    vec![
        case("wrap_names_cut_in_an_id", &|b| b.truncate(25), "wrap id", 20, "Truncated"),
        case("wrap_names_cut_before_the_length", &|b| b.truncate(16), "wrap name length", 16, "Truncated"),
        case("wrap_names_cut_in_a_name", &|b| b.truncate(39), "wrap name", 37, "Truncated"),
        case("wrap_names_with_an_empty_name", &|b| b[36] = 0, "wrap name", 37, "Invalid"),
        case("wrap_names_in_upper_case", &put(b"HSM"), "wrap name", 17, "Invalid"),
        case("wrap_names_that_begin_with_a_dash", &put(b"-sm"), "wrap name", 17, "Invalid"),
        case("wrap_names_that_end_with_a_dash", &put(b"hs-"), "wrap name", 17, "Invalid"),
        case("wrap_names_that_are_no_text", &put(b"h\xffm"), "wrap name", 17, "Invalid"),
        case("wrap_names_of_one_wrap_twice", &|b| b[20..36].fill(1), "wrap id", 20, "NotCanonical"),
        case("wrap_names_that_descend", &|b| b[..16].fill(3), "wrap id", 20, "NotCanonical"),
        case("wrap_names_of_two_wraps_with_one_name", &put(b"tpm"), "wrap name", 37, "NotCanonical"),
    ]
}

#[test]
fn a_name_that_could_not_be_read_back_is_not_written() {
    refused(encode(&names(&[(1, &"n".repeat(MAX_LEN + 1))])), "wrap name", 17, "Invalid");
    refused(encode(&names(&[(1, &"n".repeat(256))])), "wrap name length", 16, "TooLong");
    refused(encode(&names(&[(2, "a"), (1, "b")])), "wrap id", 18, "NotCanonical");
}
