use super::{CTX, ENVIRONMENT, STORE, WRAP, bytes, changed, refused};
use hex::encode as hex;
use keystore_format::{
    ids::WrapId,
    keyring::{
        Epoch, EpochState, EscrowedKek, KIND, Keyring, StableKey, keyring_key, open_keyring, seal_keyring,
    },
    record::{Header, seal},
    tables::{MetaItem, Slot, meta_key},
    tail::{OPTIONAL, Tail},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

fn epoch(number: u32, state: EpochState) -> Epoch {
    Epoch {
        number,
        state,
        created_unix_seconds: 1_767_225_600 + u64::from(number),
        data_key: Zeroizing::new(bytes(number as u8)),
        encryptions: u64::from(number) << 32,
    }
}

fn stable<const N: usize>(version: u32) -> StableKey<N> {
    StableKey { version, key: Zeroizing::new(bytes(0x50 + version as u8)) }
}

fn small() -> Keyring {
    Keyring {
        generation: 1,
        epochs: vec![epoch(1, EpochState::Active)],
        name_key: stable(1),
        token_key: stable(2),
        commitment_key: stable(3),
        child_kek: stable(4),
        log_seed: stable(5),
        escrow: Vec::new(),
        tail: Tail::new(),
    }
}

fn large() -> Keyring {
    let mut keyring = small();
    keyring.generation = 0x0102_0304_0506_0708;
    keyring.epochs =
        vec![epoch(2, EpochState::Retired), epoch(5, EpochState::Retired), epoch(6, EpochState::Active)];
    let kek = |first| Zeroizing::new(bytes(first));
    keyring.escrow = vec![
        EscrowedKek { wrap: WRAP, kek: kek(0x90) },
        EscrowedKek { wrap: WrapId(*b"wrap id, 16 b. 2"), kek: kek(0xa0) },
    ];
    keyring.tail.set(OPTIONAL | 9, Zeroizing::new(b"later".to_vec()));
    keyring.tail.set(OPTIONAL | 1, Zeroizing::new(Vec::new()));
    keyring
}

fn sealed(name: &str, keyring: &Keyring) -> Value {
    let (root_key, nonce) = (bytes(0x20), bytes(0xc0));
    let slot = Slot::of(keyring.generation);
    let sealed = seal_keyring(&root_key, &CTX, slot, &nonce, keyring).unwrap();
    let plaintext = keyring.encode().unwrap();
    assert_eq!(plaintext.len(), plaintext.capacity(), "no copy was left behind by growing");
    let opened = open_keyring(&root_key, &CTX, slot, &sealed).unwrap();
    assert_eq!(*opened.encode().unwrap(), *plaintext);

    let key = |version: u32, key: &[u8]| json!({ "version": version, "key": hex(key) });
    json!({
        "name": name, "root_key": hex(root_key), "store": hex(STORE.0), "environment": hex(ENVIRONMENT.0),
        "nonce": hex(nonce), "slot": slot as u8,
        "generation": keyring.generation.to_string(),
        "epochs": keyring.epochs.iter().map(|epoch| json!({
            "number": epoch.number, "state": epoch.state as u8, "created": epoch.created_unix_seconds,
            "data_key": hex(epoch.data_key.as_slice()), "encryptions": epoch.encryptions,
        })).collect::<Vec<_>>(),
        "stable_keys": [
            key(keyring.name_key.version, &*keyring.name_key.key),
            key(keyring.token_key.version, &*keyring.token_key.key),
            key(keyring.commitment_key.version, &*keyring.commitment_key.key),
            key(keyring.child_kek.version, &*keyring.child_kek.key),
            key(keyring.log_seed.version, &*keyring.log_seed.key),
        ],
        "escrow": keyring.escrow.iter().map(|escrowed| json!({
            "wrap": hex(escrowed.wrap.0), "kek": hex(escrowed.kek.as_slice()),
        })).collect::<Vec<_>>(),
        "tail": tail(&keyring.tail),
        "plaintext": hex(plaintext.as_slice()), "record": hex(sealed),
    })
}

fn tail(tail: &Tail) -> Vec<Value> {
    let entry = |tag| tail.get(tag).map(|value| json!({ "tag": tag, "value": hex(value) }));
    [OPTIONAL | 1, OPTIONAL | 9].into_iter().filter_map(entry).collect()
}

pub(crate) fn vectors() -> Vec<Value> {
    let mut vectors = vec![
        sealed("keyring_after_init", &small()),
        sealed("keyring_with_retired_epochs_escrow_and_a_tail", &large()),
    ];
    vectors.extend(refused_plaintexts());
    vectors.extend(refused_records());
    vectors
}

fn refused_plaintexts() -> Vec<Value> {
    let plaintext = large().encode().unwrap();
    let case = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        let plaintext = changed(&plaintext, change);
        let result = Keyring::decode(&plaintext);
        json!({ "name": name, "plaintext": hex(&plaintext), "error": refused(result, field, offset, fault) })
    };
    // 11 bytes, three epochs of 53, 212 bytes of stable keys, 2 bytes, two escrows of 48, the tail.
    const ESCROW: usize = 11 + 3 * 53 + 212;
    const TAIL: usize = ESCROW + 2 + 2 * 48;
    vec![
        case("keyring_of_an_unknown_version", &|p| p[0] = 0, "version", 0, "UnknownVersion"),
        case("keyring_without_epochs", &|p| p[9..11].fill(0), "epoch count", 9, "Invalid"),
        case("keyring_that_claims_65535_epochs", &|p| p[9..11].fill(0xff), "epoch state", 174, "Invalid"),
        case(
            "keyring_whose_epoch_is_numbered_zero",
            &|p| p[11..15].fill(0),
            "epoch number",
            11,
            "NotCanonical",
        ),
        case("keyring_with_an_epoch_twice", &|p| p[67] = 2, "epoch number", 64, "NotCanonical"),
        case("keyring_with_an_unknown_epoch_state", &|p| p[15] = 3, "epoch state", 15, "Invalid"),
        case("keyring_with_two_active_epochs", &|p| p[68] = 1, "epoch state", 68, "Invalid"),
        case("keyring_without_an_active_epoch", &|p| p[121] = 2, "epoch state", 121, "Invalid"),
        case("keyring_cut_in_an_epoch", &|p| p.truncate(100), "epoch data key", 77, "Truncated"),
        case("keyring_cut_in_the_name_key", &|p| p.truncate(200), "name key", 174, "Truncated"),
        case("keyring_cut_before_the_escrow", &|p| p.truncate(ESCROW), "escrow count", ESCROW, "Truncated"),
        case(
            "keyring_with_an_escrow_twice",
            &|p| p.copy_within(ESCROW + 2..ESCROW + 18, ESCROW + 50),
            "escrow wrap id",
            ESCROW + 50,
            "NotCanonical",
        ),
        case("keyring_cut_in_a_tail_tag", &|p| p.truncate(TAIL + 1), "tail tag", TAIL, "Truncated"),
        case("keyring_cut_in_a_tail_length", &|p| p.truncate(TAIL + 5), "tail length", TAIL + 2, "Truncated"),
        case("keyring_with_a_mandatory_tag", &|p| p[TAIL] = 0, "tail tag", TAIL, "UnknownTag"),
        case("keyring_with_a_tag_twice", &|p| p[TAIL + 7] = 1, "tail tag", TAIL + 6, "NotCanonical"),
        case(
            "keyring_with_a_tail_length_of_4_gib",
            &|p| p[TAIL + 8..TAIL + 12].fill(0xff),
            "tail value",
            TAIL + 12,
            "Truncated",
        ),
    ]
}

fn refused_records() -> Vec<Value> {
    let root_key = bytes(0x20);
    let case = |name: &str, slot: Slot, record: &[u8], field, offset, fault| {
        json!({
            "name": name, "root_key": hex(root_key), "store": hex(STORE.0), "environment": hex(ENVIRONMENT.0),
            "slot": slot as u8, "record": hex(record),
            "error": refused(open_keyring(&root_key, &CTX, slot, record), field, offset, fault),
        })
    };
    let right = seal_keyring(&root_key, &CTX, Slot::B, &bytes(0xc0), &small()).unwrap();
    let with = |header| {
        let place = meta_key(ENVIRONMENT, MetaItem::Keyring, Slot::B);
        let key = keyring_key(&root_key, &CTX);
        seal(&key, header, &CTX, &place, &bytes(0xc0), &small().encode().unwrap()).unwrap()
    };
    let kind = with(Header { kind: 2, epoch: 0, rev: 1 });
    let epoch = with(Header { kind: KIND, epoch: 1, rev: 1 });
    let rev = with(Header { kind: KIND, epoch: 0, rev: 2 });
    vec![
        case("keyring_copied_to_the_other_slot", Slot::A, &right, "record", 0, "NotAuthentic"),
        case("keyring_of_another_kind", Slot::B, &kind, "kind", 2, "Invalid"),
        case("keyring_in_an_epoch", Slot::B, &epoch, "epoch", 4, "Invalid"),
        case("keyring_whose_rev_is_not_its_generation", Slot::B, &rev, "generation", 1, "Invalid"),
    ]
}
