//! Every key that a daemon has while it is open, from its files, and every form in which a key may lie in memory.
use super::aes;
use crate::stored::{self, Opened};
use coffer_store::Entry;
use coffer_tests::{Frozen, House, Search, Wanted};
use coffer_types::Kind;
use hmac::{Hmac, KeyInit, Mac as _};
use keystore_format::head::Head;
use keystore_format::kdf::derive;
use keystore_format::keyring::keyring_key;
use keystore_format::name::StoreKey;
use keystore_format::record::{Record, record_key};
use keystore_format::seal_record::{child_kek, seal_mac_key};
use keystore_format::tables::{self, MetaItem, Slot, meta_key};
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha512};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt as _;

/// Keys of 16 or 32 bytes, and other secrets of any length, by kind and name.
#[derive(Default)]
pub(super) struct Keys {
    /// What a cipher or a MAC takes, of which schedules and states are made.
    symmetric: BTreeMap<Vec<u8>, (&'static str, String)>,
    /// Numbers of key pairs, which libraries hold in either byte order.
    numbers: BTreeMap<Vec<u8>, (&'static str, String)>,
    /// Of single records: key of the message and of its authentication.
    messages: BTreeSet<Vec<u8>>,
    /// How often files were read: a rotation removes keys from them.
    files: usize,
}

pub(super) const ROOT: &str = "root key or share KEK";
pub(super) const KEYRING: &str = "key of a keyring";
pub(super) const DERIVED: &str = "derived key";
pub(super) const SIGNING: &str = "seed of an audit log";
pub(super) const TRANSIT: &str = "transit key";
pub(super) const SCHEDULE: &str = "AES key schedule";
pub(super) const GHASH: &str = "key of GHASH";
pub(super) const HMAC: &str = "state of HMAC";
pub(super) const MESSAGE: &str = "key of one message";

impl Keys {
    pub(super) fn symmetric(&mut self, kind: &'static str, name: impl Into<String>, key: &[u8]) {
        self.symmetric.entry(key.to_vec()).or_insert_with(|| (kind, name.into()));
    }

    fn number(&mut self, kind: &'static str, name: impl Into<String>, number: &[u8]) {
        let number = &number[number.iter().position(|byte| *byte != 0).unwrap_or(0)..];
        self.numbers.entry(number.to_vec()).or_insert_with(|| (kind, name.into()));
    }

    /// How many keys are known.
    pub(super) fn len(&self) -> usize {
        self.symmetric.len() + self.numbers.len()
    }

    /// The keys themselves, raw, with their names.
    pub(super) fn raw(&self) -> impl Iterator<Item = (&'static str, &str, &[u8])> {
        let all = self.symmetric.iter().chain(&self.numbers);
        all.map(|(key, (kind, name))| (*kind, name.as_str(), key.as_slice()))
    }

    /// Learns what the files of a house hold now. It stands still, so what is copied is what a crash would leave.
    pub(super) fn learn(&mut self, house: &House, _still: &Frozen, keks: &[[u8; 32]]) {
        let copy = tempfile::tempdir().unwrap();
        std::fs::DirBuilder::new().mode(0o700).create(copy.path().join("store")).unwrap();
        std::fs::copy(stored::file(house.data()), stored::file(copy.path())).unwrap();
        let entries = stored::entries(copy.path());
        self.files += 1;
        for (number, kek) in keks.iter().enumerate() {
            self.symmetric(ROOT, format!("KEK {number} of shares, or of a key file"), kek);
        }
        self.node(house);
        let opened = stored::open_by(&entries, keks);
        for (number, environment) in opened.iter().enumerate() {
            let of = format!("of environment {number} at {}", self.files);
            for (name, key) in environment.keys(&entries) {
                let kind = match name.as_str() {
                    "root key" => ROOT,
                    name if name.starts_with("key of records") => DERIVED,
                    "log seed" => SIGNING,
                    _ => KEYRING,
                };
                self.symmetric(kind, format!("{name} {of}"), &key);
            }
            for other in &opened {
                let kek = child_kek(&environment.keyring.child_kek.key, other.context.environment);
                self.symmetric(DERIVED, format!("KEK of a child {of}"), &*kek);
            }
            self.derived(environment, &entries, &of);
            self.records(environment, &entries, &of);
        }
    }

    fn node(&mut self, house: &House) {
        let key: [u8; 32] = std::fs::read(house.data().join("node.key")).unwrap().try_into().unwrap();
        self.symmetric(SIGNING, "the node's own key", &key);
    }

    fn derived(&mut self, environment: &Opened, entries: &[Entry], of: &str) {
        let Opened { context, root_key, keyring } = environment;
        self.symmetric(DERIVED, format!("seal MAC key {of}"), &*seal_mac_key(root_key, context));
        self.symmetric(DERIVED, format!("keyring key {of}"), &*keyring_key(root_key, context));
        for escrow in &keyring.escrow {
            self.symmetric(ROOT, format!("escrowed KEK {of}"), &*escrow.kek);
        }
        let log_seed = &keyring.log_seed.key;
        let counter = derive::<32>(log_seed, "tpm-counter", &[&context.bytes()]);
        self.symmetric(DERIVED, format!("counter's authorisation {of}"), &*counter);
        for slot in [Slot::A, Slot::B] {
            let key = meta_key(context.environment, MetaItem::Head, slot);
            let Some(entry) = entries.iter().find(|entry| entry.key == key) else { continue };
            let head = Head::decode(&environment.open_record(entry).expect("a head that opens")).unwrap();
            let seed = derive::<32>(log_seed, "log-signing", &[&context.bytes(), &head.incarnation]);
            self.symmetric(SIGNING, format!("signing seed {of}"), &*seed);
            self.ed25519(SIGNING, &format!("signing key {of}"), &*seed);
        }
    }

    fn records(&mut self, environment: &Opened, entries: &[Entry], of: &str) {
        let records =
            entries.iter().filter(|entry| entry.key[0] == tables::RECORDS && environment.holds(&entry.key));
        let mut schedules = BTreeMap::new();
        for entry in records {
            let header = Record::parse(&entry.value).unwrap().header();
            let epoch = environment.keyring.epochs.iter().find(|epoch| epoch.number == header.epoch).unwrap();
            let keys = schedules.entry((header.kind, header.epoch)).or_insert_with(|| {
                let key = record_key(&epoch.data_key, &environment.context, header.kind, header.epoch);
                aes::schedule(&*key)
            });
            let nonce: [u8; 24] = entry.value[16..40].try_into().unwrap();
            self.messages.insert(aes::xaes_key(keys, &nonce).to_vec());
            let kind = StoreKey::parse(&entry.key).unwrap().kind;
            if kind == Kind::OpeningKey as u16 {
                let key = environment.open_record(entry).expect("a record that opens");
                self.symmetric(DERIVED, format!("key of openings {of}"), &key);
            }
            if kind == Kind::TransitKey as u16 {
                self.transit(&environment.open_record(entry).expect("a record that opens"), of);
            }
        }
    }

    /// What `daemon/engines/src/transit/records.rs` draws.
    fn transit(&mut self, record: &[u8], of: &str) {
        let (key_type, mut rest) = (record[1], &record[47..]);
        while !rest.is_empty() {
            let _created = take(&mut rest, 8);
            self.symmetric(TRANSIT, format!("MAC key {of}"), take(&mut rest, 32));
            let (secret, public) = (part(&mut rest), part(&mut rest));
            match key_type {
                1..=3 => self.symmetric(TRANSIT, format!("key of type {key_type} {of}"), secret),
                16 => {
                    self.symmetric(TRANSIT, format!("Ed25519 seed {of}"), secret);
                    self.ed25519(TRANSIT, &format!("Ed25519 key {of}"), secret);
                }
                _ => self.pair(TRANSIT, &format!("pair of type {key_type} {of}"), secret, public),
            }
        }
    }

    /// The scalar and the prefix that a seed stands for (RFC 8032, 5.1.5).
    fn ed25519(&mut self, kind: &'static str, name: &str, seed: &[u8]) {
        let mut expanded: [u8; 64] = Sha512::digest(seed).into();
        self.symmetric(kind, format!("{name}: prefix"), &expanded[32..]);
        expanded[0] &= 248;
        expanded[31] = expanded[31] & 127 | 64;
        self.symmetric(kind, format!("{name}: scalar"), &expanded[..32]);
    }

    /// The numbers of a PKCS#8 key (RFC 5208, 8017, 5915) that its public half does not show.
    pub(super) fn pair(&mut self, kind: &'static str, name: &str, secret: &[u8], public: &[u8]) {
        let numbers = walk(secret).unwrap_or_default();
        assert!(!numbers.is_empty(), "no number in a private key");
        for (at, number) in numbers.into_iter().enumerate() {
            if !public.windows(number.len()).any(|window| window == number) {
                self.number(kind, format!("{name}: number {at}"), &number);
            }
        }
    }

    /// Forgets those whose names hold one of these.
    pub(super) fn without(&mut self, names: &[&str]) {
        let stays = |name: &str| !names.iter().any(|part| name.contains(part));
        self.symmetric.retain(|_, (_, name)| stays(name));
    }

    /// The search for all of them, in every form.
    pub(super) fn add_to(&self, search: &mut Search) {
        for (kind, name, key) in self.raw() {
            pieces(search, kind, name, key);
        }
        for (number, (kind, name)) in &self.numbers {
            let reversed: Vec<u8> = number.iter().rev().copied().collect();
            pieces(search, kind, &format!("{name}, little-endian"), &reversed);
        }
        for (key, (_, name)) in &self.symmetric {
            self.forms(search, name, key);
        }
        for key in &self.messages {
            for piece in key.chunks(16) {
                search.add_raw(wanted(MESSAGE, "key of a record".to_owned(), piece));
            }
            for (at, form) in aes::ghash_keys(key).iter().enumerate() {
                search.add_raw(wanted(GHASH, format!("of a record, form {at}"), form));
            }
        }
    }

    fn forms(&self, search: &mut Search, name: &str, key: &[u8]) {
        let rounds = aes::schedule(key);
        for (at, round) in rounds.iter().enumerate().skip(key.len() / 16) {
            search.add(wanted(SCHEDULE, format!("{name}: round {at}"), round));
        }
        for (at, round) in aes::inverse_schedule(key).iter().enumerate() {
            search.add(wanted(SCHEDULE, format!("{name}: inverse round {}", at + 1), round));
        }
        for (at, form) in aes::ghash_keys(key).iter().enumerate() {
            search.add(wanted(GHASH, format!("{name}: form {at}"), form));
        }
        for (at, state) in hmac_states(key).iter().enumerate() {
            pieces(search, HMAC, &format!("{name}: {at}"), state);
        }
    }
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> &'b [u8] {
    let (taken, left) = rest.split_at(length);
    *rest = left;
    taken
}

/// Bytes with their length in front.
fn part<'b>(rest: &mut &'b [u8]) -> &'b [u8] {
    let length = u16::from_be_bytes(take(rest, 2).try_into().unwrap());
    take(rest, length.into())
}

fn wanted(kind: &'static str, name: String, bytes: &[u8]) -> Wanted {
    Wanted { kind, name, bytes: bytes.to_vec() }
}

/// Every piece of 16 bytes: half a key is no less of a find.
pub(super) fn pieces(search: &mut Search, kind: &'static str, name: &str, bytes: &[u8]) {
    for (at, piece) in bytes.chunks(16).enumerate().filter(|(at, piece)| *at == 0 || piece.len() >= 12) {
        search.add(wanted(kind, format!("{name} [{}..]", at * 16), piece));
    }
}

/// The padded key's blocks, as both hashes take them, and the states after them (RFC 2104, FIPS 180-4).
fn hmac_states(key: &[u8]) -> Vec<Vec<u8>> {
    const START: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    let mut forms = Vec::new();
    for pad in [0x36, 0x5c] {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        let mut state = START;
        compress256(&mut state, &[block]);
        forms.push(block[..key.len()].to_vec());
        forms.push(state.iter().flat_map(|word| word.to_le_bytes()).collect());
        forms.push(state.iter().flat_map(|word| word.to_be_bytes()).collect());
    }
    forms
}

/// The integers and octet strings of DER (X.690) that are long enough to be secret, at any depth; none where it is no DER.
fn walk(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut rest, mut numbers) = (der, Vec::new());
    while let [tag, length, tail @ ..] = rest {
        let (length, tail) = match length {
            0..=0x7f => (usize::from(*length), tail),
            _ => {
                let (digits, tail) = tail.split_at_checked(usize::from(length & 0x7f))?;
                (digits.iter().fold(0, |length: usize, digit| length << 8 | usize::from(*digit)), tail)
            }
        };
        let (content, tail) = tail.split_at_checked(length)?;
        match tag {
            0x30 => numbers.extend(walk(content)?),
            // What an octet string holds is a key again, or its scalar, which may by chance look like DER.
            0x04 => match walk(content) {
                Some(inner) if !inner.is_empty() => numbers.extend(inner),
                _ => numbers.push(content.to_vec()),
            },
            0x02 => numbers.push(content.to_vec()),
            _ => {}
        }
        rest = tail;
    }
    numbers.retain(|number| number.len() >= 24);
    rest.is_empty().then_some(numbers)
}

#[test]
fn the_states_of_hmac_are_those_that_it_goes_on_from() {
    let key = [7; 32];
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&key).unwrap();
    mac.update(b"message");
    let states = hmac_states(&key);
    // Both hashes from their states on: one more block each, padded by hand.
    let finish = |state: &[u8], message: &[u8]| {
        let mut words: [u32; 8] =
            std::array::from_fn(|at| u32::from_be_bytes(state[4 * at..][..4].try_into().unwrap()));
        let mut block = [0; 64];
        block[..message.len()].copy_from_slice(message);
        block[message.len()] = 0x80;
        block[56..].copy_from_slice(&(8 * (64 + message.len() as u64)).to_be_bytes());
        compress256(&mut words, &[block]);
        words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>()
    };
    let inner = finish(&states[2], b"message");
    assert_eq!(finish(&states[5], &inner), mac.finalize().into_bytes().to_vec());
}

#[test]
fn the_scalar_of_a_private_key_is_found_whatever_it_begins_with() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut der = pair.serialize_der();
    let scalar = walk(&der).unwrap().into_iter().find(|number| number.len() == 32).expect("a scalar");
    let at = der.windows(32).position(|window| window == scalar).unwrap();
    for first in 0..=u16::MAX {
        der[at..at + 2].copy_from_slice(&first.to_be_bytes());
        let numbers = walk(&der).unwrap();
        // An octet string in the octet string, as long as it can be: then that is found.
        assert!(numbers.iter().any(|number| der[at..at + 32].ends_with(number)), "{first:#06x}");
    }
}
