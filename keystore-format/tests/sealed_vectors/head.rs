use super::{bytes, changed, refused};
use hex::encode as hex;
use keystore_format::{
    head::Head,
    index::Child,
    tail::{OPTIONAL, Tail},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

fn full() -> Head {
    let mut head = Head {
        generation: 1,
        rev_high_water: 2,
        index_root: bytes(0x10),
        record_count: 3,
        keyring_generation: 4,
        seal_generation: 5,
        audit_size: 6,
        audit_root: bytes(0x40),
        incarnation: bytes(0x70),
        tpm_counter: u64::MAX,
        tail: Tail::new(),
    };
    head.tail.set(0xffff, Zeroizing::new(b"last".to_vec()));
    head
}

fn indexed() -> Head {
    let mut head = full();
    head.promise_index(Some(Child { count: 5, hash: bytes(0x10) }));
    head
}

fn encoded(name: &str, head: &Head) -> Value {
    let encoded = head.encode().unwrap();
    assert_eq!(Head::decode(&encoded).unwrap().encode().unwrap(), encoded);
    let numbers = [
        head.generation,
        head.rev_high_water,
        head.record_count,
        head.keyring_generation,
        head.seal_generation,
        head.audit_size,
        head.tpm_counter,
    ];
    let tags = [1, 0xffff].into_iter();
    let tail = tags.filter_map(|tag| Some(json!({ "tag": tag, "value": hex(head.tail.get(tag)?) })));
    let tail: Vec<Value> = tail.collect();
    json!({
        "name": name, "numbers": numbers.map(|number| number.to_string()), "index_root": hex(head.index_root),
        "audit_root": hex(head.audit_root), "incarnation": hex(head.incarnation),
        "tail": tail,
        "head": hex(encoded),
    })
}

pub(crate) fn vectors() -> Vec<Value> {
    let case_of = |head: &Head, name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        let head = changed(&head.encode().unwrap(), change);
        json!({ "name": name, "head": hex(&head), "error": refused(Head::decode(&head), field, offset, fault) })
    };
    let case = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        case_of(&full(), name, change, field, offset, fault)
    };
    vec![
        encoded("head_of_an_empty_store", &Head::default()),
        encoded("head_with_every_field_and_a_tail", &full()),
        encoded("head_that_promises_an_index", &indexed()),
        encoded("head_that_promises_an_empty_index", &{
            let mut head = Head { index_root: [0; 32], record_count: 0, ..full() };
            head.promise_index(None);
            head
        }),
        case_of(
            &indexed(),
            "head_of_an_unknown_index",
            &|h| h[143] = 2,
            "index version",
            143,
            "UnknownVersion",
        ),
        case_of(
            &indexed(),
            "head_of_an_index_of_another_length",
            &|h| {
                h[142] = 8;
                h.remove(151);
            },
            "index version",
            143,
            "Invalid",
        ),
        case_of(
            &indexed(),
            "head_of_an_index_without_a_root",
            &|h| h[17..49].fill(0),
            "index root",
            17,
            "Invalid",
        ),
        case("head_that_is_empty", &|h| h.clear(), "version", 0, "Truncated"),
        case("head_of_an_unknown_version", &|h| h[0] = 0xff, "version", 0, "UnknownVersion"),
        case("head_cut_in_the_index_root", &|h| h.truncate(48), "index root", 17, "Truncated"),
        case("head_cut_in_the_tpm_counter", &|h| h.truncate(136), "TPM counter", 129, "Truncated"),
        case("head_with_one_byte_of_tail", &|h| h.truncate(138), "tail tag", 137, "Truncated"),
        case(
            "head_with_a_mandatory_tag",
            &|h| h[137] = !(OPTIONAL >> 8) as u8,
            "tail tag",
            137,
            "UnknownTag",
        ),
        case("head_with_a_tail_value_cut", &|h| h.truncate(146), "tail value", 143, "Truncated"),
        case("head_with_a_tail_length_of_4_gib", &|h| h[139..143].fill(0xff), "tail value", 143, "Truncated"),
    ]
}
