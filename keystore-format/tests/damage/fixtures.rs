//! One whole thing of each format, small enough to flip all its bits.
use keystore_format::{
    ids::{EnvironmentId, MountId, StoreId, WrapId},
    kdf::Context,
    keyring::{Epoch, EpochState, EscrowedKek, Keyring, StableKey, seal_keyring},
    name::{SealedPath, store_key},
    record::{Header, record_key, seal},
    seal_record::{SealRecord, ShamirParameters, ShareDigest, Wrap, WrapState, WrapType, root_id, wrap_root},
    share::Share,
    tables::{self, Slot},
    tail::{OPTIONAL, Tail},
};
use zeroize::Zeroizing;

pub(crate) const ENVIRONMENT: EnvironmentId = EnvironmentId([0x11; 16]);
pub(crate) const MOUNT: MountId = MountId([0x22; 16]);
pub(crate) const WRAP: WrapId = WrapId([0x33; 16]);
pub(crate) const CTX: Context = Context { store: StoreId([0x44; 16]), environment: ENVIRONMENT };
pub(crate) const ROOT_KEY: [u8; 32] = [0x55; 32];
pub(crate) const KEK: [u8; 32] = [0x66; 32];
pub(crate) const NAME_KEY: [u8; 64] = [0x77; 64];

/// Key, place and bytes.
pub(crate) fn record() -> (Zeroizing<[u8; 32]>, Vec<u8>, Vec<u8>) {
    let header = Header { kind: 0x4243, epoch: 0x0102_0304, rev: 0x1122_3344_5566_7788 };
    let path = SealedPath::of(&NAME_KEY, ENVIRONMENT, MOUNT, "app/db").unwrap();
    let place = store_key(tables::RECORDS, ENVIRONMENT, MOUNT, header.kind, &path, None);
    let key = record_key(&[0x88; 32], &CTX, header.kind, header.epoch);
    let nonce = core::array::from_fn(|at| at as u8);
    let record = seal(&key, header, &CTX, &place, &nonce, b"twelve bytes").unwrap();
    (key, place, record)
}

pub(crate) fn keyring() -> Keyring {
    let epoch = |number, state| Epoch {
        number,
        state,
        created_unix_seconds: 1,
        data_key: Zeroizing::new([0x99; 32]),
        encryptions: 7,
    };
    let stable = || StableKey { version: 1, key: Zeroizing::new([0xaa; 32]) };
    Keyring {
        generation: 3,
        epochs: vec![epoch(1, EpochState::Retired), epoch(2, EpochState::Active)],
        name_key: StableKey { version: 1, key: Zeroizing::new(NAME_KEY) },
        token_key: stable(),
        commitment_key: stable(),
        child_kek: stable(),
        log_seed: stable(),
        escrow: vec![EscrowedKek { wrap: WRAP, kek: Zeroizing::new(KEK) }],
        tail: Tail::new(),
    }
}

pub(crate) fn sealed_keyring() -> Vec<u8> {
    seal_keyring(&ROOT_KEY, &CTX, Slot::B, &[0xbb; 24], &keyring()).unwrap()
}

pub(crate) fn seal_record() -> SealRecord {
    let root_id = root_id(&ROOT_KEY, &CTX);
    let mut tail = Tail::new();
    tail.set(OPTIONAL | 5, Zeroizing::new(vec![1, 2, 3]));
    SealRecord {
        ctx: CTX,
        root_id,
        generation: 2,
        wraps: vec![Wrap {
            id: WRAP,
            wrap_type: WrapType::Shamir,
            state: WrapState::Current,
            parameters: ShamirParameters { shares: 3, threshold: 2, set_id: [0xcc; 8] }.encode(),
            blob: wrap_root(&KEK, &CTX, WRAP, &root_id, &[0xdd; 24], &ROOT_KEY),
        }],
        share_digests: vec![ShareDigest { set_id: [0xcc; 8], digest: [0xee; 32] }],
        tail,
    }
}

pub(crate) fn share() -> Share {
    Share { set_id: [0xcc; 8], x: 3, k: 2, y: Zeroizing::new(core::array::from_fn(|at| at as u8)) }
}
