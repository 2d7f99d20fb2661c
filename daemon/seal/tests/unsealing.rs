//! Initialising, handing out shares, and bringing their holders together again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
use coffer_seal::{Inherited, Initialised, Offered, Seal, SealError, ShareError, Threshold, UnsealProgress};
use coffer_secmem::Key32;
use coffer_types::{Entropy, EntropyError, EnvironmentId, StoreId};
use keystore_format::{
    kdf::Context,
    seal_record::{self, SealRecord, WrapState, WrapType},
    share::Share,
};
use std::sync::Mutex;

const HERE: Context = Context { store: StoreId([1; 16]), environment: EnvironmentId([2; 16]) };
const ELSEWHERE: Context = Context { store: StoreId([1; 16]), environment: EnvironmentId([3; 16]) };

/// SplitMix64.
struct Seeded(Mutex<u64>);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let mut state = self.0.lock().unwrap();
        for byte in bytes {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z >> 56) as u8;
        }
        Ok(())
    }
}

struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

fn seeded(seed: u64) -> Seeded {
    Seeded(Mutex::new(seed))
}

fn init(context: Context, shares: u64, threshold: u64, seed: u64) -> Initialised {
    Initialised::new(context, Threshold::new(shares, threshold).unwrap(), &seeded(seed)).unwrap()
}

fn encode(seal: &SealRecord, root_key: &Key32) -> Vec<u8> {
    seal.encode(root_key.expose()).unwrap()
}

fn seal_of(made: &Initialised) -> Seal {
    Seal::found(HERE, vec![encode(&made.seal, &made.root_key)]).unwrap()
}

fn text(share: &Share) -> String {
    share.to_text().unwrap().to_string()
}

fn offer(ceremony: &mut UnsealProgress, text: &str, seal: &Seal) -> Result<Offered, ShareError> {
    ceremony.offer(text, seal, &seeded(99))
}

fn have(offered: Result<Offered, ShareError>) -> (u8, bool) {
    match offered {
        Ok(Offered::Progress { have, repeated, .. }) => (have, repeated),
        Ok(Offered::Complete(_)) => panic!("complete"),
        Err(error) => panic!("{error}"),
    }
}

fn refusal(offered: Result<Offered, ShareError>) -> ShareError {
    offered.err().unwrap()
}

fn root_key(offered: Result<Offered, ShareError>) -> [u8; 32] {
    match offered {
        Ok(Offered::Complete(joined)) => *joined.root_key.expose(),
        Ok(Offered::Progress { have, need, .. }) => panic!("{have} of {need}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn any_three_of_five_unseal_in_any_order_and_any_form() {
    let made = init(HERE, 5, 3, 1);
    let seal = seal_of(&made);
    let forms = [
        |share: &Share| text(share),
        |share: &Share| text(share).to_uppercase(),
        |share: &Share| share.to_hex().to_string(),
        |share: &Share| format!("  {}\n", share.to_base64().as_str()),
    ];
    let mut tried = 0;
    for a in 0..5 {
        for b in (0..5).filter(|b| *b != a) {
            for c in (0..5).filter(|c| ![a, b].contains(c)) {
                let mut ceremony = UnsealProgress::default();
                let [first, second, third] = [a, b, c].map(|at| forms[(a + b + at) % 4](&made.shares[at]));
                assert_eq!(have(offer(&mut ceremony, &first, &seal)), (1, false));
                assert_eq!(have(offer(&mut ceremony, &second, &seal)), (2, false));
                assert_eq!(root_key(offer(&mut ceremony, &third, &seal)), *made.root_key.expose());
                assert_eq!(ceremony.progress(&seal), Some((0, 3)));
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 60);
}

#[test]
fn every_size_of_set_unseals() {
    for (shares, threshold) in [(1, 1), (2, 2), (3, 2), (8, 8), (255, 2), (255, 255)] {
        let made = init(HERE, shares, threshold, shares);
        let seal = seal_of(&made);
        assert_eq!(seal.status().shares, Some((shares as u8, threshold as u8)));
        let mut ceremony = UnsealProgress::default();
        let (last, before) = made.shares[..threshold as usize].split_last().unwrap();
        for share in before {
            assert!(matches!(offer(&mut ceremony, &text(share), &seal), Ok(Offered::Progress { .. })));
        }
        assert_eq!(root_key(offer(&mut ceremony, &text(last), &seal)), *made.root_key.expose());
    }
}

#[test]
fn a_repeated_share_changes_nothing_and_says_so() {
    let made = init(HERE, 5, 3, 1);
    let seal = seal_of(&made);
    let mut ceremony = UnsealProgress::default();
    assert_eq!(have(offer(&mut ceremony, &text(&made.shares[0]), &seal)), (1, false));
    for _ in 0..5 {
        assert_eq!(have(offer(&mut ceremony, &made.shares[0].to_hex(), &seal)), (1, true));
    }
    assert_eq!(have(offer(&mut ceremony, &text(&made.shares[4]), &seal)), (2, false));
}

#[test]
fn each_wrong_share_is_named_for_what_it_is_and_progress_is_kept() {
    let mut made = init(HERE, 5, 3, 1);
    let old = init(HERE, 5, 3, 2);
    made.seal.share_digests.extend_from_slice(&old.seal.share_digests);
    let foreign = init(ELSEWHERE, 5, 3, 3);
    let seal = seal_of(&made);
    let mut ceremony = UnsealProgress::default();
    for at in [0, 1] {
        assert_eq!(have(offer(&mut ceremony, &text(&made.shares[at]), &seal)).0, at as u8 + 1);
    }
    let nonce = ceremony.nonce().unwrap();

    let mut misread = text(&made.shares[2]).into_bytes();
    misread[40] = if misread[40] == b'q' { b'p' } else { b'q' };
    let misread = String::from_utf8(misread).unwrap();
    let not_in_the_alphabet = text(&made.shares[2]).replacen('1', "1b", 1);
    let cut = text(&made.shares[2])[..80].to_owned();
    let mut wrong_digit = made.shares[2].to_hex().to_string();
    let last = if wrong_digit.pop() == Some('0') { '1' } else { '0' };
    wrong_digit.push(last);
    // 33 random bytes in base64, as other servers hand out.
    let others = "u7Yz1Jx0b3c9m2c8Vn1fXq5d0eS4Kk6pQwErTyUiOpAs";
    let cases: [(&str, ShareError); 10] = [
        (&misread, ShareError::Typo),
        (&not_in_the_alphabet, ShareError::Typo),
        (&cut, ShareError::Typo),
        (&wrong_digit, ShareError::Typo),
        (&text(&old.shares[2]), ShareError::OldSet),
        (&text(&foreign.shares[2]), ShareError::ForeignSet),
        (others, ShareError::Malformed),
        ("", ShareError::Malformed),
        ("möglich", ShareError::Malformed),
        (&"a".repeat(1 << 20), ShareError::Malformed),
    ];
    for (wrong, why) in cases {
        assert_eq!(refusal(offer(&mut ceremony, wrong, &seal)), why);
        assert_eq!(ceremony.progress(&seal), Some((2, 3)), "{why}");
        assert_eq!(ceremony.nonce(), Some(nonce));
    }
    assert_eq!(root_key(offer(&mut ceremony, &text(&made.shares[2]), &seal)), *made.root_key.expose());
}

#[test]
fn a_share_with_another_point_or_threshold_than_was_handed_out_is_refused() {
    let made = init(HERE, 3, 2, 1);
    let seal = seal_of(&made);
    for (x, k) in [(2, 2), (1, 1), (1, 3), (200, 2)] {
        let share = Share { set_id: made.shares[0].set_id, x, k, y: made.shares[0].y.clone() };
        let mut ceremony = UnsealProgress::default();
        assert_eq!(refusal(offer(&mut ceremony, &share.to_hex(), &seal)), ShareError::Typo);
    }
}

#[test]
fn a_reset_forgets_everything_and_the_next_attempt_has_another_nonce() {
    let made = init(HERE, 5, 3, 1);
    let (seal, entropy) = (seal_of(&made), seeded(5));
    let mut ceremony = UnsealProgress::default();
    assert_eq!(ceremony.nonce(), None);
    let mut nonces = Vec::new();
    for _ in 0..2 {
        assert!(ceremony.offer("not a share", &seal, &entropy).is_err());
        assert_eq!(ceremony.nonce(), None, "nothing began");
        ceremony.offer(&text(&made.shares[0]), &seal, &entropy).unwrap();
        nonces.push(ceremony.nonce().unwrap());
        ceremony.offer(&text(&made.shares[1]), &seal, &entropy).unwrap();
        assert_eq!(ceremony.nonce(), nonces.last().copied());
        ceremony.reset();
        assert_eq!((ceremony.nonce(), ceremony.progress(&seal)), (None, Some((0, 3))));
    }
    assert_ne!(nonces[0], nonces[1]);
}

#[test]
fn a_rekey_between_two_shares_makes_those_before_it_worthless() {
    let before = init(HERE, 3, 2, 1);
    let mut after = init(HERE, 3, 2, 2);
    after.seal.share_digests.extend_from_slice(&before.seal.share_digests);
    let mut ceremony = UnsealProgress::default();
    assert_eq!(have(offer(&mut ceremony, &text(&before.shares[0]), &seal_of(&before))).0, 1);
    let seal = seal_of(&after);
    assert_eq!(refusal(offer(&mut ceremony, &text(&before.shares[1]), &seal)), ShareError::OldSet);
    assert_eq!(have(offer(&mut ceremony, &text(&after.shares[0]), &seal)).0, 1);
    assert_eq!(root_key(offer(&mut ceremony, &text(&after.shares[2]), &seal)), *after.root_key.expose());
}

#[test]
fn an_altered_seal_record_never_gives_a_key() {
    let made = init(HERE, 3, 2, 1);
    let sound = encode(&made.seal, &made.root_key);
    let shares: Vec<String> = made.shares[..2].iter().map(text).collect();
    let (mut unreadable, mut refused, mut started_over) = (0, 0, 0);
    for bit in 0..sound.len() * 8 {
        let mut altered = sound.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let Ok(seal) = Seal::found(HERE, vec![altered.clone()]) else {
            unreadable += 1;
            continue;
        };
        let mut ceremony = UnsealProgress::default();
        for share in &shares {
            match offer(&mut ceremony, share, &seal) {
                Ok(Offered::Progress { .. }) => {}
                Ok(Offered::Complete(_)) => panic!("bit {bit} opened"),
                Err(ShareError::Seal(SealError::NotAuthentic)) => {
                    started_over += 1;
                    assert_eq!(ceremony.nonce(), None);
                }
                Err(_) => refused += 1,
            }
        }
        // The other copy is sound, and is enough.
        let seal = Seal::found(HERE, vec![altered, sound.clone()]).unwrap();
        let mut ceremony = UnsealProgress::default();
        assert!(offer(&mut ceremony, &shares[0], &seal).is_ok());
        assert_eq!(root_key(offer(&mut ceremony, &shares[1], &seal)), *made.root_key.expose(), "bit {bit}");
    }
    assert!(unreadable > 0 && refused > 0 && started_over > 0, "{unreadable} {refused} {started_over}");
}

#[test]
fn a_pending_wrap_by_shares_opens_as_the_way_back_that_a_rekey_has_left() {
    let mut made = init(HERE, 2, 2, 1);
    made.seal.wraps[0].state = WrapState::Pending;
    let seal = seal_of(&made);
    assert!(seal.status().has_pending && seal.status().wraps.is_empty());
    let mut ceremony = UnsealProgress::default();
    assert_eq!(have(offer(&mut ceremony, &text(&made.shares[0]), &seal)).0, 1);
    assert_eq!(root_key(offer(&mut ceremony, &text(&made.shares[1]), &seal)), *made.root_key.expose());
}

#[test]
fn the_seal_record_of_another_place_is_none() {
    let made = init(ELSEWHERE, 2, 2, 1);
    let copy = encode(&made.seal, &made.root_key);
    assert_eq!(Seal::found(HERE, vec![copy.clone()]).map(drop), Err(SealError::NoRecord));
    assert_eq!(Seal::found(HERE, Vec::new()).map(drop), Err(SealError::NoRecord));
    assert_eq!(Seal::found(HERE, vec![vec![0xff; 300]]).map(drop), Err(SealError::NoRecord));
    // Made to claim this place, it is readable and opens to nobody.
    let mut moved = copy;
    moved[17..33].copy_from_slice(HERE.environment.as_bytes());
    let seal = Seal::found(HERE, vec![moved]).unwrap();
    let mut ceremony = UnsealProgress::default();
    assert_eq!(have(offer(&mut ceremony, &text(&made.shares[0]), &seal)).0, 1);
    let opened = offer(&mut ceremony, &text(&made.shares[1]), &seal);
    assert_eq!(refusal(opened), ShareError::Seal(SealError::NotAuthentic));
}

#[test]
fn what_init_makes_is_consistent_and_never_the_same_twice() {
    let (one, two) = (init(HERE, 3, 2, 1), init(HERE, 3, 2, 2));
    assert_ne!(one.root_key.expose(), two.root_key.expose());
    assert_ne!(one.shares[0].set_id, two.shares[0].set_id);
    assert_eq!(one.seal.generation, 1);
    assert_eq!(one.seal.share_digests.len(), 3);
    // The escrowed KEK opens the wrap it names: a rotation of the root key needs no holder.
    let wrap = &one.seal.wraps[0];
    assert_eq!(one.escrow[0].wrap, wrap.id);
    let opened =
        seal_record::unwrap_root(&one.escrow[0].kek, &HERE, wrap.id, &one.seal.root_id, &wrap.blob).unwrap();
    assert_eq!(*opened, *one.root_key.expose());
    assert_eq!(seal_of(&one).status().wraps, [WrapType::Shamir]);
    let failed = Initialised::new(HERE, Threshold::new(3, 2).unwrap(), &NoEntropy);
    assert_eq!(failed.map(drop), Err(SealError::Entropy));
}

#[test]
fn a_child_opens_by_its_parents_key_and_by_no_other() {
    let kek = |byte| Key32::derive(|key| key.fill(byte));
    let child = Inherited::new(HERE, &kek(7), &seeded(1)).unwrap();
    let copy = encode(&child.seal, &child.root_key);
    let seal = Seal::found(HERE, vec![copy.clone()]).unwrap();
    assert_eq!(seal.open_inherited(&kek(7)).unwrap().expose(), child.root_key.expose());
    assert_eq!(seal.open_inherited(&kek(8)).map(drop), Err(SealError::NotAuthentic));
    assert_eq!((seal.status().wraps, seal.status().shares), (vec![WrapType::Inherit], None));
    for bit in 0..copy.len() * 8 {
        let mut altered = copy.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let opened = Seal::found(HERE, vec![altered]).and_then(|seal| seal.open_inherited(&kek(7)));
        assert!(opened.is_err(), "bit {bit}");
    }
    let made = init(HERE, 2, 2, 1);
    assert_eq!(seal_of(&made).open_inherited(&kek(7)).map(drop), Err(SealError::NoWrap));
    assert_eq!(Inherited::new(HERE, &kek(7), &NoEntropy).map(drop), Err(SealError::Entropy));
}
