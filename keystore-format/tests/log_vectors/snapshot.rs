use super::{ENVIRONMENT, bytes, changed, refused};
use hex::encode as hex;
use keystore_format::{
    error::FormatError,
    ids::StoreId,
    snapshot::{Decoder, Encoder, Header},
    stream::Sealer,
};
use serde_json::{Value, json};

fn header(records: u64) -> Header {
    Header {
        store: StoreId(*b"store id of 16 b"),
        environment: ENVIRONMENT,
        root_id: bytes(0x20),
        created_ms: 1_785_000_000_000,
        generation: 42,
        incarnation: bytes(0x50),
        records,
        nonce: bytes(0x60),
        seal: b"seal record".to_vec(),
    }
}

fn inputs(name: &str, file: &[u8]) -> Value {
    json!({ "name": name, "root_key": hex(bytes::<32>(0x10)), "salt": hex(bytes::<24>(0x30)), "file": hex(file) })
}

fn saved(records: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let header = header(records.len() as u64);
    let mut encoder = Encoder::new(&header, &bytes(0x10), &bytes(0x30), &mut out).unwrap();
    records.iter().for_each(|(key, value)| encoder.record(key, value, &mut out).unwrap());
    encoder.finish(&mut out).unwrap();
    out
}

fn restored(file: &[u8]) -> Result<(), FormatError> {
    let (_, length) = Header::parse(file)?;
    let mut decoder = Decoder::new(&file[..length], &bytes(0x10))?;
    decoder.push(&file[length..], |_, _| Ok::<(), FormatError>(()))?;
    decoder.finish(|_, _| Ok::<(), FormatError>(())).map(drop)
}

fn opens(name: &str, records: &[(&[u8], &[u8])]) -> Value {
    let file = saved(records);
    restored(&file).unwrap();
    let header = header(records.len() as u64);
    let mut vector = inputs(name, &file);
    vector["header"] = json!({
        "store": hex(header.store.0), "environment": hex(header.environment.0), "root id": hex(header.root_id),
        "created": hex(header.created_ms.to_be_bytes()), "generation": hex(header.generation.to_be_bytes()),
        "incarnation": hex(header.incarnation), "records": hex(header.records.to_be_bytes()),
        "nonce": hex(header.nonce), "seal": hex(&header.seal),
    });
    vector["records"] = json!(records.iter().map(|(key, value)| [hex(key), hex(value)]).collect::<Vec<_>>());
    vector
}

fn broken(name: &str, file: &[u8], field: &str, offset: usize, fault: &str) -> Value {
    let mut vector = inputs(name, file);
    vector["error"] = refused(restored(file), field, offset, fault);
    vector
}

/// A file whose body is authentic and still wrong.
fn with_body(name: &str, body: &[u8], field: &str, offset: usize, fault: &str) -> Value {
    let header = header(1);
    let clear = header.encode().unwrap();
    let context = [b"coffer/v1/snapshot\0", &clear[..]].concat();
    let mut file = clear;
    let mut sealer = Sealer::new(&header.file_key(&bytes(0x10)), &bytes(0x30), &context, &mut file);
    sealer.push(body, &mut file).unwrap();
    sealer.finish(&mut file).unwrap();
    broken(name, &file, field, offset, fault)
}

pub(crate) fn vectors() -> Vec<Value> {
    let good = saved(&[(b"key", b"value")]);
    let altered = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        broken(name, &changed(&good, change), field, offset, fault)
    };
    let record = [1, 0, 1, 0, 0, 0, 1, b'k', b'v'];
    let end = |count: u64| [&[0][..], &count.to_be_bytes(), &[0; 32]].concat();
    vec![
        opens("backup_of_an_empty_store", &[]),
        opens("backup_of_two_records", &[(b"key a", b"value"), (b"key b", b"")]),
        altered("backup_of_no_bytes", &|f| f.clear(), "snapshot magic", 0, "Truncated"),
        altered("backup_with_another_magic", &|f| f[7] = 0, "snapshot magic", 0, "Invalid"),
        altered("backup_of_an_unknown_version", &|f| f[8] = 2, "snapshot version", 8, "UnknownVersion"),
        altered("backup_of_an_unknown_algorithm", &|f| f[9] = 2, "snapshot algorithm", 9, "UnknownAlgorithm"),
        altered("backup_cut_in_the_root_id", &|f| f.truncate(60), "snapshot root id", 42, "Truncated"),
        altered("backup_cut_in_the_seal_record", &|f| f.truncate(155), "snapshot seal", 150, "Truncated"),
        altered(
            "backup_with_a_seal_record_of_4_gib",
            &|f| f[146..150].fill(0xff),
            "snapshot seal",
            146,
            "TooLong",
        ),
        altered("backup_of_another_store", &|f| f[10] ^= 1, "stream commitment", 185, "NotAuthentic"),
        altered(
            "backup_with_another_seal_record",
            &|f| f[150] ^= 1,
            "stream commitment",
            185,
            "NotAuthentic",
        ),
        altered("backup_with_another_count", &|f| f[113] ^= 1, "stream commitment", 185, "NotAuthentic"),
        altered("backup_with_a_flipped_bit", &|f| f[220] ^= 1, "stream chunk", 217, "NotAuthentic"),
        altered("backup_without_chunks", &|f| f.truncate(217), "stream final chunk", 217, "Truncated"),
        with_body("backup_without_an_end", &record, "snapshot body", 9, "Truncated"),
        with_body("backup_with_a_record_cut", &record[..8], "snapshot body", 0, "Truncated"),
        with_body("backup_with_an_unknown_item", &[2], "snapshot record", 0, "Invalid"),
        with_body(
            "backup_with_a_value_of_4_gib",
            &[1, 0, 1, 0xff, 0xff, 0xff, 0xff],
            "snapshot record value",
            0,
            "TooLong",
        ),
        with_body("backup_with_a_record_left_out", &end(0), "snapshot records", 0, "Invalid"),
        with_body(
            "backup_with_a_wrong_count",
            &[&record[..], &end(2)].concat(),
            "snapshot records",
            9,
            "Invalid",
        ),
        with_body(
            "backup_with_a_wrong_digest",
            &[&record[..], &end(1)].concat(),
            "snapshot digest",
            9,
            "NotAuthentic",
        ),
    ]
}
