use keystore_format::error::{Fault, FormatError};
use keystore_format::ids::EnvironmentId;
use keystore_format::leaf::{commitment, field_salt};
use keystore_format::openings::{Openings, key_id};
use zeroize::Zeroizing;

const KEY: [u8; 32] = [1; 32];
const HERE: EnvironmentId = EnvironmentId([3; 16]);

fn openings() -> Openings {
    let mut openings = Openings::new(Zeroizing::new([4; 32]));
    openings.commit("path", b"db/prod");
    openings.commit("ip", b"192.0.2.7");
    openings
}

fn sealed() -> Vec<u8> {
    openings().seal(&KEY, &[2; 16], &[5; 24], HERE, 77).unwrap()
}

fn fault(sealed: &[u8], key: &[u8; 32], environment: EnvironmentId, leaf: u64) -> FormatError {
    Openings::open(sealed, key, environment, leaf).err().expect("refused")
}

#[test]
fn sealed_openings_open_for_their_leaf() {
    let opened = Openings::open(&sealed(), &KEY, HERE, 77).ok().expect("opens");
    assert_eq!(*opened.salt, [4; 32]);
    assert_eq!(opened.values["path"].as_slice(), b"db/prod");
    assert_eq!(opened.values.len(), 2);
    assert_eq!(key_id(&sealed()), Ok([2; 16]));
}

#[test]
fn openings_without_values_come_back() {
    let empty = Openings::new(Zeroizing::new([4; 32]));
    let decoded = Openings::decode(&empty.encode().unwrap()).ok().expect("decodes");
    assert!(decoded.values.is_empty());
}

#[test]
fn committing_gives_what_the_leaf_must_hold() {
    let made = Openings::new(Zeroizing::new([4; 32])).commit("path", b"v");
    assert_eq!(made, commitment(&field_salt(&[4; 32], "path"), "path", b"v"));
}

#[test]
fn openings_of_another_leaf_environment_or_key_do_not_open() {
    let refused = FormatError::new("openings", 42, Fault::NotAuthentic);
    assert_eq!(fault(&sealed(), &KEY, HERE, 78), refused);
    assert_eq!(fault(&sealed(), &KEY, EnvironmentId([4; 16]), 77), refused);
    assert_eq!(fault(&sealed(), &[2; 32], HERE, 77), refused);
}

#[test]
fn sealed_openings_cut_or_altered_anywhere_are_refused() {
    let sealed = sealed();
    for length in 0..sealed.len() {
        let error = fault(&sealed[..length], &KEY, HERE, 77);
        let expected = if length < 58 { Fault::Truncated } else { Fault::NotAuthentic };
        assert_eq!(error.fault, expected, "{length}");
    }
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0 => Fault::UnknownVersion,
            1 => Fault::UnknownAlgorithm,
            _ => Fault::NotAuthentic,
        };
        assert_eq!(fault(&flipped, &KEY, HERE, 77).fault, expected, "{bit}");
    }
}

#[test]
fn openings_that_do_not_fit_a_frame_are_refused() {
    let mut openings = openings();
    openings.commit("body", &vec![0; 64 * 1024]);
    assert_eq!(openings.encode().unwrap_err(), FormatError::new("openings", 0, Fault::TooLong));
}

#[test]
fn plain_openings_are_read_strictly() {
    let bytes = openings().encode().unwrap().to_vec();
    for length in 0..bytes.len() {
        assert_eq!(Openings::decode(&bytes[..length]).err().unwrap().fault, Fault::Truncated);
    }
    let mut three = bytes.clone();
    three[0] = 0xa3;
    assert_eq!(Openings::decode(&three).err(), Some(FormatError::new("openings", 0, Fault::Invalid)));
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(Openings::decode(&longer).err().unwrap().fault, Fault::TrailingBytes);
}
