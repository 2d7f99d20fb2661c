use super::{CTX, ENVIRONMENT, OTHER_ENVIRONMENT, STORE, WRAP, bytes, changed, refused};
use hex::encode as hex;
use keystore_format::{
    ids::WrapId,
    kdf::Context,
    mac::hmac_sha256,
    seal_record::{
        SealRecord, ShamirParameters, ShareDigest, Unverified, Wrap, WrapState, WrapType, root_id,
        seal_mac_key, unwrap_root, wrap_root,
    },
    share,
    tail::{OPTIONAL, Tail},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const SECOND_WRAP: WrapId = WrapId(*b"wrap id, 16 b. 2");

fn root_key() -> [u8; 32] {
    bytes(0x20)
}

fn blob(kek: &[u8; 32], wrap: WrapId) -> Vec<u8> {
    wrap_root(kek, &CTX, wrap, &root_id(&root_key(), &CTX), &bytes(0xc0), &root_key())
}

fn small() -> SealRecord {
    let kek = bytes(0x30);
    let set_id = share::set_id(&kek, &CTX, WRAP);
    SealRecord {
        ctx: CTX,
        root_id: root_id(&root_key(), &CTX),
        generation: 1,
        wraps: vec![Wrap {
            id: WRAP,
            wrap_type: WrapType::Shamir,
            state: WrapState::Current,
            parameters: ShamirParameters { shares: 5, threshold: 3, set_id }.encode(),
            blob: blob(&kek, WRAP),
        }],
        share_digests: (1..=5).map(|x| ShareDigest { set_id, digest: bytes(x * 16) }).collect(),
        tail: Tail::new(),
    }
}

fn large() -> SealRecord {
    let mut record = small();
    record.generation = u64::MAX;
    record.wraps.push(Wrap {
        id: SECOND_WRAP,
        wrap_type: WrapType::Inherit,
        state: WrapState::Pending,
        parameters: Vec::new(),
        blob: blob(&bytes(0x31), SECOND_WRAP),
    });
    record.tail.set(OPTIONAL, Zeroizing::new(b"later".to_vec()));
    record
}

fn encoded(name: &str, record: &SealRecord) -> Value {
    let bytes = record.encode(&root_key()).unwrap();
    let verified = Unverified::decode(&bytes).unwrap().verify(&root_key()).unwrap();
    assert_eq!(verified.encode(&root_key()).unwrap(), bytes);
    json!({
        "name": name, "root_key": hex(root_key()), "store": hex(STORE.0), "environment": hex(ENVIRONMENT.0),
        "root_id": hex(record.root_id), "generation": record.generation.to_string(),
        "wraps": record.wraps.iter().map(|wrap| json!({
            "id": hex(wrap.id.0), "type": wrap.wrap_type as u8, "state": wrap.state as u8,
            "parameters": hex(&wrap.parameters), "blob": hex(&wrap.blob),
        })).collect::<Vec<_>>(),
        "share_digests": record.share_digests.iter().map(|share| json!({
            "set_id": hex(share.set_id), "digest": hex(share.digest),
        })).collect::<Vec<_>>(),
        "tail": record.tail.get(OPTIONAL).map(|value| json!({ "tag": OPTIONAL, "value": hex(value) }))
            .into_iter().collect::<Vec<_>>(),
        "seal_record": hex(bytes),
    })
}

pub(crate) fn vectors() -> Vec<Value> {
    let mut vectors = vec![
        encoded("seal_record_after_init_with_3_of_5_shares", &small()),
        encoded("seal_record_with_a_pending_wrap_and_a_tail", &large()),
    ];
    vectors.extend(refused_records());
    vectors.push(wrapped("root_key_wrapped_under_a_kek"));
    vectors.extend(refused_wraps());
    vectors.push(json!({
        "name": "parameters_of_3_of_5_shares", "shares": 5, "threshold": 3, "set_id": hex(bytes::<8>(1)),
        "parameters": hex(ShamirParameters { shares: 5, threshold: 3, set_id: bytes(1) }.encode()),
    }));
    vectors.extend(refused_parameters());
    vectors
}

fn refused_records() -> Vec<Value> {
    let record = small().encode(&root_key()).unwrap();
    let case_of = |name: &str, record: &[u8], root_key: &[u8; 32], field, offset, fault| {
        let result = Unverified::decode(record).and_then(|unverified| unverified.verify(root_key));
        json!({
            "name": name, "root_key": hex(root_key), "seal_record": hex(record),
            "error": refused(result, field, offset, fault),
        })
    };
    let case = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        case_of(name, &changed(&record, change), &root_key(), field, offset, fault)
    };
    // 74 bytes, one wrap of 22 + 10 + 73, 2 bytes, five digests of 40, the MAC.
    const DIGESTS: usize = 74 + 22 + 10 + 73;
    const MAC: usize = DIGESTS + 2 + 5 * 40;
    let twice = {
        let mut record = large();
        record.wraps[1].id = SECOND_WRAP;
        let mut bytes = record.encode(&root_key()).unwrap();
        bytes.copy_within(74..90, DIGESTS);
        let body = bytes.len() - 32;
        let mac = hmac_sha256(&seal_mac_key(&root_key(), &CTX), &[&bytes[..body]]);
        bytes[body..].copy_from_slice(&mac);
        bytes
    };
    vec![
        case("seal_record_that_is_empty", &|r| r.clear(), "version", 0, "Truncated"),
        case("seal_record_of_an_unknown_version", &|r| r[0] = 9, "version", 0, "UnknownVersion"),
        case("seal_record_shorter_than_its_mac", &|r| r.truncate(31), "MAC", 0, "Truncated"),
        case("seal_record_cut_by_one_byte", &|r| r.truncate(MAC + 31), "share digest", MAC - 32, "Truncated"),
        case("seal_record_without_wraps", &|r| r[73] = 0, "wrap count", 73, "Invalid"),
        case("seal_record_with_an_unknown_wrap_type", &|r| r[90] = 7, "wrap type", 90, "UnknownAlgorithm"),
        case("seal_record_with_an_unknown_wrap_state", &|r| r[91] = 0, "wrap state", 91, "Invalid"),
        case(
            "seal_record_with_a_parameters_length_of_65535",
            &|r| r[92..94].fill(0xff),
            "wrap parameters",
            94,
            "Truncated",
        ),
        case(
            "seal_record_with_a_blob_length_of_65535",
            &|r| r[104..106].fill(0xff),
            "wrap blob",
            106,
            "Truncated",
        ),
        case(
            "seal_record_that_claims_65535_share_digests",
            &|r| r[DIGESTS..DIGESTS + 2].fill(0xff),
            "share set id",
            MAC,
            "Truncated",
        ),
        case_of(
            "seal_record_with_one_wrap_id_twice",
            &twice,
            &root_key(),
            "wrap id",
            DIGESTS,
            "NotCanonical",
        ),
        case("seal_record_with_another_root_id", &|r| r[40] ^= 1, "root id", 33, "NotAuthentic"),
        case("seal_record_with_another_store_id", &|r| r[1] ^= 1, "root id", 33, "NotAuthentic"),
        case("seal_record_with_an_older_generation", &|r| r[72] = 0, "MAC", MAC, "NotAuthentic"),
        case("seal_record_whose_pending_wrap_was_made_current", &|r| r[91] = 1, "MAC", MAC, "NotAuthentic"),
        case("seal_record_with_a_share_digest_swapped", &|r| r[MAC - 1] ^= 1, "MAC", MAC, "NotAuthentic"),
        case("seal_record_with_a_bit_flipped_in_the_mac", &|r| r[MAC] ^= 1, "MAC", MAC, "NotAuthentic"),
        case_of("seal_record_under_another_root_key", &record, &bytes(0x21), "root id", 33, "NotAuthentic"),
    ]
}

fn wrapped(name: &str) -> Value {
    let kek = bytes(0x30);
    let root_id = root_id(&root_key(), &CTX);
    let blob = blob(&kek, WRAP);
    assert_eq!(*unwrap_root(&kek, &CTX, WRAP, &root_id, &blob).unwrap(), root_key());
    json!({
        "name": name, "kek": hex(kek), "store": hex(STORE.0), "environment": hex(ENVIRONMENT.0),
        "wrap": hex(WRAP.0), "root_id": hex(root_id), "nonce": hex(bytes::<24>(0xc0)),
        "root_key": hex(root_key()), "blob": hex(blob),
    })
}

fn refused_wraps() -> Vec<Value> {
    let kek = bytes(0x30);
    let right = blob(&kek, WRAP);
    let public = root_id(&root_key(), &CTX);
    let elsewhere = Context { environment: OTHER_ENVIRONMENT, ..CTX };
    let case = |name: &str,
                kek: [u8; 32],
                ctx: Context,
                wrap: WrapId,
                root_id: [u8; 32],
                blob: &[u8],
                field,
                offset,
                fault| {
        json!({
            "name": name, "kek": hex(kek), "store": hex(ctx.store.0), "environment": hex(ctx.environment.0),
            "wrap": hex(wrap.0), "root_id": hex(root_id), "blob": hex(blob),
            "error": refused(unwrap_root(&kek, &ctx, wrap, &root_id, blob), field, offset, fault),
        })
    };
    let altered = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        case(name, kek, CTX, WRAP, public, &changed(&right, change), field, offset, fault)
    };
    let foreign = wrap_root(&kek, &CTX, WRAP, &public, &bytes(0xc0), &bytes(0x77));
    let moved = |name: &str, kek, ctx, wrap, root_id| {
        case(name, kek, ctx, wrap, root_id, &right, "wrap blob", 0, "NotAuthentic")
    };
    vec![
        moved("wrap_opened_with_another_kek", bytes(0x31), CTX, WRAP, public),
        moved("wrap_moved_to_another_environment", kek, elsewhere, WRAP, public),
        moved("wrap_under_another_wrap_id", kek, CTX, SECOND_WRAP, public),
        moved("wrap_under_another_root_id", kek, CTX, WRAP, bytes(1)),
        case(
            "wrap_of_a_key_that_is_not_the_root_ids",
            kek,
            CTX,
            WRAP,
            public,
            &foreign,
            "root id",
            0,
            "NotAuthentic",
        ),
        altered("wrap_of_an_unknown_version", &|b| b[0] = 2, "version", 0, "UnknownVersion"),
        altered("wrap_cut_in_the_nonce", &|b| b.truncate(24), "nonce", 1, "Truncated"),
        altered("wrap_cut_in_the_key", &|b| b.truncate(56), "wrapped root key", 25, "Truncated"),
        altered("wrap_cut_in_the_tag", &|b| b.truncate(72), "tag", 57, "Truncated"),
        altered("wrap_with_a_byte_too_many", &|b| b.push(0), "wrap blob", 73, "TrailingBytes"),
        altered("wrap_with_a_bit_flipped", &|b| b[30] ^= 1, "wrap blob", 0, "NotAuthentic"),
    ]
}

fn refused_parameters() -> Vec<Value> {
    let case = |name: &str, parameters: &[u8], field, offset, fault| {
        let error = refused(ShamirParameters::decode(parameters), field, offset, fault);
        json!({ "name": name, "parameters": hex(parameters), "error": error })
    };
    vec![
        case("parameters_with_threshold_zero", &[5, 0, 1, 2, 3, 4, 5, 6, 7, 8], "threshold", 1, "Invalid"),
        case("parameters_with_4_of_3_shares", &[3, 4, 1, 2, 3, 4, 5, 6, 7, 8], "threshold", 1, "Invalid"),
        case("parameters_cut_in_the_set_id", &[3, 2, 1, 2, 3, 4, 5, 6, 7], "share set id", 2, "Truncated"),
        case(
            "parameters_with_a_byte_too_many",
            &[3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9],
            "wrap parameters",
            10,
            "TrailingBytes",
        ),
    ]
}
