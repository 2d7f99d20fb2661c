use super::{CTX, ENVIRONMENT, MOUNT, OTHER_ENVIRONMENT, STORE, bytes, changed, refused};
use hex::encode as hex;
use keystore_format::{
    error::FormatError,
    ids::StoreId,
    kdf::Context,
    name::{SealedPath, store_key},
    record::{Header, Record, record_key, seal},
    tables,
};
use serde_json::{Value, json};

const HEADER: Header = Header { kind: 66, epoch: 3, rev: 0x0102_0304_0506_0708 };

fn place() -> Vec<u8> {
    let path = SealedPath::of(&bytes(0), ENVIRONMENT, MOUNT, "db/password").unwrap();
    store_key(tables::RECORDS, ENVIRONMENT, MOUNT, HEADER.kind, &path, None)
}

fn sealed(name: &str, header: Header, store_key: &[u8], plaintext: &[u8]) -> Value {
    let (data_key, nonce) = (bytes(0x40), bytes(0xc0));
    let key = record_key(&data_key, &CTX, header.kind, header.epoch);
    let record = seal(&key, header, &CTX, store_key, &nonce, plaintext).unwrap();
    let parsed = Record::parse(&record).unwrap();
    assert_eq!(parsed.header(), header);
    assert_eq!(*parsed.open(&key, &CTX, store_key).unwrap(), plaintext);
    json!({
        "name": name, "data_key": hex(data_key), "store": hex(STORE.0), "environment": hex(ENVIRONMENT.0),
        "kind": header.kind, "epoch": header.epoch, "rev": header.rev.to_string(),
        "store_key": hex(store_key), "nonce": hex(nonce), "plaintext": hex(plaintext), "record": hex(record),
    })
}

pub(crate) fn vectors() -> Vec<Value> {
    let mut vectors = vec![
        sealed("record_of_one_secret", HEADER, &place(), b"{\"password\":\"correct horse\"}"),
        sealed("record_of_nothing", HEADER, &place(), b""),
        sealed("record_at_an_empty_store_key", HEADER, b"", b"x"),
        sealed("record_of_three_blocks_and_a_bit", HEADER, &place(), &bytes::<49>(1)),
        sealed(
            "record_with_the_highest_numbers",
            Header { kind: u16::MAX, epoch: u32::MAX, rev: u64::MAX },
            &place(),
            b"x",
        ),
    ];
    vectors.extend(refusals());
    vectors
}

fn refusals() -> Vec<Value> {
    let data_key = bytes(0x40);
    let key = record_key(&data_key, &CTX, HEADER.kind, HEADER.epoch);
    let record = seal(&key, HEADER, &CTX, &place(), &bytes(0xc0), b"secret").unwrap();

    let case = |name: &str, ctx: Context, store_key: &[u8], record: &[u8], field, offset, fault| {
        let open = || -> Result<_, FormatError> {
            let record = Record::parse(record)?;
            let Header { kind, epoch, .. } = record.header();
            record.open(&record_key(&data_key, &ctx, kind, epoch), &ctx, store_key)
        };
        json!({
            "name": name, "data_key": hex(data_key), "store": hex(ctx.store.0),
            "environment": hex(ctx.environment.0), "store_key": hex(store_key), "record": hex(record),
            "error": refused(open(), field, offset, fault),
        })
    };
    let flipped = |name: &str, at: usize| {
        let record = changed(&record, |record| record[at] ^= 1);
        case(name, CTX, &place(), &record, "record", 0, "NotAuthentic")
    };
    let cut = |name: &str, length: usize, field, offset| {
        case(name, CTX, &place(), &record[..length], field, offset, "Truncated")
    };
    let version = changed(&record, |record| record[0] = 2);
    let algorithm = changed(&record, |record| record[1] = 0);
    let mut elsewhere = place();
    *elsewhere.last_mut().unwrap() ^= 1;
    let other_store = Context { store: StoreId(bytes(0)), ..CTX };
    let other_environment = Context { environment: OTHER_ENVIRONMENT, ..CTX };
    vec![
        case("unknown_version", CTX, &place(), &version, "version", 0, "UnknownVersion"),
        case("unknown_algorithm", CTX, &place(), &algorithm, "algorithm", 1, "UnknownAlgorithm"),
        cut("empty", 0, "version", 0),
        cut("cut_before_the_algorithm", 1, "algorithm", 1),
        cut("cut_in_the_kind", 3, "kind", 2),
        cut("cut_in_the_epoch", 7, "epoch", 4),
        cut("cut_in_the_rev", 15, "rev", 8),
        cut("cut_in_the_nonce", 39, "nonce", 16),
        cut("cut_in_the_tag", 55, "tag", 40),
        case("cut_by_one_byte", CTX, &place(), &record[..record.len() - 1], "record", 0, "NotAuthentic"),
        flipped("kind_swapped", 3),
        flipped("epoch_swapped", 7),
        flipped("rev_swapped", 15),
        flipped("bit_flipped_in_the_nonce", 20),
        flipped("bit_flipped_in_the_ciphertext", 41),
        flipped("bit_flipped_in_the_tag", record.len() - 1),
        case("copied_to_another_store_key", CTX, &elsewhere, &record, "record", 0, "NotAuthentic"),
        case("copied_to_another_store", other_store, &place(), &record, "record", 0, "NotAuthentic"),
        case(
            "copied_to_another_environment",
            other_environment,
            &place(),
            &record,
            "record",
            0,
            "NotAuthentic",
        ),
    ]
}
